//! Watching one instance: its output, its exit and the user's interrupt, in one poll.
//!
//! Every platform uses it whose instance is a process of this host, or whose engine reports the exit. Invariant: a wait
//! sleeps in `poll(2)` until something happens or its deadline expires; it never spins and never reads the guest's
//! clock.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Signal, pidfd_send_signal};

use crate::host::clock::{Clock, HostClock};
use crate::host::interrupt::Interrupt;
use crate::model::event::{Event, Events};
use crate::model::units::Nanos;
use crate::platform::process::console::Console;
use crate::platform::process::exit_notice::{ExitNotice, ExitSource, Notification};
pub(in crate::platform) use crate::platform::process::handle::{Process, threads_of};
use crate::platform::process::poll::poll_four;
use crate::platform::{Error, Exit, Milestone, StampedLine, engine_api};

/// How long a killed process may take to exit before that counts as a failure of the host.
pub(in crate::platform) const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// How long the last output of an instance may take to arrive after its exit was reported.
const LATE_OUTPUT_PATIENCE: Duration = Duration::from_secs(2);

/// One instance with its output.
#[derive(Debug)]
pub(in crate::platform) struct Watch {
    name: String,
    console: Console,
    exit_source: Option<ExitSource>,
    /// Why its exit status will never be reported.
    lost: Option<LostExit>,
    exit_behavior: ExitBehavior,
    interrupt: Interrupt,
    events: Events,
}

/// What a virtual machine does once its guest system has reported the program's exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::platform) enum ExitBehavior {
    /// It exits by itself.
    Ends,
    /// It may keep running, and is killed.
    MayStay,
}

/// Why the exit status of an instance will never be reported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum LostExit {
    #[error("{}", .0.with_help())]
    Engine(engine_api::Error),
    #[error("the machine stopped without reporting its program's exit status")]
    SilentMachine,
}

/// Whether the user's interrupt ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::platform) enum Patience {
    /// It does.
    Interruptible,
    /// It does not, because the wait is part of a cleanup.
    Cleanup,
}

impl Watch {
    /// Watches the instance `name`, whose output arrives at `pipe` and whose process does not exist yet.
    pub(in crate::platform) fn new(name: &str, pipe: OwnedFd, interrupt: &Interrupt) -> Self {
        Self {
            name: name.to_owned(),
            console: Console::new(pipe),
            exit_source: None,
            lost: None,
            exit_behavior: ExitBehavior::Ends,
            interrupt: interrupt.clone(),
            events: Events::new(),
        }
    }

    pub(in crate::platform) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::platform) fn events(&self) -> &Events {
        &self.events
    }

    /// Reads the available output, without waiting, and returns all lines so far.
    pub(in crate::platform) fn lines(&mut self) -> &[StampedLine] {
        self.read();
        self.console.lines()
    }

    pub(in crate::platform) fn process(&self) -> Option<&Process> {
        self.exit_source.as_ref().and_then(ExitSource::process)
    }

    /// Watches the exit of `process`, which is the guest.
    pub(in crate::platform) fn follow(&mut self, process: Process) {
        self.exit_source = Some(ExitSource::Process(process));
    }

    /// Watches the exit of `process`, a command that returns the guest's exit code.
    pub(in crate::platform) fn follow_command(&mut self, process: Process) {
        self.exit_source = Some(ExitSource::Command(process));
    }

    /// Watches the exit of `monitor`, whose guest system reports the program's exit status on the console.
    pub(in crate::platform) fn follow_machine(&mut self, monitor: Process, behavior: ExitBehavior) {
        self.exit_source = Some(ExitSource::Machine(monitor));
        self.exit_behavior = behavior;
    }

    /// Waits for `notice` to report the exit.
    pub(in crate::platform) fn follow_notice(&mut self, notice: Arc<ExitNotice>) {
        self.exit_source = Some(ExitSource::Notice(notice));
    }

    /// The program's exit status, if it is known: what the guest system reported, else what its process returned.
    pub(in crate::platform) fn exit(&self) -> Option<Exit> {
        self.console.exit().or_else(|| self.exit_source.as_ref().and_then(ExitSource::peek_exit))
    }

    /// Closes its output.
    pub(in crate::platform) fn stop_reading(&mut self) {
        self.console.discard();
    }

    /// Stamps `event` now.
    pub(in crate::platform) fn stamp(&mut self, event: Event) {
        self.stamp_at(event, HostClock.now());
    }

    /// Stamps `event`, unless it is stamped already.
    pub(in crate::platform) fn stamp_at(&mut self, event: Event, at: Nanos) {
        self.events.entry(event).or_insert(at);
    }

    /// Whether this watch has observed the exit.
    pub(in crate::platform) fn has_ended(&self) -> bool {
        self.events.contains_key(&Event::Exit)
    }

    /// Fulfills the contract of [`Instance::wait_for`](crate::platform::Instance::wait_for).
    pub(in crate::platform) fn wait_for(&mut self, milestone: Milestone, deadline: Nanos) -> Result<Nanos, Error> {
        let begun = HostClock.now();
        loop {
            // Checked before the last read of the output: a milestone in time counts, whenever it is read.
            let late = HostClock.now() >= deadline;
            if let Some(at) = self.reached(milestone) {
                return Ok(at);
            }
            if let Some(reason) = self.failure() {
                return Err(Error::failed(format!("wait for {} of {}", awaited(milestone), self.name), reason));
            }
            self.pump(None, deadline, Patience::Interruptible)?;
            if late && self.reached(milestone).is_none() && self.failure().is_none() {
                return Err(self.timed_out(begun, awaited(milestone)));
            }
        }
    }

    /// Waits for the exit of its process. The user's interrupt does not end the wait.
    pub(in crate::platform) fn wait_exit(&mut self, patience: Duration) -> Result<Nanos, Error> {
        let begun = HostClock.now();
        let deadline = begun + patience.into();
        loop {
            if let Some(&at) = self.events.get(&Event::Exit) {
                return Ok(at);
            }
            if let Some(reason) = &self.lost {
                return Err(Error::failed(format!("wait for the exit of {}", self.name), reason));
            }
            if HostClock.now() >= deadline {
                return Err(self.timed_out(begun, "the exit of its killed process"));
            }
            self.pump(None, deadline, Patience::Cleanup)?;
        }
    }

    /// Reads the pipe until every writer is gone, at most for `patience`.
    pub(in crate::platform) fn drain(&mut self, patience: Duration) {
        let deadline = HostClock.now() + patience.into();
        while self.console.fd().is_some() && HostClock.now() < deadline {
            if self.pump(None, deadline, Patience::Cleanup).is_err() {
                return;
            }
        }
    }

    /// Sleeps until output arrives, the process exits, `other` is readable, the user interrupts or `deadline` expires;
    /// then reads and stamps. Returns whether `other` is readable.
    pub(in crate::platform) fn pump(
        &mut self,
        other: Option<BorrowedFd<'_>>,
        deadline: Nanos,
        patience: Patience,
    ) -> Result<bool, Error> {
        if patience == Patience::Interruptible && self.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let exit = self.exit_source.as_ref().filter(|_| !self.has_ended() && self.lost.is_none()).map(ExitSource::fd);
        let interrupt = (patience == Patience::Interruptible).then(|| self.interrupt.fd());
        let ready = poll_four([self.console.fd(), exit, other, interrupt], deadline)
            .map_err(|e| Error::failed(format!("poll {}", self.name), e))?;
        if ready[0] || ready[1] {
            self.read();
        }
        if ready[1] {
            // After the read, so that no line of the guest is stamped after its exit.
            self.observe_exit();
        }
        Ok(ready[2])
    }

    fn observe_exit(&mut self) {
        let Some(ExitSource::Notice(notice)) = &self.exit_source else {
            self.stamp(Event::Exit);
            if matches!(self.exit_source, Some(ExitSource::Machine(_))) && self.exit().is_none() {
                self.lost = Some(LostExit::SilentMachine);
            }
            return;
        };
        match notice.acknowledge() {
            None => {}
            Some(Notification::Lost(error)) => self.lost = Some(LostExit::Engine(error)),
            Some(Notification::Ended { at, .. }) => {
                self.read_late_output();
                let last = self.console.lines().last().map_or(at, |line| line.at);
                self.stamp_at(Event::Exit, at.max(last));
            }
        }
    }

    /// Reads output that takes another way than the exit report and may be slower.
    fn read_late_output(&mut self) {
        let deadline = HostClock.now() + LATE_OUTPUT_PATIENCE.into();
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
            // Fails only if the process is gone already.
            let _ = pidfd_send_signal(&process.handle, Signal::KILL);
        }
    }

    /// Takes its events and lines.
    pub(in crate::platform) fn take(&mut self) -> (Events, Vec<StampedLine>) {
        (std::mem::take(&mut self.events), self.console.take_lines())
    }

    fn read(&mut self) {
        self.console.read(&HostClock);
        for (event, at) in self.console.events() {
            self.events.entry(event).or_insert(at);
        }
        if self.exit_behavior == ExitBehavior::MayStay && self.console.exit().is_some() {
            self.kill();
        }
        if let (Some(ExitSource::Machine(_)), Some(at)) = (&self.exit_source, self.console.guest_start()) {
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

    /// Why no further milestone can be reached.
    fn failure(&self) -> Option<String> {
        if let Some(error) = self.console.error() {
            return Some(format!("the guest reports: {error}"));
        }
        if let Some(reason) = &self.lost {
            return Some(format!("{reason}; last seen: {}", self.console.last_seen()));
        }
        let how = match self.has_ended().then(|| self.exit())? {
            Some(Exit::Code(code)) => format!("exited with code {code}"),
            Some(Exit::Signal(signal)) => format!("was ended by signal {signal}"),
            None => "ended".to_owned(),
        };
        Some(format!("the guest {how} before; last seen: {}", self.console.last_seen()))
    }

    fn timed_out(&self, begun: Nanos, awaited: &str) -> Error {
        Error::Deadline {
            name: self.name.clone(),
            after: HostClock.now().saturating_sub(begun).to_string(),
            awaited: awaited.to_owned(),
            last: self.console.last_seen(),
        }
    }
}

/// Creates a pipe whose reading end does not block; both ends close on `exec`.
pub(in crate::platform) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&read, true)?;
    Ok((read, write))
}

/// Names `milestone` in error messages.
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
