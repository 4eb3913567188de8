//! Placement: which CPUs a victim, its attackers and the harness run on.
//!
//! `policy` decides and is pure; `affinity` applies the decision and reads it back from the kernel.

mod affinity;
pub mod policy;

pub use affinity::{Mismatch, PinError, pin_current_thread, usable_cpus, verify};
pub use policy::{Apart, Assignment, NotOnThisHost, Obstacle, apart, assign, client_shares};
