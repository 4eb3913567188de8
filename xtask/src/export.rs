//! `cargo xtask export`: stored trials in a format that other programs read.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use featherweight::report::csv;
use featherweight::run::Folders;
use featherweight::store::{StoredRun, replace};

use crate::exit::BadInput;
use crate::stored;

/// Print or write stored trials in a format that other programs read
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo xtask export > trials.csv           the latest run of every experiment\n  \
        cargo xtask export last --output boot.csv")]
pub(crate) struct Export {
    /// A run's id, its folder, or `last`; without it, the latest run of every experiment
    run: Option<String>,
    /// The format
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// The file to write; without it, standard output
    #[arg(long)]
    output: Option<PathBuf>,
}

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One row a trial, every dimension a column (RFC 4180)
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
            Some(path) => Ok(replace(path, text.as_bytes()).map_err(|e| unwritable(path, &e))?),
            None => io::stdout().write_all(text.as_bytes()).context("write to standard output"),
        }
    }

    fn runs(&self) -> anyhow::Result<Vec<StoredRun>> {
        let folder = Folders::from_env().runs();
        match &self.run {
            Some(name) => Ok(vec![stored::named(&folder, name)?]),
            None => Ok(stored::latest(&folder)?.runs),
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> BadInput {
    BadInput(format!("--output {}: cannot be written ({error}); name a file in a folder that can", path.display()))
}
