//! The plan of a run: pure, seeded, printable.

mod configuration;

pub use configuration::{Configuration, LadderOrder, Profile};
