//! The text of an SVG document. Invariant: every text from outside is escaped here.

use std::fmt::Write;

use super::{Figure, STYLE, StyleSheet};

/// The width of every drawing, in its own units.
pub(super) const WIDTH: f64 = 760.0;

/// How a text is aligned at its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Collects a drawing's elements.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    body: String,
}

impl Canvas {
    /// A straight line.
    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let (x1, y1, x2, y2) = (short(from.0), short(from.1), short(to.0), short(to.1));
        self.push(format_args!(r#"<line class="{class}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>"#));
    }

    /// A rectangle.
    pub(super) fn rect(&mut self, class: &str, x: f64, y: f64, size: (f64, f64)) {
        let (x, y, w, h) = (short(x), short(y), short(size.0.max(0.0)), short(size.1.max(0.0)));
        self.push(format_args!(r#"<rect class="{class}" x="{x}" y="{y}" width="{w}" height="{h}"/>"#));
    }

    /// A path from SVG path data.
    pub(super) fn path(&mut self, class: &str, data: &str) {
        self.push(format_args!(r#"<path class="{class}" d="{data}"/>"#));
    }

    /// A line of text.
    pub(super) fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        self.place(class, at, anchor, text, "");
    }

    /// A line of text that rises by `degrees`.
    pub(super) fn slanted(&mut self, class: &str, at: (f64, f64), text: &str, degrees: f64) {
        let turn = format!(r#" transform="rotate(-{degrees} {} {})""#, short(at.0), short(at.1));
        self.place(class, at, Anchor::End, text, &turn);
    }

    /// A line of text that runs upwards.
    pub(super) fn upright(&mut self, class: &str, at: (f64, f64), text: &str) {
        let turn = format!(r#" transform="rotate(-90 {} {})""#, short(at.0), short(at.1));
        self.place(class, at, Anchor::Start, text, &turn);
    }

    fn place(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str, extra: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let (x, y, text) = (short(at.0), short(at.1), escape(text));
        self.push(format_args!(r#"<text class="{class}" x="{x}" y="{y}"{anchor}{extra}>{text}</text>"#));
    }

    /// Elements that share a hover title.
    pub(super) fn titled(&mut self, title: &str, draw: impl FnOnce(&mut Canvas)) {
        self.push(format_args!("<g><title>{}</title>", escape(title)));
        draw(self);
        self.push(format_args!("</g>"));
    }

    /// The whole document for `figure`.
    pub(super) fn document(self, figure: &Figure, height: f64, sheet: StyleSheet) -> String {
        let (id, width, height) = (escape(&figure.id), short(WIDTH), short(height));
        let style = match sheet {
            StyleSheet::Own => format!("<style>{STYLE}</style>"),
            StyleSheet::Page => String::new(),
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fw\" role=\"img\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" aria-labelledby=\"{id}-t {id}-d\">\n\
             <title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{}</desc>\n{style}\
             <rect class=\"fw-bg\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            escape(&figure.title),
            escape(&figure.alternative),
            self.body,
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }
}

/// A coordinate with at most one decimal.
pub(super) fn short(v: f64) -> String {
    let text = format!("{v:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Escapes text for element content and double-quoted attributes. Control characters, which XML 1.0 forbids, become
/// the replacement character.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The approximate width of `text` in the figures' font.
pub(super) fn text_width(text: &str) -> f64 {
    6.9 * text.chars().count() as f64
}
