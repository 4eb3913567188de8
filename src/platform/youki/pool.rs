//! The harness's side of its launchers: starting them, sharing them among threads, talking to them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{PidfdFlags, Signal, kill_process, pidfd_open};

use super::launcher;
use super::message::{LauncherRequest, Reply, channel, receive, send};
use crate::host::clock::{Clock, HostClock};
use crate::host::ledger::Resource;
use crate::model::event::Event;
use crate::model::run::RUN_VARIABLE;
use crate::platform::process::watch::{Patience, Process, Watch, pid};
use crate::platform::{Context, Exit};

/// The most launchers: beyond, the kernel's own locks on mounts and control groups are what launches wait for.
const MOST: usize = 16;

/// How long a launcher may take for one request before it counts as stuck.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// How long a launcher may take to end when its socket is closed.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// The launchers of one platform, each started when it is first needed.
#[derive(Debug)]
pub(super) struct Pool {
    context: Context,
    launchers: Vec<Mutex<Option<Launcher>>>,
    next: AtomicUsize,
}

/// One launcher process and the socket to it.
#[derive(Debug)]
struct Launcher {
    child: Child,
    socket: OwnedFd,
}

/// Which launcher made a container: only its parent can reap it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LauncherId(usize);

/// A launch as a launcher sees it.
#[derive(Debug)]
pub(super) struct Order<'a> {
    /// The folder of the container's `config.json`.
    pub(super) bundle: PathBuf,
    /// The folder of all containers' states.
    pub(super) states: PathBuf,
    /// The writing end of the guest's output.
    pub(super) output: BorrowedFd<'a>,
}

impl Pool {
    /// A pool with one launcher a CPU that this process may use.
    pub(super) fn new(context: &Context) -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(MOST);
        let launchers = (0..count).map(|_| Mutex::new(None)).collect();
        Self { context: context.clone(), launchers, next: AtomicUsize::new(0) }
    }

    /// How many launchers it has at the most.
    pub(super) fn size(&self) -> usize {
        self.launchers.len()
    }

    /// Starts those launchers that do not run.
    pub(super) fn start_all(&self) -> io::Result<()> {
        (0..self.size()).try_for_each(|index| self.running(&mut self.lock(index)).map(drop))
    }

    /// Creates and starts a container: stamps `spawn`, then whatever `watch` sees meanwhile, and lets it follow the
    /// container's process.
    pub(super) fn launch(&self, watch: &mut Watch, order: Order<'_>) -> io::Result<LauncherId> {
        let (index, mut slot) = self.take_idle();
        let launcher = self.running(&mut slot)?;
        let Order { bundle, states, output } = order;
        let request = LauncherRequest::Launch { name: watch.name().to_owned(), bundle, states };
        watch.stamp(Event::Spawn);
        let launched = send(launcher.socket.as_fd(), &request, Some(output)).and_then(|()| launcher.await_start(watch));
        self.retire_if_lost(&mut slot, &launched);
        launched.map(|()| LauncherId(index))
    }

    /// Removes a container whose process has ended: how it ended.
    pub(super) fn remove(&self, maker: LauncherId, watch: &mut Watch) -> io::Result<Exit> {
        let mut slot = self.lock(maker.0);
        let launcher = slot.as_mut().ok_or_else(|| lost("ended before"))?;
        let request = LauncherRequest::Remove { name: watch.name().to_owned() };
        let removed =
            send(launcher.socket.as_fd(), &request, None).and_then(|()| match launcher.await_reply(watch)? {
                Reply::Removed { exit } => Ok(exit),
                other => Err(unexpected(other)),
            });
        self.retire_if_lost(&mut slot, &removed);
        removed
    }

    /// A launcher that nobody talks to, or the next one in turn.
    fn take_idle(&self) -> (usize, MutexGuard<'_, Option<Launcher>>) {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.size();
        let mut order = (0..self.size()).map(|step| (first + step) % self.size());
        let idle = order.find_map(|index| Some((index, self.launchers[index].try_lock().ok()?)));
        idle.unwrap_or_else(|| (first, self.lock(first)))
    }

    fn lock(&self, index: usize) -> MutexGuard<'_, Option<Launcher>> {
        self.launchers[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running<'a>(&self, slot: &'a mut Option<Launcher>) -> io::Result<&'a mut Launcher> {
        // One that was killed from outside is replaced; its containers live on without a parent.
        if slot.as_mut().is_none_or(|launcher| !matches!(launcher.child.try_wait(), Ok(None))) {
            *slot = Some(Launcher::start(&self.context)?);
        }
        slot.as_mut().ok_or_else(|| lost("did not start"))
    }

    /// Ends a launcher that broke off or stopped answering; the next launch starts another. An answered failure is
    /// of the container, not of the launcher.
    fn retire_if_lost<T>(&self, slot: &mut Option<Launcher>, outcome: &io::Result<T>) {
        if outcome.as_ref().is_err_and(|e| e.kind() != ANSWERED)
            && let Some(mut launcher) = slot.take()
        {
            let _ = launcher.child.kill();
            let _ = launcher.child.wait();
        }
    }
}

/// The kind of an error that a launcher reported and survived.
const ANSWERED: io::ErrorKind = io::ErrorKind::Other;

impl Launcher {
    fn start(context: &Context) -> io::Result<Self> {
        let (ours, theirs) = channel()?;
        context.ledger.record(&Resource::Process { name: launcher::NAME.to_owned() })?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0(launcher::NAME).current_dir("/");
        command.env_clear().env(RUN_VARIABLE, context.ledger.run().as_str());
        command.stdin(theirs).stdout(Stdio::null());
        // SAFETY: setsid is async-signal-safe. A session of its own keeps the terminal's Ctrl-C from it.
        unsafe { command.pre_exec(|| Ok(rustix::process::setsid().map(drop)?)) };
        let child = command.spawn()?;
        Ok(Self { child, socket: ours })
    }

    /// Waits until the container runs.
    fn await_start(&mut self, watch: &mut Watch) -> io::Result<()> {
        let mut missing_guests = None;
        loop {
            match self.await_reply(watch)? {
                Reply::Created { pid } => missing_guests = follow(watch, pid).err(),
                Reply::Started { at } => {
                    watch.stamp_at(Event::Guest, at);
                    return missing_guests.map_or(Ok(()), |e| self.give_up(watch, &e));
                }
                other => return Err(unexpected(other)),
            }
        }
    }

    /// Has a container removed that was killed, since it cannot be watched: the launcher and its other containers are
    /// all right.
    fn give_up(&mut self, watch: &mut Watch, why: &io::Error) -> io::Result<()> {
        send(self.socket.as_fd(), &LauncherRequest::Remove { name: watch.name().to_owned() }, None)?;
        self.await_reply(watch)?;
        Err(io::Error::new(ANSWERED, format!("watch its process: {why}")))
    }

    /// Waits for an answer and stamps meanwhile what the guest prints.
    fn await_reply(&mut self, watch: &mut Watch) -> io::Result<Reply> {
        let deadline = HostClock.now() + ANSWER_PATIENCE.into();
        loop {
            // Not to be interrupted: the answer would be taken for that to the next request.
            let ready = watch.pump(Some(self.socket.as_fd()), deadline, Patience::Cleanup);
            if ready.map_err(|e| lost(&e.to_string()))? {
                let (reply, _) = receive(self.socket.as_fd())?.ok_or_else(|| lost("ended"))?;
                return Ok(reply);
            }
            if HostClock.now() >= deadline {
                return Err(lost("does not answer"));
            }
        }
    }

    /// Closes the socket, upon which the launcher ends itself, and waits for that.
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

/// Lets `watch` follow the process `raw`, which its launcher does not reap yet; kills it if that cannot be.
fn follow(watch: &mut Watch, raw: i32) -> io::Result<()> {
    let process = pid(raw)?;
    match pidfd_open(process, PidfdFlags::empty()) {
        Ok(handle) => {
            watch.follow(Process::new(raw, handle));
            Ok(())
        }
        Err(e) => {
            let _ = kill_process(process, Signal::KILL);
            Err(e.into())
        }
    }
}

/// Removes what a container's runtime keeps on disk and what the harness wrote for it.
pub(super) fn remove_dirs(dirs: &[&Path]) -> io::Result<()> {
    for dir in dirs {
        match std::fs::remove_dir_all(dir) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(io::Error::new(e.kind(), format!("remove {}: {e}", dir.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

fn lost(how: &str) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, format!("its launcher {how}"))
}

fn unexpected(reply: Reply) -> io::Error {
    match reply {
        Reply::Failed { reason } => io::Error::new(ANSWERED, reason),
        other => io::Error::new(io::ErrorKind::InvalidData, format!("its launcher answered {other:?}")),
    }
}
