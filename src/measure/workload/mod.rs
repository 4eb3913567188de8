//! Workloads that are driven from outside: servers, and the real load generators that drive them.
//!
//! Invariant: parsing is pure and takes the tools' own text; whatever a tool prints that is not understood, or cut short,
//! is an error with that text, never a number.

mod figures;
mod job;
mod place;
pub mod redis_benchmark;
#[cfg(test)]
mod tests;
mod tools;
pub mod wrk;

pub use tools::Tools;
