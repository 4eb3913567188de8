//! The ledger: a list of everything that a run makes on the host, written before it is made.
//!
//! After a crash, `cargo xtask clean` finds in it what is left. Invariant: Featherweight removes nothing from the host
//! unless a ledger lists it and its name contains the run's id. A run's ledger is a folder in the state folder. It holds
//! `ledger.jsonl` (one [`Resource`] per line), `lock` (held while the run lives, so that `clean` skips it) and files of
//! the run, such as bundles.

mod error;
mod leftovers;
mod reap;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

pub use error::LedgerError;
pub use leftovers::Leftovers;
pub use reap::{EngineReaper, RunState, list, reap, resources};

use crate::host::limits::Change;
use crate::model::run::RunId;

/// Something that a run makes on the host. A ledger lists resources in the order of creation and removes them in reverse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Resource {
    /// A process that carries the run's id in its environment.
    Process {
        /// The instance or helper it is for.
        name: String,
    },
    /// A cgroup directory, as an absolute path that contains the run's name.
    Cgroup {
        /// The directory.
        path: PathBuf,
    },
    /// A kernel setting that the run changes. The old value is restored unless another process has changed it since.
    Setting(Change),
    /// A directory, as an absolute path that contains the run's name.
    Dir {
        /// The directory.
        path: PathBuf,
    },
    /// A container of an engine, with the run's name and label.
    Container {
        /// The engine's address.
        engine: String,
        /// The container's name.
        name: String,
    },
    /// A network of an engine, with the run's name and label.
    Network {
        /// The engine's address.
        engine: String,
        /// The network's name.
        name: String,
    },
    /// An image of an engine, prefixed with the run's name.
    Image {
        /// The engine's address.
        engine: String,
        /// The image's reference, `fw-<run>/…`.
        name: String,
    },
}

impl Resource {
    /// The address of the resource's container engine; `None` for a resource of the kernel.
    pub fn engine(&self) -> Option<&str> {
        match self {
            Resource::Container { engine, .. } | Resource::Network { engine, .. } | Resource::Image { engine, .. } => {
                Some(engine)
            }
            _ => None,
        }
    }
}

/// The label of containers and networks that names their run.
pub const CONTAINER_LABEL: &str = "featherweight.run";

/// The ledger of a living run.
#[derive(Debug)]
pub struct Ledger {
    run: RunId,
    dir: PathBuf,
    file: Mutex<File>,
    /// The seconds from the start of the run to the start of this session.
    session: u64,
    next_instance: AtomicU64,
    reap_engines: EngineReaper,
    _lock: File,
}

impl Ledger {
    /// Opens the ledger of a new run, or of a resumed one whose leftovers are already reaped. `reap_engines` removes what
    /// the run made through container engines, to which this module has no connection.
    ///
    /// # Errors
    /// When the folder cannot be written, or another process has the run's lock.
    pub fn open(state: &Path, run: &RunId, reap_engines: EngineReaper) -> io::Result<Self> {
        let dir = state.join(run.name());
        fs::create_dir_all(&dir)?;
        let lock = hold(&dir, run)?;
        let file = OpenOptions::new().create(true).append(true).open(dir.join(LINES))?;
        let session = run.age().as_secs();
        Ok(Self {
            run: run.clone(),
            dir,
            file: Mutex::new(file),
            session,
            next_instance: AtomicU64::new(0),
            reap_engines,
            _lock: lock,
        })
    }

    /// The run it belongs to.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The folder for the run's bundles, sockets and container states. Removed with the ledger.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A name for a new instance, unique in the run: `fw-<run>-17`, or `fw-<run>-95-17` in a session that resumed the run
    /// 95 seconds after its start. Names differ between sessions because an engine may still report an instance of a
    /// session that was killed.
    pub fn instance_name(&self) -> String {
        let (run, number) = (self.run.name(), self.next_instance.fetch_add(1, Ordering::Relaxed));
        match self.session {
            0 => format!("{run}-{number}"),
            session => format!("{run}-{session}-{number}"),
        }
    }

    /// Adds `resource` to the ledger. Call it before you make the resource.
    ///
    /// The line is not synced to disk: it survives a crash of the harness, and a crash of the machine also removes the
    /// resource.
    ///
    /// # Errors
    /// When the line cannot be written; do not make the resource then.
    pub fn record(&self, resource: &Resource) -> io::Result<()> {
        let mut line = serde_json::to_vec(resource)?;
        line.push(b'\n');
        self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write_all(&line)
    }

    /// Ends the run: removes everything that is left of it, then the ledger.
    ///
    /// # Errors
    /// Names what could not be removed. The ledger then remains for `cargo xtask clean`.
    pub fn close(&self) -> io::Result<Leftovers> {
        reap::sweep(&self.dir, &self.run, self.reap_engines)
    }
}

/// Locks the run in `dir`, either to execute or to reap it. Closing the file releases the lock.
///
/// # Errors
/// [`io::ErrorKind::ResourceBusy`] when another process has the lock or has just removed the folder.
pub(crate) fn hold(dir: &Path, run: &RunId) -> io::Result<File> {
    let busy = || io::Error::from(LedgerError::InProgress(run.clone()));
    let path = dir.join(LOCK);
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
    lock.try_lock().map_err(|e| match e {
        TryLockError::WouldBlock => busy(),
        TryLockError::Error(e) => e,
    })?;
    // A reaper may have removed the folder after the file was opened; the lock is then one of a deleted file.
    let locked = lock.metadata()?;
    let current = fs::metadata(&path).map_err(|_| busy())?;
    if (locked.dev(), locked.ino()) != (current.dev(), current.ino()) {
        return Err(busy());
    }
    Ok(lock)
}

pub(crate) const LINES: &str = "ledger.jsonl";
pub(crate) const LOCK: &str = "lock";
