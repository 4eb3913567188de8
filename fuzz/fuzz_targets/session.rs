//! A stored ab session: the reader, its blocks, and what a history takes from it.

#![no_main]

mod folder;

use featherweight::ab::{SESSION_FILE, read_session};
use featherweight::history;
use featherweight::store::TRIALS_FILE;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let dir = folder::folder(input, SESSION_FILE, TRIALS_FILE);
    if let Ok(session) = read_session(dir.path()) {
        assert!(session.blocks().values().map(Vec::len).sum::<usize>() <= session.trials.len());
    }
    std::hint::black_box(history::read_session(dir.path()).is_some_and(|read| read.is_ok()));
});
