//! Reads a stored ab session, its blocks, and its history entry.

#![no_main]

mod folder;

use featherweight::compare::history;
use featherweight::compare::live::{SESSION_FILE, read_session, read_session_file};
use featherweight::store::TRIALS_FILE;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let dir = folder::folder(input, SESSION_FILE, TRIALS_FILE);
    if let Ok(session) = read_session(dir.path()) {
        assert!(session.blocks().values().map(Vec::len).sum::<usize>() <= session.trials.len());
    }
    if let Ok(file) = read_session_file(dir.path()) {
        std::hint::black_box(history::session_entries(&file).is_ok());
    }
});
