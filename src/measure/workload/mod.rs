//! The real load generators, which drive servers from outside.
//!
//! Invariant: parsing is pure and reads the tools' own output. Unknown or truncated output is an error with that text, never
//! a number.

mod figures;
mod job;
mod place;
pub mod redis_benchmark;
#[cfg(test)]
mod tests;
mod tools;
pub mod wrk;

pub use tools::Tools;
