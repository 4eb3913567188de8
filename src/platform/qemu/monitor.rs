//! QEMU's process: its monitor, and which of its threads are virtual CPUs.

use super::qmp::Qmp;
use crate::host::clock::{Clock, HostClock};
use crate::model::event::Event;
use crate::model::units::Nanos;
use crate::platform::machine::{MachineInstance, MonitorProcess};
use crate::platform::{GuestThread, ThreadRole};

/// A machine of QEMU.
pub(super) type QemuInstance = MachineInstance<QemuMonitor>;

/// What is known about one QEMU.
#[derive(Debug, Default)]
pub(super) struct QemuMonitor {
    /// The connection to its monitor, once it is started.
    pub(super) qmp: Option<Qmp>,
    /// The threads of its virtual CPUs, if the harness needs to know them.
    pub(super) vcpus: Vec<i32>,
}

impl MonitorProcess for QemuMonitor {
    fn name(&self) -> String {
        "QEMU".to_owned()
    }

    fn role(&self, thread: GuestThread) -> ThreadRole {
        if self.vcpus.contains(&thread.tid) { ThreadRole::Vcpu } else { ThreadRole::Vmm }
    }

    fn report(&mut self) -> Option<String> {
        let qmp = self.qmp.as_mut()?;
        qmp.read();
        qmp.last_event.clone()
    }
}

/// Stamps the instant at which the monitor greeted, which lies after `since`. If the guest's first output also came after
/// `since`, it was only read first, so the monitor is not stamped later than the guest.
pub(super) fn stamp_monitor(instance: &mut QemuInstance, since: Nanos) {
    let now = HostClock.now();
    let first = instance.watch.events().get(&Event::Guest).copied().filter(|&first| first >= since);
    instance.watch.stamp_at(Event::Vmm, first.map_or(now, |first| first.min(now)));
}
