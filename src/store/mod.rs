//! Results on disk: a folder a run, a line a trial, appended and synced when the trial ends.

mod record;

pub use record::{Case, Cpus, Experiment, Metric, Outcome, Role, SCHEMA, TrialRecord};
