//! Every export read by its reader, or checked against the format's documentation if no registry has a reader.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use featherweight::model::platform::PlatformId;
use featherweight::model::record::Experiment;
use featherweight::report::export::{Better, bencher, critcmp, github, hyperfine, openmetrics};
use serde_json::Value;

use crate::{frozen, parsed, selected};

/// Bencher's reference of the format: an object of objects of objects with a number `value` and optional bounds.
#[test]
fn bencher_finds_its_fields() {
    for experiment in Experiment::ALL {
        let run = frozen(*experiment);
        let benchmarks = parsed(&bencher(&selected(&run, None)));
        let benchmarks = benchmarks.as_object().expect("benchmarks");
        assert!(!benchmarks.is_empty() && benchmarks.keys().all(|name| (1..=1024).contains(&name.chars().count())));
        for (measure, metric) in benchmarks.values().flat_map(|measures| measures.as_object().expect("measures")) {
            assert!((1..=64).contains(&measure.chars().count()), "{measure}");
            let number = |key: &str| metric.get(key).map(|value| value.as_f64().expect("a number"));
            let value = number("value").expect("a value");
            assert!(number("lower_value").unwrap_or(value) <= value, "{measure} {metric}");
            assert!(number("upper_value").unwrap_or(value) >= value, "{measure} {metric}");
            let known = ["value", "lower_value", "upper_value"];
            assert!(metric.as_object().expect("a metric").keys().all(|key| known.contains(&key.as_str())));
        }
    }
}

/// The action's input: an array of `name`, `unit`, `value` and an optional `range` with a number after `±`.
#[test]
fn github_action_benchmark_finds_its_fields() {
    let run = frozen(Experiment::Scalability);
    for better in [Better::Smaller, Better::Bigger] {
        let entries = parsed(&github(&selected(&run, None), better));
        let entries = entries.as_array().expect("entries");
        let mut names: Vec<&str> = entries.iter().map(|entry| entry["name"].as_str().expect("a name")).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), entries.len(), "a chart per name");
        for entry in entries {
            assert!(entry["unit"].is_string() && entry["value"].is_number() && entry["extra"].is_string(), "{entry}");
            let range = entry["range"].as_str().and_then(|range| range.strip_prefix("± ")).map(str::parse::<f64>);
            assert!(range.is_none_or(|range| range.is_ok_and(|range| range >= 0.0)), "{entry}");
        }
    }
}

#[test]
fn critcmp_compares_two_of_our_baselines() {
    let Some(version) = output_of(Command::new("critcmp").arg("--version")) else {
        return skip("no critcmp on PATH (`cargo install critcmp`)");
    };
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let mut boot = frozen(Experiment::Boot);
    let mut write = |baseline: &str| {
        for (path, text) in critcmp(&selected(&boot, Some("boot")), baseline).content {
            let path = home.path().join(path);
            fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
            fs::write(path, text).expect("a file can be written");
        }
        boot[0].trials.iter_mut().flat_map(|trial| &mut trial.metrics).for_each(|metric| metric.value *= 2.0);
    };
    write("main");
    write("twice");
    let table = output_of(Command::new("critcmp").arg("--target-dir").arg(home.path()).args(["main", "twice"]));
    let table = table.unwrap_or_else(|| panic!("{version} prints no table"));
    let row = table.lines().find(|line| line.starts_with("boot/fake/hello/0 (simulated)/boot ")).expect("its row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((cells[2], cells[6]), ("1.00", "2.00"), "{table}");
    assert!(table.lines().count() >= 12, "a row per case: {table}");
}

#[test]
fn prometheus_parses_openmetrics() {
    let Some(python) = python() else {
        return skip("no python3 with prometheus_client (`pip install prometheus-client`)");
    };
    let mut run = frozen(Experiment::Footprint);
    let odd = "a\"b\\n\\\nc,}é";
    run[0].trials.iter_mut().for_each(|trial| trial.case.platform = PlatformId::new(odd));
    let selection = selected(&run, None);
    let text = openmetrics(&selection).content;
    let families: Value = serde_json::from_str(&parse(&python, &text)).expect("the script prints JSON");
    let family = |name: &str| families[name].clone();
    assert_eq!(family("featherweight_start_per_instance_seconds")["unit"], "seconds");
    assert_eq!(family("featherweight_image_size_bytes")["type"], "gauge");
    assert_eq!(family("featherweight_run")["type"], "info");
    let metrics: usize = selection.cases.iter().map(|case| case.metrics.len()).sum();
    let medians =
        families.as_object().expect("families").values().flat_map(|f| f["samples"].as_array().expect("a list"));
    let medians: Vec<&Value> = medians.filter(|sample| sample["labels"]["statistic"] == "median").collect();
    assert_eq!(medians.len(), metrics);
    assert!(medians.iter().all(|sample| sample["labels"]["platform"] == odd), "{:?}", medians[0]);
    let image = &family("featherweight_image_size_bytes")["samples"][0];
    assert_eq!(image["value"].as_f64(), Some(700_000.0), "{image}");
}

/// Prints the families that prometheus_client's parser finds, as JSON.
fn parse(python: &Path, text: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exports/openmetrics.py");
    let mut child =
        Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("the parser reads");
    let output = child.wait_with_output().expect("the parser ends");
    assert!(output.status.success(), "the parser refuses:\n{text}");
    String::from_utf8(output.stdout).expect("JSON")
}

#[test]
fn hyperfine_writes_every_field_of_our_export() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let file = home.path().join("own.json");
    let mut own = Command::new("hyperfine");
    own.args(["-N", "--runs", "2", "--parameter-list", "n", "1,2", "--export-json"]).arg(&file).arg("true {n}");
    if output_of(&mut own).is_none() {
        return skip("no hyperfine on PATH that measures `true`");
    }
    let own: Value =
        serde_json::from_str(&fs::read_to_string(file).expect("hyperfine has written its file")).expect("JSON");
    let run = frozen(Experiment::Boot);
    let ours = parsed(&hyperfine(&selected(&run, None)));
    let (theirs, ours) = (&own["results"][0], ours["results"].as_array().expect("results"));
    for (key, value) in ours.iter().flat_map(|result| result.as_object().expect("a result")) {
        assert_eq!(std::mem::discriminant(&theirs[key]), std::mem::discriminant(value), "{key}: {value}");
    }
    let boot = ours.iter().find(|r| r["command"] == "boot/fake/hello/0 (simulated) boot").expect("its first case");
    let times: Vec<f64> = boot["times"].as_array().expect("times").iter().filter_map(Value::as_f64).collect();
    assert_eq!(times[0], 7_187_834.0 / 1e9, "seconds");
    assert!(times.iter().all(|time| (boot["min"].as_f64()..=boot["max"].as_f64()).contains(&Some(*time))));
}

/// Skips the test of a missing reader, or fails with `FEATHERWEIGHT_READERS=required`.
fn skip(what: &str) {
    assert!(std::env::var_os("FEATHERWEIGHT_READERS").is_none_or(|readers| readers != "required"), "{what}");
    println!("skipped: {what}");
}

/// The output of a program; `None` if it is missing or fails.
fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// A Python with the parser: that of `.ci/run readers`, or the one on PATH.
fn python() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/readers/bin/python3");
    let imports = ["-c", "import prometheus_client.openmetrics.parser"];
    [installed, "python3".into()].into_iter().find(|python| output_of(Command::new(python).args(imports)).is_some())
}
