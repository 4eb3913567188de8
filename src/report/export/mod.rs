//! Stored runs in the formats of other programs, one file per format. Pure.
//!
//! Invariant: what a format cannot hold is left out and reported, never changed to fit.

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

/// An export, and what its format could not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported<T = String> {
    /// The text of its file; or its files, each with its path below the folder of the export.
    pub content: T,
    /// What is not in it.
    pub left_out: Vec<LeftOut>,
    /// The number of metrics of cases in it. Without any, it is useless to its reader.
    pub metrics: usize,
}

/// JSON on several lines, with a line feed at the end.
fn json(value: &impl Serialize) -> String {
    // Serialization fails only for maps with other keys than strings.
    let text = serde_json::to_string_pretty(value).expect("all keys of exports are strings");
    text + "\n"
}
