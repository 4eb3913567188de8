//! Reads stored runs. Never panics, whatever a folder contains.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::RunFile;
use super::writer::{RUN_FILE, TRIALS_FILE};
use crate::model::record::{SCHEMA, TrialRecord};
use crate::model::run::RunId;

/// A stored run with all its trials.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRun {
    /// The run's folder.
    pub dir: PathBuf,
    /// The run's description.
    pub file: RunFile,
    /// The trials in the order of the file.
    pub trials: Vec<TrialRecord>,
    /// What was skipped: a torn last line.
    pub warnings: Vec<String>,
}

/// Why a stored run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The folder has no readable description of a run.
    #[error("failed to read {path}: {source}")]
    NoRun {
        /// The file of the description.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// A line is invalid.
    #[error("{path}, line {line}: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why it is invalid.
        reason: String,
    },
    /// A newer version wrote the line.
    #[error(
        "{path}, line {line} has schema {found}; this version reads at most schema {known}; use the version that wrote it \
         or a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Its schema.
        found: u64,
        /// The latest supported schema.
        known: u32,
    },
}

/// Reads the run in the folder `dir`.
///
/// # Errors
/// When the folder has no run, a line other than a torn last one is invalid, or a newer version wrote it.
pub fn read_run(dir: &Path) -> Result<StoredRun, ReadError> {
    let mut run =
        StoredRun { dir: dir.to_owned(), file: read_run_file(dir)?, trials: Vec::new(), warnings: Vec::new() };
    let torn = each_trial(dir, |text, location| {
        let record: TrialRecord = location.parse(text, SCHEMA, |record: &TrialRecord| record.schema)?;
        location.check_run(record.run.as_str(), &run.file.run)?;
        run.trials.push(record);
        Ok(())
    })?;
    run.warnings.extend(torn);
    Ok(run)
}

/// Reads the description of the run in the folder `dir` without its trials.
///
/// # Errors
/// As [`read_run`].
pub fn read_run_file(dir: &Path) -> Result<RunFile, ReadError> {
    let path = dir.join(RUN_FILE);
    let text = fs::read_to_string(&path).map_err(|source| ReadError::NoRun { path: path.clone(), source })?;
    Location { path: &path, line: 1 }.parse(&text, SCHEMA, |file: &RunFile| file.schema)
}

/// Calls `take` with every whole line of the trials in the folder `dir`; with none if the file does not exist. Returns a
/// warning if the last line is torn.
///
/// # Errors
/// When a line cannot be read, and the errors of `take`.
pub(crate) fn each_trial(
    dir: &Path,
    mut take: impl FnMut(&str, Location<'_>) -> Result<(), ReadError>,
) -> Result<Option<String>, ReadError> {
    let path = dir.join(TRIALS_FILE);
    let Ok(file) = File::open(&path) else { return Ok(None) };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let location = Location { path: &path, line };
        if reader.read_until(b'\n', &mut text).map_err(|e| location.damaged(e.to_string()))? == 0 {
            break;
        }
        if text.last() != Some(&b'\n') {
            return Ok(Some(format!("{}, line {line}: torn, skipped", path.display())));
        }
        take(str::from_utf8(&text).map_err(|e| location.damaged(e.to_string()))?, location)?;
    }
    Ok(None)
}

/// A line of a file that is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Location<'a> {
    /// The file.
    pub(crate) path: &'a Path,
    /// The line, from 1.
    pub(crate) line: usize,
}

impl Location<'_> {
    /// The error that this line is invalid.
    pub(crate) fn damaged(&self, reason: String) -> ReadError {
        ReadError::Damaged { path: self.path.to_owned(), line: self.line, reason }
    }

    /// Checks that the line is one of the run `expected`.
    ///
    /// # Errors
    /// When it is a line of another run.
    pub(crate) fn check_run(&self, run: &str, expected: &RunId) -> Result<(), ReadError> {
        match run == expected.as_str() {
            true => Ok(()),
            false => Err(self.damaged(format!("belongs to run {run}; expected run {expected}"))),
        }
    }

    /// Parses one object and distinguishes schemas newer than `known` from damage. Only an object that fails to parse is
    /// parsed again, for its schema alone.
    ///
    /// # Errors
    /// When the object is newer or damaged.
    pub(crate) fn parse<'de, T: Deserialize<'de>>(
        &self,
        text: &'de str,
        known: u32,
        schema: impl Fn(&T) -> u32,
    ) -> Result<T, ReadError> {
        let newer = |found| ReadError::Newer { path: self.path.to_owned(), line: self.line, found, known };
        match serde_json::from_str(text) {
            Ok(object) if schema(&object) <= known => Ok(object),
            Ok(object) => Err(newer(schema(&object).into())),
            Err(e) => Err(match serde_json::from_str::<Versioned>(text) {
                Ok(versioned) if versioned.schema > u64::from(known) => newer(versioned.schema),
                _ => self.damaged(e.to_string()),
            }),
        }
    }
}

/// The only field that an object of a newer schema is sure to have.
#[derive(Deserialize)]
struct Versioned {
    schema: u64,
}

/// The folder of the run called `name`, which is the id of a run in `runs`, the name of its folder there, or a path.
pub fn run_folder(runs: &Path, name: &str) -> PathBuf {
    let is_id = name.parse::<RunId>().is_ok();
    let matches = |dir: &PathBuf| {
        let folder = dir.file_name().and_then(|f| f.to_str()).unwrap_or_default();
        folder == name || (is_id && folder.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')))
    };
    list_runs(runs).into_iter().rfind(matches).unwrap_or_else(|| PathBuf::from(name))
}

/// The folders in `runs` that contain a run, oldest first.
pub fn list_runs(runs: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(runs) else { return Vec::new() };
    let mut found: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|e| e.path()).filter(|dir| dir.join(RUN_FILE).is_file()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{record, run_file};
    use super::super::writer::Writer;
    use super::*;

    fn stored(trials: u64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        writer.describe(&run_file()).unwrap();
        (0..trials).for_each(|order| writer.append(&record(order)).unwrap());
        dir
    }

    fn corrupt(dir: &Path, file: &str, change: impl FnOnce(String) -> String) {
        let path = dir.join(file);
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
    }

    #[test]
    fn a_written_run_can_be_read() {
        let dir = stored(3);
        let run = read_run(dir.path()).unwrap();
        assert_eq!(run.file, run_file());
        assert_eq!(run.trials, [record(0), record(1), record(2)]);
        assert!(run.warnings.is_empty());
    }

    #[test]
    fn a_torn_last_line_is_reported_and_ignored() {
        let dir = stored(2);
        corrupt(dir.path(), TRIALS_FILE, |text| text[..text.len() - 9].to_owned());
        let run = read_run(dir.path()).unwrap();
        assert_eq!(run.trials, [record(0)]);
        assert!(run.warnings[0].contains("line 2: torn"));
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named() {
        let dir = stored(3);
        corrupt(dir.path(), TRIALS_FILE, |text| text.replacen("\"schema\":1", "\"schema\":x", 1));
        assert!(matches!(read_run(dir.path()), Err(ReadError::Damaged { line: 1, .. })));
    }

    #[test]
    fn a_newer_schema_is_rejected_with_its_number() {
        for file in [RUN_FILE, TRIALS_FILE] {
            let dir = stored(1);
            corrupt(dir.path(), file, |t| {
                t.replace("\"schema\":1", "\"schema\":7").replace("\"schema\": 1", "\"schema\": 7")
            });
            assert!(matches!(read_run(dir.path()), Err(ReadError::Newer { found: 7, .. })), "{file}");
        }
    }

    #[test]
    fn a_newer_schema_is_rejected_with_its_number_even_if_nothing_else_fits() {
        let dir = stored(1);
        fs::write(dir.path().join(TRIALS_FILE), "{\"schema\":5000000000,\"renamed\":[]}\n").unwrap();
        assert!(matches!(read_run(dir.path()), Err(ReadError::Newer { found: 5_000_000_000, .. })));
    }

    #[test]
    fn a_run_is_found_by_its_id_its_folders_name_or_a_path() {
        let runs = tempfile::tempdir().unwrap();
        let dir = runs.path().join(format!("{}-boot", super::super::testing::run_id()));
        Writer::open(&dir).unwrap().describe(&run_file()).unwrap();
        for name in ["20261121-084514-3f9a", "20261121-084514-3f9a-boot"] {
            assert_eq!(run_folder(runs.path(), name), dir);
        }
        for path in ["20261121", "20261121-084514", "elsewhere/x"] {
            assert_eq!(run_folder(runs.path(), path), Path::new(path));
        }
    }

    #[test]
    fn a_folder_without_a_valid_description_is_not_a_run() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read_run(dir.path()), Err(ReadError::NoRun { .. })));
        fs::write(dir.path().join(RUN_FILE), "{}").unwrap();
        assert!(matches!(read_run(dir.path()), Err(ReadError::Damaged { .. })));
    }
}
