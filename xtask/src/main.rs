//! Featherweight's own chores.

fn main() {}
