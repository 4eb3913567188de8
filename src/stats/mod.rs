//! Statistics: everything in docs/methodology.md. Pure.
