//! Reads a history file, and computes change points and questions from accepted input.

#![no_main]

use std::path::Path;

use featherweight::compare::history::{parse, questions, tracks};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok((entries, whole)) = parse(input, Path::new("history.jsonl")) else { return };
    assert!(whole <= input.len());
    let tracks = tracks(&entries);
    std::hint::black_box(questions(&tracks, &entries));
});
