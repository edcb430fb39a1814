//! Findings on a terminal: [`render`].

use super::{Finding, Grade};
use std::fmt::Write;

const WIDTH: usize = 100;

/// Where subjects begin, and what is said below them.
const INDENT: usize = 9;

/// One line for each subject; below it, for anything but good, what it means and what to do. A last line
/// counts.
#[must_use]
pub fn render(findings: &[Finding]) -> String {
    let mut text = String::new();
    let names = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    for finding in findings {
        let head = format!("{:<INDENT$}{:<names$}  ", finding.grade, finding.subject);
        put(&mut text, &head, INDENT + names + 2, &finding.found);
        if finding.grade == Grade::Good {
            continue;
        }
        put(&mut text, &" ".repeat(INDENT), INDENT, &finding.means);
        if let Some(remedy) = &finding.remedy {
            put(&mut text, &format!("{:<INDENT$}", "     do:"), INDENT, remedy);
        }
        text.push('\n');
    }
    let count = |grade: Grade| findings.iter().filter(|finding| finding.grade == grade).count();
    let [good, advice, problem, unknown] =
        [Grade::Good, Grade::Advice, Grade::Problem, Grade::Unknown].map(count);
    // Writing into a string cannot fail.
    let _ = writeln!(text, "{good} good, {advice} advice, {problem} problem, {unknown} unknown");
    text
}

/// Adds lines: the first begins with `head`, the others are as far to the right as the head is wide.
fn put(text: &mut String, head: &str, indent: usize, content: &str) {
    let margin = " ".repeat(indent);
    for (i, line) in lines(content, WIDTH.saturating_sub(indent)).iter().enumerate() {
        text.push_str(if i == 0 { head } else { &margin });
        text.push_str(line);
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
}

/// Lines no wider than that, if the words allow it. Those that begin with a space stay as they are, to be
/// copied.
fn lines(content: &str, width: usize) -> Vec<String> {
    let mut all = Vec::new();
    for paragraph in content.lines() {
        if paragraph.starts_with(' ') {
            all.push(paragraph.to_owned());
            continue;
        }
        let mut line = String::new();
        let mut wide = 0;
        for word in paragraph.split_whitespace() {
            let more = word.chars().count();
            if wide > 0 && wide + 1 + more > width {
                all.push(std::mem::take(&mut line));
                wide = 0;
            }
            if wide > 0 {
                line.push(' ');
                wide += 1;
            }
            line.push_str(word);
            wide += more;
        }
        all.push(line);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_good_takes_one_line_and_the_rest_says_what_to_do() {
        let good = Finding::new("swap", Grade::Good, "none", "unseen");
        let problem = Finding::new("clock source", Grade::Problem, "hpet", "Slow.").with_remedy("Run\n  fix");
        let unknown = Finding::new("load", Grade::Unknown, "there is no /proc/loadavg", "Nobody knows.");
        let expected = "\
good     swap          none
problem  clock source  hpet
         Slow.
     do: Run
           fix

unknown  load          there is no /proc/loadavg
         Nobody knows.

1 good, 0 advice, 1 problem, 1 unknown
";
        assert_eq!(render(&[good, problem, unknown]), expected);
        assert_eq!(render(&[]), "0 good, 0 advice, 0 problem, 0 unknown\n");
    }

    #[test]
    fn prose_is_wrapped_and_commands_are_not() {
        let command = format!("  {}", "x ".repeat(80).trim_end());
        let finding = Finding::new("load", Grade::Advice, "word ".repeat(40), "wörd ".repeat(60))
            .with_remedy(format!("{}\n{command}", "do ".repeat(50)));
        let text = render(&[finding]);
        assert!(text.contains(&command));
        for line in text.lines().filter(|line| !line.contains(&command)) {
            assert!(line.chars().count() <= WIDTH, "{line}");
            assert_eq!(line, line.trim_end());
        }
        assert_eq!(text.matches("word").count(), 40);
        assert_eq!(text.matches("wörd").count(), 60);
    }

    #[test]
    fn a_word_wider_than_the_terminal_stays_whole() {
        assert_eq!(lines(&format!("a {} b", "x".repeat(30)), 20), ["a", &"x".repeat(30), "b"]);
    }
}
