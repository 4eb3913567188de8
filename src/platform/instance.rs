//! One running instance of a platform.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::guest::GuestLine;
use crate::host::cgroup::Cgroup;
use crate::model::event::Events;
use crate::model::units::{Bytes, Nanos};

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// The first `FW main`.
    Main,
    /// The first `FW ready`.
    Ready,
    /// An `FW ops N` with N > 0: an attacker really attacks.
    Attacking,
    /// The `FW result` line.
    Result,
    /// The end of its process.
    Exit,
}

/// A line of the guest with the instant the harness read it.
#[derive(Debug, Clone, PartialEq)]
pub struct StampedLine {
    /// When.
    pub at: Nanos,
    /// What.
    pub line: GuestLine,
}

/// Where the server in an instance answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub address: SocketAddr,
    /// The network namespace from which that address can be reached; `None` is the harness's own.
    pub netns: Option<PathBuf>,
}

/// How an instance's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

/// A kernel thread that executes an instance, for reading placement back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestThread {
    /// Its process, in the host's process namespace.
    pub pid: i32,
    /// Itself, in the host's process namespace.
    pub tid: i32,
    /// What it does.
    pub role: ThreadRole,
}

/// What a thread does for its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadRole {
    /// The virtual machine monitor's own work.
    Vmm,
    /// Executes a virtual CPU.
    Vcpu,
    /// A process in a container, or a bare process.
    Process,
}

/// What is left of an instance after its end.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// How it ended.
    pub exit: Exit,
    /// All its events, `gone` included.
    pub events: Events,
    /// All its lines.
    pub lines: Vec<StampedLine>,
}

/// One instance. Dropping it without [`Instance::stop`] kills and removes it as the last resort, and says so.
pub trait Instance: Send + std::fmt::Debug {
    /// Its name in the run.
    fn name(&self) -> &str;

    /// The events so far.
    fn events(&self) -> &Events;

    /// Reads what the guest has printed until now, without waiting, and gives all its lines; at most a few thousand,
    /// the rest counted and dropped.
    fn lines(&mut self) -> &[StampedLine];

    /// Waits until `milestone` or the instant `deadline`, reading the guest's lines meanwhile. Returns when it
    /// happened, at once if it already has. A guest that ends or prints `FW error` before the milestone is a failure.
    fn wait_for(&mut self, milestone: Milestone, deadline: Nanos) -> Result<Nanos, Error>;

    /// The threads that execute it now; empty once it has ended.
    fn threads(&self) -> Vec<GuestThread>;

    /// Its cgroup, where it has one of its own.
    fn cgroup(&self) -> Option<&Cgroup>;

    /// The size of the memory that the guest was given as its own; `None` where it shares the host's, as a process does.
    fn guest_memory(&self) -> Option<Bytes> {
        None
    }

    /// Where its server answers; `None` when it serves nothing or has no network.
    fn endpoint(&self) -> Option<Endpoint>;

    /// Begins to end it, without waiting. Harmless if it has ended.
    fn kill(&mut self);

    /// Ends it if it lives, waits for its end, reads what it still printed and removes all that was made for it.
    fn stop(self: Box<Self>) -> Result<Stopped, Error>;
}
