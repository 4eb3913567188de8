//! Placement: which CPUs a victim, its attackers and the harness run on.

mod kind;

pub use kind::Placement;
