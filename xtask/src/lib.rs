//! Featherweight's own chores: the proof of its rule of regression, and the rules of its repository.

pub mod power;
pub mod tidy;
