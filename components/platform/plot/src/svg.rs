//! SVG as text: [`Svg`] writes elements, escapes whatever names bring along, and writes numbers one way.

use std::fmt::Write as _;

/// The fonts of all text: the first that the viewer has. PNG pictures are made with the first.
pub(crate) const FONTS: &str = "Roboto, 'Helvetica Neue', Arial, sans-serif";

/// A document that grows.
#[derive(Debug, Default)]
pub(crate) struct Svg(String);

/// Where a text stands to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

impl Svg {
    /// Something as it is. Writing to a String cannot fail.
    pub(crate) fn raw(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = self.0.write_fmt(text);
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        let ((x1, y1), (x2, y2)) = ((px(from.0), px(from.1)), (px(to.0), px(to.1)));
        self.raw(format_args!("<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" {style}/>\n"));
    }

    pub(crate) fn rect(&mut self, at: (f64, f64), size: (f64, f64), style: &str) {
        let (x, y, width, height) = (px(at.0), px(at.1), px(size.0.max(0.0)), px(size.1.max(0.0)));
        self.raw(format_args!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {style}/>\n"));
    }

    /// A path with a title that viewers show; none if `path` is empty.
    pub(crate) fn path(&mut self, path: &str, style: &str, title: &str) {
        if path.is_empty() {
            return;
        }
        let title = escaped(title);
        self.raw(format_args!("<path d=\"{path}\" {style}><title>{title}</title></path>\n"));
    }

    pub(crate) fn text(&mut self, at: (f64, f64), anchor: Anchor, style: &str, text: &str) {
        let (x, y, anchor, text) = (px(at.0), px(at.1), anchor.word(), escaped(text));
        self.raw(format_args!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" {style}>{text}</text>\n"));
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// A coordinate with one decimal, none where it is 0.
pub(crate) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").map_or(text.clone(), ToOwned::to_owned);
    if text == "-0" { "0".to_owned() } else { text }
}

/// A text that XML can hold, whatever is in it.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\r' | '\t' => escaped.push(' '),
            // XML knows no way to write these.
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A text cut to so many characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('\u{2026}');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_and_nothing_else() {
        assert_eq!(escaped("a<b>&\"c\"\u{7}\n"), "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd} ");
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!([px(1.0), px(-0.01), px(12.34), px(1e6)], ["1", "0", "12.3", "1000000"]);
    }
}
