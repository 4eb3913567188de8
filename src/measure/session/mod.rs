//! Runs a plan: opens what it needs, runs trial by trial, records each at once, and leaves nothing behind.
//!
//! Invariant: every trial of the plan that was begun and not interrupted has exactly one line in the store.

mod event;
mod guests;
mod host_support;
mod record;
mod resume;
mod session;
mod surroundings;

pub use event::{EngineEvent, Observer};
pub use session::{EngineError, Request, RunSummary, Session};
// What a comparison of two arms is made of, too.
pub(crate) use guests::Guests;
pub(crate) use host_support::{offer, read_topology};
pub(crate) use record::{now, run as run_trial};
pub(crate) use session::open_ledger;
pub(crate) use surroundings::{Surroundings, host_facts, needs};
