//! Two arms measured now, in shuffled blocks, with confirmation and null control: `cargo xtask ab`.
//!
//! Each arm has a rig of its own: run id, ledger, platform and guests. The null control is a third rig, for arm A again.
//! A session measures one block of every open case in turn, until [`crate::compare::rule`] has enough of them.
//! Invariant: verdicts depend on stored blocks only. A session that is continued has the blocks and verdicts that it would
//! have had without the interruption.

mod arm_runner;
mod arm_runners;
mod block;
mod calibrate;
mod case;
mod error;
mod evaluator;
mod exit;
mod metric;
mod prepared_arms;
mod question;
mod reader;
mod resume;
mod session;
mod stage;
mod store;
mod summary;

#[cfg(test)]
mod tests;

pub use case::CaseFile;
pub use error::{AbError, CalibrateError, ResumeError};
pub use metric::{JudgedMetric, MetricSelection, MixedMetrics, UnknownMetrics};
pub use question::{Question, RuleOverrides};
pub use reader::{StoredSession, latest_unfinished, list_sessions, read_session, read_session_file, session_folder};
pub use session::{Outline, Session, SessionRequest, Summary};
pub use store::{AbTrial, ArmFile, Arms, SESSION_FILE, SESSION_SCHEMA, SessionFile};

pub use crate::model::comparison::ArmId;
