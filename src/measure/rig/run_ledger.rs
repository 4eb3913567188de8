//! The ledger of a run, held until it is closed.

use std::io;
use std::sync::Arc;

use crate::host::folders::Folders;
use crate::host::ledger::{self, Ledger, Leftovers, RunState};
use crate::measure::RunError;
use crate::model::run::RunId;
use crate::platform::reap_engines;

/// An open ledger: nobody else can run the same id meanwhile. Dropping it sweeps and removes the ledger.
#[derive(Debug)]
pub(crate) struct RunLedger {
    ledger: Arc<Ledger>,
    is_closed: bool,
}

impl RunLedger {
    /// Opens the ledger of `run`, after removing what a crash of the same run left.
    ///
    /// # Errors
    /// When another harness holds the run, or the state folder cannot be written.
    pub(crate) fn open(folders: &Folders, run: &RunId) -> Result<Self, RunError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::ResourceBusy => RunError::InProgress(run.clone()),
            _ => RunError::Folder { action: "open the ledger in", path: folders.state.clone(), source },
        };
        if ledger::list(&folders.state).map_err(failed)?.contains(&(run.clone(), RunState::Dead)) {
            ledger::reap(&folders.state, run, reap_engines).map_err(failed)?;
        }
        let ledger = Ledger::open(&folders.state, run, reap_engines).map_err(failed)?;
        Ok(Self { ledger: Arc::new(ledger), is_closed: false })
    }

    /// Opens a ledger for a new run. Runs that begin in the same moment get different ids.
    ///
    /// # Errors
    /// As [`RunLedger::open`].
    pub(crate) fn for_new_run(folders: &Folders) -> Result<Self, RunError> {
        loop {
            let run = RunId::generate();
            if !folders.state.join(run.name()).exists() {
                return Self::open(folders, &run);
            }
        }
    }

    pub(crate) fn get(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Sweeps and removes the ledger; returns what the sweep found alive.
    pub(crate) fn close(mut self, problems: &mut Vec<String>) -> Leftovers {
        self.is_closed = true;
        self.ledger.close().unwrap_or_else(|e| {
            problems.push(e.to_string());
            Leftovers::default()
        })
    }
}

impl Drop for RunLedger {
    fn drop(&mut self) {
        if !self.is_closed {
            // `cargo xtask clean` finds a ledger that cannot be removed now.
            drop(self.ledger.close());
        }
    }
}
