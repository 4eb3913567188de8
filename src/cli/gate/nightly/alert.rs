//! What the issue about a changed level says, and which issue it is.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cli::gate::summary::code_block;

/// How every issue of ours begins.
pub(super) const MARKER: &str = "<!-- featherweight history";

/// How much of the history stands in an issue, in bytes. GitHub accepts 65,536 characters in all.
const MAX_HISTORY: usize = 40_000;

/// How much of the confirmation's output stands in an issue, in bytes.
const MAX_CONFIRMATION: usize = 15_000;

/// What to do about a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// One issue is open at a time: update it.
    Update(u64),
    /// Somebody closed the issue about the same change: leave it closed.
    LeaveClosed(u64),
    /// Create an issue.
    Create,
}

impl Action {
    /// The action for the open issue and the closed one about the same change.
    pub(super) fn new(open: Option<u64>, closed: Option<u64>) -> Self {
        match (open, closed) {
            (Some(open), _) => Action::Update(open),
            (None, Some(closed)) => Action::LeaveClosed(closed),
            (None, None) => Action::Create,
        }
    }
}

/// The alert in Markdown.
pub(super) fn text(history: &str, confirmation: &str) -> String {
    let confirmation = code_block(&end(confirmation, MAX_CONFIRMATION).lines().collect::<Vec<_>>());
    format!(
        "A level in the history has changed. `cargo xtask history --confirm` measured it again where it could.\n\n\
         {history}\n\
         Output of the confirmation:\n\n\
         {confirmation}\n\
         Close this issue when the change is explained. Only a different change opens a new one.\n",
        history = start(history, MAX_HISTORY),
    )
}

/// The hidden line that names the change.
pub(super) fn key_marker(key: &[u8]) -> String {
    let digest: String = Sha256::digest(key).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("<!-- {digest} -->")
}

/// The issue, as GitHub's API takes it.
pub(super) fn issue(key_marker: &str, text: &str) -> Value {
    json!({"title": "The history has a change point", "body": format!("{MARKER} -->\n{key_marker}\n{text}")})
}

/// At most `limit` bytes from the beginning of a text, in whole characters.
fn start(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// At most `limit` bytes from the end of a text, in whole characters.
fn end(text: &str, limit: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(limit))..]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Some(1), Some(2), Action::Update(1))]
    #[case(Some(1), None, Action::Update(1))]
    #[case(None, Some(2), Action::LeaveClosed(2))]
    #[case(None, None, Action::Create)]
    fn one_issue_is_open_at_a_time(#[case] open: Option<u64>, #[case] closed: Option<u64>, #[case] expected: Action) {
        assert_eq!(Action::new(open, closed), expected);
    }

    #[test]
    fn a_long_history_and_a_long_log_are_cut_at_their_ends() {
        let text = text(&"ä".repeat(MAX_HISTORY), &format!("first\n{}last\n", "ö".repeat(MAX_CONFIRMATION)));
        assert!(text.len() < 60_000 && text.contains("last") && !text.contains("first"), "{}", text.len());
        assert_eq!((start("aä", 2), end("äb", 2)), ("a", "b"));
    }

    #[test]
    fn a_confirmation_is_shown_as_code() {
        let text = text("### youki\n", "started\n- x\n");
        assert!(text.contains("\n### youki\n\nOutput of the confirmation:\n\n    started\n    - x\n\nClose"), "{text}");
    }

    #[test]
    fn the_issue_carries_its_marker_and_its_change() {
        let marker = key_marker(b"boot");
        // The first 16 digits of `printf boot | sha256sum`.
        assert_eq!(marker, "<!-- 4509beb0ab401d71 -->");
        let issue = issue(&marker, "text");
        assert_eq!(issue["body"], format!("<!-- featherweight history -->\n{marker}\ntext"));
    }
}
