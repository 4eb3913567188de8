//! Reading small files of `/proc` and `/sys`: needed ones with an error that names the path, others as options.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What cannot be learnt about the host.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file that every Linux host has cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what the kernel documents.
    #[error("{} holds `{content}`, which is no {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it holds, in one line.
        content: String,
        /// What it should hold: `CPU list`.
        expected: &'static str,
    },
}

/// The text of a file that must be there.
pub(crate) fn text(path: &Path) -> Result<String, HostError> {
    fs::read_to_string(path).map_err(|source| HostError::Read { path: path.to_owned(), source })
}

/// The one value of a file that must be there.
pub(crate) fn value<T: FromStr>(path: &Path, expected: &'static str) -> Result<T, HostError> {
    let content = text(path)?;
    content.trim().parse().map_err(|_| HostError::Malformed {
        path: path.to_owned(),
        content: content.trim().to_owned(),
        expected,
    })
}

/// The trimmed text of a file that may be missing or unreadable; `None` when empty too.
pub(crate) fn line(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty())
}

/// The one value of a file that may be missing.
pub(crate) fn known<T: FromStr>(path: &Path) -> Option<T> {
    line(path)?.parse().ok()
}

/// The value behind `key` in a file of `key<separator>value` lines.
pub(crate) fn field<'t>(content: &'t str, key: &str, separator: char) -> Option<&'t str> {
    content
        .lines()
        .filter_map(|l| l.split_once(separator))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim())
}

/// The number behind `key` in `/proc/meminfo` and its like, in bytes: `MemTotal:  24684092 kB`.
pub(crate) fn kib_field(content: &str, key: &str) -> Option<crate::model::units::Bytes> {
    let kib: u64 = field(content, key, ':')?.trim_end_matches("kB").trim().parse().ok()?;
    Some(crate::model::units::Bytes(kib.saturating_mul(1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_matched_whole() {
        let meminfo = "SwapTotal:   5 kB\nMemTotal:   3 kB\n";
        assert_eq!(kib_field(meminfo, "MemTotal"), Some(crate::model::units::Bytes(3072)));
        assert_eq!(kib_field(meminfo, "Total"), None);
    }

    #[test]
    fn an_error_names_the_file_and_what_it_should_hold() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("online");
        fs::write(&path, "much\n").unwrap();
        let error = value::<u32>(&path, "number").unwrap_err().to_string();
        assert!(error.ends_with("online holds `much`, which is no number"), "{error}");
        assert!(value::<u32>(&dir.path().join("missing"), "number").unwrap_err().to_string().ends_with("missing"));
    }
}
