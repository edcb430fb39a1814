//! The host's files. A [`Host`] is a root folder; what cannot be had from it comes as a sentence for the
//! operator.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// No file is read further than this.
const READ_AT_MOST: u64 = 64 * 1024;

/// More processors than Linux can be built for.
const CPUS_AT_MOST: usize = 8192;

const CPUS: &str = "/sys/devices/system/cpu";

/// Where files are looked for.
pub(super) struct Host<'a> {
    root: &'a Path,
}

impl<'a> Host<'a> {
    pub(super) const fn at(root: &'a Path) -> Self {
        Self { root }
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.place(path).exists()
    }

    /// The beginning of the file, without control characters; or why there is none.
    pub(super) fn text(&self, path: &str) -> Result<String, String> {
        let mut bytes = Vec::new();
        let read = File::open(self.place(path))
            .and_then(|file| file.take(READ_AT_MOST).read_to_end(&mut bytes))
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => format!("there is no {path}"),
                _ => format!("{path} cannot be read: {error}"),
            });
        let printable = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
        read.map(|_| String::from_utf8_lossy(&bytes).trim().chars().map(printable).collect())
    }

    /// The first line of a file that must have one.
    pub(super) fn line(&self, path: &str) -> Result<String, String> {
        let text = self.text(path)?;
        text.lines().next().map(str::to_owned).ok_or_else(|| format!("{path} is empty"))
    }

    pub(super) fn number(&self, path: &str) -> Result<i64, String> {
        let line = self.line(path)?;
        line.parse().map_err(|_| garbled(path, &line))
    }

    /// Where a link leads.
    pub(super) fn link(&self, path: &str) -> Option<String> {
        fs::read_link(self.place(path)).ok()?.to_str().map(str::to_owned)
    }

    /// The value of an option of the kernel's command line: the last one given.
    pub(super) fn boot_option(&self, name: &str) -> Option<String> {
        let options = self.text("/proc/cmdline").ok()?;
        let value = |option: &str| option.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        options.split_whitespace().filter_map(value).next_back()
    }

    /// Numbers of the processors in use.
    pub(super) fn cpus(&self) -> Option<Vec<usize>> {
        let online = self.text(&format!("{CPUS}/online")).ok();
        let online = online.and_then(|text| cpu_list(&text)).filter(|cpus| !cpus.is_empty());
        online.or_else(|| {
            let text = self.text("/proc/stat").ok()?;
            let number = |line: &str| line.strip_prefix("cpu")?.split_whitespace().next()?.parse().ok();
            let cpus: Vec<_> =
                text.lines().filter(|line| !line.starts_with("cpu ")).filter_map(number).collect();
            (!cpus.is_empty()).then_some(cpus)
        })
    }

    /// Folders named `prefix` and a number, in the order of the numbers.
    pub(super) fn numbered(&self, folder: &str, prefix: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.place(folder)) else { return Vec::new() };
        let number =
            |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix(prefix)?.parse::<usize>().ok();
        let mut numbers: Vec<_> = entries.flatten().filter_map(number).take(CPUS_AT_MOST).collect();
        numbers.sort_unstable();
        numbers.into_iter().map(|number| format!("{folder}/{prefix}{number}")).collect()
    }

    /// A folder for each processor, in use or not.
    pub(super) fn cpu_folders(&self) -> Vec<String> {
        self.numbered(CPUS, "cpu")
    }
}

/// Says that a file was read but not understood.
pub(super) fn garbled(path: &str, text: &str) -> String {
    if text.is_empty() {
        return format!("{path} is empty");
    }
    format!("{path} makes no sense: `{}`", start_of(text))
}

/// As much of a text as fits into a sentence.
pub(super) fn start_of(text: &str) -> String {
    const AT_MOST: usize = 60;
    let line: String =
        text.chars().take(AT_MOST + 1).map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    match line.char_indices().nth(AT_MOST) {
        Some((cut, _)) => format!("{}...", &line[..cut]),
        None => line,
    }
}

/// The kernel's way of listing processors: `0,2-4`. Nothing, or what it says for nothing, is an empty list.
pub(super) fn cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    let text = text.trim();
    if text.is_empty() || text == "(null)" {
        return Some(cpus);
    }
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= CPUS_AT_MOST {
            return None;
        }
        cpus.extend(first..=last);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::Tree;
    use super::*;

    #[test]
    fn processors_are_listed_as_the_kernel_lists_them() {
        assert_eq!(cpu_list("0,2-4\n"), Some(vec![0, 2, 3, 4]));
        assert_eq!(cpu_list("\n"), Some(vec![]));
        assert_eq!(cpu_list("(null)"), Some(vec![]));
        for garbage in ["x", "3-1", "0-99999999999", "1,,2", "-1", "0-4294967295"] {
            assert_eq!(cpu_list(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn processors_are_counted_in_proc_where_sys_does_not_tell() {
        let tree = Tree::of(&[("/proc/stat", "cpu  1 2 3 4\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nintr 5\n")]);
        assert_eq!(tree.host().cpus(), Some(vec![0, 1]));
        assert_eq!(Tree::of(&[]).host().cpus(), None);
    }

    #[test]
    fn no_file_is_read_to_the_end_if_it_is_long() {
        let tree = Tree::of(&[]);
        tree.write("/proc/version", &vec![b'a'; 1 << 20]);
        assert_eq!(tree.host().text("/proc/version").map(|text| text.len()), Ok(1 << 16));
    }

    #[test]
    fn the_last_of_the_same_boot_options_counts() {
        let tree = Tree::of(&[("/proc/cmdline", "quiet preempt=none preempt=full preempted=x\n")]);
        assert_eq!(tree.host().boot_option("preempt").as_deref(), Some("full"));
        assert_eq!(tree.host().boot_option("isolcpus"), None);
    }

    #[test]
    fn a_long_text_is_cut_and_a_terminal_is_not_disturbed_by_it() {
        assert_eq!(start_of("a\tb"), "a b");
        assert_eq!(start_of(&"ä".repeat(61)), format!("{}...", "ä".repeat(60)));
        let tree = Tree::of(&[("/proc/version", "\u{1b}[31mred\u{7}")]);
        assert_eq!(tree.host().line("/proc/version").as_deref(), Ok("\u{fffd}[31mred\u{fffd}"));
    }
}
