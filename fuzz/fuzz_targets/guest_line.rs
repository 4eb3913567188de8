//! Parses the output of guests: every line is a line of the protocol or kept unchanged.

#![no_main]

use featherweight::guest::GuestLine;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    for line in text.lines() {
        if let GuestLine::Other(kept) = GuestLine::parse(line) {
            assert_eq!(kept, line.trim_end_matches(['\r', '\n']));
        }
    }
});
