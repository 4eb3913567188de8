//! The host's past readings, from which baselines are computed. Stored as one JSON line per reading.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::NoiseReading;

/// Reads the readings in `path`, oldest first; none if the file does not exist. Invalid lines, such as one torn by a crash,
/// are skipped.
///
/// # Errors
/// When the file exists but cannot be read.
pub fn load(path: &Path) -> io::Result<Vec<NoiseReading>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// Appends readings to `path`.
///
/// # Errors
/// When the file cannot be written.
pub fn append(path: &Path, readings: &[NoiseReading]) -> io::Result<()> {
    let mut text = String::new();
    for reading in readings {
        text.push_str(&serde_json::to_string(reading)?);
        text.push('\n');
    }
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::verdict::tests::reading;
    use super::*;

    #[test]
    fn readings_are_read_in_order_and_a_torn_line_is_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("noise.jsonl");
        assert!(load(&path).unwrap().is_empty());
        append(&path, &[reading(100, 150)]).unwrap();
        append(&path, &[reading(101, 160), reading(102, 170)]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 20]).unwrap();
        assert_eq!(load(&path).unwrap(), [reading(100, 150), reading(101, 160)]);
    }
}
