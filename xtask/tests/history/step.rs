//! A history with a known content: one machine, one metric, one change.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The key of the machine, which is also the name of its file.
pub(crate) const HOST: &str = "00112233445566aa";

/// The line of session `n` as stored.
pub(crate) fn line(n: usize, ratio: f64, commit: char) -> Value {
    let digits = |count: usize| commit.to_string().repeat(count);
    json!({
        "schema": 1, "session": format!("202611{:02}-{:02}0000-{n:04x}", 1 + n / 24, n % 24), "kind": "ab",
        "time": format!("2026-11-{:02}T{:02}:00:00Z", 1 + n / 24, n % 24), "host": HOST, "machine": "EPYC, 4 CPUs",
        "kernel": "6.8.0", "version": "0.1.0", "revision": digits(40), "platform": "youki",
        "versions": {"youki": "libcontainer 0.7.0"}, "accelerator": "none", "image": digits(64), "experiment": "boot",
        "case": "boot/hello/0", "metric": "boot", "unit": "ns", "direction": "lower", "trials": 90, "median": 7e6 * ratio,
        "ratio": {"value": ratio, "interval": null}, "anchor": {"id": "a1", "name": "youki,guests=v0.1.0"},
        "verdict": "EQUIVALENT",
    })
}

/// Writes a history of 40 sessions in `home`, worse by 5 % from the 25th on; returns its folder.
pub(crate) fn with_a_step(home: &Path) -> PathBuf {
    let wave = |n: usize| 1.0 + 0.002 * (n as f64 * 0.618).fract();
    let session = |n: usize| if n < 24 { line(n, wave(n), 'a') } else { line(n, 1.05 * wave(n), 'b') };
    let text: String = (0..40).map(|n| session(n).to_string() + "\n").collect();
    let dir = home.join("featherweight/history");
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join(format!("{HOST}.jsonl")), text).expect("a file");
    dir
}
