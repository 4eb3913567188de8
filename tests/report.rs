//! The report over the frozen runs: page, figures, summary, terminal tables and CSV, as a reader gets them.

#[path = "report/dice.rs"]
mod dice;
#[path = "report/frozen.rs"]
mod frozen;
#[path = "report/machines.rs"]
mod machines;
#[path = "report/many.rs"]
mod many;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use featherweight::report::{self, Latest};

fn latest() -> Latest {
    report::latest(&frozen::folder())
}

fn written() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    report::write_with(&latest(), dir.path()).expect("the report can be written");
    dir
}

/// `FEATHERWEIGHT_FREEZE=1 cargo test -p featherweight --test report` rewrites the frozen runs.
#[test]
fn the_frozen_runs_match_their_generator() {
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

#[test]
fn nine_platforms_fit_a_terminal_of_a_hundred_columns() {
    for run in many::generate() {
        let text = report::terminal(&run, report::Look::Plain, Some(100));
        if let Some(keep) = env::var_os("FEATHERWEIGHT_KEEP_CROWD") {
            fs::write(Path::new(&keep).join(format!("{}.txt", run.file.experiment())), &text).unwrap();
        }
        let framed: Vec<&str> = text.lines().filter(|line| line.starts_with(['|', '+'])).collect();
        let widest = framed.iter().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 100, "{}: {widest} columns", run.file.experiment());
        let whole = |name: &&str| framed.iter().any(|line| line.split([' ', '|']).any(|word| word == *name));
        assert!(many::PLATFORMS.iter().all(whole), "{}: a name is wrapped", run.file.experiment());
    }
}

#[test]
fn nine_platforms_and_three_victims_keep_their_names_apart() {
    let report = report::model::Report::of(&many::generate(), &[]);
    if let Some(keep) = env::var_os("FEATHERWEIGHT_KEEP_CROWD") {
        report::write(&many::generate(), Path::new(&keep)).unwrap();
    }
    let titles: Vec<&str> = report.sections.iter().map(|s| s.title.as_str()).collect();
    insta::assert_snapshot!(titles.join("\n"));
    let mut ids: Vec<&str> = report.figures().map(|f| f.id.as_str()).collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all);
    let first = report.findings.chunk_by(|a, b| a.topic == b.topic).map(|topic| &topic[..topic.len().min(2)]);
    let findings = first.flatten().map(|f| format!("{}: {}", f.topic, f.text));
    let notices = report.notices.iter().map(|n| format!("{}: {}", n.head, n.text));
    insta::assert_snapshot!("crowd-in-words", notices.chain(findings).collect::<Vec<_>>().join("\n"));
}

#[test]
fn virtual_machines_and_containers_have_separate_sentences() {
    let report = report::model::Report::of(&machines::generate(), &[]);
    if let Some(keep) = env::var_os("FEATHERWEIGHT_KEEP_MACHINES") {
        report::write(&machines::generate(), Path::new(&keep)).unwrap();
    }
    let findings = report.findings.iter().map(|f| format!("{}: {}", f.topic, f.text));
    let figures = report.figures().map(|f| format!("{} | {} | {}", f.id, f.title, f.caption));
    insta::assert_snapshot!(findings.chain(figures).collect::<Vec<_>>().join("\n"));
    let all = machines::generate();
    insta::assert_snapshot!("terminal-machines", report::terminal(&all[1], report::Look::Plain, Some(120)));
}

#[test]
fn the_page_is_self_contained_and_well_formed() {
    let dir = written();
    let page = fs::read_to_string(dir.path().join("index.html")).unwrap();
    let addresses = page.match_indices("://").map(|(at, _)| &page[at.saturating_sub(8)..(at + 20).min(page.len())]);
    let foreign: Vec<&str> = addresses.filter(|a| !a.contains("http://www.w3.org/2000")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    assert!(!page.contains("<script") && !page.contains("@import") && !page.contains("url("));
    assert_eq!(open_elements(&page), Vec::<String>::new());
    assert!(page.contains("FW ready &lt;b&gt;&amp;&quot;&#x27;"), "reasons are escaped");
}

/// The elements that are not closed in their order. Void elements and comments are never closed.
fn open_elements(page: &str) -> Vec<String> {
    const VOID: [&str; 6] = ["meta", "link", "br", "hr", "img", "!DOCTYPE"];
    let mut open: Vec<String> = Vec::new();
    for tag in page.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        let name = tag.split([' ', '\n', '/']).find(|word| !word.is_empty()).unwrap_or_default();
        match tag {
            _ if VOID.contains(&name) || tag.ends_with('/') => {}
            closing if closing.starts_with('/') => assert_eq!(open.pop().as_deref(), Some(name), "</{name}>"),
            _ => open.push(name.to_owned()),
        }
    }
    open
}

#[test]
fn every_figure_has_its_content_in_words() {
    let report = report::model::Report::of(&latest().runs, &[]);
    for figure in report.figures() {
        let enough = figure.alternative.len() > figure.title.len() && figure.caption.ends_with('.');
        assert!(enough, "{}: {}", figure.id, figure.alternative);
    }
}

#[test]
fn the_summary_in_words_is_stable() {
    let report = report::model::Report::of(&latest().runs, &[]);
    let notices = report.notices.iter().map(|n| format!("{}: {}", n.head, n.text));
    let findings = report.findings.iter().map(|f| format!("{}: {}", f.topic, f.text));
    insta::assert_snapshot!(notices.chain(findings).collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_terminal_shows_every_experiment() {
    for run in &latest().runs {
        let name = format!("terminal-{}", run.file.experiment());
        insta::assert_snapshot!(name, report::terminal(run, report::Look::Plain, Some(120)));
    }
}

#[test]
fn csv_has_a_row_per_trial_and_a_column_per_dimension() {
    let runs = latest().runs;
    let text = report::csv(&runs);
    let trials: usize = runs.iter().map(|r| r.trials.len()).sum();
    assert_eq!(text.matches("\r\n").count(), trials + 1);
    let some: Vec<&str> = text.lines().enumerate().filter(|(i, _)| i % 90 == 0).map(|(_, line)| line).collect();
    insta::assert_snapshot!(some.join("\n"));
}

#[test]
fn summary_json_is_complete_for_programs() {
    let dir = written();
    let text = fs::read_to_string(dir.path().join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = summary["runs"][3]["cases"].as_array().unwrap();
    let of = |attacker: &str, placement: &str| {
        cases.iter().find(|c| c["case"]["attacker"] == attacker && c["case"]["placement"] == placement).unwrap()
    };
    insta::assert_json_snapshot!([of("prime", "same-thread"), of("fork", "fill")]);
}

#[test]
fn an_unreadable_run_is_a_warning_in_the_report() {
    let dir = tempfile::tempdir().unwrap();
    frozen::freeze(&frozen::generate()[..1], dir.path());
    let bad = dir.path().join("20270101-000000-0bad");
    fs::create_dir(&bad).unwrap();
    fs::write(bad.join("run.json"), "{\"schema\": 99}").unwrap();
    let latest = report::latest(dir.path());
    assert_eq!(latest.runs.len(), 1);
    assert!(latest.warnings[0].contains("has schema 99"), "{:?}", latest.warnings);
    let page = report::write_with(&latest, &dir.path().join("report")).unwrap();
    assert!(fs::read_to_string(page).unwrap().contains("has schema 99"));
}

#[test]
fn an_older_run_is_shown_for_workloads_without_a_later_run() {
    let dir = tempfile::tempdir().unwrap();
    let boot = &frozen::generate()[0];
    let later = |id: &str, workload: &str| {
        let mut run = boot.clone();
        run.file.run = id.parse().unwrap();
        run.trials.iter_mut().for_each(|t| (t.run, t.case.workload) = (id.parse().unwrap(), workload.parse().unwrap()));
        run
    };
    let runs = [later("20261122-000000-0001", "nginx"), boot.clone(), later("20261123-000000-0002", "hello")];
    frozen::freeze(&runs, dir.path());
    let latest = report::latest(dir.path());
    let ids: Vec<&str> = latest.runs.iter().map(|r| r.file.run.as_str()).collect();
    assert_eq!(ids, ["20261123-000000-0002", "20261122-000000-0001"], "the frozen hello is older than the last one");
    let report = report::model::Report::of(&latest.runs, &[]);
    let titles: Vec<&str> = report.sections.iter().map(|s| s.title.as_str()).collect();
    assert_eq!(titles, ["Boot", "Boot: Nginx"]);
}

#[test]
fn an_older_run_is_shown_for_accelerators_and_searches_without_a_later_run() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut runs = machines::generate();
    let mut later = runs[1].clone();
    later.file.run = "20261124-000000-0004".parse().unwrap();
    later.trials.retain(|t| t.case.platform.as_str() == "youki");
    later.trials.iter_mut().for_each(|t| t.run = later.file.run.clone());
    runs.push(later);
    frozen::freeze(&runs, dir.path());
    let report = report::model::Report::of(&report::latest(dir.path()).runs, &[]);
    let mut titles: Vec<&str> = report.sections.iter().map(|s| s.title.as_str()).collect();
    titles.sort_unstable();
    assert_eq!(titles, ["Boot", "Boot (tcg)", "Footprint", "Footprint (tcg)", "Smallest memory (tcg)"]);
}

#[test]
fn a_run_is_found_by_its_id_its_path_or_last() {
    let runs = frozen::folder();
    let id = "20261121-084514-0b00";
    let by_id = report::find(&runs, id).unwrap();
    assert_eq!(report::find(Path::new("/nowhere"), runs.join(id).to_str().unwrap()).unwrap(), by_id);
    assert_eq!(report::find(&runs, "last").unwrap().file.run.as_str(), "20261121-090210-1501");
    assert!(report::find(&runs, "20990101-000000-ffff").is_err());
    assert!(report::find(Path::new("/nowhere"), "last").is_err());
}

#[test]
fn a_browser_shows_the_page_without_errors() {
    let Some(browser) = browser() else {
        println!("skipped: neither chromium nor chromium-browser is on PATH");
        return;
    };
    let dir = written();
    let picture = dir.path().join("page.png");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"])
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg("--window-size=1200,2000")
        .arg(format!("file://{}", dir.path().join("index.html").display()))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let size = fs::metadata(&picture).map(|m| m.len()).unwrap_or_else(|e| panic!("{e}: {log}"));
    assert!(size > 20_000, "{size} bytes are too few for a picture of the page");
}

fn browser() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let named =
        |name: &'static str| env::split_paths(&path).map(move |dir| dir.join(name)).find(|f| f.is_file()).clone();
    ["chromium", "chromium-browser"].into_iter().find_map(named)
}
