//! Reads a saved comparison and prints it in every format.

#![no_main]

use featherweight::compare::rule::Comparison;
use featherweight::report::{Format, Look, comparison};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(saved) = serde_json::from_slice::<Comparison>(input) else { return };
    std::hint::black_box((saved.has_regressed(), saved.says_nothing()));
    for format in Format::ALL {
        let text = comparison(&saved, *format, Look::Plain, Some(100));
        assert!(*format != Format::Json || serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
    }
});
