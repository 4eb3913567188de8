//! Why a run, or an arm of a comparison, cannot begin.

use std::io;
use std::path::PathBuf;

use crate::host::HostError;
use crate::host::placement::PinError;
use crate::measure::session::ResumeError;
use crate::model::exit::Exit;
use crate::model::platform::PlatformId;
use crate::model::program::Program;
use crate::model::run::RunId;
use crate::platform;
use crate::platform::arm::GuestsError;
use crate::store::Skip;

/// Why a run cannot begin, or ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run that `--resume` names cannot be continued.
    #[error("--resume: {0}")]
    Resume(#[from] ResumeError),
    /// Another harness runs it at the moment.
    #[error("run {0} is still in progress; wait until it ends, or stop it with Ctrl-C")]
    InProgress(RunId),
    /// A folder cannot be written or read.
    #[error("failed to {action} {path}: {source}")]
    Folder {
        /// The attempted action, as a verb with its object: `write the run's folder`.
        action: &'static str,
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The CPUs that this process may use cannot be read.
    #[error("failed to read the usable CPUs: {0}")]
    ReadUsableCpus(io::Error),
    /// The topology of this host cannot be read.
    #[error("failed to read the host's CPUs: {0}")]
    ReadTopology(#[from] HostError),
    /// The harness cannot leave the CPUs that measure.
    #[error("failed to pin the harness: {0}")]
    PinHarness(#[from] PinError),
    /// A guest that the experiment needs cannot be built.
    #[error("failed to build the guests: {0}")]
    BuildGuests(#[from] GuestsError),
    /// A platform cannot go on, or the user stopped the preparation.
    #[error("failed to prepare guest {program} for {platform}: {source}")]
    PrepareGuest {
        /// The platform.
        platform: PlatformId,
        /// The guest program.
        program: Program,
        /// The platform's reason.
        source: Box<platform::Error>,
    },
    /// No trial can run on this host.
    #[error("nothing can run here:\n{}", reasons(.0))]
    NothingToRun(Vec<Skip>),
    /// The filter leaves no trial.
    #[error("no case's name contains `{0}`; --list prints the names")]
    FilteredOut(String),
}

impl RunError {
    /// The exit code for it.
    pub fn exit(&self) -> Exit {
        match self {
            RunError::Resume(_) | RunError::InProgress(_) | RunError::FilteredOut(_) => Exit::BadInput,
            RunError::NothingToRun(_) => Exit::NothingRan,
            RunError::Folder { .. }
            | RunError::ReadUsableCpus(_)
            | RunError::ReadTopology(_)
            | RunError::PinHarness(_)
            | RunError::BuildGuests(_)
            | RunError::PrepareGuest { .. } => Exit::Failure,
        }
    }
}

fn reasons(skips: &[Skip]) -> String {
    skips.iter().map(|skip| format!("  {skip}")).collect::<Vec<_>>().join("\n")
}
