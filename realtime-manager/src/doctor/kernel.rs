//! How the kernel lets threads run: preemption, isolated processors, the limit on real-time threads, and the
//! clock it reads.

use super::host::{Host, cpu_list, garbled, start_of};
use super::machine::hypervisor;
use super::{Finding, Grade};

/// What distributions set.
const USUAL_THROTTLING: &str = "\n    \
     sysctl -w kernel.sched_rt_period_us=1000000 kernel.sched_rt_runtime_us=950000\n\
     and remove another value from /etc/sysctl.conf and /etc/sysctl.d/.";

/// Whether the kernel can be interrupted nearly everywhere.
pub(super) fn preemption(host: &Host<'_>) -> Finding {
    let subject = "kernel preemption";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let unknown =
        |found| finding(Grade::Unknown, found, "Nobody can say how long a wake-up waits for the kernel.");
    let path = "/proc/version";
    let version = match host.line(path) {
        Ok(version) => version,
        Err(why) => return unknown(why),
    };
    let Some(release) = version.strip_prefix("Linux version ").and_then(|rest| rest.split(' ').next()) else {
        return unknown(garbled(path, &version));
    };
    let release = start_of(release);
    let real_time = host.line("/sys/kernel/realtime").is_ok_and(|line| line == "1");
    if real_time || version.contains("PREEMPT_RT") || version.contains("PREEMPT RT") {
        let means = "A real-time thread waits for hardly anything that the kernel does.";
        return finding(Grade::Good, format!("Linux {release}, PREEMPT_RT"), means);
    }
    let dynamic = version.contains("PREEMPT_DYNAMIC");
    let mode = if dynamic { preemption_mode(host) } else { None };
    let kind = match (version.contains("PREEMPT"), &mode) {
        (true, Some(mode)) => format!("preemption {mode}"),
        (true, None) if dynamic => "PREEMPT_DYNAMIC".to_owned(),
        (true, None) => "PREEMPT".to_owned(),
        (false, _) => "no preemption".to_owned(),
    };
    let softer = match mode.as_deref() {
        _ if !dynamic => "",
        Some("full") => "",
        _ => "\nShort of that, on the kernel command line:\n    preempt=full",
    };
    let means = "A wake-up that comes while the kernel is busy waits until it is done. With SCHED_FIFO that \
                 is short as a rule, but nothing bounds it.";
    let below = match hypervisor(host) {
        Ok(Some(_)) => "\nIn a virtual machine that helps less: the hypervisor stays in the way.",
        _ => "",
    };
    finding(Grade::Advice, format!("Linux {release}, {kind}, not PREEMPT_RT"), means).with_remedy(format!(
        "If every epoch must start within a fraction of a millisecond, boot a kernel with PREEMPT_RT:\n    \
         Debian:  apt install linux-image-rt-amd64\n    \
         Ubuntu:  pro enable realtime-kernel\n    \
         others:  Linux 6.12 or newer, built with CONFIG_PREEMPT_RT=y{softer}{below}"
    ))
}

/// What a kernel with a choice has chosen, as far as it can be read: often the file is for root only, or not
/// there.
fn preemption_mode(host: &Host<'_>) -> Option<String> {
    let known = |mode: &str| ["none", "voluntary", "full", "lazy"].contains(&mode).then(|| mode.to_owned());
    let offered = host.line("/sys/kernel/debug/sched/preempt").ok();
    let chosen = offered.and_then(|line| known(line.split_once('(')?.1.split_once(')')?.0));
    chosen.or_else(|| known(&host.boot_option("preempt")?))
}

/// Whether a processor is kept for threads that ask for it.
pub(super) fn isolation(host: &Host<'_>) -> Finding {
    let subject = "isolated CPUs";
    let unknown = |found| {
        let means = "Nobody can say whether other programs may run on the pacer's CPU.";
        Finding::new(subject, Grade::Unknown, found, means)
    };
    let list = |path| host.text(path).and_then(|text| cpu_list(&text).ok_or_else(|| garbled(path, &text)));
    let isolated = match list("/sys/devices/system/cpu/isolated") {
        Ok(isolated) => isolated,
        Err(why) => return unknown(why),
    };
    let Some(cpus) = host.cpus() else { return unknown("the CPUs cannot be counted".to_owned()) };
    if let Some(last) = isolated.last() {
        let quiet = list("/sys/devices/system/cpu/nohz_full").is_ok_and(|quiet| quiet.contains(last));
        let tick = if quiet { "without" } else { "with" };
        let found = format!("{} of {}, CPU {last} {tick} the periodic tick", isolated.len(), cpus.len());
        let means = format!(
            "CPU {last} runs only what is put there by name. The pacer uses it with `pacer_cpu = {last}` in \
             [manager]; without that line it stays among the others."
        );
        return Finding::new(subject, Grade::Good, format!("{found}: set pacer_cpu = {last}"), means);
    }
    let asked = host.boot_option("isolcpus").map(|value| start_of(&value));
    let found = match (asked, cpus.len()) {
        (Some(asked), _) => format!("none, although the kernel was booted with isolcpus={asked}"),
        (None, 1) => "none: there is only one CPU".to_owned(),
        (None, count) => format!("none of {count}"),
    };
    let means = "Interrupts and other threads run on the pacer's CPU too. SCHED_FIFO puts it before all \
                 those threads, so this matters only for epochs of a few milliseconds and less.";
    Finding::new(subject, Grade::Advice, found, means).with_remedy(how_to_isolate(&cpus))
}

/// The last processor, since the first has most of the interrupts.
fn how_to_isolate(cpus: &[usize]) -> String {
    let [kept, .., last] = cpus else { return "Use a computer with at least two CPUs.".to_owned() };
    let cost = match cpus.len() {
        2 => "With 2 CPUs isolation gives half of the computer away: rather leave it.".to_owned(),
        count => format!("Isolation takes one of {count} CPUs from everything else."),
    };
    format!(
        "{cost} If epochs are that short, put this on the kernel command line (Debian, Ubuntu: \
         GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub and restart):\n    \
         isolcpus=managed_irq,domain,{last} nohz_full={last} rcu_nocbs={last} irqaffinity={kept}\n\
         and this into the run's [manager] section:\n    pacer_cpu = {last}"
    )
}

/// How much of the time real-time threads may take altogether.
pub(super) fn throttling(host: &Host<'_>) -> Finding {
    let subject = "real-time throttling";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let unknown = |found| {
        finding(Grade::Unknown, found, "Nobody can say how long real-time threads may run at a stretch.")
    };
    let runtime = host.number("/proc/sys/kernel/sched_rt_runtime_us");
    let period = host.number("/proc/sys/kernel/sched_rt_period_us");
    let (runtime, period) = match (runtime, period) {
        (Ok(runtime), Ok(period)) => (runtime, period),
        (Err(why), _) | (_, Err(why)) => return unknown(why),
    };
    let amounts = format!("{runtime} of {period} us");
    let Some(percent) = percent_of(runtime, period) else {
        return unknown(format!("{amounts} make no sense"));
    };
    match percent {
        0 => finding(
            Grade::Problem,
            format!("{amounts}: no time at all"),
            "No real-time thread can run: the pacer is refused SCHED_FIFO, or gets it and stands still.",
        )
        .with_remedy(format!("Set what is usual:{USUAL_THROTTLING}")),
        1..50 => finding(
            Grade::Advice,
            format!("{amounts}: {percent} %"),
            "The pacer needs a few percent of a CPU, at epochs of a millisecond about a fifth. Together with \
             other real-time threads it may find the time used up, and then waits for the next period.",
        )
        .with_remedy(format!("Set what is usual:{USUAL_THROTTLING}")),
        50..100 => finding(
            Grade::Good,
            format!("{amounts}: {percent} %"),
            "More than the pacer ever needs, and a real-time thread that runs wild leaves the rest to you.",
        ),
        _ => finding(
            Grade::Advice,
            format!("{amounts}: no limit"),
            "Epochs start no better for it, for the pacer needs a few percent; but any real-time thread that \
             runs wild takes a CPU for good, and with it perhaps the whole computer.",
        )
        .with_remedy(format!("Put the safety net back:{USUAL_THROTTLING}")),
    }
}

/// None if that cannot be a share. 100 is no limit.
fn percent_of(runtime: i64, period: i64) -> Option<i64> {
    match (runtime, period) {
        (_, ..=0) | (..=-2, _) => None,
        (-1, _) => Some(100),
        (runtime, period) if runtime >= period => Some(100),
        (0, _) => Some(0),
        (runtime, period) => Some((runtime.checked_mul(100)? / period).max(1)),
    }
}

/// What the kernel reads the time from.
pub(super) fn clock_source(host: &Host<'_>) -> Finding {
    let subject = "clock source";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let folder = "/sys/devices/system/clocksource/clocksource0";
    let current = match host.line(&format!("{folder}/current_clocksource")) {
        Ok(current) => current,
        Err(why) => {
            return finding(Grade::Unknown, why, "Nobody can say what a reading of the clock costs.");
        }
    };
    match current.as_str() {
        "tsc"
        | "tsc-early"
        | "kvm-clock"
        | "arch_sys_counter"
        | "hyperv_clocksource_tsc_page"
        | "riscv_clocksource" => {
            finding(Grade::Good, current, "The clock is read in well under a microsecond.")
        }
        "hpet" | "acpi_pm" | "jiffies" | "refined-jiffies" | "pit" => {
            let available = host.line(&format!("{folder}/available_clocksource")).unwrap_or_default();
            let better =
                ["tsc", "kvm-clock"].into_iter().find(|better| available.split(' ').any(|a| a == *better));
            let remedy = match better {
                Some(better) => format!(
                    "Switch over now:\n    echo {better} > {folder}/current_clocksource\n\
                     and for good, on the kernel command line:\n    clocksource={better}"
                ),
                None => "The kernel offers nothing better here. Its log says why it gave the TSC up:\n    \
                         dmesg | grep -i -E 'tsc|clocksource'\n\
                         Often newer firmware helps, or tsc=reliable on the kernel command line if the TSC \
                         is sound."
                    .to_owned(),
            };
            let means = "Each reading of the clock costs a microsecond or more, and the pacer reads it all \
                         the time while it spins. With jiffies it moves in steps of milliseconds.";
            finding(Grade::Problem, current, means).with_remedy(remedy)
        }
        _ => finding(
            Grade::Unknown,
            start_of(&current),
            "Nothing is known here of this source and what it costs.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::Tree;
    use super::*;

    fn version(text: &str) -> Tree {
        Tree::of(&[("/proc/version", text), ("/sys/kernel/realtime", "0\n")])
    }

    #[test]
    fn a_real_time_kernel_is_known_by_its_version_or_by_its_file() {
        let finding = preemption(&version("Linux version 6.12.9 (x) #1 SMP PREEMPT_RT @0").host());
        assert_eq!((finding.grade, finding.found.as_str()), (Grade::Good, "Linux 6.12.9, PREEMPT_RT"));
        let finding = preemption(&version("Linux version 4.19.1 (x) #1 SMP PREEMPT RT @0").host());
        assert_eq!(finding.grade, Grade::Good);
        let tree = Tree::of(&[("/proc/version", "Linux version 5.4.1 (x)"), ("/sys/kernel/realtime", "1\n")]);
        assert_eq!(preemption(&tree.host()).grade, Grade::Good);
    }

    #[test]
    fn the_mode_of_a_kernel_with_a_choice_is_read_where_it_can_be() {
        let dynamic = "Linux version 6.18.1 (x) #1 SMP PREEMPT_DYNAMIC @0";
        let finding = preemption(&version(dynamic).host());
        assert_eq!(finding.grade, Grade::Advice);
        assert_eq!(finding.found, "Linux 6.18.1, PREEMPT_DYNAMIC, not PREEMPT_RT");
        assert!(finding.remedy.unwrap().contains("preempt=full"));

        let tree = version(dynamic);
        tree.write("/sys/kernel/debug/sched/preempt", b"none voluntary (full) lazy\n");
        let finding = preemption(&tree.host());
        assert_eq!(finding.found, "Linux 6.18.1, preemption full, not PREEMPT_RT");
        assert!(!finding.remedy.unwrap().contains("preempt=full"));

        let tree = version(dynamic);
        tree.write("/proc/cmdline", b"preempt=voluntary");
        assert_eq!(preemption(&tree.host()).found, "Linux 6.18.1, preemption voluntary, not PREEMPT_RT");

        let finding = preemption(&version("Linux version 5.10.1 (x) #1 SMP Debian").host());
        assert_eq!(finding.found, "Linux 5.10.1, no preemption, not PREEMPT_RT");
        let finding = preemption(&version("Linux version 5.10.1 (x) #1 SMP PREEMPT @0").host());
        assert_eq!(finding.found, "Linux 5.10.1, PREEMPT, not PREEMPT_RT");
    }

    #[test]
    fn a_version_that_is_none_is_unknown() {
        assert_eq!(preemption(&Tree::of(&[]).host()).found, "there is no /proc/version");
        let finding = preemption(&version("NetBSD").host());
        assert_eq!(
            (finding.grade, finding.found.as_str()),
            (Grade::Unknown, "/proc/version makes no sense: `NetBSD`")
        );
    }

    #[test]
    fn an_isolated_processor_is_named_to_be_used() {
        let tree = Tree::healthy_but(&[("/sys/devices/system/cpu/isolated", "2-3\n")]);
        let finding = isolation(&tree.host());
        assert_eq!(finding.grade, Grade::Good);
        assert_eq!(finding.found, "2 of 4, CPU 3 without the periodic tick: set pacer_cpu = 3");
        let finding = isolation(&tree.without("/sys/devices/system/cpu/nohz_full").host());
        assert!(finding.found.contains("CPU 3 with the periodic tick"), "{finding:?}");
    }

    #[test]
    fn what_isolation_costs_depends_on_how_many_processors_there_are() {
        let tree = |online: &str| {
            Tree::of(&[
                ("/sys/devices/system/cpu/isolated", "\n"),
                ("/sys/devices/system/cpu/online", online),
            ])
        };
        let finding = isolation(&tree("0-1").host());
        assert_eq!((finding.grade, finding.found.as_str()), (Grade::Advice, "none of 2"));
        let remedy = finding.remedy.unwrap();
        assert!(remedy.contains("half of the computer"), "{remedy}");
        assert!(
            remedy.contains("isolcpus=managed_irq,domain,1 nohz_full=1 rcu_nocbs=1 irqaffinity=0\n"),
            "{remedy}"
        );
        assert!(isolation(&tree("0-7").host()).remedy.unwrap().contains("one of 8 CPUs"));
        let finding = isolation(&tree("0").host());
        assert_eq!(finding.found, "none: there is only one CPU");
        assert!(finding.remedy.unwrap().contains("two CPUs"));
    }

    #[test]
    fn an_isolation_that_was_asked_for_and_is_not_there_is_told() {
        let tree =
            Tree::healthy_but(&[("/sys/devices/system/cpu/isolated", "\n"), ("/proc/cmdline", "isolcpus=9")]);
        let finding = isolation(&tree.host());
        assert_eq!(finding.grade, Grade::Advice);
        assert_eq!(finding.found, "none, although the kernel was booted with isolcpus=9");
    }

    #[test]
    fn isolation_that_cannot_be_read_is_unknown() {
        assert_eq!(isolation(&Tree::of(&[]).host()).grade, Grade::Unknown);
        let garbled = Tree::healthy_but(&[("/sys/devices/system/cpu/isolated", "x-y")]);
        assert_eq!(isolation(&garbled.host()).grade, Grade::Unknown);
    }

    fn throttled(runtime: &str, period: &str) -> Finding {
        let files = [
            ("/proc/sys/kernel/sched_rt_runtime_us", runtime),
            ("/proc/sys/kernel/sched_rt_period_us", period),
        ];
        throttling(&Tree::of(&files).host())
    }

    #[test]
    fn the_usual_limit_on_real_time_threads_is_good_and_none_or_nothing_is_not() {
        assert_eq!(throttled("950000", "1000000").grade, Grade::Good);
        assert_eq!(throttled("950000", "1000000").found, "950000 of 1000000 us: 95 %");
        assert_eq!(throttled("-1", "1000000").grade, Grade::Advice);
        assert_eq!(throttled("1000000", "1000000").grade, Grade::Advice);
        assert_eq!(throttled("0", "1000000").grade, Grade::Problem);
        assert_eq!(throttled("1", "1000000").found, "1 of 1000000 us: 1 %");
        assert_eq!(throttled("1", "1000000").grade, Grade::Advice);
    }

    #[test]
    fn a_limit_that_makes_no_sense_is_unknown() {
        for (runtime, period) in
            [("-2", "1000000"), ("1", "0"), ("0", "-1"), ("x", "1000000"), ("950000", "")]
        {
            assert_eq!(throttled(runtime, period).grade, Grade::Unknown, "{runtime} {period}");
        }
        assert_eq!(throttled("9223372036854775806", "9223372036854775807").grade, Grade::Unknown);
        assert_eq!(throttling(&Tree::of(&[]).host()).grade, Grade::Unknown);
    }

    fn clock(current: &str, available: &str) -> Finding {
        let folder = "/sys/devices/system/clocksource/clocksource0";
        let (current_path, available_path) =
            (format!("{folder}/current_clocksource"), format!("{folder}/available_clocksource"));
        clock_source(&Tree::of(&[(&current_path, current), (&available_path, available)]).host())
    }

    #[test]
    fn a_slow_clock_is_a_problem_and_a_better_one_is_named_if_there_is_one() {
        assert_eq!(clock("tsc\n", "tsc kvm-clock \n").grade, Grade::Good);
        assert_eq!(clock("kvm-clock\n", "").grade, Grade::Good);
        let finding = clock("hpet\n", "tsc hpet \n");
        assert_eq!(finding.grade, Grade::Problem);
        assert!(finding.remedy.unwrap().contains("echo tsc > /sys/"));
        assert!(clock("acpi_pm\n", "hpet acpi_pm \n").remedy.unwrap().contains("dmesg"));
        assert_eq!(clock("sundial\n", "").grade, Grade::Unknown);
        assert_eq!(clock("", "").grade, Grade::Unknown);
        assert_eq!(clock_source(&Tree::of(&[]).host()).grade, Grade::Unknown);
    }
}
