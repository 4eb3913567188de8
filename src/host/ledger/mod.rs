//! The ledger: every resource is written down before it is made, so that whatever a crash leaves can be found.
//!
//! Invariant: nothing on the host is removed by Featherweight unless it stands in a ledger and carries the run's id.
//! A run's ledger is a folder under the state folder: `ledger.jsonl` (one [`Resource`] a line), `lock` (held while the
//! run lives, so that `clean` leaves it alone) and whatever the run keeps there, such as bundles.

mod reap;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

pub use reap::{EngineReaper, Leftovers, RunState, list, reap, resources};

use crate::host::limits::Change;
use crate::model::run::RunId;

/// Something a run makes on the host. The order in a ledger is the order of making; reaping goes backwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Resource {
    /// A process that carries the run's id in its environment.
    Process {
        /// The instance or helper it is for.
        name: String,
    },
    /// A cgroup directory: absolute, with the run's name in its path.
    Cgroup {
        /// The directory.
        path: PathBuf,
    },
    /// A kernel setting that the run changes, with its old value; put back unless somebody else has changed it since.
    Setting(Change),
    /// A directory with the run's name in its path.
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
    /// An image of an engine, with the run's name before its own.
    Image {
        /// The engine's address.
        engine: String,
        /// The image's reference, `fw-<run>/…`.
        name: String,
    },
}

impl Resource {
    /// The address of the container engine that holds the resource; `None` for what the kernel holds.
    pub fn engine(&self) -> Option<&str> {
        match self {
            Resource::Container { engine, .. } | Resource::Network { engine, .. } | Resource::Image { engine, .. } => {
                Some(engine)
            }
            _ => None,
        }
    }
}

/// The label by which containers and networks tell their run.
pub const CONTAINER_LABEL: &str = "featherweight.run";

/// The ledger of a living run.
#[derive(Debug)]
pub struct Ledger {
    run: RunId,
    dir: PathBuf,
    file: Mutex<File>,
    /// How many seconds after the run began this session of it did.
    session: u64,
    next_instance: AtomicU64,
    reap_engines: EngineReaper,
    _lock: File,
}

impl Ledger {
    /// Opens the ledger of a new run, or of one that is resumed after its leftovers were reaped. `reap_engines` removes
    /// what was made through container engines, which this module cannot talk to.
    ///
    /// # Errors
    /// When the folder cannot be written, or another process holds the run.
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

    /// The run's own folder, for bundles, sockets and container states. Removed with the ledger.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A name for a new instance, unique in the run: `fw-<run>-17`, and `fw-<run>-95-17` in a session that resumed it 95
    /// seconds after it began. An engine may still speak of an instance of a session that was killed.
    pub fn instance_name(&self) -> String {
        let (run, number) = (self.run.name(), self.next_instance.fetch_add(1, Ordering::Relaxed));
        match self.session {
            0 => format!("{run}-{number}"),
            session => format!("{run}-{session}-{number}"),
        }
    }

    /// Writes `resource` down. Call it before the resource is made.
    ///
    /// A crash of the harness loses nothing that was written; a crash of the machine loses the resources too, so
    /// nothing is synced.
    ///
    /// # Errors
    /// When the line cannot be written: then the resource must not be made.
    pub fn record(&self, resource: &Resource) -> io::Result<()> {
        let mut line = serde_json::to_vec(resource)?;
        line.push(b'\n');
        self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write_all(&line)
    }

    /// Ends the run: removes what is left of it and the ledger itself.
    ///
    /// # Errors
    /// Tells what could not be removed; the ledger then stays for `cargo xtask clean`.
    pub fn close(&self) -> io::Result<Leftovers> {
        reap::sweep(&self.dir, &self.run, self.reap_engines)
    }
}

/// Takes the lock of the run in `dir`, as its harness or to reap it; released when the file is closed.
///
/// # Errors
/// [`io::ErrorKind::ResourceBusy`] when somebody else holds it, or swept the folder in this very moment.
pub(crate) fn hold(dir: &Path, run: &RunId) -> io::Result<File> {
    let busy = || io::Error::new(io::ErrorKind::ResourceBusy, format!("run {run} is still in progress"));
    let path = dir.join(LOCK);
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
    lock.try_lock().map_err(|e| match e {
        TryLockError::WouldBlock => busy(),
        TryLockError::Error(e) => e,
    })?;
    // Between the opening and the locking, a reaper may have taken the folder away: then this lock holds nothing.
    let held = lock.metadata()?;
    let there = fs::metadata(&path).map_err(|_| busy())?;
    if (held.dev(), held.ino()) != (there.dev(), there.ino()) {
        return Err(busy());
    }
    Ok(lock)
}

pub(crate) const LINES: &str = "ledger.jsonl";
pub(crate) const LOCK: &str = "lock";
