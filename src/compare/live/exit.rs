//! From a session's comparison to the exit code that a CI gate reads.

use super::{SessionFile, Summary};
use crate::model::exit::Exit;
use crate::store::RunOutcome;

impl SessionFile {
    /// The exit code of the comparison; [`Exit::Fine`] where nothing is judged.
    ///
    /// An arm that fails has not become slower, but it must not count as one that works.
    pub fn answer(&self) -> Exit {
        match &self.comparison {
            Some(summary) if summary.has_regressed() => Exit::Regression,
            Some(summary) if !summary.failures().is_empty() => Exit::Failure,
            Some(summary) if summary.is_skipped() => Exit::NothingRan,
            _ => Exit::Fine,
        }
    }
}

impl Summary {
    /// The exit code of the session. A confirmed regression takes precedence over all failures.
    pub fn exit(&self) -> Exit {
        let answer = self.file.answer();
        let is_clean = self.problems.is_empty() && self.leftovers.is_empty();
        match self.file.outcome {
            RunOutcome::Interrupted => Exit::Interrupted,
            _ if answer == Exit::Regression => answer,
            RunOutcome::Complete if is_clean => answer,
            _ if is_clean && self.is_out_of_time => answer,
            _ => Exit::Failure,
        }
    }
}
