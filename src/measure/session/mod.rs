//! Runs a plan: opens what it needs, runs trial by trial, records each at once, and leaves nothing behind.
//!
//! Invariant: every trial of the plan that was begun and not interrupted has exactly one line in the store.

mod environment;
mod event;
mod guests;
mod host_support;
mod record;
mod resume;
mod session;

pub use event::{EngineEvent, Observer};
pub use session::{EngineError, RunRequest, RunSummary, Session};
// What a comparison of two arms is made of, too.
pub(crate) use environment::{RunEnvironment, host_facts, needs};
pub(crate) use guests::Guests;
pub(crate) use host_support::{host_support, read_topology};
pub(crate) use record::{now, run as run_trial};
pub(crate) use session::open_ledger;
