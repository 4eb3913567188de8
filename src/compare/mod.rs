//! Comparing: the rule for verdicts, live sessions of two arms, stored runs, and the history of sessions.

pub mod history;
pub mod live;
pub mod rule;
pub mod stored;
