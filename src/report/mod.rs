//! What was measured, for people and for programs: one page, figures, tables, JSON and CSV.
//!
//! Everything here reads stored runs and nothing else. Invariant: `model` and `figures` are pure.

pub mod figures;
