//! What this process may ask of the kernel: real-time priority and locked memory, and whether a container
//! stands between. A service or a container can have other privileges than the shell that asks.

use super::host::{Host, garbled, start_of};
use super::{Finding, Grade};

/// What the pacer asks for.
const PRIORITY: u64 = 80;

const STATUS: &str = "/proc/self/status";
const LIMITS: &str = "/proc/self/limits";

/// A privilege of the process: by a capability or by a limit.
struct Privilege {
    capability: &'static str,
    /// Its number in the set of capabilities.
    bit: u32,
    /// The limit's name in `/proc/self/limits`.
    limit: &'static str,
    /// What the limit must be at least.
    enough: u64,
}

const SCHEDULE: Privilege =
    Privilege { capability: "CAP_SYS_NICE", bit: 23, limit: "Max realtime priority", enough: PRIORITY };

const LOCK: Privilege =
    Privilege { capability: "CAP_IPC_LOCK", bit: 14, limit: "Max locked memory", enough: u64::MAX };

/// How far a privilege goes.
enum Held {
    ByCapability,
    ByLimit(u64),
    No {
        /// The capability is there, but not for the computer as a whole.
        namespaced: bool,
        soft: u64,
        hard: u64,
    },
}

impl Privilege {
    fn held(&self, host: &Host<'_>) -> Result<Held, String> {
        let capable = capabilities(host).map(|set| set >> self.bit & 1 == 1);
        let namespaced = in_user_namespace(host);
        if capable == Ok(true) && !namespaced {
            return Ok(Held::ByCapability);
        }
        let (soft, hard) = limits(host, self.limit)?;
        if soft >= self.enough {
            return Ok(Held::ByLimit(soft));
        }
        Ok(Held::No { namespaced: capable? && namespaced, soft, hard })
    }
}

/// The effective set.
fn capabilities(host: &Host<'_>) -> Result<u64, String> {
    let text = host.text(STATUS)?;
    let line = text.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let line = line.ok_or_else(|| format!("{STATUS} has no line CapEff"))?;
    u64::from_str_radix(line.trim(), 16).map_err(|_| garbled(STATUS, line))
}

/// The soft and the hard limit; `unlimited` is the largest number.
fn limits(host: &Host<'_>, name: &str) -> Result<(u64, u64), String> {
    let text = host.text(LIMITS)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.ok_or_else(|| format!("{LIMITS} has no line {name}"))?;
    let number = |word: &str| if word == "unlimited" { Some(u64::MAX) } else { word.parse().ok() };
    let mut words = line.split_whitespace().map(number);
    match (words.next().flatten(), words.next().flatten()) {
        (Some(soft), Some(hard)) => Ok((soft, hard)),
        _ => Err(garbled(LIMITS, line.trim())),
    }
}

/// Whether users are not those of the computer; then capabilities do not reach its scheduler and memory.
fn in_user_namespace(host: &Host<'_>) -> bool {
    let Ok(map) = host.line("/proc/self/uid_map") else { return false };
    map.split_whitespace().ne(["0", "0", "4294967295"])
}

/// Whether `mlockall` will be granted.
pub(super) fn may_lock_memory(host: &Host<'_>) -> bool {
    matches!(LOCK.held(host), Ok(Held::ByCapability | Held::ByLimit(_)))
}

fn may_schedule(host: &Host<'_>) -> bool {
    matches!(SCHEDULE.held(host), Ok(Held::ByCapability | Held::ByLimit(_)))
}

/// Whether the pacer may have `SCHED_FIFO`.
pub(super) fn real_time_priority(host: &Host<'_>) -> Finding {
    let subject = "real-time priority";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let held = match SCHEDULE.held(host) {
        Ok(held) => held,
        Err(why) => {
            return finding(
                Grade::Unknown,
                why,
                "Only a run will show whether the pacer is granted SCHED_FIFO.",
            );
        }
    };
    let granted = "The pacer may run before everything else when its instant comes.";
    match held {
        Held::ByCapability => finding(Grade::Good, SCHEDULE.capability.to_owned(), granted),
        Held::ByLimit(limit) => finding(Grade::Good, format!("up to {}", amount(limit)), granted),
        Held::No { namespaced, soft, hard } => {
            let found = refused(&SCHEDULE, namespaced, &amount(soft));
            let means = format!(
                "The pacer needs SCHED_FIFO {PRIORITY} and will be refused. It is then scheduled like \
                 everything else and does not spin: while other programs keep the CPUs busy, an epoch can \
                 start tens of milliseconds late."
            );
            let sooner = if hard >= PRIORITY { "In this shell:\n    ulimit -S -r 90\n" } else { "" };
            finding(Grade::Problem, found, &means).with_remedy(format!(
                "{sooner}{}",
                ways(host, "rtprio 90", "LimitRTPRIO=90", "--cap-add SYS_NICE --ulimit rtprio=99")
            ))
        }
    }
}

/// Whether the process may keep all its memory from being paged out.
pub(super) fn locked_memory(host: &Host<'_>) -> Finding {
    let subject = "locked memory";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let held = match LOCK.held(host) {
        Ok(held) => held,
        Err(why) => {
            return finding(Grade::Unknown, why, "Only a run will show whether its memory may be locked.");
        }
    };
    let granted =
        "All memory of a run stays in place: nothing has to be fetched from a disk at an epoch's start.";
    match held {
        Held::ByCapability => finding(Grade::Good, LOCK.capability.to_owned(), granted),
        Held::ByLimit(limit) => finding(Grade::Good, format!("{} bytes", amount(limit)), granted),
        Held::No { namespaced, soft, hard } => {
            let found = refused(&LOCK, namespaced, &size(soft));
            let means = "When memory is short the kernel takes pages of gridloop away. To fetch one back \
                         from the disk takes milliseconds, and it is the pacer's turn to wait.";
            let sooner = if hard == u64::MAX { "In this shell:\n    ulimit -S -l unlimited\n" } else { "" };
            finding(Grade::Advice, found, means).with_remedy(format!(
                "{sooner}{}",
                ways(
                    host,
                    "memlock unlimited",
                    "LimitMEMLOCK=infinity",
                    "--cap-add IPC_LOCK --ulimit memlock=-1"
                )
            ))
        }
    }
}

fn refused(privilege: &Privilege, namespaced: bool, limit: &str) -> String {
    let Privilege { capability, .. } = privilege;
    if namespaced {
        format!("{capability} in a user namespace only, which does not count; limit {limit}")
    } else {
        format!("no {capability}, limit {limit}")
    }
}

/// How to grant a privilege to a container, or else to a login, a service or the program.
fn ways(host: &Host<'_>, login: &str, service: &str, flags: &str) -> String {
    if in_container(host) {
        return format!("Start the container with more (see there):\n    {flags}");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    let program = host.link("/proc/self/exe").filter(|path| path.chars().all(plain));
    let program = program.unwrap_or_else(|| "PATH-OF-GRIDLOOP".to_owned());
    format!(
        "One of these. For a login, in /etc/security/limits.d/gridloop.conf (then log in again):\n    \
         @realtime - {login}\n\
         and the user into that group: groupadd -f realtime; usermod -aG realtime USER\n\
         For a service, in its systemd unit:\n    \
         {service}\n    \
         AmbientCapabilities=CAP_SYS_NICE CAP_IPC_LOCK\n\
         For whoever runs the program:\n    \
         setcap cap_sys_nice,cap_ipc_lock+ep {program}"
    )
}

fn amount(limit: u64) -> String {
    if limit == u64::MAX { "unlimited".to_owned() } else { limit.to_string() }
}

fn size(bytes: u64) -> String {
    match bytes {
        u64::MAX => "unlimited".to_owned(),
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

/// Whether a container stands between the process and the host.
pub(super) fn container(host: &Host<'_>) -> Finding {
    let subject = "container";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let (kind, sign) = match signs_of_a_container(host) {
        Ok(Some(found)) => found,
        Ok(None) => {
            return finding(Grade::Good, "none".to_owned(), "Nothing stands between gridloop and the host.");
        }
        Err(why) => return finding(Grade::Unknown, why, "A container may keep privileges from gridloop."),
    };
    let wanted = [
        (may_schedule(host), "real-time priority"),
        (may_lock_memory(host), "locked memory"),
        (host.has("/dev/cpu_dma_latency"), "/dev/cpu_dma_latency"),
    ];
    let missing: Vec<_> = wanted.iter().filter(|(there, _)| !there).map(|(_, what)| *what).collect();
    if missing.is_empty() {
        let found = format!("{kind} ({sign}), with all that the pacer needs");
        return finding(Grade::Good, found, "The container was given what it takes.");
    }
    let found = format!("{kind} ({sign}), without {}", missing.join(", "));
    let means = "A container has only those of the host's privileges and devices that it was started with.";
    finding(Grade::Advice, found, means).with_remedy(
        "Start it with these flags (Docker, Podman):\n    \
         --cap-add SYS_NICE --cap-add IPC_LOCK --ulimit rtprio=99 --ulimit memlock=-1\n    \
         --device /dev/cpu_dma_latency\n\
         For a user other than root Docker's capabilities do not count; the limits do, and the device must \
         be writable for that user. Under Kubernetes:\n    \
         securityContext: { runAsUser: 0, capabilities: { add: [SYS_NICE, IPC_LOCK] } }",
    )
}

pub(super) fn in_container(host: &Host<'_>) -> bool {
    matches!(signs_of_a_container(host), Ok(Some(_)))
}

/// What kind of container, and what shows it.
fn signs_of_a_container(host: &Host<'_>) -> Result<Option<(String, String)>, String> {
    let files = [
        ("/run/.containerenv", "Podman"),
        ("/var/run/secrets/kubernetes.io", "Kubernetes"),
        ("/.dockerenv", "Docker"),
    ];
    if let Some((path, kind)) = files.into_iter().find(|(path, _)| host.has(path)) {
        return Ok(Some((kind.to_owned(), path.to_owned())));
    }
    let told = "/run/systemd/container";
    if let Ok(kind) = host.line(told) {
        return Ok(Some((start_of(&kind), told.to_owned())));
    }
    let names = [
        ("/docker/", "Docker"),
        ("docker-", "Docker"),
        ("libpod", "Podman"),
        ("kubepods", "Kubernetes"),
        ("cri-containerd", "containerd"),
        ("crio-", "CRI-O"),
        ("/lxc", "LXC"),
    ];
    let mut texts = Vec::new();
    for path in ["/proc/1/cgroup", "/proc/self/cgroup"] {
        let text = host.text(path);
        let named = text.as_ref().ok().and_then(|text| names.iter().find(|(name, _)| text.contains(name)));
        if let Some((_, kind)) = named {
            return Ok(Some(((*kind).to_owned(), path.to_owned())));
        }
        texts.push(text);
    }
    let seen = texts.iter().flatten().any(|text| text.lines().any(|line| line.contains(":/")));
    if seen { Ok(None) } else { Err("no cgroup can be read".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::Tree;
    use super::*;

    const NO_LIMITS: &str = "Max locked memory         8388608              8388608              bytes     \n\
                             Max realtime priority     0                    0                    \n";

    fn process(capabilities: &str, limits: &str) -> Tree {
        let status = format!("Name:\tgridloop\nCapEff:\t{capabilities}\nCapBnd:\t000001ffffffffff\n");
        Tree::healthy_but(&[(STATUS, &status), (LIMITS, limits)])
    }

    #[test]
    fn capabilities_suffice_without_limits() {
        let tree = process("0000000000804000", NO_LIMITS);
        assert_eq!(real_time_priority(&tree.host()).grade, Grade::Good);
        assert_eq!(locked_memory(&tree.host()).grade, Grade::Good);
    }

    #[test]
    fn each_capability_is_for_one_thing() {
        let tree = process("0000000000800000", NO_LIMITS);
        assert_eq!(real_time_priority(&tree.host()).found, "CAP_SYS_NICE");
        assert_eq!(locked_memory(&tree.host()).grade, Grade::Advice);
        let tree = process("0000000000004000", NO_LIMITS);
        assert_eq!(real_time_priority(&tree.host()).grade, Grade::Problem);
        assert_eq!(locked_memory(&tree.host()).found, "CAP_IPC_LOCK");
    }

    #[test]
    fn limits_suffice_without_capabilities() {
        let limits = "Max locked memory unlimited unlimited bytes\nMax realtime priority 80 99\n";
        let tree = process("0000000000000000", limits);
        assert_eq!(real_time_priority(&tree.host()).found, "up to 80");
        assert_eq!(locked_memory(&tree.host()).grade, Grade::Good);
    }

    #[test]
    fn without_either_the_remedies_are_exact() {
        let tree = process("0000000000000000", NO_LIMITS);
        std::os::unix::fs::symlink("/usr/bin/gridloop", tree.root().join("proc/self/exe")).unwrap();
        let finding = real_time_priority(&tree.host());
        assert_eq!((finding.grade, finding.found.as_str()), (Grade::Problem, "no CAP_SYS_NICE, limit 0"));
        let remedy = finding.remedy.unwrap();
        for line in [
            "    @realtime - rtprio 90\n",
            "    LimitRTPRIO=90\n",
            "    AmbientCapabilities=CAP_SYS_NICE CAP_IPC_LOCK\n",
            "    setcap cap_sys_nice,cap_ipc_lock+ep /usr/bin/gridloop",
        ] {
            assert!(remedy.contains(line), "{remedy}");
        }
        assert!(!remedy.contains("ulimit"), "{remedy}");

        let finding = locked_memory(&tree.host());
        assert_eq!((finding.grade, finding.found.as_str()), (Grade::Advice, "no CAP_IPC_LOCK, limit 8 MiB"));
        let remedy = finding.remedy.unwrap();
        assert!(remedy.contains("    @realtime - memlock unlimited\n"), "{remedy}");
        assert!(remedy.contains("    LimitMEMLOCK=infinity\n"), "{remedy}");
    }

    #[test]
    fn inside_a_container_privileges_come_with_its_start() {
        let tree = process("0000000000000000", NO_LIMITS);
        tree.write("/.dockerenv", b"");
        let remedy = real_time_priority(&tree.host()).remedy.unwrap();
        assert!(remedy.ends_with("\n    --cap-add SYS_NICE --ulimit rtprio=99"), "{remedy}");
        let remedy = locked_memory(&tree.host()).remedy.unwrap();
        assert!(remedy.ends_with("\n    --cap-add IPC_LOCK --ulimit memlock=-1"), "{remedy}");
    }

    #[test]
    fn a_limit_that_may_be_raised_is_raised_at_once() {
        let limits = "Max locked memory 65536 unlimited bytes\nMax realtime priority 79 90\n";
        let tree = process("0000000000000000", limits);
        assert!(real_time_priority(&tree.host()).remedy.unwrap().contains("ulimit -S -r 90"));
        let finding = locked_memory(&tree.host());
        assert_eq!(finding.found, "no CAP_IPC_LOCK, limit 64 KiB");
        assert!(finding.remedy.unwrap().contains("ulimit -S -l unlimited"));
    }

    #[test]
    fn a_capability_inside_a_user_namespace_does_not_count() {
        let tree = process("000001ffffffffff", NO_LIMITS);
        tree.write("/proc/self/uid_map", b"         0       1000          1\n");
        let finding = real_time_priority(&tree.host());
        assert_eq!(finding.grade, Grade::Problem);
        assert!(finding.found.contains("user namespace"), "{finding:?}");
        assert_eq!(locked_memory(&tree.host()).grade, Grade::Advice);
        assert!(!may_lock_memory(&tree.host()));
    }

    #[test]
    fn what_cannot_be_read_of_the_process_is_unknown_unless_the_rest_suffices() {
        let empty = Tree::of(&[]);
        assert_eq!(real_time_priority(&empty.host()).grade, Grade::Unknown);
        assert_eq!(locked_memory(&empty.host()).grade, Grade::Unknown);
        let tree = process("not hex", NO_LIMITS);
        assert_eq!(real_time_priority(&tree.host()).grade, Grade::Unknown);
        let tree = process("0000000000000000", "Max realtime priority many\n");
        assert_eq!(real_time_priority(&tree.host()).found, "/proc/self/limits makes no sense: `many`");
        assert_eq!(locked_memory(&tree.host()).found, "/proc/self/limits has no line Max locked memory");
        let tree = process("000001ffffffffff", "");
        assert_eq!(real_time_priority(&tree.host()).grade, Grade::Good);
    }

    #[test]
    fn a_container_is_known_by_its_files_or_by_its_cgroup() {
        let scope = "0::/system.slice/docker-0123.scope\n";
        for (path, text, kind) in [
            ("/.dockerenv", "", "Docker"),
            ("/run/.containerenv", "engine=podman", "Podman"),
            ("/run/systemd/container", "systemd-nspawn\n", "systemd-nspawn"),
            ("/proc/1/cgroup", "12:cpu,cpuacct:/docker/0123\n", "Docker"),
            ("/proc/self/cgroup", scope, "Docker"),
            ("/proc/1/cgroup", "0::/kubepods.slice/kubepods-besteffort.slice/x\n", "Kubernetes"),
            ("/proc/1/cgroup", "3:cpu:/lxc/box\n", "LXC"),
        ] {
            let finding =
                container(&Tree::healthy_but(&[(path, text)]).without("/dev/cpu_dma_latency").host());
            assert_eq!(finding.grade, Grade::Advice, "{path}");
            assert_eq!(finding.found, format!("{kind} ({path}), without /dev/cpu_dma_latency"));
        }
    }

    #[test]
    fn a_container_is_told_the_flags_that_it_lacks_and_is_good_without_lack() {
        let tree = process("0000000000000000", NO_LIMITS);
        tree.write("/.dockerenv", b"");
        let finding = container(&tree.without("/dev/cpu_dma_latency").host());
        assert!(finding.found.ends_with("without real-time priority, locked memory, /dev/cpu_dma_latency"));
        let remedy = finding.remedy.unwrap();
        for flag in [
            "--cap-add SYS_NICE",
            "--cap-add IPC_LOCK",
            "--ulimit rtprio=99",
            "--ulimit memlock=-1",
            "--device /dev/cpu_dma_latency",
        ] {
            assert!(remedy.contains(flag), "{remedy}");
        }
        assert_eq!(container(&Tree::healthy_but(&[("/.dockerenv", "")]).host()).grade, Grade::Good);
    }

    #[test]
    fn a_host_with_docker_installed_is_no_container() {
        for cgroup in ["0::/system.slice/docker.service\n", "0::/user.slice/user-1000.slice\n", "0::/\n"] {
            let finding = container(&Tree::healthy_but(&[("/proc/1/cgroup", cgroup)]).host());
            assert_eq!((finding.grade, finding.found.as_str()), (Grade::Good, "none"), "{cgroup}");
        }
        assert_eq!(container(&Tree::of(&[]).host()).grade, Grade::Unknown);
        assert_eq!(container(&Tree::of(&[("/proc/1/cgroup", "x")]).host()).grade, Grade::Unknown);
    }
}
