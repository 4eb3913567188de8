//! `cargo xtask report`: writes the page over the latest run of every experiment, or over one run.

use featherweight::report::{Latest, find, latest, write_with};
use featherweight::run::Folders;

/// Write the report and print where it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// A run's id, its folder, or `last`; without it, the latest run of every experiment.
    run: Option<String>,
}

impl Report {
    /// Writes the report.
    ///
    /// # Errors
    /// When the run cannot be read or the report cannot be written.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let folders = Folders::from_env();
        let (runs, dir) = match &self.run {
            None => (latest(&folders.runs()), folders.report()),
            Some(name) => {
                let run = find(&folders.runs(), name)?;
                let dir = run.dir.join("report");
                (Latest { runs: vec![run], warnings: Vec::new() }, dir)
            }
        };
        println!("{}", write_with(&runs, &dir)?.display());
        Ok(())
    }
}
