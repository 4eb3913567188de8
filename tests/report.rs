//! The report over the frozen runs: page, figures, summary, terminal table and CSV, as a reader gets them.

#[path = "report/frozen.rs"]
mod frozen;

use std::path::Path;
use std::{env, fs};

use featherweight::report::{self, Latest};

fn latest() -> Latest {
    report::latest(&frozen::folder())
}

fn written() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    report::write_with(&latest(), dir.path()).unwrap();
    dir
}

/// `FEATHERWEIGHT_FREEZE=1 cargo test --test report` writes the frozen runs anew.
#[test]
fn the_frozen_runs_are_what_their_generator_makes() {
    let generated = frozen::generate();
    if env::var_os("FEATHERWEIGHT_FREEZE").is_some() {
        let _ = fs::remove_dir_all(frozen::folder());
        frozen::freeze(&generated, &frozen::folder());
    }
    let stored = latest();
    assert!(stored.warnings.is_empty(), "{:?}", stored.warnings);
    assert!(stored.runs == generated, "run with FEATHERWEIGHT_FREEZE=1 after changing the generator");
}

#[test]
fn the_report_is_a_page_with_its_figures_and_a_summary_for_programs() {
    let dir = written();
    let page = fs::read_to_string(dir.path().join("index.html")).unwrap();
    if let Some(keep) = env::var_os("FEATHERWEIGHT_KEEP_REPORT") {
        report::write_with(&latest(), Path::new(&keep)).unwrap();
    }
    let links: Vec<&str> = page.split("href=\"figures/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() > 15, "{links:?}");
    for link in links {
        let figure = fs::read_to_string(dir.path().join("figures").join(link)).unwrap();
        assert!(figure.starts_with("<svg ") && figure.contains("<style>"), "{link}");
    }
}
