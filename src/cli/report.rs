//! `cargo xtask report`: writes the page over the latest run of every experiment, or over one run.

use crate::host::folders::Folders;
use crate::report::{Latest, write_with};

use crate::cli::{history, stored};

/// Write the report over stored runs and print the path of its page
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo xtask report                        one page over the latest run of every experiment\n  \
        cargo xtask report last                   the page of the latest run, in its own folder\n  \
        cargo xtask report 20261121-084514-3f9a-boot")]
pub struct Report {
    /// A run's id, its folder, or `last`; without it, the latest run of every experiment
    run: Option<String>,
}

impl Report {
    /// Writes the report.
    ///
    /// # Errors
    /// When the run cannot be read or the report cannot be written.
    /// Runs the command.
    ///
    /// # Errors
    /// Fails with a message for the user; [`crate::cli::exit::of`] gives its exit code.
    pub fn run(self) -> anyhow::Result<()> {
        let folders = Folders::from_env();
        let (runs, dir) = match &self.run {
            None => {
                let latest = stored::latest(&folders.runs())?;
                history::page_if_any()?;
                (latest, folders.report())
            }
            Some(name) => {
                let run = stored::named(&folders.runs(), name)?;
                let dir = run.dir.join("report");
                (Latest { runs: vec![run], warnings: Vec::new() }, dir)
            }
        };
        println!("{}", write_with(&runs, &dir)?.display());
        Ok(())
    }
}
