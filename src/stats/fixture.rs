//! Reference values from scipy and pymannkendall, computed by `fixtures/stats/generate.py`.
//!
//! Invariant: a missing key or a value of the wrong type fails the test.

use std::fmt;

use serde_json::Value;

use super::{Interval, Level, Sample};

/// An input with the results of the reference implementation.
pub(super) struct Case(Value);

/// Reads the cases of one file, at least one.
pub(super) fn cases(json: &str) -> Vec<Case> {
    let cases: Vec<Value> = serde_json::from_str(json).expect("the fixture is a JSON array");
    assert!(!cases.is_empty(), "the fixture is empty");
    cases.into_iter().map(Case).collect()
}

impl Case {
    fn get(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or_else(|| panic!("{self}: no key {key}"))
    }

    pub(super) fn is_missing(&self, key: &str) -> bool {
        self.get(key).is_null()
    }

    pub(super) fn number(&self, key: &str) -> f64 {
        self.get(key).as_f64().unwrap_or_else(|| panic!("{self}: {key} is not a number"))
    }

    pub(super) fn text(&self, key: &str) -> &str {
        self.get(key).as_str().unwrap_or_else(|| panic!("{self}: {key} is not a text"))
    }

    pub(super) fn numbers(&self, key: &str) -> Vec<f64> {
        serde_json::from_value(self.get(key).clone()).unwrap_or_else(|e| panic!("{self}: {key}: {e}"))
    }

    pub(super) fn pairs(&self, key: &str) -> Vec<(f64, f64)> {
        serde_json::from_value(self.get(key).clone()).unwrap_or_else(|e| panic!("{self}: {key}: {e}"))
    }

    pub(super) fn sample(&self, key: &str) -> Sample {
        Sample::new(self.numbers(key)).expect("the fixture holds finite values")
    }

    pub(super) fn level(&self) -> Level {
        Level::new(self.number("level")).expect("the fixture holds a valid level")
    }

    /// Asserts agreement with a tolerance of 1e-9.
    pub(super) fn close(&self, key: &str, actual: f64) {
        self.within(key, actual, 1e-9);
    }

    /// Asserts agreement with a tolerance, which is relative for values above 1 and absolute below.
    pub(super) fn within(&self, key: &str, actual: f64, tolerance: f64) {
        near(self, key, self.number(key), actual, tolerance);
    }

    pub(super) fn close_or_missing(&self, key: &str, actual: Option<f64>) {
        match actual {
            Some(actual) => self.close(key, actual),
            None => assert!(self.is_missing(key), "{self}: {key} is missing"),
        }
    }

    /// Asserts that the interval is `[low, high]`, or missing if the file has null.
    pub(super) fn interval(&self, key: &str, actual: Option<Interval>) {
        let Some(actual) = actual else {
            assert!(self.is_missing(key), "{self}: {key} is missing");
            return;
        };
        let expected = self.numbers(key);
        near(self, key, expected[0], actual.low, 1e-9);
        near(self, key, expected[1], actual.high, 1e-9);
    }
}

fn near(case: &Case, key: &str, expected: f64, actual: f64, tolerance: f64) {
    let error = (actual - expected).abs();
    assert!(error <= tolerance * expected.abs().max(1.0), "{case}: {key} is {actual}, not {expected}");
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get("name").and_then(Value::as_str).unwrap_or("a case without a name"))
    }
}
