//! How the end of an instance is learned: from the kernel, or by word of somebody who knows.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use crate::model::units::Nanos;
use crate::platform::Exit;
use crate::platform::process::watch::Process;

/// What tells the end.
#[derive(Debug)]
pub(in crate::platform) enum Ending {
    /// The instance's own process.
    Process(Process),
    /// A command that ran the instance and passes its exit code on.
    Command(Process),
    /// The monitor of a machine, in which a guest system tells how its program ended.
    Machine(Process),
    /// Somebody's word.
    ExitNotice(Arc<ExitNotice>),
}

/// What somebody on another thread has told of an instance. Invariant: its descriptor is readable from the moment that
/// something is told until it is listened to.
#[derive(Debug)]
pub(in crate::platform) struct ExitNotice {
    bell: OwnedFd,
    news: Mutex<News>,
}

#[derive(Debug, Default)]
struct News {
    created: Option<Nanos>,
    started: Option<Nanos>,
    word: Option<Notification>,
}

/// The last word about an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::platform) enum Notification {
    /// It ended.
    Ended {
        /// When that was heard.
        at: Nanos,
        /// How it ended.
        exit: Exit,
    },
    /// Whoever would tell cannot any more: why.
    Lost(String),
}

impl Ending {
    /// The process that is watched.
    pub(in crate::platform) fn process(&self) -> Option<&Process> {
        match self {
            Ending::Process(process) | Ending::Command(process) | Ending::Machine(process) => Some(process),
            Ending::ExitNotice(_) => None,
        }
    }

    /// What becomes readable at the end.
    pub(in crate::platform) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Ending::Process(process) | Ending::Command(process) | Ending::Machine(process) => process.handle.as_fd(),
            Ending::ExitNotice(told) => told.bell.as_fd(),
        }
    }

    /// How it ended, as far as is known.
    pub(in crate::platform) fn peek_exit(&self) -> Option<Exit> {
        match self {
            Ending::Process(process) => process.peek_exit(),
            Ending::Command(process) => process.peek_exit().map(passed_on),
            // Its code is the monitor's own.
            Ending::Machine(process) => process.peek_exit().filter(|exit| matches!(exit, Exit::Signal(_))),
            Ending::ExitNotice(told) => told.exit(),
        }
    }
}

impl ExitNotice {
    /// Nothing is told yet.
    pub(in crate::platform) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { bell, news: Mutex::default() })
    }

    /// Tells that it was made.
    pub(in crate::platform) fn tell_created(&self, at: Nanos) {
        self.news().created.get_or_insert(at);
        self.ring();
    }

    /// Tells that it was started.
    pub(in crate::platform) fn tell_started(&self, at: Nanos) {
        self.news().started.get_or_insert(at);
        self.ring();
    }

    /// Tells the last word; the first one counts, but an end is better than none.
    pub(in crate::platform) fn tell(&self, word: Notification) {
        let mut news = self.news();
        if !matches!(news.word, Some(Notification::Ended { .. })) {
            news.word = Some(word);
        }
        drop(news);
        self.ring();
    }

    /// The last word, if it is told. From now on the descriptor is silent until something more is told.
    pub(in crate::platform) fn listen(&self) -> Option<Notification> {
        // Before the asking, so that what is told meanwhile rings again. Empty already is as good.
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        self.news().word.clone()
    }

    /// What becomes readable when something is told.
    pub(in crate::platform) fn fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// When it was made.
    pub(in crate::platform) fn created(&self) -> Option<Nanos> {
        self.news().created
    }

    /// When it was started.
    pub(in crate::platform) fn started(&self) -> Option<Nanos> {
        self.news().started
    }

    /// How it ended.
    pub(in crate::platform) fn exit(&self) -> Option<Exit> {
        match self.news().word {
            Some(Notification::Ended { exit, .. }) => Some(exit),
            _ => None,
        }
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        // The counter cannot overflow by a few words.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }
}

/// How a process with this wait status (`wait(2)`) ended.
pub(in crate::platform) fn exit_of_status(status: i32) -> Exit {
    match status & 0x7f {
        0 => Exit::Code(status >> 8 & 0xff),
        signal => Exit::Signal(signal),
    }
}

/// An exit code as shells and engines pass it on: 128 and the number of the signal that ended the process.
pub(in crate::platform) fn exit_of_code(code: i32) -> Exit {
    match code {
        129..=192 => Exit::Signal(code - 128),
        code => Exit::Code(code),
    }
}

/// How that ended what a command ran which ended like this itself.
pub(in crate::platform) fn passed_on(exit: Exit) -> Exit {
    match exit {
        Exit::Code(code) => exit_of_code(code),
        signal => signal,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::clock::{Clock, HostClock};
    use crate::host::interrupt::Interrupt;
    use crate::model::event::Event;
    use crate::platform::process::watch::{Watch, pipe};
    use crate::platform::{Error, Milestone};

    fn watched() -> (Watch, Arc<ExitNotice>, OwnedFd) {
        let (read, write) = pipe().expect("a pipe");
        let mut watch = Watch::new("fw-test", read, &Interrupt::new().expect("an eventfd"));
        let told = Arc::new(ExitNotice::new().expect("an eventfd"));
        watch.follow_told(Arc::clone(&told));
        (watch, told, write)
    }

    fn far() -> Nanos {
        HostClock.now() + Duration::from_secs(600).into()
    }

    #[test]
    fn wait_statuses_are_understood() {
        assert_eq!(exit_of_status(0x0300), Exit::Code(3));
        assert_eq!(exit_of_status(9), Exit::Signal(9));
        // 0x80 tells of a core dump.
        assert_eq!(exit_of_status(0x8b), Exit::Signal(11));
    }

    #[test]
    fn exit_codes_above_128_are_signals() {
        assert_eq!([0, 7, 128, 255].map(exit_of_code), [0, 7, 128, 255].map(Exit::Code));
        assert_eq!([137, 139].map(exit_of_code), [9, 11].map(Exit::Signal));
    }

    #[test]
    fn lines_that_arrive_after_the_word_of_the_end_come_before_it() {
        let (mut watch, told, write) = watched();
        told.tell(Notification::Ended { at: HostClock.now(), exit: Exit::Code(0) });
        let late = std::thread::spawn(move || {
            rustix::io::write(&write, b"FW main\n").expect("written");
        });
        watch.wait_for(Milestone::Exit, far()).expect("it ended");
        late.join().expect("written");
        assert!(watch.events()[&Event::Main] <= watch.events()[&Event::Exit], "{:?}", watch.events());
    }

    #[test]
    fn what_is_told_before_the_end_does_not_end_a_wait() {
        let (mut watch, told, _write) = watched();
        told.tell_created(HostClock.now());
        told.tell_started(HostClock.now());
        let soon = HostClock.now() + Duration::from_millis(20).into();
        assert!(matches!(watch.wait_for(Milestone::Exit, soon), Err(Error::Deadline { .. })));
    }

    #[test]
    fn a_wait_ends_when_the_end_can_no_longer_be_told() {
        let (mut watch, told, _write) = watched();
        told.tell(Notification::Lost("the engine fell silent".to_owned()));
        for outcome in [watch.wait_for(Milestone::Main, far()), watch.wait_exit(Duration::from_secs(600))] {
            let error = outcome.expect_err("lost").to_string();
            assert!(error.contains("fell silent") && error.contains("fw-test"), "{error}");
        }
        told.tell(Notification::Ended { at: HostClock.now(), exit: Exit::Code(3) });
        assert_eq!(told.exit(), Some(Exit::Code(3)), "what is learned later is kept all the same");
    }
}
