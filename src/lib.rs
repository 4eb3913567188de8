//! Featherweight measures how light, how scalable and how well isolated a virtualization platform is.
//!
//! Containers, unikernels, microVMs, plain VMs and the bare process go through one harness with one
//! definition of every metric. `ARCHITECTURE.md` is the map; `docs/glossary.md` fixes the words.
//!
//! Data flows one way: the command line is resolved into a configuration, `plan` turns it into a list of
//! trials without touching the machine, `engine` runs them and appends each to the [`store`] at once,
//! `stats` and `report` read the store and nothing else.

pub mod ab;
pub mod arm;
pub mod attacker;
pub mod cgroup;
pub mod cli;
pub mod clock;
pub mod compare;
pub mod cpuset;
pub mod docker;
pub mod engine;
pub mod experiment;
pub mod guest;
pub mod history;
pub mod host;
pub mod interrupt;
pub mod ledger;
pub mod names;
pub mod network;
pub mod observe;
pub mod placement;
pub mod plan;
pub mod platform;
pub mod proof;
pub mod regression;
pub mod report;
pub mod run;
pub mod sampler;
mod say;
pub mod stats;
pub mod store;
pub mod units;
pub mod workload;
