//! A comparison for people and for programs.
//!
//! Invariant: no number stands without its unit, how many trials it rests on and its spread; what regressed comes first.

mod github;
mod json;
mod markdown;
mod text;
mod words;

#[cfg(test)]
mod tests;

pub use markdown::{code as markdown_code, escape as markdown_text};

use super::Look;
use crate::compare::rule::Comparison;
use crate::model::names::named_enum;

named_enum! {
    /// How a comparison is printed.
    pub enum Format ("format") {
        /// A table for a terminal.
        Text = "text",
        /// A table for a job summary or a comment.
        Markdown = "markdown",
        /// Everything, for programs.
        Json = "json",
        /// Annotations of GitHub Actions.
        Github = "github",
    }
}

/// The comparison as text in that format, ended by a line feed; `look` and `width` matter to [`Format::Text`] alone.
pub fn comparison(comparison: &Comparison, format: Format, look: Look, width: Option<u16>) -> String {
    match format {
        Format::Text => text::text(comparison, look, width),
        Format::Markdown => markdown::markdown(comparison),
        Format::Json => json::json(comparison),
        Format::Github => github::github(comparison),
    }
}
