//! Firecracker's process: its log, and which of its threads are virtual CPUs.

use std::io;

use crate::platform::machine::{MachineInstance, MemoryLog, MonitorProcess};
use crate::platform::{GuestThread, ThreadRole};

/// The start of the names of threads that are virtual CPUs: `fc_vcpu 0`.
const VCPU: &str = "fc_vcpu ";

/// A machine of Firecracker.
pub(super) type FirecrackerInstance = MachineInstance<FirecrackerMonitor>;

/// What is known about one Firecracker.
#[derive(Debug)]
pub(super) struct FirecrackerMonitor {
    /// Its log. It uses its standard error only before it opens the log.
    pub(super) log: MemoryLog,
}

impl FirecrackerMonitor {
    /// A Firecracker that is not started yet.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { log: MemoryLog::new()? })
    }
}

impl MonitorProcess for FirecrackerMonitor {
    fn name(&self) -> String {
        "Firecracker".to_owned()
    }

    fn role(&self, thread: GuestThread) -> ThreadRole {
        let name = std::fs::read_to_string(format!("/proc/{}/task/{}/comm", thread.pid, thread.tid));
        role_of(&name.unwrap_or_default())
    }

    fn report(&mut self) -> Option<String> {
        self.log.text()
    }
}

/// What a thread of that name does.
fn role_of(name: &str) -> ThreadRole {
    if name.starts_with(VCPU) { ThreadRole::Vcpu } else { ThreadRole::Vmm }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_cpus_are_recognized_by_the_names_of_their_threads() {
        let roles = ["firecracker\n", "fc_vcpu 0\n", "fc_vcpu 12\n", "fc_api\n", ""].map(role_of);
        use ThreadRole::{Vcpu, Vmm};
        assert_eq!(roles, [Vmm, Vcpu, Vcpu, Vmm, Vmm]);
    }
}
