//! Parses a history's file. Never panics, whatever the file contains.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Entry, SCHEMA};
use crate::store::{self, Location};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("failed to read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A line is damaged, or a newer version wrote it.
    #[error("{0}{cure}", cure = cure(.0))]
    Line(store::ReadError),
}

fn cure(error: &store::ReadError) -> &'static str {
    match error {
        store::ReadError::Damaged { .. } => "; remove the line, or restore the file",
        _ => "",
    }
}

/// The entries of a file, and the number of its bytes in whole lines. Duplicates, as after a manual merge, count once. A last
/// line without its line break is whole if it can be parsed; otherwise it is torn and skipped.
///
/// # Errors
/// When another line is damaged, or has a newer schema.
pub fn parse(content: &[u8], path: &Path) -> Result<(Vec<Entry>, usize), ReadError> {
    let mut entries = Vec::new();
    let mut whole = 0;
    for (i, line) in content.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            match entry(line, Location { path, line: i + 1 }) {
                Ok(entry) => entries.push(entry),
                Err(store::ReadError::Damaged { .. }) if line.last() != Some(&b'\n') => break,
                Err(e) => return Err(ReadError::Line(e)),
            }
        }
        whole += line.len();
    }
    Ok((without_duplicates(entries), whole))
}

fn entry(line: &[u8], location: Location<'_>) -> Result<Entry, store::ReadError> {
    let text = str::from_utf8(line).map_err(|e| location.damaged(e.to_string()))?;
    let entry: Entry = location.parse(text, SCHEMA, |entry: &Entry| entry.schema)?;
    match entry.fault() {
        Some(fault) => Err(location.damaged(fault)),
        None => Ok(entry),
    }
}

fn without_duplicates(mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut first = {
        let mut seen = BTreeSet::new();
        entries.iter().map(|entry| seen.insert(entry.identity())).collect::<Vec<_>>().into_iter()
    };
    entries.retain(|_| first.next().unwrap_or(true));
    entries
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{entry as sample, line};
    use super::*;
    use crate::store::ReadError::{Damaged, Newer};

    fn read(text: &str) -> Result<(Vec<Entry>, usize), ReadError> {
        parse(text.as_bytes(), Path::new("h.jsonl"))
    }

    #[test]
    fn what_was_written_reads_back_once() {
        let text = line(&sample(0)) + "\n" + &line(&sample(1)) + &line(&sample(0));
        let (entries, whole) = read(&text).unwrap();
        assert_eq!((entries, whole), (vec![sample(0), sample(1)], text.len()));
    }

    #[test]
    fn a_torn_last_line_is_skipped_and_a_whole_one_without_its_end_is_not() {
        let text = line(&sample(0)) + &line(&sample(1));
        let (entries, whole) = read(&text[..text.len() - 9]).unwrap();
        assert_eq!((entries, whole), (vec![sample(0)], line(&sample(0)).len()));
        assert_eq!(read(text.trim_end()).unwrap().0, [sample(0), sample(1)]);
    }

    #[test]
    fn a_damaged_line_is_named_by_its_number() {
        let text = line(&sample(0)) + "{\"schema\":1,\n" + &line(&sample(1));
        let error = read(&text).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("h.jsonl, line 2: ") && error.ends_with("or restore the file"), "{error}");
    }

    #[test]
    fn numbers_that_nothing_measures_are_damage() {
        for (from, to) in [("\"value\":1.0", "\"value\":-1.0"), ("\"values\":[", "\"values\":[0.0,")] {
            let text = line(&sample(0)).replacen(from, to, 1);
            assert_ne!(text, line(&sample(0)), "{from}");
            assert!(matches!(read(&text), Err(ReadError::Line(Damaged { line: 1, .. }))), "{to}");
        }
    }

    #[test]
    fn a_newer_schema_is_refused_by_its_number_even_in_a_torn_line() {
        for text in ["{\"schema\":7,\"renamed\":[]}\n", "{\"schema\":7}"] {
            assert!(matches!(read(text), Err(ReadError::Line(Newer { found: 7, line: 1, .. }))), "{text}");
        }
        let later = line(&Entry { schema: 2, ..sample(0) });
        assert!(matches!(read(&later), Err(ReadError::Line(Newer { found: 2, .. }))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes, Path::new("h"));
        }

        #[test]
        fn no_damage_makes_the_reader_panic(at in 0..2000usize, byte in any::<u8>(), cut in 0..2000usize) {
            let mut bytes = (line(&sample(0)) + &line(&sample(1))).into_bytes();
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(length - cut % length);
            if let Ok((entries, whole)) = parse(&bytes, Path::new("h")) {
                prop_assert!(entries.len() <= 2 && whole <= bytes.len());
            }
        }
    }
}
