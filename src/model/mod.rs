//! The types that all modules share: quantities, names and records. Nothing here does I/O.

pub mod attacker;
pub mod comparison;
pub mod configuration;
pub mod cpuset;
pub mod event;
pub mod exit;
pub mod flat_configuration;
pub mod load;
pub mod metric;
pub mod names;
pub mod placement;
pub mod platform;
pub mod program;
pub mod record;
pub mod run;
pub mod units;
