//! The guest programs are built and run for real.

mod attackers;
mod build;
pub(crate) mod launch;
mod pid_one;
mod probe;
mod programs;
mod servers;
