//! A running instance of a platform.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::guest::GuestLine;
use crate::host::cgroup::Cgroup;
use crate::model::event::Events;
use crate::model::units::{Bytes, Nanos};

/// An event to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// The first `FW main`.
    Main,
    /// The first `FW ready`.
    Ready,
    /// An `FW ops N` with N > 0: an attacker does attack.
    Attacking,
    /// The `FW result` line.
    Result,
    /// The end of its process.
    Exit,
}

/// A line of the guest, with the instant at which the harness read it.
#[derive(Debug, Clone, PartialEq)]
pub struct StampedLine {
    /// The instant.
    pub at: Nanos,
    /// The line.
    pub line: GuestLine,
}

/// The address of the server in an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address and port.
    pub address: SocketAddr,
    /// The network namespace that reaches the address; `None` for the harness's own.
    pub netns: Option<PathBuf>,
}

/// How an instance's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

/// A kernel thread that executes an instance, to read the placement back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestThread {
    /// Its process, in the host's PID namespace.
    pub pid: i32,
    /// The thread, in the host's PID namespace.
    pub tid: i32,
    /// Its role.
    pub role: ThreadRole,
}

/// What a thread does for its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadRole {
    /// Works for the virtual machine monitor.
    Vmm,
    /// Executes a virtual CPU.
    Vcpu,
    /// Belongs to a process in a container, or to a bare process.
    Process,
}

/// What remains of an instance after its end.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// How it ended.
    pub exit: Exit,
    /// All its events, including `gone`.
    pub events: Events,
    /// All its lines.
    pub lines: Vec<StampedLine>,
}

/// An instance. As a last resort, dropping it without [`Instance::stop`] kills and removes it, and prints a warning.
pub trait Instance: Send + std::fmt::Debug {
    /// Its name in the run.
    fn name(&self) -> &str;

    /// The events so far.
    fn events(&self) -> &Events;

    /// Reads the available output, without waiting, and returns all lines so far. It keeps at most a few thousand lines
    /// and counts the others.
    fn lines(&mut self) -> &[StampedLine];

    /// Waits for `milestone`, and reads the guest's lines meanwhile. Returns the instant at which it happened, at once if
    /// it already has.
    ///
    /// # Errors
    /// Fails at `deadline`, and if the guest ends or prints `FW error` before the milestone.
    fn wait_for(&mut self, milestone: Milestone, deadline: Nanos) -> Result<Nanos, Error>;

    /// The threads that execute it; empty after its end.
    fn threads(&self) -> Vec<GuestThread>;

    /// Its cgroup, if it has its own.
    fn cgroup(&self) -> Option<&Cgroup>;

    /// The size of the guest's own memory; `None` if it shares the host's, as a process does.
    fn guest_memory(&self) -> Option<Bytes> {
        None
    }

    /// The address of its server; `None` if it does not serve or has no network.
    fn endpoint(&self) -> Option<Endpoint>;

    /// Kills it without waiting. Harmless if it has ended.
    fn kill(&mut self);

    /// Ends it if it lives, waits for its end, reads the rest of its output and removes everything that was created for
    /// it.
    ///
    /// # Errors
    /// Fails if something cannot be removed, or if its exit status is unknown.
    fn stop(self: Box<Self>) -> Result<Stopped, Error>;
}
