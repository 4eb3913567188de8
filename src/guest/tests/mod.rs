//! Tests that build and run the real guest programs.

mod attackers;
mod build;
pub(crate) mod launch;
mod pid_one;
mod probe;
mod programs;
mod servers;
