//! Words for the user, on either stream.
//!
//! Invariant: a closed pipe (`cargo bench | head`, a `tee` that Ctrl-C ended) is no reason to stop, let alone to panic with
//! instances alive, so nothing here fails.

/// One line on standard error.
macro_rules! err {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($argument)*);
    }};
}

/// One line on standard output.
macro_rules! out {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}

pub(crate) use {err, out};
