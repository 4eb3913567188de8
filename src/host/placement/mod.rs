//! Placement: which CPUs a victim, its attackers and the harness run on.
//!
//! `policy` decides and is pure; `affinity` applies what was decided and reads it back.

mod affinity;
pub mod policy;

pub use affinity::{Mismatch, pin_current_thread, usable_cpus, verify};
pub use policy::{Apart, Assignment, NotOnThisHost, apart, assign, client_shares};
