//! What virtual machine monitors share.

pub(super) mod append;
mod instance;
mod log;
mod monitor;
mod port_probe;

pub(super) use instance::{MachineInstance, MonitorCommand, MonitorProcess};
pub(super) use log::MemoryLog;
pub(super) use monitor::{MonitorContext, Overhead, check_kernel, find_monitor};
use port_probe::PortProbe;

use super::LaunchSpec;
use crate::guest::system::System;
use crate::model::program::Program;
use crate::model::units::Bytes;

/// The memory of a guest: what the spec demands, or what the manifest says, within the limits. The arrays of the memory
/// attacker are as large as its limits allow.
pub(super) fn memory_of(spec: &LaunchSpec, system: &System) -> Bytes {
    let limit = spec.limits.map(|limits| limits.memory);
    let default = match spec.image.program {
        Program::Stream => limit.unwrap_or(system.memory).max(system.memory),
        _ => limit.map_or(system.memory, |limit| limit.min(system.memory)),
    };
    spec.memory.unwrap_or(default)
}
