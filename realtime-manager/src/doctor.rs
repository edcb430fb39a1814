//! What about this computer keeps epochs from starting on time. [`examine`] reads the host's files and gives
//! a [`Finding`] for each subject: what was found, what that means for a run, and what to change. It changes
//! nothing. [`render`] puts findings, and those that a caller adds, on a terminal.

mod cgroups;
mod host;
mod kernel;
mod limits;
mod machine;
#[cfg(test)]
mod made_up;
mod power;
mod text;

use host::Host;
use serde::Serialize;
use std::fmt;
use std::path::Path;

pub use text::render;

/// One thing examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was examined, in a word or two.
    pub subject: &'static str,
    /// Whether anything is to be done.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What that means for a run.
    pub means: String,
    /// What to change. Lines that begin with a space are commands or lines of files.
    pub remedy: Option<String>,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Nothing is to be done.
    Good,
    /// Something can be had that is not there.
    Advice,
    /// Epochs will start late for this.
    Problem,
    /// It could not be found out.
    Unknown,
}

impl Grade {
    /// The word for it, as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Advice => "advice",
            Self::Problem => "problem",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Finding {
    /// A finding without a remedy.
    #[must_use]
    pub fn new(
        subject: &'static str,
        grade: Grade,
        found: impl Into<String>,
        means: impl Into<String>,
    ) -> Self {
        Self { subject, grade, found: found.into(), means: means.into(), remedy: None }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// Everything that can be read from the host's files. `root` is `/`, or a folder with files like a host's.
#[must_use]
pub fn examine(root: &Path) -> Vec<Finding> {
    let host = Host::at(root);
    let subjects: [fn(&Host<'_>) -> Finding; 15] = [
        limits::real_time_priority,
        limits::locked_memory,
        limits::container,
        cgroups::real_time_budget,
        cgroups::quota,
        kernel::throttling,
        kernel::preemption,
        kernel::isolation,
        kernel::clock_source,
        power::governor,
        power::idle_states,
        machine::virtual_machine,
        machine::stolen_time,
        machine::swap,
        machine::load,
    ];
    subjects.into_iter().map(|subject| subject(&host)).collect()
}

#[cfg(test)]
mod tests {
    use super::made_up::{HEALTHY, Tree};
    use super::*;

    const SUBJECTS: [&str; 15] = [
        "real-time priority",
        "locked memory",
        "container",
        "real-time budget",
        "CPU quota",
        "real-time throttling",
        "kernel preemption",
        "isolated CPUs",
        "clock source",
        "frequency governor",
        "idle states",
        "virtual machine",
        "stolen time",
        "swap",
        "load",
    ];

    /// Files that a healthy host does not have.
    const ELSEWHERE: [&str; 14] = [
        "/boot/config-6.12.9-rt1",
        "/proc/device-tree/model",
        "/run/systemd/container",
        "/sys/devices/system/cpu/cpu0/cpuidle/state0/name",
        "/sys/devices/system/cpu/cpu0/cpuidle/state0/latency",
        "/sys/devices/system/cpu/cpu0/cpuidle/state0/disable",
        "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
        "/sys/fs/cgroup/cpu/cpu.rt_period_us",
        "/sys/fs/cgroup/cpu/cpu.rt_runtime_us",
        "/sys/fs/cgroup/cpu.max",
        "/sys/hypervisor/type",
        "/sys/kernel/debug/sched/preempt",
        "/proc/1/cgroup",
    ];

    fn garbage() -> Vec<Vec<u8>> {
        let numbers = ["-1", "0", "0 0", "18446744073709551616 -9223372036854775809", "1-4294967295,,7-2"];
        let words =
            ["", "\n\n\n", "\u{1b}[31m\u{7}red", ":::\n::\n0::/../../..\n1:cpu:/../..", "\u{202e}flags:"];
        let mut all: Vec<Vec<u8>> =
            numbers.iter().chain(&words).map(|text| text.as_bytes().to_vec()).collect();
        all.push(vec![b'7'; 200_000]);
        all.push(vec![0xff, 0xfe, 0, 0x80, b'\n', 0xc3]);
        all.push(
            b"cpu 1 2 3\nCapEff: zz\nMax locked memory x y\nLinux version\nFilename\n/dev/sda\n".to_vec(),
        );
        all
    }

    fn check(findings: &[Finding], case: &str) {
        let subjects: Vec<_> = findings.iter().map(|finding| finding.subject).collect();
        assert_eq!(subjects, SUBJECTS, "{case}");
        for finding in findings {
            assert!(!finding.found.is_empty(), "{case}: {finding:?}");
            assert!(!finding.means.is_empty(), "{case}: {finding:?}");
            let helps = finding.remedy.as_ref().is_some_and(|remedy| !remedy.is_empty());
            assert!(helps || matches!(finding.grade, Grade::Good | Grade::Unknown), "{case}: {finding:?}");
        }
        let text = render(findings);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{case}: {text:?}");
    }

    #[test]
    fn this_computer_has_every_subject_once() {
        check(&examine(Path::new("/")), "this computer");
    }

    #[test]
    fn a_healthy_computer_is_good_in_every_subject() {
        let tree = Tree::of(HEALTHY);
        let findings = examine(tree.root());
        check(&findings, "healthy");
        for finding in findings {
            assert_eq!(finding.grade, Grade::Good, "{finding:?}");
        }
    }

    #[test]
    fn where_there_is_nothing_to_read_everything_is_unknown() {
        let tree = Tree::of(&[]);
        let findings = examine(tree.root());
        check(&findings, "nothing");
        for finding in findings {
            assert_eq!(finding.grade, Grade::Unknown, "{finding:?}");
        }
    }

    #[test]
    fn garbage_in_every_file_is_survived_and_said() {
        for bytes in garbage() {
            let tree = Tree::of(&[]);
            for path in HEALTHY.iter().map(|(path, _)| *path).chain(ELSEWHERE) {
                tree.write(path, &bytes);
            }
            check(
                &examine(tree.root()),
                &format!("{:?} everywhere", String::from_utf8_lossy(&bytes[..bytes.len().min(80)])),
            );
        }
    }

    #[test]
    fn garbage_in_one_file_of_a_healthy_computer_is_survived() {
        let tree = Tree::of(HEALTHY);
        for bytes in garbage() {
            for (path, text) in HEALTHY {
                tree.write(path, &bytes);
                check(&examine(tree.root()), path);
                tree.write(path, text.as_bytes());
            }
            for path in ELSEWHERE {
                tree.write(path, &bytes);
                check(&examine(tree.root()), path);
                tree.remove(path);
            }
        }
    }

    #[test]
    fn folders_in_the_place_of_files_are_survived() {
        let tree = Tree::of(&[]);
        for path in HEALTHY.iter().map(|(path, _)| *path).chain(ELSEWHERE) {
            tree.write(&format!("{path}/x"), b"");
        }
        check(&examine(tree.root()), "folders");
    }

    #[test]
    fn a_finding_is_plain_json() {
        let finding = Finding::new("load", Grade::Unknown, "nothing", "nothing is known");
        let json = serde_json::to_value(&finding).unwrap();
        let expected = serde_json::json!({
            "subject": "load",
            "grade": "unknown",
            "found": "nothing",
            "means": "nothing is known",
            "remedy": null,
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_grade_is_the_same_word_in_text_and_in_json() {
        for grade in [Grade::Good, Grade::Advice, Grade::Problem, Grade::Unknown] {
            assert_eq!(serde_json::to_value(grade).unwrap(), grade.to_string());
        }
    }
}
