//! Results on disk: one folder per run, and one line per trial, which is appended and synced when the trial ends.

mod reader;
mod run_file;
mod summary_reader;
#[cfg(test)]
pub(crate) mod testing;
mod writer;

pub(crate) use reader::{Location, each_trial};
pub use reader::{ReadError, StoredRun, list_runs, read_run, read_run_file, run_folder};
pub use run_file::{NoiseGuard, PlatformEntry, RunFile, RunOutcome, Skip, own_runs};
pub use summary_reader::{CaseValues, MetricValues, RunValues, read_values};
pub use writer::{RUN_FILE, TRIALS_FILE, Writer, replace};
