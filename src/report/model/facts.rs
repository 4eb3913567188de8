//! The facts around the numbers: runs, machines, noise, failures and notices.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::text::{count, list, thousands};
use super::{Notice, Tone, accelerator};
use crate::host::noise::NoiseReading;
use crate::model::configuration::Configuration;
use crate::model::load::Load;
use crate::model::record::{Experiment, Outcome};
use crate::model::units::Bytes;
use crate::store::{RunOutcome, StoredRun};

/// The facts of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunHead {
    /// Its id.
    pub run: String,
    /// Its experiment.
    pub experiment: String,
    /// Its facts: label and value.
    pub facts: Vec<(String, String)>,
    /// Its platforms: name, version, notes.
    pub platforms: Vec<(String, String, String)>,
    /// The noise guard's readings before and after, as text; empty if it was off.
    pub noise: Vec<(String, String)>,
    /// The noise guard's reasons against the run.
    pub invalid: Vec<String>,
    /// The failed trials, grouped by case and reason.
    pub failures: Vec<Failure>,
    /// What was skipped, with the reason.
    pub skips: Vec<(String, String)>,
}

/// Trials of one case that failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The case in words.
    pub case: String,
    /// The number of trials.
    pub count: usize,
    /// The reason.
    pub reason: String,
}

/// A machine with runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Host {
    /// The experiments that ran on it.
    pub experiments: Vec<String>,
    /// Its facts: name and value.
    pub facts: Vec<(String, String)>,
}

/// The facts of `run`.
pub(super) fn run_head(run: &StoredRun) -> RunHead {
    let file = &run.file;
    RunHead {
        run: file.run.to_string(),
        experiment: file.experiment().to_string(),
        facts: run_facts(run),
        platforms: file
            .platforms
            .iter()
            .map(|p| (p.id.to_string(), p.facts.version.clone(), p.facts.notes.join("; ")))
            .collect(),
        noise: noise(run),
        invalid: file.noise.iter().flat_map(|n| n.invalid.clone()).collect(),
        failures: failures(run),
        skips: skips(run),
    }
}

fn run_facts(run: &StoredRun) -> Vec<(String, String)> {
    let (file, configuration) = (&run.file, &run.file.configuration);
    let ended = file.ended.as_ref().map_or_else(|| "still running or killed".to_owned(), Clone::clone);
    let digests = |i: &crate::guest::Image| format!("{} {}", i.program, i.digest.get(..12).unwrap_or(&i.digest));
    [
        ("command", file.command.join(" ")),
        ("profile", configuration.profile.to_string()),
        ("passes", configuration.runs.to_string()),
        ("order", configuration.ladder_order().to_string()),
        ("trials", format!("{} of {} planned", run.trials.len(), file.planned)),
        ("outcome", file.outcome.to_string()),
        ("started", file.started.clone()),
        ("ended", ended),
        ("server load", load(configuration)),
        ("seed", configuration.seed.to_string()),
        ("Featherweight", file.version.clone()),
        ("guests (SHA-256)", file.images.iter().map(digests).collect::<Vec<_>>().join(", ")),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// The load of servers; empty without any.
fn load(configuration: &Configuration) -> String {
    let has_load = matches!(configuration.experiment(), Experiment::Scalability | Experiment::Isolation);
    if !has_load || !configuration.measured().iter().any(|program| program.is_server()) {
        return String::new();
    }
    let Load { seconds, connections, threads, requests, clients, pipeline } = configuration.load();
    format!(
        "wrk: {connections} connections, {threads} threads, {seconds} s; redis-benchmark: {} requests of each type, \
         {clients} clients, pipeline {pipeline}",
        thousands(requests)
    )
}

fn noise(run: &StoredRun) -> Vec<(String, String)> {
    let readings = run.file.noise.iter().flat_map(|n| {
        let in_words = |when: &'static str, readings: &[NoiseReading]| {
            readings.iter().map(move |r| (when.to_owned(), noise_in_words(r))).collect::<Vec<_>>()
        };
        let unjudged = n.unjudged.iter().map(|reason| ("not checked".to_owned(), reason.clone())).collect();
        [in_words("before", &n.before), in_words("after", &n.after), unjudged].concat()
    });
    readings.collect()
}

fn noise_in_words(r: &NoiseReading) -> String {
    let lost = 100.0 * r.lost_share();
    format!(
        "CPU {}: median {}, p99.9 {}, longest {} ({} quanta; other processes used {lost:.1} % of the time)",
        r.cpu, r.median, r.p99_9, r.max, r.quanta
    )
}

fn failures(run: &StoredRun) -> Vec<Failure> {
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for trial in run.trials.iter().filter(|t| t.outcome == Outcome::Failed) {
        let reason = trial.reason.clone().unwrap_or_else(|| "no reason recorded".into());
        *counts.entry((case_name(trial), reason)).or_default() += 1;
    }
    counts.into_iter().map(|((case, reason), count)| Failure { case, count, reason }).collect()
}

fn case_name(trial: &crate::model::record::TrialRecord) -> String {
    let case = &trial.case;
    let mut words = vec![case.platform.to_string(), case.workload.to_string()];
    words.extend(case.attacker.map(|a| format!("with {a}")));
    if trial.role != crate::model::record::Role::Measured {
        words.push(format!("({})", trial.role));
    }
    words.push(case.placement.to_string());
    if case.background > 0 {
        words.push(format!("{} in the background", case.background));
    }
    if case.victims > 1 {
        words.push(format!("{} victims", case.victims));
    }
    words.join(" ")
}

fn skips(run: &StoredRun) -> Vec<(String, String)> {
    let requested = run.file.skips.iter().map(|skip| {
        let platform = skip.platform.as_ref().map_or_else(|| "every platform".to_owned(), ToString::to_string);
        let placement = skip.placement.map_or_else(String::new, |p| format!(", {p}"));
        (format!("{platform}{placement}"), skip.reason.clone())
    });
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for trial in run.trials.iter().filter(|t| t.outcome == Outcome::Skipped) {
        *counts.entry((case_name(trial), trial.reason.clone().unwrap_or_default())).or_default() += 1;
    }
    let trials = counts.into_iter().map(|((case, reason), n)| (format!("{case} ({})", count(n, "trial")), reason));
    requested.chain(trials).collect()
}

/// The machines; runs whose facts are equal share one.
pub(super) fn hosts(runs: &[StoredRun]) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    for run in runs {
        let facts: Vec<(String, String)> =
            run.file.host.iter().map(|(k, v)| (k.replace('_', " "), fact(k, v))).collect();
        let experiment = run.file.experiment().to_string();
        match hosts.iter_mut().find(|h| h.facts == facts) {
            Some(host) => host.experiments.push(experiment),
            None => hosts.push(Host { experiments: vec![experiment], facts }),
        }
    }
    hosts
}

/// A host's fact; amounts of memory are stored as bytes.
fn fact(name: &str, value: &Value) -> String {
    match (name, value.as_u64()) {
        ("memory" | "swap", Some(bytes)) => Bytes(bytes).to_string(),
        _ => plain(value),
    }
}

/// A value without quotes and braces.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => super::text::MISSING.into(),
        Value::String(s) => s.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            map.iter().map(|(k, v)| format!("{}: {}", k.replace('_', " "), plain(v))).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

/// The notices, the most severe first.
pub(super) fn notices(runs: &[StoredRun], warnings: &[String]) -> Vec<Notice> {
    let mut notices = Vec::new();
    if runs.is_empty() {
        let text = "No runs are stored yet; `cargo bench` creates them.".into();
        notices.push(Notice { tone: Tone::Warning, head: "Nothing measured".into(), text });
    }
    notices.extend(simulated(runs));
    notices.extend(accelerator::notice(runs));
    for run in runs {
        notices.extend(invalid(run));
        notices.extend(partial(run));
        notices.extend(failed(run));
        notices.extend(flagged(run));
    }
    let warnings = runs.iter().flat_map(|r| &r.warnings).chain(warnings);
    notices.extend(warnings.map(|w| Notice { tone: Tone::Warning, head: "Not read".into(), text: w.clone() }));
    notices
}

fn simulated(runs: &[StoredRun]) -> Option<Notice> {
    let platforms = runs.iter().flat_map(|r| &r.file.platforms).filter(|p| p.capabilities.simulated);
    let mut names: Vec<String> = platforms.map(|p| p.id.to_string()).collect();
    names.sort();
    names.dedup();
    (!names.is_empty()).then(|| Notice {
        tone: Tone::Bad,
        head: "SIMULATED".into(),
        text: format!("The times of {} come from a virtual clock. They are not measurements.", list(&names)),
    })
}

fn invalid(run: &StoredRun) -> Option<Notice> {
    let reasons = run.file.noise.as_ref().map(|n| n.invalid.clone()).filter(|i| !i.is_empty())?;
    let text = format!("{} {}: {}", run.file.experiment(), run.file.run, reasons.join("; "));
    Some(Notice { tone: Tone::Bad, head: "INVALID".into(), text })
}

fn partial(run: &StoredRun) -> Option<Notice> {
    let file = &run.file;
    let done = run.trials.len() as u64;
    if file.outcome == RunOutcome::Complete && done >= file.planned {
        return None;
    }
    let reason = file.reason.as_ref().map_or_else(String::new, |r| format!(": {r}"));
    let text = format!(
        "{} {}, partial: {done} of {} trials. The run is {}{reason}. Continue it with --resume {}.",
        file.experiment(),
        file.run,
        file.planned,
        file.outcome,
        file.run,
    );
    Some(Notice { tone: Tone::Warning, head: "Partial".into(), text })
}

fn failed(run: &StoredRun) -> Option<Notice> {
    let failed = run.trials.iter().filter(|t| t.outcome == Outcome::Failed).count();
    (failed > 0).then(|| Notice {
        tone: Tone::Warning,
        head: "Failures".into(),
        text: format!(
            "{}: {failed} of {} failed; the reasons are below.",
            run.file.experiment(),
            count(run.trials.len(), "trial"),
        ),
    })
}

fn flagged(run: &StoredRun) -> Option<Notice> {
    let successful = || run.trials.iter().filter(|t| t.outcome == Outcome::Ok);
    let mut counts: BTreeMap<String, (usize, &str)> = BTreeMap::new();
    for flag in successful().flat_map(|t| &t.flags) {
        counts.entry(without_digits(flag)).or_insert((0, flag)).0 += 1;
    }
    let (often, flag) = counts.into_values().max_by_key(|(count, _)| *count)?;
    let trials = successful().filter(|t| !t.flags.is_empty()).count();
    Some(Notice {
        tone: Tone::Warning,
        head: "Caution".into(),
        text: format!(
            "{}: {trials} of {} successful trials are flagged; the most frequent reason ({}): {flag}.",
            run.file.experiment(),
            successful().count(),
            count(often, "trial"),
        ),
    })
}

/// A reason without its digits, so that reasons that differ only in a number count as one.
fn without_digits(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_ascii_digit()).collect()
}
