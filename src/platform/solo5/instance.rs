//! One machine of Solo5's with what was made for it.

use std::io;

use crate::guest::system::unikernel::Monitor;
use crate::host::cgroup::Cgroup;
use crate::model::units::Bytes;
use crate::platform::machine::{self, Complaints, Ended};
use crate::platform::process::watch::{Watch, threads_of};
use crate::platform::process::watched::Body;
use crate::platform::{Endpoint, Error, Exit, GuestThread, ThreadRole};

/// A machine, from the moment it was asked for.
#[derive(Debug)]
pub(super) struct Solo5Instance {
    pub(super) watch: Watch,
    pub(super) cgroup: Option<Cgroup>,
    monitor: Monitor,
    pub(super) memory: Bytes,
    /// What its monitor says.
    pub(super) complaints: Complaints,
}

impl Solo5Instance {
    /// A machine that is not started yet.
    pub(super) fn new(watch: Watch, cgroup: Option<Cgroup>, monitor: Monitor, memory: Bytes) -> io::Result<Self> {
        Ok(Self { watch, cgroup, monitor, memory, complaints: Complaints::new()? })
    }

    fn said(&mut self) -> Vec<String> {
        self.complaints.text().into_iter().collect()
    }

    /// Removes whatever a failed start has made.
    pub(super) fn abandon(&mut self) {
        // The failure of the start is what matters; what stays stands in the ledger.
        let _ = machine::remove(None, self.cgroup.as_ref());
    }

    fn end_process(&mut self) -> Result<Exit, Error> {
        let ended = machine::end(&mut self.watch)?;
        judge(&ended, self.monitor)
            .map_err(|why| machine::explain(Error::failed(format!("end {}", self.watch.name()), why), &self.said()))
    }
}

/// How the program ended: by its own word, which the status that its guest system gave must not contradict.
fn judge(ended: &Ended, monitor: Monitor) -> Result<Exit, String> {
    match (ended.told, ended.monitor) {
        (Some(Exit::Code(told)), Some(Exit::Code(code))) if told != code => {
            Err(format!("its program said that it ends with code {told}, and {monitor} exited with code {code}"))
        }
        (Some(told), _) => Ok(told),
        (None, Some(Exit::Code(code))) => Err(format!("{monitor} exited with code {code}")),
        (None, Some(Exit::Signal(signal))) => Err(format!("signal {signal} ended {monitor}")),
        (None, None) => Err(format!("{monitor} is gone")),
    }
}

impl Body for Solo5Instance {
    fn watch(&self) -> &Watch {
        &self.watch
    }

    fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn end(&mut self) -> Result<Exit, Error> {
        let ended = self.end_process();
        let removed = machine::remove(None, self.cgroup.as_ref());
        let removed = removed.map_err(|e| Error::failed(format!("remove {}", self.watch.name()), e));
        ended.and_then(|exit| removed.map(|()| exit))
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    fn endpoint(&self) -> Option<Endpoint> {
        None
    }

    fn guest_memory(&self) -> Option<Bytes> {
        Some(self.memory)
    }

    fn pids(&self) -> Vec<i32> {
        self.watch.process().map(|process| process.pid).into_iter().collect()
    }

    /// A monitor has one thread, which becomes the processor or, under seccomp, the guest itself.
    fn threads(&self) -> Vec<GuestThread> {
        let role = if self.monitor == Monitor::Solo5Hvt { ThreadRole::Vcpu } else { ThreadRole::Process };
        threads_of(self.pids()).into_iter().map(|thread| GuestThread { role, ..thread }).collect()
    }

    fn explain(&mut self, error: Error) -> Error {
        machine::explain(error, &self.said())
    }
}
