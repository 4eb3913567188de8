//! The harness's launchers: starting them, sharing them among threads, and sending requests.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::launcher;
use super::message::{LauncherRequest, Reply, channel, receive, send};
use crate::host::clock::{Clock, HostClock};
use crate::host::ledger::Resource;
use crate::model::event::Event;
use crate::model::run::RUN_VARIABLE;
use crate::platform::process::handle::{Process, ProcessError, pid};
use crate::platform::process::host_error::{During, HostError};
use crate::platform::process::watch::{Patience, Watch};
use crate::platform::{self, Context, Exit};

/// The maximum number of launchers. Beyond it, launches wait for the kernel's own locks on mounts and control groups.
const MAX_LAUNCHERS: usize = 16;

/// How long a launcher may take for one request before it counts as stuck.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// How long a launcher may take to end after its socket is closed.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// The launchers of one platform, each started when it is first needed.
#[derive(Debug)]
pub(super) struct Pool {
    context: Context,
    launchers: Vec<Mutex<Option<Launcher>>>,
    next: AtomicUsize,
}

/// One launcher process and its socket.
#[derive(Debug)]
struct Launcher {
    child: Child,
    socket: OwnedFd,
}

/// The launcher that created a container. Only it, the parent, can reap the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LauncherId(usize);

/// The files of a container to launch.
#[derive(Debug)]
pub(super) struct LaunchFiles<'a> {
    /// The folder of the container's `config.json`.
    pub(super) bundle: PathBuf,
    /// The folder of all containers' states.
    pub(super) states: PathBuf,
    /// The writing end of the guest's output.
    pub(super) output: BorrowedFd<'a>,
}

/// Why a request to a launcher failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LauncherError {
    /// The launcher reported that the request failed.
    #[error("{reason}")]
    Reported { reason: String },
    /// The harness cannot watch the container, so the launcher removed it.
    #[error("failed to watch the container's process: {0}")]
    Unwatchable(ProcessError),
    /// The launcher did not start, or its socket failed.
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("the launcher ended")]
    Ended,
    #[error("the launcher did not answer within {0:?}")]
    Timeout(Duration),
    #[error("the launcher sent an unexpected reply: {0:?}")]
    UnexpectedReply(Reply),
    /// The wait for the answer failed.
    #[error(transparent)]
    Wait(#[from] platform::Error),
}

impl LauncherError {
    /// Whether the launcher and its other containers are unaffected.
    fn leaves_launcher_intact(&self) -> bool {
        matches!(self, LauncherError::Reported { .. } | LauncherError::Unwatchable(_))
    }
}

impl Pool {
    /// A pool with one launcher per CPU that this process may use.
    pub(super) fn new(context: &Context) -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_LAUNCHERS);
        let launchers = (0..count).map(|_| Mutex::new(None)).collect();
        Self { context: context.clone(), launchers, next: AtomicUsize::new(0) }
    }

    /// Its maximum number of launchers.
    pub(super) fn size(&self) -> usize {
        self.launchers.len()
    }

    /// Starts the launchers that do not run.
    pub(super) fn start_all(&self) -> Result<(), LauncherError> {
        for index in 0..self.size() {
            self.ensure_running(&mut self.lock(index))?;
        }
        Ok(())
    }

    /// Creates and starts a container. Stamps `spawn`, follows the container's process with `watch`, and reads the
    /// guest's output meanwhile.
    pub(super) fn launch(&self, watch: &mut Watch, files: LaunchFiles<'_>) -> Result<LauncherId, LauncherError> {
        let (index, mut slot) = self.take_idle();
        let launcher = self.ensure_running(&mut slot)?;
        let LaunchFiles { bundle, states, output } = files;
        let request = LauncherRequest::Launch { name: watch.name().to_owned(), bundle, states };
        watch.stamp(Event::Spawn);
        let launched = launcher.send(&request, Some(output)).and_then(|()| launcher.await_start(watch));
        self.retire_if_lost(&mut slot, &launched);
        launched.map(|()| LauncherId(index))
    }

    /// Removes a container whose process has ended, and returns its exit status.
    pub(super) fn remove(&self, creator: LauncherId, watch: &mut Watch) -> Result<Exit, LauncherError> {
        let mut slot = self.lock(creator.0);
        let launcher = slot.as_mut().ok_or(LauncherError::Ended)?;
        let removed = launcher.remove(watch);
        self.retire_if_lost(&mut slot, &removed);
        removed
    }

    /// Locks an idle launcher, or waits for the next one in turn.
    fn take_idle(&self) -> (usize, MutexGuard<'_, Option<Launcher>>) {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.size();
        for step in 0..self.size() {
            let index = (first + step) % self.size();
            if let Ok(slot) = self.launchers[index].try_lock() {
                return (index, slot);
            }
        }
        (first, self.lock(first))
    }

    fn lock(&self, index: usize) -> MutexGuard<'_, Option<Launcher>> {
        self.launchers[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a launcher in `slot` unless one runs. Replaces one that was killed from outside; its containers live on
    /// without a parent.
    fn ensure_running<'a>(&self, slot: &'a mut Option<Launcher>) -> Result<&'a mut Launcher, LauncherError> {
        if let Some(launcher) = slot
            && !matches!(launcher.child.try_wait(), Ok(None))
        {
            *slot = None;
        }
        match slot {
            Some(launcher) => Ok(launcher),
            None => Ok(slot.insert(Launcher::start(&self.context)?)),
        }
    }

    /// Kills a launcher that disconnected or stopped answering. The next launch starts another.
    fn retire_if_lost<T>(&self, slot: &mut Option<Launcher>, outcome: &Result<T, LauncherError>) {
        if outcome.as_ref().is_err_and(|e| !e.leaves_launcher_intact())
            && let Some(mut launcher) = slot.take()
        {
            let _ = launcher.child.kill();
            let _ = launcher.child.wait();
        }
    }
}

impl Launcher {
    fn start(context: &Context) -> Result<Self, HostError> {
        let (ours, theirs) = channel().during("create the socket of a launcher")?;
        let recorded = context.ledger.record(&Resource::Process { name: launcher::NAME.to_owned() });
        recorded.during("record a launcher in the ledger")?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0(launcher::NAME).current_dir("/");
        command.env_clear().env(RUN_VARIABLE, context.ledger.run().as_str());
        command.stdin(theirs).stdout(Stdio::null());
        // SAFETY: setsid is async-signal-safe. Its own session protects it from the terminal's Ctrl-C.
        unsafe { command.pre_exec(|| Ok(rustix::process::setsid().map(drop)?)) };
        let child = command.spawn().during("start a launcher")?;
        Ok(Self { child, socket: ours })
    }

    fn send(&self, request: &LauncherRequest, file: Option<BorrowedFd<'_>>) -> Result<(), LauncherError> {
        Ok(send(self.socket.as_fd(), request, file).during("send a request to the launcher")?)
    }

    /// Waits until the container runs.
    fn await_start(&mut self, watch: &mut Watch) -> Result<(), LauncherError> {
        let mut followed = Ok(());
        loop {
            match self.await_reply(watch)? {
                Reply::Created { pid } => followed = follow(watch, pid),
                Reply::Started { at } => {
                    watch.stamp_at(Event::Guest, at);
                    return match followed {
                        Ok(()) => Ok(()),
                        Err(e) => Err(self.remove_unwatchable(watch, e)),
                    };
                }
                other => return Err(unexpected(other)),
            }
        }
    }

    /// Removes a container that was killed because it cannot be watched.
    fn remove_unwatchable(&mut self, watch: &mut Watch, why: ProcessError) -> LauncherError {
        let request = LauncherRequest::Remove { name: watch.name().to_owned() };
        match self.send(&request, None).and_then(|()| self.await_reply(watch)) {
            Ok(_) => LauncherError::Unwatchable(why),
            Err(e) => e,
        }
    }

    fn remove(&mut self, watch: &mut Watch) -> Result<Exit, LauncherError> {
        self.send(&LauncherRequest::Remove { name: watch.name().to_owned() }, None)?;
        match self.await_reply(watch)? {
            Reply::Removed { exit } => Ok(exit),
            other => Err(unexpected(other)),
        }
    }

    /// Waits for a reply and stamps the guest's output meanwhile.
    fn await_reply(&mut self, watch: &mut Watch) -> Result<Reply, LauncherError> {
        let deadline = HostClock.now() + ANSWER_PATIENCE.into();
        loop {
            // Not interruptible: the next request would receive this reply.
            if watch.pump(Some(self.socket.as_fd()), deadline, Patience::Cleanup)? {
                let message = receive(self.socket.as_fd()).during("receive a reply of the launcher")?;
                return message.map(|(reply, _)| reply).ok_or(LauncherError::Ended);
            }
            if HostClock.now() >= deadline {
                return Err(LauncherError::Timeout(ANSWER_PATIENCE));
            }
        }
    }

    /// Closes the socket, which makes the launcher end, and waits for its exit.
    fn end(self) {
        let Self { mut child, socket } = self;
        drop(socket);
        let give_up = Instant::now() + END_PATIENCE;
        while let Ok(None) = child.try_wait() {
            if Instant::now() > give_up {
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for slot in &mut self.launchers {
            if let Some(launcher) = slot.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
                launcher.end();
            }
        }
    }
}

/// Makes `watch` follow the process `raw`, which its launcher does not reap yet. Kills the process if that fails.
fn follow(watch: &mut Watch, raw: i32) -> Result<(), ProcessError> {
    match Process::open(raw) {
        Ok(process) => {
            watch.follow(process);
            Ok(())
        }
        Err(e) => {
            if let Ok(process) = pid(raw) {
                let _ = kill_process(process, Signal::KILL);
            }
            Err(e)
        }
    }
}

/// Removes a container's bundle and state.
pub(super) fn remove_dirs(dirs: &[&Path]) -> Result<(), HostError> {
    for dir in dirs {
        match std::fs::remove_dir_all(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            outcome => outcome.during_with(|| format!("remove {}", dir.display()))?,
        }
    }
    Ok(())
}

fn unexpected(reply: Reply) -> LauncherError {
    match reply {
        Reply::Failed { reason } => LauncherError::Reported { reason },
        other => LauncherError::UnexpectedReply(other),
    }
}
