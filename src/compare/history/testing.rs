//! Small histories for tests.

use std::collections::BTreeMap;

use super::{Anchor, Entry, HostKey, SCHEMA, SessionKind};
use crate::model::platform::Accelerator;
use crate::model::record::Experiment;
use crate::model::units::{Direction, Unit};
use crate::stats::{Estimate, Interval};

/// The machine of all test entries.
pub(crate) fn host() -> HostKey {
    "00112233445566aa".to_owned().try_into().expect("a key")
}

/// An entry of the `n`th session. The first one is the anchor.
pub(crate) fn entry(n: usize) -> Entry {
    let (day, hour) = (1 + n / 24, n % 24);
    Entry {
        schema: SCHEMA,
        session: format!("202611{day:02}-{hour:02}0000-{n:04x}").parse().expect("an id"),
        kind: SessionKind::Run,
        time: format!("2026-11-{day:02}T{hour:02}:00:00Z"),
        host: host(),
        machine: "EPYC, 4 CPUs".to_owned(),
        kernel: Some("6.8.0".to_owned()),
        facts: "f".repeat(12),
        version: "0.1.0".to_owned(),
        revision: Some("a".repeat(40)),
        platform: "youki".to_owned(),
        versions: BTreeMap::from([("youki".to_owned(), "libcontainer 0.7.0".to_owned())]),
        accelerator: Some(Accelerator::None),
        image: Some("0".repeat(64)),
        experiment: Experiment::Boot,
        case: "boot/hello/0".to_owned(),
        parameters: BTreeMap::new(),
        metric: "boot".to_owned(),
        unit: Unit::Nanos,
        direction: Direction::Lower,
        trials: 20,
        median: 7e6,
        ratio: Some(Estimate { value: 1.0, interval: None }),
        anchor: Anchor { id: "first".to_owned(), name: "the run first".to_owned() },
        verdict: None,
        simulated: false,
        values: if n == 0 { vec![7e6, 7.1e6] } else { Vec::new() },
    }
}

/// `count` sessions with a step and other guests from session `at` on.
pub(crate) fn stepped(count: usize, at: usize, step: f64) -> Vec<Entry> {
    let session = |n: usize| {
        // The golden ratio's fraction: its multiples fill the unit interval evenly.
        let noise = 0.01 * ((0.5 + n as f64 * 0.618_033_988_749_895).fract() - 0.5);
        let value = (1.0 + if n < at { 0.0 } else { step }) * (1.0 + noise);
        let interval = Some(Interval { low: value * 0.99, high: value * 1.01, level: 0.98 });
        let digit = if n < at { "a" } else { "b" };
        Entry {
            ratio: Some(Estimate { value, interval }),
            median: 7e6 * value,
            revision: Some(digit.repeat(40)),
            image: Some(digit.repeat(64)),
            ..entry(n)
        }
    };
    (0..count).map(session).collect()
}

/// The line as it is stored.
pub(crate) fn line(entry: &Entry) -> String {
    serde_json::to_string(entry).expect("an entry is JSON") + "\n"
}
