//! `cargo xtask nightly`: the measurements of the main branch every night, as `.github/workflows/bench.yml` calls it.
//!
//! `history` measures and needs no right to write. `publish` writes and measures nothing. Between them a folder holds the
//! files of the history and, when a level has changed, `alert.md` for readers and `alert.key`, which stays the same
//! as long as the same levels have changed.

mod alert;
mod git;
mod history;
mod publish;

use std::path::PathBuf;

use super::annotate_bad_input;
use super::inputs::is_true;
use super::runner::Runner;
use crate::model::exit::Exit;

/// The text of an alert, within the folder of the history.
const ALERT_TEXT: &str = "alert.md";

/// The levels that have changed, one per line.
const ALERT_KEY: &str = "alert.key";

/// Keep the history of the main branch in continuous integration, and open an issue when a level changes
#[derive(Debug, clap::Args)]
#[command(after_help = "The token is read from GATE_TOKEN only: every process can read command lines.\n\n\
        Examples:\n  \
        cargo xtask nightly history sessions history     add the sessions below sessions/ to the history\n  \
        cargo xtask nightly publish history              push the history to its branch")]
pub struct Nightly {
    #[command(subcommand)]
    step: Step,
}

/// A job of the workflow.
#[derive(Debug, clap::Subcommand)]
enum Step {
    /// Add sessions to the history, and measure again what has changed
    History(History),
    /// Push the history to its branch, and create or update the issue about changes
    Publish {
        /// Folder of the history
        folder: PathBuf,
    },
}

/// Options of `history`.
#[derive(Debug, clap::Args)]
struct History {
    /// Folder with the sessions of the night, at any depth
    sessions: PathBuf,
    /// Folder that receives the history
    folder: PathBuf,
    /// Whether to measure as root: true, false [default: true]
    #[arg(long, value_name = "BOOL", env = "GATE_ROOT", hide_env_values = true)]
    root: Option<String>,
}

impl Nightly {
    /// Runs one job.
    ///
    /// # Errors
    /// When a program fails, GitHub refuses, or a file cannot be read or written. A night without sessions becomes an
    /// annotation and [`Exit::BadInput`].
    pub fn run(self) -> anyhow::Result<Exit> {
        let runner = Runner::from_env();
        annotate_bad_input(match self.step {
            Step::History(History { sessions, folder, root }) => {
                history::add(&sessions, &folder, is_true(&root), &runner).map(|()| Exit::Fine)
            }
            Step::Publish { folder } => publish::publish(&folder, &runner).map(|()| Exit::Fine),
        })
    }
}
