//! Reads a stored run, and creates every report and export from accepted input.

#![no_main]

mod folder;

use featherweight::report::export::{
    Better, Selection, Simulated, bencher, critcmp, csv, github, hyperfine, openmetrics,
};
use featherweight::report::{Look, model::Report, terminal};
use featherweight::store::{RUN_FILE, StoredRun, TRIALS_FILE, read_run};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let dir = folder::folder(input, RUN_FILE, TRIALS_FILE);
    if let Ok(run) = read_run(dir.path()) {
        let runs = [run];
        std::hint::black_box((terminal(&runs[0], Look::Plain, Some(100)), Report::of(&runs, &[])));
        export(&runs);
    }
});

fn export(runs: &[StoredRun]) {
    assert!(csv(runs).ends_with("\r\n"));
    let selection = Selection::of(runs, Simulated::Marked);
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("an export is JSON");
    json(&bencher(&selection).content);
    json(&github(&selection, Better::Smaller).content);
    json(&github(&selection, Better::Bigger).content);
    json(&hyperfine(&selection).content);
    critcmp(&selection, "main").content.iter().for_each(|(_, text)| drop(json(text)));
    assert!(openmetrics(&selection).content.ends_with("# EOF\n"));
}
