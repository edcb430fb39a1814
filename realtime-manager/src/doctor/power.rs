//! What saving power costs: processors that run slowly, and processors that sleep deeply.

use super::host::{Host, start_of};
use super::limits::in_container;
use super::machine::hypervisor;
use super::{Finding, Grade};
use std::collections::BTreeMap;

/// Leaving an idle state faster than this is not noticed.
const SHALLOW_US: u64 = 10;

const REQUEST: &str = "/dev/cpu_dma_latency";

fn in_virtual_machine(host: &Host<'_>) -> bool {
    matches!(hypervisor(host), Ok(Some(_)))
}

/// What sets the frequency of the processors.
pub(super) fn governor(host: &Host<'_>) -> Finding {
    let subject = "frequency governor";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let unknown = |why| finding(Grade::Unknown, why, "Nobody can say how fast a CPU is just after a pause.");
    let mut governors: BTreeMap<String, usize> = BTreeMap::new();
    for cpu in host.cpu_folders() {
        let file = format!("{cpu}/cpufreq/scaling_governor");
        if !host.has(&file) {
            continue;
        }
        match host.line(&file) {
            Ok(name) => *governors.entry(start_of(&name)).or_default() += 1,
            Err(why) => return unknown(why),
        }
    }
    let all: usize = governors.values().sum();
    if all == 0 && in_virtual_machine(host) {
        let means = "In a virtual machine the frequency is set by the host.";
        return finding(Grade::Good, "none here: the host decides".to_owned(), means);
    }
    if all == 0 {
        return unknown("this kernel sets no frequency".to_owned());
    }
    let found: Vec<_> =
        governors.iter().map(|(name, cpus)| format!("{name} on {cpus} of {all} CPUs")).collect();
    let found = found.join(", ");
    if governors.keys().all(|name| name == "performance") {
        return finding(Grade::Good, found, "The CPUs run at full speed even after a pause.");
    }
    let means =
        "While the pacer sleeps its CPU slows down, and what follows a wake-up begins at the low frequency.";
    finding(Grade::Advice, found, means).with_remedy(
        "Until the next start of the computer:\n    \
         echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor\n\
         For good (Debian: apt install linux-cpupower), from a service at start:\n    \
         cpupower frequency-set --governor performance",
    )
}

/// The deepest idle state in use.
struct Deepest {
    name: String,
    exit_us: u64,
}

/// How long the processors take to come out of idle, and whether they can be kept from it.
pub(super) fn idle_states(host: &Host<'_>) -> Finding {
    let subject = "idle states";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let virtual_machine = in_virtual_machine(host);
    let deepest = deepest(host);
    let states = match &deepest {
        Some(Deepest { name, exit_us }) => format!("deepest: {name}, left in {exit_us} us"),
        None => "none are listed".to_owned(),
    };
    if host.has(REQUEST) {
        let means = "While a run is on gridloop keeps the CPUs out of deep idle states, if it may write to \
                     that file.";
        return finding(Grade::Good, format!("{states}; {REQUEST} is there"), means);
    }
    let found = format!("{states}; there is no {REQUEST}");
    match deepest {
        Some(Deepest { exit_us: 0..=SHALLOW_US, .. }) if !virtual_machine => {
            finding(Grade::Good, found, "The CPUs come out of idle fast enough by themselves.")
        }
        None if !virtual_machine => {
            finding(Grade::Unknown, found, "Nobody can say how long a CPU takes to come out of idle.")
        }
        _ => {
            let means = "On an idle computer this costs more than anything else: a sleeping CPU must wake up \
                         before the pacer can, and gridloop has no means to keep it awake.";
            let remedy = if in_container(host) {
                "Start the container with the file:\n    --device /dev/cpu_dma_latency"
            } else if virtual_machine {
                "On the kernel command line of this virtual machine (its CPUs then look busy to the host all \
                 the time):\n    idle=poll"
            } else {
                "Switch the deep states off until the next start of the computer (Debian: linux-cpupower):\n \
                    cpupower idle-set --disable-by-latency 10"
            };
            finding(Grade::Advice, found, means).with_remedy(remedy)
        }
    }
}

/// Of the states that are not switched off. States that cannot be read do not count.
fn deepest(host: &Host<'_>) -> Option<Deepest> {
    let states =
        host.cpu_folders().into_iter().flat_map(|cpu| host.numbered(&format!("{cpu}/cpuidle"), "state"));
    let used = states.filter(|state| host.number(&format!("{state}/disable")) != Ok(1));
    let read = |state: String| {
        let exit_us = u64::try_from(host.number(&format!("{state}/latency")).ok()?).ok()?;
        let name = host.line(&format!("{state}/name")).ok()?;
        Some(Deepest { name: start_of(&name), exit_us })
    };
    used.filter_map(read).max_by_key(|state| state.exit_us)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::Tree;
    use super::*;

    const PHYSICAL: (&str, &str) = ("/proc/cpuinfo", "flags\t: fpu tsc\n");
    const VIRTUAL: (&str, &str) = ("/proc/cpuinfo", "flags\t: fpu hypervisor tsc\n");

    fn governed(names: &[&str]) -> Tree {
        let tree = Tree::of(&[PHYSICAL]);
        for (cpu, name) in names.iter().enumerate() {
            tree.write(
                &format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"),
                name.as_bytes(),
            );
        }
        // Neither is a processor.
        tree.write("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor", b"userspace");
        tree.write("/sys/devices/system/cpu/cpuidle/current_driver", b"none");
        tree
    }

    #[test]
    fn every_processor_must_run_at_full_speed() {
        let finding = governor(&governed(&["performance\n", "performance\n"]).host());
        assert_eq!((finding.grade, finding.found.as_str()), (Grade::Good, "performance on 2 of 2 CPUs"));
        let finding = governor(&governed(&["performance", "powersave", "performance"]).host());
        assert_eq!(finding.grade, Grade::Advice);
        assert_eq!(finding.found, "performance on 2 of 3 CPUs, powersave on 1 of 3 CPUs");
        assert!(finding.remedy.unwrap().contains("echo performance | tee"));
        assert_eq!(governor(&governed(&["schedutil", ""]).host()).grade, Grade::Unknown);
    }

    #[test]
    fn a_virtual_machine_has_no_frequency_of_its_own() {
        assert_eq!(governor(&Tree::of(&[VIRTUAL]).host()).grade, Grade::Good);
        assert_eq!(governor(&Tree::of(&[PHYSICAL]).host()).grade, Grade::Unknown);
        assert_eq!(governor(&Tree::of(&[]).host()).grade, Grade::Unknown);
    }

    fn idle(states: &[(&str, &str, &str)], processor: (&str, &str)) -> Tree {
        let tree = Tree::of(&[processor]);
        for (number, (name, latency, disable)) in states.iter().enumerate() {
            let state = format!("/sys/devices/system/cpu/cpu0/cpuidle/state{number}");
            for (file, text) in [("name", name), ("latency", latency), ("disable", disable)] {
                tree.write(&format!("{state}/{file}"), text.as_bytes());
            }
        }
        tree
    }

    #[test]
    fn deep_idle_states_matter_only_where_nobody_can_hold_them_off() {
        let states = [("POLL", "0", "0"), ("C1", "2", "0"), ("C10", "890", "0")];
        let tree = idle(&states, PHYSICAL);
        let finding = idle_states(&tree.host());
        assert_eq!(finding.grade, Grade::Advice);
        assert_eq!(finding.found, "deepest: C10, left in 890 us; there is no /dev/cpu_dma_latency");
        assert!(finding.remedy.unwrap().contains("idle-set"));
        tree.write("/.dockerenv", b"");
        assert!(idle_states(&tree.host()).remedy.unwrap().contains("--device /dev/cpu_dma_latency"));
        tree.write(REQUEST, b"");
        let finding = idle_states(&tree.host());
        assert_eq!(finding.grade, Grade::Good);
        assert_eq!(finding.found, "deepest: C10, left in 890 us; /dev/cpu_dma_latency is there");
    }

    #[test]
    fn states_that_are_switched_off_or_shallow_are_no_trouble() {
        let states =
            [("POLL", "0", "0"), ("C1", "2", "0"), ("C10", "890", "1"), ("C6", "x", "0"), ("C7", "-9", "0")];
        let finding = idle_states(&idle(&states, PHYSICAL).host());
        assert_eq!(finding.grade, Grade::Good);
        assert!(finding.found.starts_with("deepest: C1, left in 2 us"), "{finding:?}");
    }

    #[test]
    fn in_a_virtual_machine_the_listed_states_do_not_tell_what_the_host_does() {
        let finding = idle_states(&idle(&[("haltpoll", "1", "0")], VIRTUAL).host());
        assert_eq!(finding.grade, Grade::Advice);
        assert!(finding.remedy.unwrap().contains("idle=poll"));
        assert_eq!(idle_states(&Tree::of(&[PHYSICAL]).host()).grade, Grade::Unknown);
        assert_eq!(idle_states(&Tree::of(&[]).host()).grade, Grade::Unknown);
    }
}
