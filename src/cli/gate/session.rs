//! The session that `cargo xtask ab` stored, as far as the gate reads it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The file of a session.
pub(super) const SESSION_FILE: &str = "session.json";

/// The part of a session's JSON that decides about the verdict.
#[derive(Debug, Deserialize)]
struct Session {
    comparison: Option<Comparison>,
}

#[derive(Debug, Deserialize)]
struct Comparison {
    #[serde(default)]
    lines: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    #[serde(rename = "ruling")]
    decision: Decision,
}

#[derive(Debug, Deserialize)]
struct Decision {
    verdict: String,
}

/// The folder of the latest session in `folder`. Its name begins with the time.
pub(super) fn latest_session(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    folders.filter(|dir| dir.join(SESSION_FILE).is_file()).max()
}

/// The verdict of every metric and case. A session that cannot be read has none, so that it does not pass.
pub(super) fn verdicts(session: &Path) -> Vec<String> {
    let text = fs::read(session.join(SESSION_FILE)).unwrap_or_default();
    let session: Option<Session> = serde_json::from_slice(&text).ok();
    let lines = session.and_then(|session| session.comparison).map(|comparison| comparison.lines);
    lines.unwrap_or_default().into_iter().map(|line| line.decision.verdict).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::compared(r#"{"comparison": {"lines": [{"case": "x", "ruling": {"verdict": "EQUIVALENT", "p": 1}}]}}"#, &["EQUIVALENT"])]
    #[case::not_comparable(r#"{"comparison": {"not_comparable": ["x"]}}"#, &[])]
    #[case::unfinished(r#"{"comparison": null, "outcome": "interrupted"}"#, &[])]
    #[case::damaged(r#"{"comparison": {"#, &[])]
    fn the_verdicts_come_from_the_comparison(#[case] text: &str, #[case] expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(SESSION_FILE), text).unwrap();
        assert_eq!(verdicts(folder.path()), expected);
    }

    #[test]
    fn the_latest_session_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(latest_session(folder.path()), None);
        for name in ["20261101-010000-aaaa", "20261102-010000-aaaa", "20261103-010000-aaaa"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        for name in ["20261101-010000-aaaa", "20261102-010000-aaaa"] {
            fs::write(folder.path().join(name).join(SESSION_FILE), "{}").unwrap();
        }
        assert_eq!(latest_session(folder.path()), Some(folder.path().join("20261102-010000-aaaa")));
    }
}
