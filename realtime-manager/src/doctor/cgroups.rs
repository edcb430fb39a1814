//! What the process's cgroup allows it: a quota of the processors, and under cgroup v1 a budget of real-time.

use super::host::{Host, garbled};
use super::{Finding, Grade};

const OWN: &str = "/proc/self/cgroup";
const MOUNTED: &str = "/sys/fs/cgroup";

/// A folder is not looked for deeper than this.
const DEPTH_AT_MOST: usize = 64;

/// The process's place in the hierarchy that rules the processors.
struct Place {
    /// cgroup v1 with the cpu controller; else v2.
    first_version: bool,
    /// The cgroup's own name.
    path: String,
    /// Folders that are there, from its own to the root.
    folders: Vec<String>,
}

fn place(host: &Host<'_>) -> Result<Place, String> {
    let text = host.text(OWN)?;
    let entries: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            Some((fields.next()?, fields.next().filter(|path| path.starts_with('/'))?))
        })
        .collect();
    let first = entries.iter().find(|(controllers, _)| controllers.split(',').any(|name| name == "cpu"));
    let second = entries.iter().find(|(controllers, _)| controllers.is_empty());
    let (first_version, path, mounts) = match (first, second) {
        (Some((controllers, path)), _) => {
            (true, *path, [format!("{MOUNTED}/cpu"), format!("{MOUNTED}/{controllers}")])
        }
        (None, Some((_, path))) => (false, *path, [format!("{MOUNTED}/unified"), MOUNTED.to_owned()]),
        (None, None) => return Err(garbled(OWN, &text)),
    };
    let mount =
        mounts.into_iter().find(|mount| host.has(mount)).ok_or_else(|| format!("there is no {MOUNTED}"))?;
    Ok(Place { first_version, path: path.to_owned(), folders: folders(host, &mount, path) })
}

/// Inside a container the outer part of the path is not there; its own folder is then the root.
fn folders(host: &Host<'_>, mount: &str, path: &str) -> Vec<String> {
    let names: Vec<_> = path.split('/').filter(|name| !name.is_empty()).take(DEPTH_AT_MOST).collect();
    let depth = if names.contains(&"..") { 0 } else { names.len() };
    let folder = |depth: usize| {
        let below: String = names.iter().take(depth).flat_map(|name| ["/", name]).collect();
        format!("{mount}{below}")
    };
    (0..=depth).rev().map(folder).filter(|folder| host.has(folder)).collect()
}

/// Whether the cgroup has real-time to give.
pub(super) fn real_time_budget(host: &Host<'_>) -> Finding {
    let subject = "real-time budget";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let unknown = |why| finding(Grade::Unknown, why, "A cgroup can forbid real-time threads, even to root.");
    let place = match place(host) {
        Ok(place) => place,
        Err(why) => return unknown(why),
    };
    let free = "The cgroup sets no limit on real-time threads.";
    if !place.first_version {
        let may_be_refused = kernel_budgets_real_time(host) && place.path != "/";
        if !may_be_refused {
            return finding(Grade::Good, "none is kept for each cgroup".to_owned(), free);
        }
        let means = "If the pacer is refused SCHED_FIFO although it has the privilege, this is why: such a \
                     kernel gives real-time to cgroups one by one, and cgroup v2 has no way to do it.";
        return finding(Grade::Advice, "the kernel keeps one for each cgroup".to_owned(), means)
            .with_remedy("On the kernel command line (newer kernels):\n    rt_group_sched=0");
    }
    let Some(file) = place.folders.first().map(|folder| format!("{folder}/cpu.rt_runtime_us")) else {
        return unknown(format!("there is no folder for {}", place.path));
    };
    if !host.has(&file) {
        return finding(Grade::Good, "none is kept for each cgroup".to_owned(), free);
    }
    match host.number(&file) {
        Err(why) => unknown(why),
        Ok(0) => finding(
            Grade::Problem,
            "this cgroup has none".to_owned(),
            "The pacer is refused SCHED_FIFO, whatever its privileges, even as root.",
        )
        .with_remedy(format!(
            "Give it some, after the cgroups above it:\n    echo 950000 > {file}\n\
             Docker: --cpu-rt-runtime=950000. Or, on the kernel command line (newer kernels):\n    \
             rt_group_sched=0"
        )),
        Ok(runtime @ ..=-2) => unknown(garbled(&file, &runtime.to_string())),
        Ok(-1) => finding(Grade::Good, "unlimited for this cgroup".to_owned(), free),
        Ok(runtime) => finding(
            Grade::Good,
            format!("{runtime} us a period for this cgroup"),
            "The pacer needs a few percent of a CPU.",
        ),
    }
}

/// Whether the kernel was built to do so, as far as the folder /boot tells, and not told otherwise.
fn kernel_budgets_real_time(host: &Host<'_>) -> bool {
    let Ok(release) = host.line("/proc/sys/kernel/osrelease") else { return false };
    if release.contains('/') {
        return false;
    }
    let built = host.text(&format!("/boot/config-{release}")).unwrap_or_default();
    let has = |option: &str| built.lines().any(|line| line == option);
    let chosen = host.boot_option("rt_group_sched");
    has("CONFIG_RT_GROUP_SCHED=y")
        && match chosen.as_deref() {
            Some("0" | "n" | "N" | "off") => false,
            Some(_) => true,
            None => !has("CONFIG_RT_GROUP_SCHED_DEFAULT_DISABLED=y"),
        }
}

/// So much time of the processors in each period.
#[derive(Clone, Copy)]
struct Quota {
    runtime: u64,
    period: u64,
}

impl Quota {
    /// In thousandths of a processor.
    fn share(self) -> u128 {
        u128::from(self.runtime) * 1000 / u128::from(self.period)
    }
}

/// Whether the cgroup, or one above it, may use only a part of the processors.
pub(super) fn quota(host: &Host<'_>) -> Finding {
    let subject = "CPU quota";
    let finding = |grade, found: String, means: &str| Finding::new(subject, grade, found, means);
    let unknown = |why| finding(Grade::Unknown, why, "A quota would stop the whole run now and then.");
    let place = match place(host) {
        Ok(place) => place,
        Err(why) => return unknown(why),
    };
    let mut tightest: Option<(Quota, &str)> = None;
    for folder in &place.folders {
        match quota_of(host, folder, place.first_version) {
            Ok(None) => {}
            Ok(Some(quota)) if tightest.is_some_and(|(other, _)| other.share() <= quota.share()) => {}
            Ok(Some(quota)) => tightest = Some((quota, folder)),
            Err(why) => return unknown(why),
        }
    }
    let Some((quota, folder)) = tightest else {
        return finding(Grade::Good, "none".to_owned(), "gridloop may use all CPUs all the time.");
    };
    let share = quota.share();
    let found =
        format!("{} of {} us: {}.{:02} CPUs", quota.runtime, quota.period, share / 1000, share % 1000 / 10);
    if host.cpus().is_some_and(|cpus| share >= cpus.len() as u128 * 1000) {
        let means = "The quota is as large as the computer and stops nothing.";
        return finding(Grade::Good, format!("{found}, all there are"), means);
    }
    let means = format!(
        "Once the time is used up, every thread without real-time priority (manager, devices, bus) stands \
         still until the next period, for up to {} ms; a pacer without SCHED_FIFO too.",
        quota.period.div_ceil(1000)
    );
    let by_hand = if place.first_version {
        format!("echo -1 > {folder}/cpu.cfs_quota_us")
    } else {
        format!("echo max > {folder}/cpu.max")
    };
    finding(Grade::Problem, found, &means).with_remedy(format!(
        "Take it away. In a container leave out --cpus and --cpu-quota (Kubernetes: resources.limits.cpu); \
         --cpuset-cpus confines without stopping. For a service:\n    \
         systemctl set-property UNIT CPUQuota=\n\
         By hand:\n    {by_hand}"
    ))
}

fn quota_of(host: &Host<'_>, folder: &str, first_version: bool) -> Result<Option<Quota>, String> {
    let positive = |word: &str| word.parse().ok().filter(|number| *number > 0);
    if first_version {
        let (runtime_file, period_file) =
            (format!("{folder}/cpu.cfs_quota_us"), format!("{folder}/cpu.cfs_period_us"));
        if !host.has(&runtime_file) {
            return Ok(None);
        }
        let runtime = host.line(&runtime_file)?;
        if runtime == "-1" {
            return Ok(None);
        }
        let period = host.line(&period_file)?;
        let runtime = positive(&runtime).ok_or_else(|| garbled(&runtime_file, &runtime))?;
        let period = positive(&period).ok_or_else(|| garbled(&period_file, &period))?;
        return Ok(Some(Quota { runtime, period }));
    }
    let file = format!("{folder}/cpu.max");
    if !host.has(&file) {
        return Ok(None);
    }
    let line = host.line(&file)?;
    match line.split(' ').collect::<Vec<_>>().as_slice() {
        ["max", ..] => Ok(None),
        [runtime, period] => match (positive(runtime), positive(period)) {
            (Some(runtime), Some(period)) => Ok(Some(Quota { runtime, period })),
            _ => Err(garbled(&file, &line)),
        },
        _ => Err(garbled(&file, &line)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::Tree;
    use super::*;

    const V1: (&str, &str) = (OWN, "5:memory:/other\n1:cpu,cpuacct:/lab/run\n0::/\n");

    fn v1(files: &[(&str, &str)]) -> Tree {
        let tree = Tree::of(files);
        tree.write(V1.0, V1.1.as_bytes());
        tree.write("/sys/devices/system/cpu/online", b"0-1\n");
        tree.write("/sys/fs/cgroup/cpu,cpuacct/lab/run/tasks", b"");
        tree
    }

    fn v2(own: &str, files: &[(&str, &str)]) -> Tree {
        let tree = Tree::of(files);
        tree.write(OWN, own.as_bytes());
        tree.write("/sys/devices/system/cpu/online", b"0-1\n");
        tree.write("/sys/fs/cgroup/cgroup.procs", b"");
        tree
    }

    #[test]
    fn no_quota_is_good_in_either_version() {
        assert_eq!(
            quota(&v1(&[("/sys/fs/cgroup/cpu,cpuacct/lab/run/cpu.cfs_quota_us", "-1\n")]).host()).found,
            "none"
        );
        assert_eq!(quota(&v1(&[]).host()).grade, Grade::Good);
        assert_eq!(
            quota(&v2("0::/a\n", &[("/sys/fs/cgroup/a/cpu.max", "max 100000\n")]).host()).found,
            "none"
        );
        assert_eq!(quota(&v2("0::/\n", &[]).host()).grade, Grade::Good);
    }

    #[test]
    fn a_quota_is_a_problem_that_names_its_file() {
        let finding = quota(&v2("0::/a/b\n", &[("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n")]).host());
        assert_eq!(
            (finding.grade, finding.found.as_str()),
            (Grade::Problem, "50000 of 100000 us: 0.50 CPUs")
        );
        assert!(finding.means.contains("up to 100 ms"), "{finding:?}");
        assert!(finding.remedy.unwrap().contains("echo max > /sys/fs/cgroup/a/b/cpu.max"));

        let finding = quota(
            &v1(&[
                ("/sys/fs/cgroup/cpu,cpuacct/lab/run/cpu.cfs_quota_us", "20000\n"),
                ("/sys/fs/cgroup/cpu,cpuacct/lab/run/cpu.cfs_period_us", "50000\n"),
            ])
            .host(),
        );
        assert_eq!(finding.grade, Grade::Problem);
        assert!(
            finding.remedy.unwrap().contains("echo -1 > /sys/fs/cgroup/cpu,cpuacct/lab/run/cpu.cfs_quota_us")
        );
    }

    #[test]
    fn the_tightest_quota_on_the_way_to_the_root_counts() {
        let files = [
            ("/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n"),
            ("/sys/fs/cgroup/a/cpu.max", "30000 100000\n"),
            ("/sys/fs/cgroup/c/cpu.max", "1000 100000\n"),
        ];
        let finding = quota(&v2("0::/a/b\n", &files).host());
        assert_eq!(finding.found, "30000 of 100000 us: 0.30 CPUs");
        assert!(finding.remedy.unwrap().contains("/sys/fs/cgroup/a/cpu.max"));
    }

    #[test]
    fn a_quota_as_large_as_the_computer_is_none() {
        let finding = quota(&v2("0::/a\n", &[("/sys/fs/cgroup/a/cpu.max", "200000 100000\n")]).host());
        assert_eq!(finding.grade, Grade::Good);
        assert_eq!(finding.found, "200000 of 100000 us: 2.00 CPUs, all there are");
    }

    #[test]
    fn inside_a_container_the_root_is_the_own_cgroup() {
        for own in ["0::/\n", "0::/docker/0123\n", "0::/../../elsewhere\n"] {
            let finding = quota(&v2(own, &[("/sys/fs/cgroup/cpu.max", "50000 100000\n")]).host());
            assert_eq!(finding.grade, Grade::Problem, "{own}");
        }
    }

    #[test]
    fn a_quota_that_makes_no_sense_is_unknown() {
        for text in ["", "100", "0 100000", "1 0", "-5 7", "max", "many few", "1 2 3"] {
            let finding = quota(&v2("0::/a\n", &[("/sys/fs/cgroup/a/cpu.max", text)]).host());
            let expected = if text == "max" { Grade::Good } else { Grade::Unknown };
            assert_eq!(finding.grade, expected, "{text}");
        }
        assert_eq!(
            quota(&v1(&[("/sys/fs/cgroup/cpu,cpuacct/lab/run/cpu.cfs_quota_us", "5\n")]).host()).grade,
            Grade::Unknown
        );
        assert_eq!(quota(&Tree::of(&[]).host()).found, "there is no /proc/self/cgroup");
        assert_eq!(quota(&Tree::of(&[(OWN, "0::/\n")]).host()).found, "there is no /sys/fs/cgroup");
        assert_eq!(quota(&Tree::of(&[(OWN, "nonsense")]).host()).grade, Grade::Unknown);
    }

    #[test]
    fn a_cgroup_without_real_time_is_a_problem() {
        let file = "/sys/fs/cgroup/cpu,cpuacct/lab/run/cpu.rt_runtime_us";
        let finding = real_time_budget(&v1(&[(file, "0\n")]).host());
        assert_eq!(finding.grade, Grade::Problem);
        assert!(finding.remedy.unwrap().contains(&format!("echo 950000 > {file}")));
        assert_eq!(real_time_budget(&v1(&[(file, "950000\n")]).host()).grade, Grade::Good);
        assert_eq!(real_time_budget(&v1(&[(file, "-1\n")]).host()).grade, Grade::Good);
        assert_eq!(real_time_budget(&v1(&[]).host()).grade, Grade::Good);
        assert_eq!(real_time_budget(&v1(&[(file, "some\n")]).host()).grade, Grade::Unknown);
        assert_eq!(real_time_budget(&v1(&[(file, "-9\n")]).host()).grade, Grade::Unknown);
        assert_eq!(real_time_budget(&Tree::of(&[]).host()).grade, Grade::Unknown);
    }

    #[test]
    fn under_cgroup_v2_only_a_kernel_that_budgets_real_time_is_suspect() {
        let kernel = |config: &str, options: &str, own: &str| {
            let tree =
                v2(own, &[("/proc/sys/kernel/osrelease", "6.16.1\n"), ("/boot/config-6.16.1", config)]);
            tree.write("/proc/cmdline", options.as_bytes());
            real_time_budget(&tree.host()).grade
        };
        let built = "# General\nCONFIG_RT_GROUP_SCHED=y\n";
        let off = "CONFIG_RT_GROUP_SCHED=y\nCONFIG_RT_GROUP_SCHED_DEFAULT_DISABLED=y\n";
        assert_eq!(kernel(built, "quiet", "0::/a\n"), Grade::Advice);
        assert_eq!(kernel(built, "rt_group_sched=0", "0::/a\n"), Grade::Good);
        assert_eq!(kernel(built, "quiet", "0::/\n"), Grade::Good);
        assert_eq!(kernel(off, "quiet", "0::/a\n"), Grade::Good);
        assert_eq!(kernel(off, "rt_group_sched=1", "0::/a\n"), Grade::Advice);
        assert_eq!(kernel("# CONFIG_RT_GROUP_SCHED is not set\n", "quiet", "0::/a\n"), Grade::Good);
        assert_eq!(real_time_budget(&v2("0::/a\n", &[]).host()).grade, Grade::Good);
    }
}
