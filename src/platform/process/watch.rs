//! Watching one instance: its output, its end and the user's wish to stop, in one poll.
//!
//! Shared by every platform whose instance is a process of this host, or whose end somebody tells. Invariant: a wait sleeps in `poll(2)` until
//! something happens or its deadline is over; it never spins and never reads the clock of the guest.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::host::clock::{Clock, HostClock};
use crate::host::interrupt::Interrupt;
use crate::model::event::{Event, Events};
use crate::model::units::Nanos;
use crate::platform::process::console::Console;
use crate::platform::process::exit_notice::{Ending, ExitNotice, Notification, exit_of_status};
use crate::platform::process::orphan::Tells;
use crate::platform::process::poll::poll_four;
use crate::platform::{Error, Exit, GuestThread, Milestone, StampedLine, ThreadRole};

/// How long a killed process may take to be gone before that counts as a failure of the host.
pub(in crate::platform) const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// How long the last output of an instance may take to arrive after its end was told.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// One instance with its output.
#[derive(Debug)]
pub(in crate::platform) struct Watch {
    name: String,
    console: Console,
    ending: Option<Ending>,
    /// Why its end will never be told.
    lost: Option<String>,
    after_word: ExitBehavior,
    interrupt: Interrupt,
    events: Events,
}

/// A process by a handle that no reuse of its number can mislead.
#[derive(Debug)]
pub(in crate::platform) struct Process {
    /// Its number in the host's process namespace.
    pub(in crate::platform) pid: i32,
    /// The handle.
    pub(in crate::platform) handle: OwnedFd,
    /// How it tells what ended its guest.
    pub(in crate::platform) tells: Tells,
}

/// What a machine does once its guest system has told how its program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::platform) enum ExitBehavior {
    /// It ends by itself.
    Ends,
    /// It may stay on, and is ended.
    MayStay,
}

/// Whether the user's wish to stop ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::platform) enum Patience {
    /// It does.
    Interruptible,
    /// It does not: something is being cleaned up.
    Cleanup,
}

impl Watch {
    /// Watches the instance `name`, whose output comes from `pipe` and whose process is not known yet.
    pub(in crate::platform) fn new(name: &str, pipe: OwnedFd, interrupt: &Interrupt) -> Self {
        let (name, console, interrupt) = (name.to_owned(), Console::new(pipe), interrupt.clone());
        Self {
            name,
            console,
            ending: None,
            lost: None,
            after_word: ExitBehavior::Ends,
            interrupt,
            events: Events::new(),
        }
    }

    pub(in crate::platform) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::platform) fn events(&self) -> &Events {
        &self.events
    }

    /// Reads what there is, without waiting; all lines so far.
    pub(in crate::platform) fn lines(&mut self) -> &[StampedLine] {
        self.read();
        self.console.lines()
    }

    pub(in crate::platform) fn process(&self) -> Option<&Process> {
        self.ending.as_ref().and_then(Ending::process)
    }

    /// From now on watches the end of `process`, too.
    pub(in crate::platform) fn follow(&mut self, process: Process) {
        self.ending = Some(Ending::Process(process));
    }

    /// From now on watches the end of `process`, whose exit code is that of what it ran for somebody else.
    pub(in crate::platform) fn follow_command(&mut self, process: Process) {
        self.ending = Some(Ending::Command(process));
    }

    /// From now on watches the end of `monitor`, and takes the word of the guest system in it for how its program ended.
    pub(in crate::platform) fn follow_machine(&mut self, monitor: Process, after: ExitBehavior) {
        self.ending = Some(Ending::Machine(monitor));
        self.after_word = after;
    }

    /// How it ended, as far as is known: by the guest system's word, or by what ended its process.
    pub(in crate::platform) fn exit(&self) -> Option<Exit> {
        self.console.exit().or_else(|| self.ending.as_ref().and_then(Ending::peek_exit))
    }

    /// From now on waits for the end to be told, too.
    pub(in crate::platform) fn follow_told(&mut self, told: Arc<ExitNotice>) {
        self.ending = Some(Ending::ExitNotice(told));
    }

    /// Reads its output no more.
    pub(in crate::platform) fn stop_listening(&mut self) {
        self.console.forget();
    }

    /// Stamps `event` now.
    pub(in crate::platform) fn stamp(&mut self, event: Event) {
        self.stamp_at(event, HostClock.now());
    }

    /// Stamps `event`, unless it is stamped already.
    pub(in crate::platform) fn stamp_at(&mut self, event: Event, at: Nanos) {
        self.events.entry(event).or_insert(at);
    }

    /// Whether its process has ended, as far as was watched.
    pub(in crate::platform) fn has_ended(&self) -> bool {
        self.events.contains_key(&Event::Exit)
    }

    /// The contract of [`super::Instance::wait_for`].
    pub(in crate::platform) fn wait_for(&mut self, milestone: Milestone, deadline: Nanos) -> Result<Nanos, Error> {
        let begun = HostClock.now();
        loop {
            // Asked before the output is read for the last time: what happened in time counts, whenever it is read.
            let late = HostClock.now() >= deadline;
            if let Some(at) = self.reached(milestone) {
                return Ok(at);
            }
            if let Some(reason) = self.hopeless() {
                return Err(Error::failed(format!("wait for {} of {}", awaited(milestone), self.name), reason));
            }
            self.pump(None, deadline, Patience::Interruptible)?;
            if late && self.reached(milestone).is_none() && self.hopeless().is_none() {
                return Err(self.too_late(begun, awaited(milestone)));
            }
        }
    }

    /// Waits for the end of its process, whatever the user wishes.
    pub(in crate::platform) fn wait_exit(&mut self, patience: Duration) -> Result<Nanos, Error> {
        let begun = HostClock.now();
        let deadline = begun + patience.into();
        loop {
            if let Some(&at) = self.events.get(&Event::Exit) {
                return Ok(at);
            }
            if let Some(reason) = &self.lost {
                return Err(Error::failed(format!("wait for the end of {}", self.name), reason));
            }
            if HostClock.now() >= deadline {
                return Err(self.too_late(begun, "the end of its killed process"));
            }
            self.pump(None, deadline, Patience::Cleanup)?;
        }
    }

    /// Reads what is still in the pipe until every writer is gone, at most for `patience`.
    pub(in crate::platform) fn drain(&mut self, patience: Duration) {
        let deadline = HostClock.now() + patience.into();
        while self.console.fd().is_some() && HostClock.now() < deadline {
            if self.pump(None, deadline, Patience::Cleanup).is_err() {
                return;
            }
        }
    }

    /// Sleeps until there is output, the process ends, `other` is readable, the user wishes to stop or `deadline` is
    /// over; then reads and stamps. Whether `other` is readable.
    pub(in crate::platform) fn pump(
        &mut self,
        other: Option<BorrowedFd<'_>>,
        deadline: Nanos,
        patience: Patience,
    ) -> Result<bool, Error> {
        if patience == Patience::Interruptible && self.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let ending = self.ending.as_ref().filter(|_| !self.has_ended() && self.lost.is_none()).map(Ending::fd);
        let interrupt = (patience == Patience::Interruptible).then(|| self.interrupt.fd());
        let ready = poll_four([self.console.fd(), ending, other, interrupt], deadline)
            .map_err(|e| Error::failed(format!("poll {}", self.name), e))?;
        if ready[0] || ready[1] {
            self.read();
        }
        if ready[1] {
            // After the reading, so that no line of the guest is stamped later than its end.
            self.learn_end();
        }
        Ok(ready[2])
    }

    fn learn_end(&mut self) {
        let Some(Ending::ExitNotice(told)) = &self.ending else {
            self.stamp(Event::Exit);
            if matches!(self.ending, Some(Ending::Machine(_))) && self.exit().is_none() {
                self.lost = Some("the machine stopped without a word on how its program ended".to_owned());
            }
            return;
        };
        match told.listen() {
            None => {}
            Some(Notification::Lost(reason)) => self.lost = Some(reason),
            Some(Notification::Ended { at, .. }) => {
                self.hear_last_words();
                let last = self.console.lines().last().map_or(at, |line| line.at);
                self.stamp_at(Event::Exit, at.max(last));
            }
        }
    }

    /// Reads what comes by another way than the word of the end and may be slower.
    fn hear_last_words(&mut self) {
        let deadline = HostClock.now() + LAST_WORDS.into();
        while let Some(pipe) = self.console.fd() {
            match poll_four([Some(pipe), None, None, None], deadline) {
                Ok([true, ..]) => self.read(),
                _ if HostClock.now() < deadline => {}
                _ => return,
            }
        }
    }

    /// Kills its process, without waiting.
    pub(in crate::platform) fn kill(&self) {
        if let Some(process) = self.process().filter(|_| !self.has_ended()) {
            // It fails only when the process is gone already.
            let _ = pidfd_send_signal(&process.handle, Signal::KILL);
        }
    }

    /// Its events and lines, taken out at the end.
    pub(in crate::platform) fn take(&mut self) -> (Events, Vec<StampedLine>) {
        (std::mem::take(&mut self.events), self.console.take_lines())
    }

    fn read(&mut self) {
        self.console.read(&HostClock);
        for (event, at) in self.console.events() {
            self.events.entry(event).or_insert(at);
        }
        if self.after_word == ExitBehavior::MayStay && self.console.exit().is_some() {
            self.kill();
        }
        if let (Some(Ending::Machine(_)), Some(at)) = (&self.ending, self.console.opened()) {
            self.events.entry(Event::Guest).or_insert(at);
        }
    }

    fn reached(&self, milestone: Milestone) -> Option<Nanos> {
        match milestone {
            Milestone::Exit if self.console.error().is_none() && self.lost.is_none() => {
                self.events.get(&Event::Exit).copied()
            }
            other => self.console.reached(other),
        }
    }

    /// Why nothing more can be awaited.
    fn hopeless(&self) -> Option<String> {
        if let Some(error) = self.console.error() {
            return Some(format!("the guest reports: {error}"));
        }
        if let Some(reason) = &self.lost {
            return Some(format!("{reason}; last seen: {}", self.console.last()));
        }
        let how = match self.has_ended().then(|| self.exit())? {
            Some(Exit::Code(code)) => format!("exited with code {code}"),
            Some(Exit::Signal(signal)) => format!("was ended by signal {signal}"),
            None => "ended".to_owned(),
        };
        Some(format!("the guest {how} before; last seen: {}", self.console.last()))
    }

    fn too_late(&self, begun: Nanos, awaited: &str) -> Error {
        Error::Deadline {
            name: self.name.clone(),
            after: HostClock.now().saturating_sub(begun).to_string(),
            awaited: awaited.to_owned(),
            last: self.console.last(),
        }
    }
}

impl Process {
    /// A process that is the guest itself.
    pub(in crate::platform) fn new(pid: i32, handle: OwnedFd) -> Self {
        Self { pid, handle, tells: Tells::Signal }
    }

    /// How it ended, without reaping it; `None` while it runs, or when this process may not know.
    pub(in crate::platform) fn peek_exit(&self) -> Option<Exit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::PidFd(self.handle.as_fd()), options) {
            Ok(status) => status.and_then(|status| exit_of(&status)).map(|exit| self.tells.read(exit)),
            // Not our child: the kernel tells those who may trace it (proc_pid_stat(5), exit_code).
            Err(_) => {
                let stat = procfs::process::Process::new(self.pid).and_then(|p| p.stat()).ok()?;
                (stat.state == 'Z').then_some(stat.exit_code).flatten().map(exit_of_status)
            }
        }
    }

    /// Reaps it: it is our child and has ended.
    pub(in crate::platform) fn reap(&self) -> io::Result<Exit> {
        let status = waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED)?;
        let exit = status.and_then(|status| exit_of(&status)).map(|exit| self.tells.read(exit));
        exit.ok_or_else(|| io::Error::other("it has no exit status"))
    }
}

/// A new pipe: the reading end does not block, both close on `exec`.
pub(in crate::platform) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&read, true)?;
    Ok((read, write))
}

/// Waits until these processes have ended, at most for `patience`.
pub(in crate::platform) fn wait_ended(handles: &[OwnedFd], patience: Duration) {
    let deadline = HostClock.now() + patience.into();
    for handle in handles {
        while HostClock.now() < deadline
            && matches!(poll_four([Some(handle.as_fd()), None, None, None], deadline), Ok([false, ..]))
        {}
    }
}

/// The threads of these processes, by `/proc`.
pub(in crate::platform) fn threads_of(pids: impl IntoIterator<Item = i32>) -> Vec<GuestThread> {
    let tasks = |pid: i32| {
        let names = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
        names.filter_map(move |entry| {
            let tid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some(GuestThread { pid, tid, role: ThreadRole::Process })
        })
    };
    pids.into_iter().flat_map(tasks).collect()
}

/// The number of a process as `rustix` takes it.
pub(in crate::platform) fn pid(raw: i32) -> io::Result<Pid> {
    Pid::from_raw(raw).ok_or_else(|| io::Error::other(format!("{raw} is no process number")))
}

fn exit_of(status: &rustix::process::WaitIdStatus) -> Option<Exit> {
    let signal = || status.terminating_signal().map(Exit::Signal);
    status.exit_status().map(Exit::Code).or_else(signal)
}

/// What `milestone` is, in error messages.
pub(in crate::platform) fn awaited(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::Main => "`FW main`",
        Milestone::Ready => "`FW ready`",
        Milestone::Attacking => "`FW ops`",
        Milestone::Result => "`FW result`",
        Milestone::Exit => "the end",
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
