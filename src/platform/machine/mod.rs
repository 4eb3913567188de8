//! What monitors of virtual machines share, whichever they are.

pub(super) mod append;
mod complaints;
mod monitor;
mod port_probe;

use std::io;

pub(super) use complaints::Complaints;
pub(super) use monitor::{MonitorContext, Overhead, kernel_for_guests};
pub(super) use port_probe::PortProbe;

use super::{Error, Exit, LaunchSpec};
use crate::guest::system::System;
use crate::host::cgroup::Cgroup;
use crate::host::network::Tap;
use crate::model::program::Program;
use crate::model::units::Bytes;
use crate::platform::process::watch::{KILL_PATIENCE, Process, Watch};

/// The memory of a guest: what is asked for, or else what its manifest says, within its limits. The arrays of the memory
/// attacker are as large as its limits are made for.
pub(super) fn memory_of(spec: &LaunchSpec, system: &System) -> Bytes {
    let limit = spec.limits.map(|limits| limits.memory);
    let usual = match spec.image.program {
        Program::Stream => limit.unwrap_or(system.memory).max(system.memory),
        _ => limit.map_or(system.memory, |limit| limit.min(system.memory)),
    };
    spec.memory.unwrap_or(usual)
}

/// How a machine ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// How its program did, by the guest system's word; `None` if it said nothing.
    pub(super) told: Option<Exit>,
    /// How its monitor did.
    pub(super) monitor: Option<Exit>,
}

/// Ends the monitor, if it lives.
///
/// # Errors
/// When it does not end, or cannot be reaped.
pub(super) fn end(watch: &mut Watch) -> Result<Ended, Error> {
    watch.kill();
    watch.wait_exit(KILL_PATIENCE)?;
    let told = watch.exit();
    let monitor = watch.process().map(Process::reap).transpose();
    Ok(Ended { told, monitor: monitor.map_err(|e| Error::failed("reap the monitor", e))? })
}

/// Removes what was made around a machine that has ended.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn remove(tap: Option<Tap>, cgroup: Option<&Cgroup>) -> io::Result<()> {
    let detached = tap.map_or(Ok(()), Tap::detach);
    let removed = cgroup.map_or(Ok(()), |cgroup| cgroup.remove(KILL_PATIENCE));
    detached.and(removed)
}

/// Adds what a monitor had to say to why a trial failed.
pub(super) fn explain(error: Error, said: &[String]) -> Error {
    match error {
        Error::Failed { action, reason } if !said.is_empty() => {
            Error::Failed { action, reason: format!("{reason}; the monitor: {}", said.join("; ")) }
        }
        other => other,
    }
}
