//! Results for people and for programs: a page, figures, tables, JSON and CSV.
//!
//! Reports read only stored runs. Invariant: `model`, `figures` and `export` are pure.

mod comparison;
pub mod export;
pub mod figures;
mod history;
mod html;
mod json;
pub mod model;
pub mod progress;
mod published;
mod source;
mod text;
mod write;

pub use comparison::{Format, comparison, markdown_code, markdown_text};
pub use export::csv;
pub use history::write_history;
pub use source::{Latest, NoSuchRun, find, latest};
pub use text::{Look, terminal};
pub use write::{WriteError, write, write_with};
