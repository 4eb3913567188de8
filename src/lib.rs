//! Featherweight measures how light, how scalable and how well isolated a virtualization platform is.
//!
//! Containers, unikernels, microVMs, plain VMs and the bare process go through one harness with one
//! definition of every metric. `ARCHITECTURE.md` is the map; `docs/glossary.md` fixes the words.
//!
//! Data flows one way: the command line is resolved into a configuration, `plan` turns it into a list of
//! trials without touching the machine, `engine` runs them and appends each to the [`store`] at once,
//! `stats` and `report` read the store and nothing else.

pub mod cli;
pub mod compare;
pub mod guest;
pub mod host;
pub mod measure;
pub mod model;
pub mod platform;
pub mod report;
pub mod stats;
pub mod store;
