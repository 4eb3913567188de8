//! Runs a plan: assembles a rig, runs trial by trial, records each at once, and leaves nothing behind.
//!
//! Invariant: every trial of the plan that was begun and not interrupted has exactly one line in the store.

mod resume;
mod run;

pub use resume::ResumeError;
pub use run::{RunRequest, RunSummary, Session};
