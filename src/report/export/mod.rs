//! Stored runs in the formats of other programs, one file a format. Pure.
//!
//! Invariant: what a format has no room for is left out and told, never bent to fit.

mod bencher;
mod bootstrap;
mod critcmp;
mod csv;
mod github;
mod hyperfine;
mod openmetrics;
mod selection;

use serde::Serialize;

pub use bencher::bencher;
pub use critcmp::critcmp;
pub use csv::csv;
pub use github::{Better, github};
pub use hyperfine::hyperfine;
pub use openmetrics::openmetrics;
pub use selection::{CaseSeries, LeftOut, Selection, Series, Simulated};

/// What an export is, and what it could not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported<T = String> {
    /// The text of its file; or its files, each with its path below the folder of the export.
    pub content: T,
    /// What is not in there.
    pub left_out: Vec<LeftOut>,
    /// How many metrics of cases are in there; without one, it is nothing that its reader could use.
    pub metrics: usize,
}

/// JSON over several lines, ended as a text file is.
fn json(value: &impl Serialize) -> String {
    // Nothing exported has keys other than strings, the one thing that could fail.
    let text = serde_json::to_string_pretty(value).expect("strings are keys");
    text + "\n"
}
