//! Macros that print a line for the user.
//!
//! Invariant: nothing here fails or panics. If the reader closes the pipe (`cargo bench | head`, or a `tee` that Ctrl-C
//! ended), the run continues and still removes its instances.

/// Prints a line to standard error.
macro_rules! err {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($argument)*);
    }};
}

/// Prints a line to standard output.
macro_rules! out {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}

pub(crate) use {err, out};
