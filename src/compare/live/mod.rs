//! Two arms measured now, in shuffled blocks, with confirmation and null control: `cargo xtask ab`.
//!
//! An arm is opened as a lane: with a run id, a ledger, a platform and prepared guests of its own. The null control is a
//! third lane of the arm A. Rounds go over the cases, a block each; [`crate::compare::rule`] says when there are enough.
//! Invariant: what is judged is what is stored. A session that goes on comes to the blocks and verdicts that it would
//! have come to without a break.

mod block;
mod calibrate;
mod case;
mod error;
mod evaluator;
mod event;
mod exit;
mod metric;
mod question;
mod reader;
mod resume;
mod runner;
mod runners;
mod session;
mod stage;
mod store;
mod summary;

#[cfg(test)]
mod tests;

pub use block::ArmId;
pub use case::CaseFile;
pub use error::AbError;
pub use event::{Event, Standing, Watcher};
pub use metric::{JudgedMetric, MetricSelection, MixedMetrics};
pub use question::{Question, RuleOverrides};
pub use reader::{StoredSession, latest_unfinished, list_sessions, read_session, read_session_file, session_folder};
pub use session::{Outline, Session, SessionRequest, Summary};
pub use store::{AbTrial, ArmFile, Arms, SESSION_FILE, SESSION_SCHEMA, SessionFile};
