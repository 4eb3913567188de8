//! Where an instance's exit status comes from: the kernel, a wrapper process, or a notice from another thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use crate::model::units::Nanos;
use crate::platform::Exit;
use crate::platform::engine_api;
use crate::platform::process::handle::Process;

/// What reports the exit of an instance.
#[derive(Debug)]
pub(in crate::platform) enum ExitSource {
    /// The instance's own process.
    Process(Process),
    /// A command that runs the instance and returns its exit code.
    Command(Process),
    /// The monitor of a virtual machine, whose guest system reports the program's exit status on the console.
    Machine(Process),
    /// A notice from the thread that follows the engine's events.
    Notice(Arc<ExitNotice>),
}

/// What another thread reports about an instance. Invariant: its descriptor is readable from each report until
/// [`ExitNotice::acknowledge`].
#[derive(Debug)]
pub(in crate::platform) struct ExitNotice {
    event_fd: OwnedFd,
    reports: Mutex<Reports>,
}

#[derive(Debug, Default)]
struct Reports {
    created: Option<Nanos>,
    started: Option<Nanos>,
    last: Option<Notification>,
}

/// The last report about an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::platform) enum Notification {
    /// It ended.
    Ended {
        /// When the report arrived.
        at: Nanos,
        /// Its exit status.
        exit: Exit,
    },
    /// The event stream failed, so no report will follow.
    Lost(engine_api::Error),
}

impl ExitSource {
    /// The process to watch.
    pub(in crate::platform) fn process(&self) -> Option<&Process> {
        match self {
            ExitSource::Process(process) | ExitSource::Command(process) | ExitSource::Machine(process) => Some(process),
            ExitSource::Notice(_) => None,
        }
    }

    /// The descriptor that becomes readable at the exit.
    pub(in crate::platform) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            ExitSource::Process(process) | ExitSource::Command(process) | ExitSource::Machine(process) => {
                process.handle.as_fd()
            }
            ExitSource::Notice(notice) => notice.fd(),
        }
    }

    /// The exit status of the guest, if it is known.
    pub(in crate::platform) fn peek_exit(&self) -> Option<Exit> {
        match self {
            ExitSource::Process(process) => process.peek_exit(),
            ExitSource::Command(process) => process.peek_exit().map(guest_exit),
            // An exit code is the monitor's own.
            ExitSource::Machine(process) => process.peek_exit().filter(|exit| matches!(exit, Exit::Signal(_))),
            ExitSource::Notice(notice) => notice.exit(),
        }
    }
}

impl ExitNotice {
    /// A notice without reports.
    pub(in crate::platform) fn new() -> io::Result<Self> {
        let event_fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event_fd, reports: Mutex::default() })
    }

    /// Reports when the instance was created.
    pub(in crate::platform) fn report_created(&self, at: Nanos) {
        self.reports().created.get_or_insert(at);
        self.wake();
    }

    /// Reports when the instance was started.
    pub(in crate::platform) fn report_started(&self, at: Nanos) {
        self.reports().started.get_or_insert(at);
        self.wake();
    }

    /// Makes the last report. The first exit status counts, and replaces an earlier loss.
    pub(in crate::platform) fn report(&self, notification: Notification) {
        let mut reports = self.reports();
        if !matches!(reports.last, Some(Notification::Ended { .. })) {
            reports.last = Some(notification);
        }
        drop(reports);
        self.wake();
    }

    /// Resets the descriptor and returns the last report, if there is one.
    pub(in crate::platform) fn acknowledge(&self) -> Option<Notification> {
        // Reset first, so that a report during this call wakes the waiter again. An empty counter is fine.
        let _ = rustix::io::read(&self.event_fd, &mut [0; 8]);
        self.reports().last.clone()
    }

    /// The descriptor that becomes readable at each report.
    pub(in crate::platform) fn fd(&self) -> BorrowedFd<'_> {
        self.event_fd.as_fd()
    }

    /// When the instance was created.
    pub(in crate::platform) fn created(&self) -> Option<Nanos> {
        self.reports().created
    }

    /// When the instance was started.
    pub(in crate::platform) fn started(&self) -> Option<Nanos> {
        self.reports().started
    }

    /// The instance's exit status.
    pub(in crate::platform) fn exit(&self) -> Option<Exit> {
        match self.reports().last {
            Some(Notification::Ended { exit, .. }) => Some(exit),
            _ => None,
        }
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // The counter cannot overflow: there are only a few reports.
        let _ = rustix::io::write(&self.event_fd, &1u64.to_ne_bytes());
    }
}

/// Decodes a wait status (`wait(2)`).
pub(in crate::platform) fn exit_of_status(status: i32) -> Exit {
    match status & 0x7f {
        0 => Exit::Code(status >> 8 & 0xff),
        signal => Exit::Signal(signal),
    }
}

/// Decodes an exit code as shells and engines use it: 128 plus the number of the signal that ended the process.
pub(in crate::platform) fn exit_of_code(code: i32) -> Exit {
    match code {
        129..=192 => Exit::Signal(code - 128),
        code => Exit::Code(code),
    }
}

/// Derives the guest's exit status from its wrapper's.
pub(in crate::platform) fn guest_exit(wrapper: Exit) -> Exit {
    match wrapper {
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
        let notice = Arc::new(ExitNotice::new().expect("an eventfd"));
        watch.follow_notice(Arc::clone(&notice));
        (watch, notice, write)
    }

    fn far() -> Nanos {
        HostClock.now() + Duration::from_secs(600).into()
    }

    #[test]
    fn wait_statuses_are_understood() {
        assert_eq!(exit_of_status(0x0300), Exit::Code(3));
        assert_eq!(exit_of_status(9), Exit::Signal(9));
        // 0x80 marks a core dump.
        assert_eq!(exit_of_status(0x8b), Exit::Signal(11));
    }

    #[test]
    fn exit_codes_above_128_are_signals() {
        assert_eq!([0, 7, 128, 255].map(exit_of_code), [0, 7, 128, 255].map(Exit::Code));
        assert_eq!([137, 139].map(exit_of_code), [9, 11].map(Exit::Signal));
    }

    #[test]
    fn lines_that_arrive_after_the_exit_report_are_stamped_before_the_exit() {
        let (mut watch, notice, write) = watched();
        notice.report(Notification::Ended { at: HostClock.now(), exit: Exit::Code(0) });
        let late = std::thread::spawn(move || {
            rustix::io::write(&write, b"FW main\n").expect("written");
        });
        watch.wait_for(Milestone::Exit, far()).expect("it ended");
        late.join().expect("written");
        assert!(watch.events()[&Event::Main] <= watch.events()[&Event::Exit], "{:?}", watch.events());
    }

    #[test]
    fn reports_before_the_exit_do_not_end_a_wait() {
        let (mut watch, notice, _write) = watched();
        notice.report_created(HostClock.now());
        notice.report_started(HostClock.now());
        let soon = HostClock.now() + Duration::from_millis(20).into();
        assert!(matches!(watch.wait_for(Milestone::Exit, soon), Err(Error::Deadline { .. })));
    }

    #[test]
    fn a_wait_fails_when_the_event_stream_is_lost() {
        let (mut watch, notice, _write) = watched();
        let silent = engine_api::Error::Refused { status: 500, message: "the engine fell silent".to_owned() };
        notice.report(Notification::Lost(silent));
        for outcome in [watch.wait_for(Milestone::Main, far()), watch.wait_exit(Duration::from_secs(600))] {
            let error = outcome.expect_err("lost").to_string();
            assert!(error.contains("fell silent") && error.contains("fw-test"), "{error}");
        }
        notice.report(Notification::Ended { at: HostClock.now(), exit: Exit::Code(3) });
        assert_eq!(notice.exit(), Some(Exit::Code(3)), "a later exit status replaces the loss");
    }
}
