//! What the machine is and who else uses it: a hypervisor and the time that it steals, swap, and other
//! programs.

use super::host::{Host, garbled, start_of};
use super::limits::may_lock_memory;
use super::{Finding, Grade};

const CPUINFO: &str = "/proc/cpuinfo";
const DMI: &str = "/sys/class/dmi/id";

/// What the firmware of virtual machines calls itself.
const VIRTUAL_PRODUCTS: [&str; 15] = [
    "KVM",
    "QEMU",
    "VMware",
    "VirtualBox",
    "Virtual Machine",
    "Virtual Platform",
    "HVM domU",
    "Bochs",
    "BHYVE",
    "Parallels",
    "OpenStack",
    "Google Compute Engine",
    "Amazon EC2",
    "Firecracker",
    "Apple Virtualization",
];

/// What shows that a hypervisor is below; none on physical hardware.
pub(super) fn hypervisor(host: &Host<'_>) -> Result<Option<String>, String> {
    let firmware: Vec<_> = ["sys_vendor", "product_name"]
        .iter()
        .filter_map(|name| host.line(&format!("{DMI}/{name}")).ok())
        .map(|line| start_of(&line))
        .collect();
    let cpuinfo = host.text(CPUINFO);
    let flags = cpuinfo.as_ref().ok().and_then(|text| text.lines().find(|line| line.starts_with("flags")));
    if let Some(flags) = flags {
        let mut flags = flags.split_whitespace();
        let named = if firmware.is_empty() { String::new() } else { format!(" ({})", firmware.join(" ")) };
        return Ok(flags
            .any(|flag| flag == "hypervisor")
            .then(|| format!("the CPU has the flag hypervisor{named}")));
    }
    // Other processors than x86 have no such flag.
    let product = firmware.iter().find(|name| VIRTUAL_PRODUCTS.iter().any(|product| name.contains(product)));
    if let Some(product) = product {
        return Ok(Some(format!("the firmware says {product}")));
    }
    if host.has("/proc/device-tree/hypervisor") {
        return Ok(Some("the device tree names a hypervisor".to_owned()));
    }
    if !firmware.is_empty() || host.has("/proc/device-tree/model") {
        return Ok(None);
    }
    Err(match cpuinfo {
        Ok(_) => format!("neither {CPUINFO} nor {DMI} tells"),
        Err(why) => why,
    })
}

/// Whether this is a virtual machine.
pub(super) fn virtual_machine(host: &Host<'_>) -> Finding {
    let subject = "virtual machine";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    match hypervisor(host) {
        Ok(None) => finding(Grade::Good, "no".to_owned(), "Nobody takes CPUs away from below."),
        Ok(Some(sign)) => finding(
            Grade::Advice,
            format!("yes: {sign}"),
            "The hypervisor can take a CPU away for milliseconds, at any instant. Nothing in here prevents \
             that; gridloop counts and reports it.",
        )
        .with_remedy(
            "If the rare late epoch matters, use a physical computer. Else ask whoever runs the host for \
             CPUs of your own: as many as the machine has, pinned (libvirt: virsh vcpupin), and no more of \
             them promised than there are.",
        ),
        Err(why) => finding(Grade::Unknown, why, "A hypervisor could take CPUs away at any instant."),
    }
}

/// How much time the hypervisor has taken since boot.
pub(super) fn stolen_time(host: &Host<'_>) -> Finding {
    let subject = "stolen time";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let path = "/proc/stat";
    let unknown = |why| finding(Grade::Unknown, why, "Nobody can say how much a hypervisor takes.");
    let line = match host.line(path) {
        Ok(line) => line,
        Err(why) => return unknown(why),
    };
    let Some((stolen, all)) = ticks(&line) else { return unknown(garbled(path, &line)) };
    let per_million = u128::from(stolen) * 1_000_000 / u128::from(all.max(1));
    let share = match per_million {
        0..100 => "less than 0.01 %".to_owned(),
        _ => format!("{}.{:02} %", per_million / 10_000, per_million % 10_000 / 100),
    };
    let found = format!("{share} of all CPU time since boot");
    let little = "So little shows in a single epoch now and then, if at all.";
    let remedy =
        "Nothing in this machine helps. Move it to a host that is less busy, or have its CPUs pinned there.";
    match per_million {
        _ if stolen == 0 => {
            finding(Grade::Good, "none since boot".to_owned(), "No hypervisor has taken a CPU away.")
        }
        0..1_000 => finding(Grade::Good, found, little),
        1_000..10_000 => finding(
            Grade::Advice,
            found,
            "The hypervisor gives the CPUs to others now and then; an epoch that falls into such a gap \
             starts late by it.",
        )
        .with_remedy(remedy),
        _ => finding(
            Grade::Problem,
            found,
            "The host is too busy: the hypervisor keeps giving the CPUs to others, and epochs start late.",
        )
        .with_remedy(remedy),
    }
}

/// Stolen, and all. Time of guests is contained in that of users.
fn ticks(line: &str) -> Option<(u64, u64)> {
    let counts: Option<Vec<u64>> =
        line.strip_prefix("cpu ")?.split_whitespace().take(8).map(|word| word.parse().ok()).collect();
    let counts = counts.filter(|counts| counts.len() == 8)?;
    let all = counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count))?;
    Some((*counts.last()?, all))
}

/// Whether memory can be put aside on a disk.
pub(super) fn swap(host: &Host<'_>) -> Finding {
    let subject = "swap";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let (total, used) = match swapped(host) {
        Ok(amounts) => amounts,
        Err(why) => {
            return finding(Grade::Unknown, why, "Memory that is not locked could be put aside on a disk.");
        }
    };
    if total == 0 {
        return finding(Grade::Good, "none".to_owned(), "Data of a run are never put aside on a disk.");
    }
    let found = format!("{} MiB, {} MiB of it in use", total / 1024, used / 1024);
    if may_lock_memory(host) {
        return finding(
            Grade::Good,
            format!("{found}; memory can be locked"),
            "Locked memory is not swapped.",
        );
    }
    let means = "gridloop may not lock its memory, so the kernel can put parts of it on the disk. Who needs \
                 such a part waits for the disk, the pacer too.";
    finding(Grade::Advice, found, means).with_remedy(
        "Grant locked memory (see there); then swap is no matter. Or switch it off, here and in \
         /etc/fstab:\n    swapoff --all",
    )
}

/// Size and use, in KiB.
fn swapped(host: &Host<'_>) -> Result<(u64, u64), String> {
    let path = "/proc/swaps";
    let text = host.text(path)?;
    if !text.starts_with("Filename") {
        return from_meminfo(host).ok_or_else(|| garbled(path, &text));
    }
    let mut sums = (0_u64, 0_u64);
    for line in text.lines().skip(1) {
        // A name has its spaces escaped.
        let mut numbers = line.split_whitespace().skip(2).map(str::parse::<u64>);
        let (Some(Ok(size)), Some(Ok(used))) = (numbers.next(), numbers.next()) else {
            return Err(garbled(path, line));
        };
        sums = (sums.0.saturating_add(size), sums.1.saturating_add(used));
    }
    Ok(sums)
}

fn from_meminfo(host: &Host<'_>) -> Option<(u64, u64)> {
    let text = host.text("/proc/meminfo").ok()?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let total = value("SwapTotal:")?;
    Some((total, total.saturating_sub(value("SwapFree:")?)))
}

/// What else runs at this moment.
pub(super) fn load(host: &Host<'_>) -> Finding {
    let subject = "load";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let path = "/proc/loadavg";
    let unknown = |why| finding(Grade::Unknown, why, "Nobody can say what else runs here.");
    let line = match host.line(path) {
        Ok(line) => line,
        Err(why) => return unknown(why),
    };
    let Some((hundredths, average, others)) = load_of(&line) else { return unknown(garbled(path, &line)) };
    let Some(cpus) = host.cpus().map(|cpus| cpus.len() as u64) else {
        return unknown("the CPUs cannot be counted".to_owned());
    };
    let plural = |count| if count == 1 { "" } else { "s" };
    let found = format!(
        "{others} other thread{} running, average {average}, on {cpus} CPU{}",
        plural(others),
        plural(cpus)
    );
    if others < cpus && hundredths < cpus.saturating_mul(100) {
        return finding(Grade::Good, found, "There is a CPU to spare.");
    }
    let means = "Everything else wants the CPUs too. A pacer with SCHED_FIFO still comes first, but the bus, \
                 the devices and the components wait their turn, and so does a pacer without.";
    finding(Grade::Advice, found, means).with_remedy(
        "End what need not run during a run, or give it the rest of the time only:\n    \
         chrt --idle --pid 0 PID\n\
         See who it is:\n    top -o %CPU",
    )
}

/// The average over a minute in hundredths and as written, and the number of others that run.
fn load_of(line: &str) -> Option<(u64, &str, u64)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [average, _, _, threads, _] = words.as_slice() else { return None };
    let (whole, part) = average.split_once('.')?;
    let part = part.parse::<u64>().ok().filter(|hundredths| *hundredths < 100 && part.len() == 2)?;
    let hundredths = whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(part)?;
    let running = threads.split_once('/')?.0.parse::<u64>().ok()?;
    // Whoever reads the file runs too.
    Some((hundredths, average, running.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::super::made_up::Tree;
    use super::*;

    fn grade(finding: fn(&Host<'_>) -> Finding, files: &[(&str, &str)]) -> Grade {
        finding(&Tree::of(files).host()).grade
    }

    #[test]
    fn on_x86_the_flag_of_the_processor_decides() {
        let virtual_cpu = ("/proc/cpuinfo", "processor : 0\nflags\t\t: fpu hypervisor lahf_lm\n");
        let physical_cpu = ("/proc/cpuinfo", "processor : 0\nflags\t\t: fpu lahf_lm\n");
        let vendor = ("/sys/class/dmi/id/sys_vendor", "QEMU\n");
        let finding = virtual_machine(&Tree::of(&[virtual_cpu, vendor]).host());
        assert_eq!(finding.grade, Grade::Advice);
        assert_eq!(finding.found, "yes: the CPU has the flag hypervisor (QEMU)");
        assert_eq!(
            virtual_machine(&Tree::of(&[virtual_cpu]).host()).found,
            "yes: the CPU has the flag hypervisor"
        );
        assert_eq!(grade(virtual_machine, &[physical_cpu]), Grade::Good);
        // A computer of a cloud provider without a hypervisor.
        assert_eq!(
            grade(virtual_machine, &[physical_cpu, ("/sys/class/dmi/id/sys_vendor", "Amazon EC2")]),
            Grade::Good
        );
    }

    #[test]
    fn elsewhere_the_firmware_decides() {
        let cpu = ("/proc/cpuinfo", "processor : 0\nFeatures : fp asimd\n");
        let product = |name| [cpu, ("/sys/class/dmi/id/product_name", name)];
        assert_eq!(grade(virtual_machine, &product("KVM Virtual Machine\n")), Grade::Advice);
        assert_eq!(grade(virtual_machine, &product("Ampere Altra\n")), Grade::Good);
        assert_eq!(
            grade(virtual_machine, &[cpu, ("/proc/device-tree/model", "Raspberry Pi 5")]),
            Grade::Good
        );
        assert_eq!(
            grade(virtual_machine, &[cpu, ("/proc/device-tree/hypervisor/compatible", "kvm")]),
            Grade::Advice
        );
        assert_eq!(grade(virtual_machine, &[cpu]), Grade::Unknown);
        assert_eq!(grade(virtual_machine, &[]), Grade::Unknown);
    }

    #[test]
    fn stolen_time_is_a_share_of_all_time_since_boot() {
        let stolen = |line: &str| stolen_time(&Tree::of(&[("/proc/stat", line)]).host());
        assert_eq!(stolen("cpu  100 0 100 800 0 0 0 0 50 0\n").found, "none since boot");
        let finding = stolen("cpu  29793 0 3291 66067 178 0 19 10 0 0\ncpu0 1 1 1 1 1 1 1 1\n");
        assert_eq!(
            (finding.grade, finding.found.as_str()),
            (Grade::Good, "0.01 % of all CPU time since boot")
        );
        assert_eq!(stolen("cpu 0 0 0 99995 0 0 0 5").found, "less than 0.01 % of all CPU time since boot");
        assert_eq!(stolen("cpu 0 0 0 995 0 0 0 5 0 0").grade, Grade::Advice);
        let finding = stolen("cpu 0 0 0 950 0 0 0 50 0 0");
        assert_eq!(
            (finding.grade, finding.found.as_str()),
            (Grade::Problem, "5.00 % of all CPU time since boot")
        );
        for garbage in [
            "",
            "cpu",
            "cpu 1 2 3",
            "cpu a b c d e f g h",
            "intr 5",
            "cpu 18446744073709551615 1 0 0 0 0 0 0",
        ] {
            assert_eq!(stolen(garbage).grade, Grade::Unknown, "{garbage}");
        }
        assert_eq!(grade(stolen_time, &[]), Grade::Unknown);
    }

    const SWAPPING: &str = "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 2097152 1024 -2\n\
                            /swap\\040file file 1048576 0 -3\n";

    #[test]
    fn swap_matters_only_to_memory_that_is_not_locked() {
        let finding = swap(&Tree::of(&[("/proc/swaps", SWAPPING)]).host());
        assert_eq!((finding.grade, finding.found.as_str()), (Grade::Advice, "3072 MiB, 1 MiB of it in use"));
        let finding = swap(&Tree::healthy_but(&[("/proc/swaps", SWAPPING)]).host());
        assert_eq!(finding.grade, Grade::Good);
        assert_eq!(swap(&Tree::healthy_but(&[]).host()).found, "none");
    }

    #[test]
    fn swap_is_looked_up_elsewhere_where_its_own_file_is_empty() {
        let meminfo = ("/proc/meminfo", "SwapTotal:  2048 kB\nSwapFree:   1024 kB\n");
        let finding = swap(&Tree::of(&[("/proc/swaps", ""), meminfo]).host());
        assert_eq!(finding.found, "2 MiB, 1 MiB of it in use");
        assert_eq!(grade(swap, &[("/proc/swaps", "")]), Grade::Unknown);
        assert_eq!(
            grade(swap, &[("/proc/swaps", "Filename\n/dev/sda partition big small -1\n")]),
            Grade::Unknown
        );
        assert_eq!(grade(swap, &[]), Grade::Unknown);
    }

    #[test]
    fn a_computer_is_busy_when_others_run_on_every_processor() {
        let busy = |line: &str| {
            load(&Tree::of(&[("/proc/loadavg", line), ("/sys/devices/system/cpu/online", "0-1\n")]).host())
        };
        let finding = busy("0.12 0.43 0.27 2/83 7508\n");
        assert_eq!(finding.grade, Grade::Good);
        assert_eq!(finding.found, "1 other thread running, average 0.12, on 2 CPUs");
        assert_eq!(busy("0.12 0.43 0.27 3/83 7508\n").grade, Grade::Advice);
        assert_eq!(busy("2.00 0.43 0.27 1/83 7508\n").grade, Grade::Advice);
        for garbage in
            ["", "1 2 3 4 5", "0.12 0.43 0.27 x 7508", "-1.00 0 0 1/2 3", "0.123 0 0 1/2 3", "nan 0 0 1/2 3"]
        {
            assert_eq!(busy(garbage).grade, Grade::Unknown, "{garbage}");
        }
        assert_eq!(grade(load, &[]), Grade::Unknown);
        assert_eq!(grade(load, &[("/proc/loadavg", "0.12 0.43 0.27 2/83 7508\n")]), Grade::Unknown);
    }
}
