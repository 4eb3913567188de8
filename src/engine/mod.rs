//! Runs a plan: opens what it needs, runs trial by trial, records each at once, and leaves nothing behind.
//!
//! Invariant: every trial of the plan that was begun and not interrupted has exactly one line in the store.

mod background;
mod crew;
mod event;
mod guests;
mod offer;
mod resume;
mod session;
mod settle;
mod surroundings;
mod trial;

pub use background::Background;
pub use crew::Crew;
pub use event::{EngineEvent, Observer};
pub use session::{EngineError, Request, RunSummary, Session};
pub use settle::HostContext;
// What a comparison of two arms is made of, too.
pub(crate) use guests::Guests;
pub(crate) use offer::{offer, read_topology};
pub(crate) use session::open_ledger;
pub(crate) use surroundings::{Surroundings, host_facts, needs};
pub(crate) use trial::{now, run as run_trial};
