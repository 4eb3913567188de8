//! The report's files: `index.html`, `figures/*.svg` and `summary.json`, each replaced atomically.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::figures::{StyleSheet, svg};
use super::model::Report;
use super::source::Latest;
use super::{history, html, json};
use crate::store::{StoredRun, replace};

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file could not be written.
    #[error("failed to write {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The page could not be rendered.
    #[error("failed to render the page: {0:#}")]
    Template(#[from] minijinja::Error),
}

/// Writes the report over `runs` into the folder `dir` and returns the path of its page.
///
/// # Errors
/// When a file cannot be written; existing files stay intact.
pub fn write(runs: &[StoredRun], dir: &Path) -> Result<PathBuf, WriteError> {
    write_with(&Latest { runs: runs.to_vec(), warnings: Vec::new() }, dir)
}

/// Writes the report with the warnings about unreadable runs, as [`write()`] does.
///
/// # Errors
/// As [`write()`].
pub fn write_with(latest: &Latest, dir: &Path) -> Result<PathBuf, WriteError> {
    let report = Report::of(&latest.runs, &latest.warnings);
    let figures = dir.join("figures");
    fs::create_dir_all(&figures).map_err(|source| WriteError::Io { path: figures.clone(), source })?;
    for figure in report.figures() {
        put(&figures.join(format!("{}.svg", figure.id)), &svg(figure, StyleSheet::Own))?;
    }
    let summary = json::summary(&latest.runs, report.notices.clone());
    let summary = serde_json::to_string_pretty(&summary).map_err(serialization_error)?;
    put(&dir.join("summary.json"), &(summary + "\n"))?;
    let page = dir.join("index.html");
    let history = dir.join(history::PAGE).is_file().then_some(history::PAGE);
    put(&page, &html::page(&report, &links(&latest.runs, dir), history)?)?;
    Ok(page)
}

fn serialization_error(e: serde_json::Error) -> minijinja::Error {
    minijinja::Error::new(minijinja::ErrorKind::BadSerialization, e.to_string())
}

pub(super) fn put(path: &Path, text: &str) -> Result<(), WriteError> {
    replace(path, text.as_bytes()).map_err(|source| WriteError::Io { path: path.to_owned(), source })
}

/// Each run's folder, relative to the page.
fn links(runs: &[StoredRun], dir: &Path) -> BTreeMap<String, String> {
    let Ok(page_dir) = fs::canonicalize(dir) else { return BTreeMap::new() };
    let link = |run: &StoredRun| {
        let run_dir = fs::canonicalize(&run.dir).ok()?;
        Some((run.file.run.to_string(), html::relative(&page_dir, &run_dir)?))
    };
    runs.iter().filter_map(link).collect()
}
