//! Guest programs: the images they come in and the lines they print.

mod image;
pub mod line;

pub use image::{Image, Program};
pub use line::GuestLine;
