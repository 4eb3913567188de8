//! `cargo xtask report`: writes the report of one run, or of the latest run of every experiment.

use crate::host::folders::Folders;
use crate::report::{Latest, write_with};

use crate::cli::{history, stored};

/// Write the report of stored runs and print its path
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo xtask report                            Report the latest run of every experiment\n  \
        cargo xtask report last                       Report the latest run, in its own folder\n  \
        cargo xtask report 20261121-084514-3f9a-boot  Report one run\n\n\
        Exit codes:\n  \
        0  success\n  \
        2  invalid input\n  \
        3  no runs\n  \
        4  failure")]
pub struct Report {
    /// Run to report: its id, its folder, or `last` [default: the latest run of every experiment]
    run: Option<String>,
}

impl Report {
    /// Writes the report.
    ///
    /// # Errors
    /// When a run cannot be read or the report cannot be written.
    pub fn run(self) -> anyhow::Result<()> {
        let folders = Folders::from_env();
        let (runs, dir) = match &self.run {
            None => {
                let latest = stored::latest(&folders.runs())?;
                history::write_page_if_any()?;
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
