//! Featherweight measures how light, how scalable and how well isolated a virtualization platform is.
//!
//! One harness, with one definition of every metric, measures bare processes, containers, microVMs, virtual machines and
//! unikernels. `ARCHITECTURE.md` describes the modules; `docs/glossary.md` defines the terms.
//!
//! Data flows in one direction. [`cli`] resolves the command line into a configuration. [`measure`] plans the trials without
//! touching the machine, then runs them and appends each to the [`store`] at once. [`compare`] and [`report`] only read what
//! is stored.

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
