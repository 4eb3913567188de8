//! One virtual machine with what was made for it.

use std::io;

use super::qmp::Qmp;
use crate::host::cgroup::Cgroup;
use crate::host::clock::{Clock, HostClock};
use crate::host::network::Tap;
use crate::model::event::Event;
use crate::model::units::{Bytes, Nanos};
use crate::platform::machine::{self, Complaints, Ended, PortProbe};
use crate::platform::process::watch::{Watch, threads_of};
use crate::platform::process::watched::Body;
use crate::platform::{Endpoint, Error, Exit, GuestThread, ThreadRole};

/// A machine, from the moment it was asked for.
#[derive(Debug)]
pub(super) struct QemuInstance {
    pub(super) watch: Watch,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) tap: Option<Tap>,
    pub(super) endpoint: Option<Endpoint>,
    pub(super) qmp: Option<Qmp>,
    /// The threads that are its processors, if it was asked.
    pub(super) vcpus: Vec<i32>,
    /// What QEMU itself has to say; its guest speaks elsewhere.
    pub(super) complaints: Complaints,
    /// What says for its guest that it is ready.
    pub(super) knocking: Option<PortProbe>,
    memory: Bytes,
}

impl QemuInstance {
    /// A machine that is not started yet.
    pub(super) fn new(watch: Watch, cgroup: Option<Cgroup>, memory: Bytes) -> io::Result<Self> {
        let complaints = Complaints::new()?;
        Ok(Self {
            watch,
            cgroup,
            tap: None,
            endpoint: None,
            qmp: None,
            vcpus: Vec::new(),
            complaints,
            knocking: None,
            memory,
        })
    }

    /// The monitor has greeted, after the instant `since`. A guest that spoke after that, too, was only read first.
    pub(super) fn stamp_monitor(&mut self, since: Nanos) {
        let now = HostClock.now();
        let first = self.watch.events().get(&Event::Guest).copied().filter(|&first| first >= since);
        self.watch.stamp_at(Event::Vmm, first.map_or(now, |first| first.min(now)));
    }

    /// That `action` failed because the machine ended, with what is known of why.
    pub(super) fn explain_end(&mut self, action: &str, process: Option<Exit>) -> Error {
        let how = match process {
            Some(Exit::Code(code)) => format!("QEMU exited with code {code}"),
            Some(Exit::Signal(signal)) => format!("signal {signal} ended QEMU"),
            None => "QEMU closed its monitor".to_owned(),
        };
        let complaint = self.complaints.text().map_or_else(String::new, |text| format!(": {text}"));
        Error::failed(action, how + &complaint)
    }

    /// Removes whatever a failed start has made.
    pub(super) fn abandon(&mut self) {
        // The failure of the start is what matters; what stays stands in the ledger.
        if self.watch.process().is_some() {
            let _ = self.end_process();
        }
        let _ = self.remove();
    }

    fn remove(&mut self) -> io::Result<()> {
        self.knocking = None;
        machine::remove(self.tap.take(), self.cgroup.as_ref())
    }

    /// Ends the process: how the program in the machine ended.
    fn end_process(&mut self) -> Result<Exit, Error> {
        let Ended { told, monitor } = machine::end(&mut self.watch)?;
        let action = format!("end {}", self.watch.name());
        told.ok_or_else(|| self.explain_end(&action, monitor))
    }
}

impl Body for QemuInstance {
    fn watch(&self) -> &Watch {
        &self.watch
    }

    fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn end(&mut self) -> Result<Exit, Error> {
        let ended = self.end_process();
        let removed = self.remove().map_err(|e| Error::failed(format!("remove {}", self.watch.name()), e));
        ended.and_then(|exit| removed.map(|()| exit))
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint.clone()
    }

    fn guest_memory(&self) -> Option<Bytes> {
        Some(self.memory)
    }

    fn pids(&self) -> Vec<i32> {
        self.watch.process().map(|process| process.pid).into_iter().collect()
    }

    fn threads(&self) -> Vec<GuestThread> {
        let role = |tid: i32| if self.vcpus.contains(&tid) { ThreadRole::Vcpu } else { ThreadRole::Vmm };
        threads_of(self.pids()).into_iter().map(|thread| GuestThread { role: role(thread.tid), ..thread }).collect()
    }

    fn explain(&mut self, error: Error) -> Error {
        let event = self.qmp.as_mut().and_then(|qmp| {
            qmp.read();
            qmp.last_event.clone()
        });
        let said: Vec<String> = event.into_iter().chain(self.complaints.text()).collect();
        machine::explain(error, &said)
    }
}
