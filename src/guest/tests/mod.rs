//! The guest programs are built and run for real.

mod build;
