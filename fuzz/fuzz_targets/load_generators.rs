//! Parses the output of `wrk` and `redis-benchmark`: an error, or finite positive numbers.

#![no_main]

use featherweight::measure::workload::{redis_benchmark, wrk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    if let Ok(report) = wrk::parse(&text) {
        assert!(report.requests > 0 && report.rate.is_finite() && report.rate > 0.0, "{report:?}");
        report.errors.sum();
    }
    for row in redis_benchmark::parse(&text, &["SET", "GET"]).into_iter().flatten() {
        assert!(row.rate.is_finite() && row.rate > 0.0, "{row:?}");
    }
});
