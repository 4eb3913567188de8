//! `cargo xtask export`: stored trials in a format that other programs read.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use featherweight::report::{csv, find, latest};
use featherweight::run::Folders;
use featherweight::store::{StoredRun, replace};

/// Export stored trials.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// A run's id, its folder, or `last`; without it, the latest run of every experiment.
    run: Option<String>,
    /// The format.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// The file to write; without it, standard output.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One row a trial, every dimension a column (RFC 4180).
    Csv,
}

impl Export {
    /// Writes the export.
    ///
    /// # Errors
    /// When there is no run, or the file cannot be written.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let runs = self.runs()?;
        let text = match self.format {
            Format::Csv => csv(&runs),
        };
        match &self.output {
            Some(path) => replace(path, text.as_bytes()).with_context(|| format!("write {}", path.display())),
            None => io::stdout().write_all(text.as_bytes()).context("write to standard output"),
        }
    }

    fn runs(&self) -> anyhow::Result<Vec<StoredRun>> {
        let folder = Folders::from_env().runs();
        if let Some(name) = &self.run {
            return Ok(vec![find(&folder, name)?]);
        }
        let latest = latest(&folder);
        latest.warnings.iter().for_each(|warning| eprintln!("not read: {warning}"));
        ensure!(!latest.runs.is_empty(), "{} holds no run; `cargo bench` makes them", folder.display());
        Ok(latest.runs)
    }
}
