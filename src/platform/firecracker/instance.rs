//! One machine of Firecracker's with what was made for it.

use std::io;

use crate::host::cgroup::Cgroup;
use crate::host::network::Tap;
use crate::model::units::Bytes;
use crate::platform::machine::{self, Complaints, Ended, PortProbe};
use crate::platform::process::watch::{Watch, threads_of};
use crate::platform::process::watched::Body;
use crate::platform::{Endpoint, Error, Exit, GuestThread, ThreadRole};

/// How Firecracker calls the threads that are processors: `fc_vcpu 0`.
const VCPU: &str = "fc_vcpu ";

/// A machine, from the moment it was asked for.
#[derive(Debug)]
pub(super) struct FirecrackerInstance {
    pub(super) watch: Watch,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) tap: Option<Tap>,
    pub(super) endpoint: Option<Endpoint>,
    /// What it writes into its log.
    pub(super) log: Complaints,
    /// What it says before it has one.
    pub(super) complaints: Complaints,
    pub(super) memory: Bytes,
    /// What says for its guest that it is ready.
    pub(super) knocking: Option<PortProbe>,
}

impl FirecrackerInstance {
    /// A machine that is not started yet.
    pub(super) fn new(watch: Watch, cgroup: Option<Cgroup>, memory: Bytes) -> io::Result<Self> {
        let (log, complaints) = (Complaints::new()?, Complaints::new()?);
        Ok(Self { watch, cgroup, tap: None, endpoint: None, log, complaints, memory, knocking: None })
    }

    /// What it complained about.
    fn said(&mut self) -> Vec<String> {
        self.log.text().into_iter().chain(self.complaints.text()).collect()
    }

    /// Removes whatever a failed start has made.
    pub(super) fn abandon(&mut self) {
        // The failure of the start is what matters; what stays stands in the ledger.
        let _ = self.remove();
    }

    fn remove(&mut self) -> io::Result<()> {
        self.knocking = None;
        machine::remove(self.tap.take(), self.cgroup.as_ref())
    }

    /// Ends the process: how the program in the machine ended.
    fn end_process(&mut self) -> Result<Exit, Error> {
        let Ended { told, monitor } = machine::end(&mut self.watch)?;
        told.ok_or_else(|| {
            let how = match monitor {
                Some(Exit::Code(code)) => format!("Firecracker exited with code {code}"),
                Some(Exit::Signal(signal)) => format!("signal {signal} ended Firecracker"),
                None => "Firecracker is gone".to_owned(),
            };
            machine::explain(Error::failed(format!("end {}", self.watch.name()), how), &self.said())
        })
    }
}

impl Body for FirecrackerInstance {
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
        let named = |thread: GuestThread| {
            let name = std::fs::read_to_string(format!("/proc/{}/task/{}/comm", thread.pid, thread.tid));
            GuestThread { role: role(&name.unwrap_or_default()), ..thread }
        };
        threads_of(self.pids()).into_iter().map(named).collect()
    }

    fn explain(&mut self, error: Error) -> Error {
        machine::explain(error, &self.said())
    }
}

/// What a thread of that name does.
fn role(name: &str) -> ThreadRole {
    if name.starts_with(VCPU) { ThreadRole::Vcpu } else { ThreadRole::Vmm }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_known_by_the_names_of_their_threads() {
        let roles = ["firecracker\n", "fc_vcpu 0\n", "fc_vcpu 12\n", "fc_api\n", ""].map(role);
        use ThreadRole::{Vcpu, Vmm};
        assert_eq!(roles, [Vmm, Vcpu, Vcpu, Vmm, Vmm]);
    }
}
