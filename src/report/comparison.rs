//! A comparison for people and for programs.
//!
//! Invariant: every number has its unit, its count of trials and its spread; regressions come first.

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
    /// The format of a printed comparison.
    pub enum Format ("format") {
        /// A table for a terminal.
        Text = "text",
        /// A table for a job summary or a comment.
        Markdown = "markdown",
        /// All of it, for programs.
        Json = "json",
        /// Annotations of GitHub Actions.
        Github = "github",
    }
}

/// The comparison in that format, with a line feed at the end. `look` and `width` apply to [`Format::Text`] only.
pub fn comparison(comparison: &Comparison, format: Format, look: Look, width: Option<u16>) -> String {
    match format {
        Format::Text => text::text(comparison, look, width),
        Format::Markdown => markdown::markdown(comparison),
        Format::Json => json::json(comparison),
        Format::Github => github::github(comparison),
    }
}
