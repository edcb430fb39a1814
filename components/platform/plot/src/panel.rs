//! A page and its panels: [`Panel`] says what is to be seen, [`page`] draws panels above one axis of time.

use crate::about::About;
use crate::palette;
use crate::path::{self, Frame, Reach, Scale};
use crate::svg::{Anchor, FONTS, Svg, escaped, px, shortened};
use crate::time_axis::{TimeAxis, range_in_words};
use crate::track::{Span, Step};
use crate::value_axis::ValueAxis;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 66.0;
const PLOT_WIDTH: f64 = 704.0;
/// Of the legend's text.
const LEGEND_LEFT: f64 = LEFT + PLOT_WIDTH + 18.0;
const LEGEND_ROW: f64 = 16.0;
/// Characters that there is room for.
const LEGEND_MOST: usize = 29;
const HEADER: f64 = 64.0;
const PANEL_TITLE: f64 = 24.0;
const TIME_LABELS: f64 = 40.0;
const GAP: f64 = 16.0;
const NOTE_ROW: f64 = 15.0;
/// Between a red limit and the edge beyond it.
const LIMIT_ROOM: f64 = 15.0;
/// Between a mark and the edge beyond it.
const MARK_ROOM: f64 = 25.0;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// A value that counts.
    Plain,
    /// One of very many.
    Thin,
    /// A second kind of value of the same thing.
    Dashed,
    /// What was asked for: broad and pale, below what was done.
    Broad,
    /// What is to be seen first.
    Strong,
}

/// A value over time.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// In the legend; empty: not in it.
    pub(crate) label: String,
    /// What viewers show of it.
    pub(crate) title: String,
    pub(crate) colour: &'static str,
    pub(crate) look: Look,
    pub(crate) steps: Vec<Step>,
}

/// From the lowest to the highest of many values over time.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) label: String,
    pub(crate) colour: &'static str,
    pub(crate) reaches: Vec<Reach>,
    /// Where any of the values is doubtful, as steps of any value.
    pub(crate) doubts: Vec<Step>,
}

/// A value that should not be passed.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    pub(crate) value: f64,
    pub(crate) label: String,
    pub(crate) colour: &'static str,
    /// Whether what lies above is beyond it, else what lies below.
    pub(crate) upper: bool,
    /// Where what lies beyond ends; at the edge if there is none. The label of one with an end stands on this side of it.
    pub(crate) until: Option<f64>,
}

/// A point that is named.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) at_ms: i64,
    pub(crate) value: f64,
    pub(crate) label: String,
}

/// Values of one unit over time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) unit: String,
    pub(crate) envelopes: Vec<Envelope>,
    pub(crate) lines: Vec<Line>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) marks: Vec<Mark>,
    /// Lines of the legend that explain looks: what, and the look.
    pub(crate) keys: Vec<(&'static str, Look)>,
    /// Told below all panels.
    pub(crate) notes: Vec<String>,
    /// The axis, where the values do not say it.
    pub(crate) axis: Option<(f64, f64, f64)>,
    /// Whether values are whole numbers.
    pub(crate) whole: bool,
    pub(crate) height: f64,
}

impl Look {
    fn width(self) -> f64 {
        match self {
            Self::Plain => 1.8,
            Self::Thin => 0.7,
            Self::Dashed => 1.3,
            Self::Broad => 5.5,
            Self::Strong => 2.2,
        }
    }

    fn style(self, colour: &str, doubtful: bool) -> String {
        let width = self.width();
        let (dashes, opacity) = match (self, doubtful) {
            // Dots of the line's own width, far enough apart to be seen as dots.
            (_, true) => {
                (format!(" stroke-dasharray=\"0 {}\" stroke-linecap=\"round\"", px(width * 2.4)), "")
            }
            (Self::Dashed, false) => (" stroke-dasharray=\"7 4\"".to_owned(), ""),
            (Self::Broad, false) => (String::new(), " stroke-opacity=\"0.28\""),
            (Self::Thin, false) => (String::new(), " stroke-opacity=\"0.55\""),
            (Self::Plain | Self::Strong, false) => (String::new(), ""),
        };
        format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\"{dashes}{opacity}", px(width))
    }
}

impl Panel {
    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.lines.iter().flat_map(|line| &line.steps)
    }

    /// Whether there is nothing to be seen.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps().next().is_none() && self.envelopes.iter().all(|envelope| envelope.reaches.is_empty())
    }

    fn is_doubtful(&self) -> bool {
        let doubts = self.envelopes.iter().flat_map(|envelope| &envelope.doubts);
        self.steps().chain(doubts).any(|step| step.doubtful)
    }

    fn value_axis(&self) -> ValueAxis {
        if let Some((lowest, highest, step)) = self.axis {
            return ValueAxis::fixed(lowest, highest, step);
        }
        let values = self.steps().map(|step| step.value);
        let reaches = self.envelopes.iter().flat_map(|envelope| &envelope.reaches);
        let reaches = reaches.flat_map(|reach| [reach.lowest, reach.highest]);
        let limits = self.limits.iter().map(|limit| limit.value);
        let all = values.chain(reaches).chain(limits);
        let (low, high) = all
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return ValueAxis::new(0.0, 1.0, self.whole);
        }
        // Room for a line that would lie on the edge; nothing beyond 0 where there is nothing.
        let room = if self.whole { 0.5 } else { (high - low) * 0.05 };
        let least = if low >= 0.0 && !self.whole { 0.0 } else { f64::NEG_INFINITY };
        let most = if high <= 0.0 && !self.whole { 0.0 } else { f64::INFINITY };
        let axis = if low == high && !self.whole {
            ValueAxis::new(low, high, false)
        } else {
            ValueAxis::new((low - room).max(least), (high + room).min(most), self.whole)
        };
        // The word at a red limit stands beyond it.
        let share = LIMIT_ROOM / self.frame_height();
        let red = self.limits.iter().filter(|limit| limit.until.is_none());
        let axis = red.fold(axis, |axis, limit| axis.with_room(limit.value, share));
        // What a mark says stands beyond it, where it hides nothing.
        let share = MARK_ROOM / self.frame_height();
        self.marks.iter().fold(axis, |axis, mark| axis.with_room(mark.value, share))
    }

    fn legend_rows(&self) -> usize {
        let lines = self.lines.iter().filter(|line| !line.label.is_empty()).count();
        lines + self.envelopes.len() + self.keys.len() + usize::from(self.is_doubtful())
    }

    /// The height of its frame: the legend has to fit beside it.
    fn frame_height(&self) -> f64 {
        // Rows are few: a double holds their number.
        self.height.max(self.legend_rows() as f64 * LEGEND_ROW + 4.0)
    }
}

/// A page with these panels below each other, all over the whole time of the run.
pub(crate) fn page(about: &About, what: &str, span: Span, subtitle: &str, panels: &[Panel]) -> String {
    let time = TimeAxis::new(span);
    let notes: Vec<&String> = panels.iter().flat_map(|panel| &panel.notes).collect();
    let panels_height: f64 = panels.iter().map(|panel| PANEL_TITLE + panel.frame_height() + GAP).sum();
    let notes_height = notes.len() as f64 * NOTE_ROW;
    let height = HEADER + panels_height - GAP + TIME_LABELS + notes_height + 10.0;
    let mut svg = Svg::default();
    begin(&mut svg, about, what, height);
    header(&mut svg, about, what, span, subtitle);
    let mut top = HEADER;
    for (index, panel) in panels.iter().enumerate() {
        let height = panel.frame_height();
        let frame = Frame { left: LEFT, top: top + PANEL_TITLE, width: PLOT_WIDTH, height };
        let last = index + 1 == panels.len();
        draw(&mut svg, panel, Scale { frame, time: &time, values: &panel.value_axis() }, last);
        top += PANEL_TITLE + height + GAP;
    }
    let mut y = top - GAP + TIME_LABELS + 8.0;
    for note in notes {
        let style = format!("font-size=\"11\" fill=\"{}\"", palette::FAINT_TEXT);
        svg.text((LEFT, y), Anchor::Start, &style, &shortened(note, 150));
        y += NOTE_ROW;
    }
    svg.raw(format_args!("</svg>\n"));
    svg.finish()
}

fn begin(svg: &mut Svg, about: &About, what: &str, height: f64) {
    let (width, height) = (px(WIDTH), px(height.ceil()));
    svg.raw(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FONTS}\">\n<title>{}: {}</title>\n",
        escaped(what),
        escaped(about.title())
    ));
    svg.raw(format_args!(
        "<defs><pattern id=\"doubt\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><rect width=\"6\" height=\"6\" fill=\"#F3F0F5\"/>\
         <line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" stroke=\"#B7A9C0\" stroke-width=\"1.6\"/></pattern></defs>\n"
    ));
    svg.raw(format_args!("<rect width=\"{width}\" height=\"{height}\" fill=\"#FFFFFF\"/>\n"));
}

fn header(svg: &mut Svg, about: &About, what: &str, span: Span, subtitle: &str) {
    let style = format!("font-size=\"18\" font-weight=\"bold\" fill=\"{}\"", palette::TEXT);
    svg.text((LEFT, 28.0), Anchor::Start, &style, &shortened(about.title(), 80));
    let goes_on = if about.ended { "" } else { ", not at its end when drawn" };
    let text = format!(
        "{what} \u{b7} {} simulated, {subtitle} \u{b7} run {}{goes_on}",
        range_in_words(span),
        about.simulation_id
    );
    let style = format!("font-size=\"12\" fill=\"{}\"", palette::FAINT_TEXT);
    svg.text((LEFT, 48.0), Anchor::Start, &style, &text);
}

fn draw(svg: &mut Svg, panel: &Panel, scale: Scale<'_>, last: bool) {
    let frame = scale.frame;
    let title = format!("font-size=\"13\" font-weight=\"bold\" fill=\"{}\"", palette::TEXT);
    svg.raw(format_args!("<g class=\"panel\">\n"));
    svg.text(
        (frame.left, frame.top - 9.0),
        Anchor::Start,
        &title,
        &format!("{}, {}", panel.title, panel.unit),
    );
    let doubts = doubts(panel, &scale);
    for (from, to) in &doubts {
        // Even one epoch of a long run is to be seen.
        let width = (to - from).max(1.5);
        svg.rect((*from, frame.top), (width, frame.height), "fill=\"url(#doubt)\" class=\"doubt\"");
    }
    beyond_limits(svg, panel, &scale);
    axes(svg, &scale, last);
    for envelope in &panel.envelopes {
        let path = path::area(&envelope.reaches, &scale);
        let style = format!("fill=\"{}\" fill-opacity=\"0.2\" class=\"envelope\"", envelope.colour);
        svg.path(&path, &style, &envelope.label);
    }
    limit_lines(svg, panel, &scale);
    // What was asked for lies below what was done, what counts most above all.
    let order = [Look::Broad, Look::Thin, Look::Dashed, Look::Plain, Look::Strong];
    for look in order {
        for line in panel.lines.iter().filter(|line| line.look == look) {
            let paths = path::line(&line.steps, &scale);
            svg.path(&paths.good, &look.style(line.colour, false), &line.title);
            let title = format!("{}, not reliable", line.title);
            svg.path(&paths.doubtful, &look.style(line.colour, true), &title);
        }
    }
    for mark in &panel.marks {
        draw_mark(svg, mark, &scale);
    }
    legend(svg, panel, frame, !doubts.is_empty());
    svg.raw(format_args!("</g>\n"));
}

fn doubts(panel: &Panel, scale: &Scale<'_>) -> Vec<(f64, f64)> {
    let lines = panel.lines.iter().map(|line| &line.steps);
    let envelopes = panel.envelopes.iter().map(|envelope| &envelope.doubts);
    path::united(lines.chain(envelopes).flat_map(|steps| path::doubtful(steps, scale)).collect())
}

fn beyond_limits(svg: &mut Svg, panel: &Panel, scale: &Scale<'_>) {
    let frame = scale.frame;
    for limit in &panel.limits {
        let edge = if limit.upper { frame.top } else { frame.bottom() };
        let (at, until) = (scale.y(limit.value), limit.until.map_or(edge, |until| scale.y(until)));
        let (top, bottom) = (at.min(until).max(frame.top), at.max(until).min(frame.bottom()));
        let style = format!("fill=\"{}\" fill-opacity=\"0.09\" class=\"beyond\"", limit.colour);
        svg.rect((frame.left, top), (frame.width, bottom - top), &style);
    }
}

fn limit_lines(svg: &mut Svg, panel: &Panel, scale: &Scale<'_>) {
    let frame = scale.frame;
    for limit in &panel.limits {
        let y = scale.y(limit.value);
        if y < frame.top - 0.5 || y > frame.bottom() + 0.5 {
            continue;
        }
        let style = format!("stroke=\"{}\" stroke-width=\"1\" class=\"limit\"", limit.colour);
        svg.line((frame.left, y), (frame.right(), y), &style);
        let above = limit.upper == limit.until.is_none();
        let y = if above { y - 3.0 } else { y + 11.0 };
        let style = format!("font-size=\"10.5\" fill=\"{}\"", limit.colour);
        svg.text((frame.left + 5.0, y), Anchor::Start, &style, &limit.label);
    }
}

fn axes(svg: &mut Svg, scale: &Scale<'_>, last: bool) {
    let frame = scale.frame;
    let grid = format!("stroke=\"{}\" stroke-width=\"1\"", palette::GRID);
    let small = format!("font-size=\"11\" fill=\"{}\"", palette::FAINT_TEXT);
    for (value, label) in scale.values.ticks() {
        let y = scale.y(value);
        let style = if value == 0.0 {
            format!("stroke=\"{}\" stroke-width=\"1\"", palette::AXIS)
        } else {
            grid.clone()
        };
        svg.line((frame.left, y), (frame.right(), y), &style);
        svg.text((frame.left - 8.0, y + 4.0), Anchor::End, &small, &label);
    }
    for tick in &scale.time.ticks {
        let x = scale.x(tick.at_ms);
        svg.line((x, frame.top), (x, frame.bottom()), &grid);
        if last {
            svg.line(
                (x, frame.bottom()),
                (x, frame.bottom() + 4.0),
                &format!("stroke=\"{}\"", palette::AXIS),
            );
            svg.text((x, frame.bottom() + 17.0), Anchor::Middle, &small, &tick.label);
            if let Some(below) = &tick.below {
                svg.text((x, frame.bottom() + 31.0), Anchor::Middle, &small, below);
            }
        }
    }
    let axis = format!("fill=\"none\" stroke=\"{}\" stroke-width=\"1\"", palette::AXIS);
    svg.rect((frame.left, frame.top), (frame.width, frame.height), &axis);
}

fn draw_mark(svg: &mut Svg, mark: &Mark, scale: &Scale<'_>) {
    let (frame, x, y) = (scale.frame, scale.x(mark.at_ms), scale.y(mark.value));
    svg.raw(format_args!(
        "<circle cx=\"{}\" cy=\"{}\" r=\"4.5\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" class=\"mark\"/>\n",
        px(x),
        px(y),
        palette::TEXT
    ));
    let share = (x - frame.left) / frame.width;
    let (anchor, x) = match share {
        share if share < 0.25 => (Anchor::Start, x.max(frame.left + 6.0)),
        share if share > 0.75 => (Anchor::End, x.min(frame.right() - 6.0)),
        _ => (Anchor::Middle, x),
    };
    // Beyond it: values lie on the other side.
    let y = if y - frame.top > frame.height / 2.0 { y + 18.0 } else { y - 9.0 };
    let style = format!(
        "font-size=\"11.5\" font-weight=\"bold\" fill=\"{}\" stroke=\"#FFFFFF\" stroke-width=\"3.5\" \
         stroke-linejoin=\"round\" paint-order=\"stroke\" class=\"mark\"",
        palette::TEXT
    );
    svg.text((x, y), anchor, &style, &shortened(&mark.label, 60));
}

fn legend(svg: &mut Svg, panel: &Panel, frame: Frame, doubts: bool) {
    let mut y = frame.top + 8.0;
    let mut row = |svg: &mut Svg, label: &str, style: Result<String, String>| {
        let (from, to) = ((LEGEND_LEFT, y), (LEGEND_LEFT + 22.0, y));
        match style {
            Ok(line) => svg.line(from, to, &line),
            Err(area) => svg.rect((from.0, y - 5.0), (22.0, 10.0), &area),
        }
        let text = format!("font-size=\"11.5\" fill=\"{}\"", palette::TEXT);
        svg.text((to.0 + 7.0, y + 4.0), Anchor::Start, &text, &shortened(label, LEGEND_MOST));
        y += LEGEND_ROW;
    };
    for line in panel.lines.iter().filter(|line| !line.label.is_empty()) {
        row(svg, &line.label, Ok(line.look.style(line.colour, false)));
    }
    for envelope in &panel.envelopes {
        row(svg, &envelope.label, Err(format!("fill=\"{}\" fill-opacity=\"0.3\"", envelope.colour)));
    }
    for (label, look) in &panel.keys {
        row(svg, label, Ok(look.style(palette::TEXT, false)));
    }
    if doubts {
        row(svg, "not reliable (dotted)", Err("fill=\"url(#doubt)\"".to_owned()));
    }
}
