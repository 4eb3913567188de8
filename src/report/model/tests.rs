//! The model with edge cases: no runs, one trial, only failures, a victim that stops, very many levels, extreme values.

mod machines;

use super::*;
use crate::model::attacker::Attacker;
use crate::model::event::Event;
use crate::model::metric::{INSERT_TIME, THROUGHPUT, THROUGHPUT_PER_VICTIM};
use crate::model::placement::Placement;
use crate::model::platform::{Accelerator, Capabilities, PlatformFacts, PlatformId};
use crate::model::record::{Outcome, Role, TrialRecord};
use crate::model::units::Nanos;
use crate::report::figures::{Bar, Plot};
use crate::report::text::{Look, terminal};
use crate::store::testing::{record, run_file};
use crate::store::{PlatformEntry, RunOutcome};

fn run_of(trials: Vec<TrialRecord>) -> StoredRun {
    let mut file = run_file();
    file.planned = trials.len() as u64;
    let experiment = trials.first().map_or(Experiment::Boot, |t| t.case.experiment);
    file.configuration = file.configuration.changed(|c| c.experiment = experiment);
    StoredRun { dir: "/runs/x".into(), file, trials, warnings: Vec::new() }
}

fn report(trials: Vec<TrialRecord>) -> Report {
    Report::of(&[run_of(trials)], &[])
}

fn failed(order: u64, reason: &str) -> TrialRecord {
    let reason = Some(reason.into());
    TrialRecord { outcome: Outcome::Failed, reason, metrics: Vec::new(), ..record(order) }
}

fn boot(level: u32, trial: u32, value: f64) -> TrialRecord {
    let mut record = record(u64::from(level) * 100 + u64::from(trial));
    (record.case.background, record.trial, record.metrics[0].value) = (level, trial, value);
    record
}

fn insert(role: Role, attacker: Option<Attacker>, trial: u32, seconds: f64) -> TrialRecord {
    let mut record = record(u64::from(trial));
    (record.case.experiment, record.case.workload) = (Experiment::Isolation, crate::model::program::Program::Sqlite);
    (record.role, record.case.attacker, record.case.placement) = (role, attacker, Placement::SameThread);
    record.trial = trial;
    let value = seconds * 1e9;
    record.metrics = vec![INSERT_TIME.of(value)];
    record.events = [(Event::Main, Nanos(1)), (Event::Result, Nanos(value as u64))].into();
    record
}

/// Seven rounds in which `prime` makes the victim take `seconds`, or not respond at all.
fn rounds(seconds: Option<f64>) -> Vec<TrialRecord> {
    let round = |trial: u32| {
        let drift = 1.0 + f64::from(trial) * 0.1;
        let mut loaded = insert(Role::Measured, Some(Attacker::Prime), trial, seconds.unwrap_or(1.0) * drift);
        if seconds.is_none() {
            (loaded.outcome, loaded.reason) = (Outcome::Failed, Some("waited 60 s for result".into()));
            loaded.metrics.clear();
            loaded.events.remove(&Event::Result);
        }
        [insert(Role::Reference, None, trial, drift), insert(Role::Placebo, None, trial, drift), loaded]
    };
    (0..7).flat_map(round).collect()
}

fn heads(report: &Report) -> Vec<&str> {
    report.notices.iter().map(|n| n.head.as_str()).collect()
}

#[test]
fn without_any_run_the_report_has_a_notice() {
    let report = Report::of(&[], &["x/run.json, line 1: odd".into()]);
    assert_eq!(heads(&report), ["Nothing measured", "Not read"]);
    assert!(report.sections.is_empty() && report.findings.is_empty());
}

#[test]
fn a_run_without_trials_has_a_section_without_numbers() {
    let report = report(Vec::new());
    assert_eq!((report.sections.len(), report.figures().count(), report.findings.len()), (1, 0, 0));
}

#[test]
fn a_single_trial_is_shown_without_an_interval() {
    let report = report(vec![record(0)]);
    assert_eq!(report.findings[0].text, "fake boots hello in 7.19 ms (a single trial).");
}

#[test]
fn failures_alone_make_no_number() {
    let report = report(vec![failed(0, "no <room>"), failed(1, "no <room>")]);
    assert_eq!(report.findings[0].text, "fake has no successful boot of hello in 2 trials.");
    let failure = Failure { case: "fake hello unpinned".into(), count: 2, reason: "no <room>".into() };
    assert_eq!(report.runs[0].failures, [failure]);
    assert_eq!(report.figures().count(), 0);
}

#[test]
fn a_slowdown_is_paired_within_rounds_so_that_drift_cancels() {
    let report = report(rounds(Some(1.98)));
    assert_eq!(
        report.findings[0].text,
        "The worst attacker on the same hardware thread: prime makes SQLite take 1.98 × as long on fake (95 % 1.98 to \
         1.98, 7 pairs; placebo 1.00 ×, 95 % 1.00 to 1.00, 7 pairs)."
    );
}

#[test]
fn a_victim_that_never_responds_is_dnr() {
    let report = report(rounds(None));
    assert!(report.findings[0].text.contains("prime stops SQLite on fake (did not respond in 7 of 7 pairs;"));
    let bars: Vec<&Bar> = report
        .figures()
        .filter_map(|f| match &f.plot {
            Plot::Bars(chart) => Some(chart),
            Plot::Lines(_) | Plot::Track(_) => None,
        })
        .flat_map(|chart| chart.series[0].bars.iter())
        .collect();
    assert!(matches!(bars[1], Bar::Label(label, _) if label == "DNR"), "{bars:?}");
}

#[test]
fn a_trial_that_failed_for_another_reason_is_not_held_against_the_victim() {
    let mut trials = rounds(Some(2.0));
    let loaded = trials.iter_mut().rev().find(|t| t.case.attacker.is_some()).unwrap();
    (loaded.outcome, loaded.reason) = (Outcome::Failed, Some("the attacker made no progress".into()));
    let report = report(trials);
    assert!(report.findings[0].text.contains("2.00 × as long on fake (95 % 2.00 to 2.00, 6 pairs;"));
}

#[test]
fn a_simulated_platform_is_marked_everywhere() {
    let mut run = run_of(vec![record(0), record(1)]);
    let capabilities = Capabilities {
        accelerator: Accelerator::None,
        fork: true,
        limits: true,
        launch_concurrency: 1,
        host_processes: true,
        network: false,
        own_memory: false,
        simulated: true,
    };
    let facts = PlatformFacts { version: "1".into(), notes: Vec::new() };
    run.file.platforms.push(PlatformEntry { id: PlatformId::new("fake"), capabilities, facts });
    let report = Report::of(std::slice::from_ref(&run), &[]);
    assert_eq!(heads(&report), ["SIMULATED"]);
    assert!(report.findings.iter().all(|f| f.simulated));
    assert!(terminal(&run, Look::Plain, None).matches("SIMULATED").count() > 2, "above, in the table and below it");
}

#[test]
fn a_partial_run_has_its_progress() {
    let mut run = run_of(vec![record(0)]);
    (run.file.planned, run.file.outcome) = (120, RunOutcome::Interrupted);
    let report = Report::of(&[run], &[]);
    assert!(report.notices[0].text.contains("partial: 1 of 120 trials"));
}

#[test]
fn accelerators_never_share_a_section() {
    let mut kvm = record(1);
    kvm.case.accelerator = Accelerator::Kvm;
    let report = report(vec![record(0), kvm]);
    let titles: Vec<&str> = report.sections.iter().map(|s| s.title.as_str()).collect();
    assert_eq!(titles, ["Boot", "Boot (kvm)"]);
    let ids: Vec<&str> = report.figures().map(|f| f.id.as_str()).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
}

#[test]
fn a_thousand_levels_are_all_there() {
    let trials = (0..1000).flat_map(|level| (0..2).map(move |t| boot(level * 10, t, 7e6 + f64::from(level + t) * 1e3)));
    let report = report(trials.collect());
    let Block::Table(table) = &report.sections[0].blocks[0] else { panic!("the table comes first") };
    assert_eq!(table.rows.len(), 1000);
    assert!(report.findings[0].text.contains("each background instance adds 100 ns (Theil-Sen over 1000 levels"));
}

#[test]
fn huge_and_tiny_values_keep_their_units() {
    let report = report(vec![boot(0, 0, 1e-3), boot(10, 0, 9e18)]);
    assert_eq!(
        report.findings[0].text,
        "fake boots hello in 0.001 ns (a single trial); with 10 background instances, \
         9.0e21 × as long (no interval, 1 pair)."
    );
}

/// Nginx on `platform` with that throughput, of `victims` at once.
fn served(platform: &str, victims: u32, trial: u32, rate: f64) -> TrialRecord {
    let mut record = record(u64::from(trial));
    (record.case.experiment, record.case.workload) = (Experiment::Scalability, crate::model::program::Program::Nginx);
    (record.case.platform, record.case.victims, record.trial) = (PlatformId::new(platform), victims, trial);
    record.metrics = vec![THROUGHPUT.of(rate)];
    record
}

fn texts(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|f| f.text.as_str()).collect()
}

#[test]
fn workloads_never_share_a_section_nor_a_figure() {
    let mut nginx = boot(0, 1, 9e6);
    nginx.case.workload = crate::model::program::Program::Nginx;
    let report = report(vec![boot(0, 0, 7e6), nginx, boot(10, 0, 7e6)]);
    let titles: Vec<&str> = report.sections.iter().map(|s| s.title.as_str()).collect();
    assert_eq!(titles, ["Boot: hello", "Boot: Nginx"]);
    assert_eq!(texts(&report)[1], "fake boots Nginx in 9.00 ms (a single trial).");
    assert!(report.figures().all(|f| f.id.starts_with("boot-hello-") || f.id.starts_with("boot-nginx-")));
}

#[test]
fn a_lower_throughput_is_a_share_that_is_left_and_a_slowdown_above_one() {
    let mut trials: Vec<TrialRecord> = (0..6).map(|t| served("fake", 1, t, 50_000.0)).collect();
    trials.extend((0..6).map(|t| {
        let mut loaded = served("fake", 1, t, 25_000.0);
        loaded.case.background = 100;
        loaded
    }));
    let report = report(trials);
    assert_eq!(
        texts(&report),
        ["Nginx on fake serves 50.0 k/s (median of 6, 95 % 50.0 to 50.0 k/s); with 100 background instances, 50 % of \
          its throughput is left (95 % 50 to 50 %, 6 pairs)."]
    );
    let Block::Table(table) = &report.sections[0].blocks[0] else { panic!("the table comes first") };
    assert!(table.rows[1].iter().any(|cell| cell.text == "2.00 ×"), "{:?}", table.rows[1]);
}

#[test]
fn an_attacked_server_keeps_a_share_of_its_throughput() {
    let mut trials = rounds(Some(4.0));
    for trial in &mut trials {
        trial.case.workload = crate::model::program::Program::Redis;
        let metric = &mut trial.metrics[0];
        *metric = THROUGHPUT.of(1e15 / metric.value);
    }
    let report = report(trials);
    assert!(texts(&report)[0].contains("prime leaves Redis 25 % of its throughput on fake (95 % 25 to 25 %, 7 pairs;"));
    let published =
        report.sections[0].blocks.iter().any(|b| matches!(b, Block::Table(t) if t.id.ends_with("published")));
    assert!(published, "figure 5.2");
    let captions: Vec<&str> = report.figures().map(|f| f.caption.as_str()).collect();
    assert!(captions[0].contains("2 × here is 0.5 there"), "{captions:?}");
}

#[test]
fn several_servers_share_their_throughput() {
    let alone = (0..6).map(|t| served("fake", 1, t, 50_000.0));
    let four = (0..6).map(|t| {
        let mut together = served("fake", 4, t, 100_000.0);
        together.metrics.push(THROUGHPUT_PER_VICTIM.of(25_000.0));
        together
    });
    let report = report(alone.chain(four).collect());
    let parallel = texts(&report).into_iter().find(|text| text.starts_with("4 Nginx victims")).unwrap();
    assert!(parallel.contains("each has 50 % of the throughput (95 % 50 to 50 %, 6 pairs)"), "{parallel}");
    let each = report.figures().find(|f| f.id.ends_with("parallel-each")).unwrap();
    let Plot::Lines(chart) = &each.plot else { panic!("lines") };
    assert_eq!(chart.series[0].points.iter().map(|p| p.y).collect::<Vec<_>>(), [50_000.0, 25_000.0]);
}

#[test]
fn a_flagged_trial_is_counted_and_its_reason_shown() {
    let flagged = |busy: u32| TrialRecord {
        flags: vec![format!("wrk was busy {busy} % of the time")],
        ..served("fake", 1, busy, 50_000.0)
    };
    let mut other = served("fake", 1, 1, 50_000.0);
    other.flags = vec!["ports ran out".into()];
    let report = report(vec![flagged(96), flagged(98), other, served("fake", 1, 0, 50_000.0)]);
    assert_eq!(heads(&report), ["Caution"]);
    assert_eq!(
        report.notices[0].text,
        "scalability: 3 of 4 successful trials are flagged; the most frequent reason (2 trials): wrk was busy 96 % of the time."
    );
    let Block::Table(table) = &report.sections[0].blocks[0] else { panic!("the table comes first") };
    assert_eq!(table.rows[0].last().unwrap().detail, "3 flagged");
}

#[test]
fn a_platform_keeps_its_color_if_another_is_missing() {
    let mut redis = served("b", 1, 0, 1e5);
    redis.case.workload = crate::model::program::Program::Redis;
    let mut run = run_of(vec![served("a", 1, 0, 5e4), served("b", 1, 1, 4e4), redis]);
    run.file.configuration.platforms = ["a", "b"].map(PlatformId::new).to_vec();
    let report = Report::of(&[run], &[]);
    let slot = |id: &str, name: &str| {
        let figure = report.figures().find(|f| f.id == id).unwrap();
        let Plot::Lines(chart) = &figure.plot else { panic!("lines") };
        chart.series.iter().find(|s| s.name == name).unwrap().slot
    };
    assert_eq!((slot("scalability-nginx-ladder", "b"), slot("scalability-redis-ladder", "b")), (1, 1));
}

#[test]
fn the_parts_of_a_boot_add_up_to_the_whole() {
    let mut record = record(0);
    let stamps = [(Event::Spawn, 0), (Event::Created, 6), (Event::Main, 10), (Event::Exit, 11), (Event::Gone, 14)];
    record.events = stamps.map(|(event, at)| (event, Nanos(at * 1_000_000))).into();
    let report = report(vec![record]);
    let phases = report.figures().find(|f| f.id == "boot-phases").unwrap();
    let Plot::Bars(chart) = &phases.plot else { panic!("bars") };
    let of = |bar: &Bar| if let Bar::Value { value, .. } = bar { *value } else { panic!("{bar:?}") };
    let parts: Vec<(&str, f64)> = chart.series.iter().map(|s| (s.name.as_str(), of(&s.bars[0]) / 1e6)).collect();
    assert_eq!(parts, [("create", 6.0), ("start", 4.0), ("run", 1.0), ("removal", 3.0)]);
}

#[test]
fn the_end_of_a_server_is_not_a_part_of_its_boot() {
    let mut record = record(0);
    record.case.workload = crate::model::program::Program::Redis;
    let stamps = [(Event::Spawn, 0), (Event::Main, 4), (Event::Ready, 9), (Event::Exit, 30), (Event::Gone, 31)];
    record.events = stamps.map(|(event, at)| (event, Nanos(at * 1_000_000))).into();
    let report = report(vec![record]);
    let Plot::Bars(chart) = &report.figures().find(|f| f.id == "boot-phases").unwrap().plot else { panic!("bars") };
    let names: Vec<&str> = chart.series.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["boot", "until ready"]);
}
