//! Reads small files of `/proc` and `/sys`: required ones with an error that names the file, others as options.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use super::error::HostError;
use crate::model::units::Bytes;

/// The text of a required file.
pub(crate) fn text(path: &Path) -> Result<String, HostError> {
    fs::read_to_string(path).map_err(|source| HostError::Read { path: path.to_owned(), source })
}

/// The single value of a required file.
pub(crate) fn value<T: FromStr>(path: &Path, expected: &'static str) -> Result<T, HostError> {
    let content = text(path)?;
    content.trim().parse().map_err(|_| HostError::Malformed {
        path: path.to_owned(),
        content: content.trim().to_owned(),
        expected,
    })
}

/// The trimmed text of an optional file; `None` if it is missing, unreadable or empty.
pub(crate) fn line(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty())
}

/// The single value of an optional file.
pub(crate) fn known<T: FromStr>(path: &Path) -> Option<T> {
    line(path)?.parse().ok()
}

/// The value of `key` in a text of `key<separator>value` lines.
pub(crate) fn field<'t>(content: &'t str, key: &str, separator: char) -> Option<&'t str> {
    content
        .lines()
        .filter_map(|l| l.split_once(separator))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim())
}

/// The value of `key` in a text such as `/proc/meminfo`, whose lines look like `MemTotal:  24684092 kB`.
pub(crate) fn kib_field(content: &str, key: &str) -> Option<Bytes> {
    let kib: u64 = field(content, key, ':')?.trim_end_matches("kB").trim().parse().ok()?;
    Some(Bytes(kib.saturating_mul(1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_matched_whole() {
        let meminfo = "SwapTotal:   5 kB\nMemTotal:   3 kB\n";
        assert_eq!(kib_field(meminfo, "MemTotal"), Some(Bytes(3072)));
        assert_eq!(kib_field(meminfo, "Total"), None);
    }

    #[test]
    fn an_error_names_the_file_and_the_expected_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("online");
        fs::write(&path, "much\n").unwrap();
        let error = value::<u32>(&path, "a number").unwrap_err().to_string();
        assert!(error.ends_with("online: invalid content `much`; expected a number"), "{error}");
        assert!(value::<u32>(&dir.path().join("missing"), "a number").unwrap_err().to_string().ends_with("missing"));
    }
}
