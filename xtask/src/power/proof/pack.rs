//! Packs the stored trials of a run or of an A/B session into a recording.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Recorded, Recording};
use featherweight::model::record::{Outcome, Role, TrialRecord};
use featherweight::model::units::{Direction, Unit};

/// A stored trial. The fields after the record are those of an A/B session.
#[derive(Debug, Deserialize)]
struct Stored {
    #[serde(flatten)]
    record: TrialRecord,
    arm: Option<String>,
    stage: Option<String>,
    block: Option<u32>,
}

/// The selection of a run's trials.
#[derive(Debug, Clone, Default)]
pub struct Picked {
    /// The metric: `boot`.
    pub metric: String,
    /// A part of the case's name, if there are several cases.
    pub case: Option<String>,
}

/// A recording, and the number of trials that it does not have.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    /// The recording.
    pub recording: Recording,
    /// The number of trials of the case that failed or do not have the metric.
    pub failed: usize,
}

/// A run that cannot be packed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// A line is not a trial.
    #[error("line {line}: {reason}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// The error.
        reason: String,
    },
    /// Several cases would be mixed.
    #[error("several cases ({0})\nhelp: select one with --case")]
    Mixed(String),
    /// No trial is left.
    #[error("no successful trial has that metric; available metrics: {0}")]
    Nothing(String),
}

/// Packs one metric of one case from the lines of `trials.jsonl`. A torn last line is skipped. `whole` has the orders of the trials
/// in whole blocks of an A/B session; its other trials are skipped.
///
/// # Errors
/// When a line is not a trial, several cases would be mixed, or no trial is left.
pub fn pack(lines: &str, whole: Option<&BTreeSet<u64>>, picked: &Picked) -> Result<Packed, PackError> {
    let mut trials = read(lines)?;
    trials.retain(|t| t.record.role == Role::Measured && t.arm.as_deref() != Some("null"));
    trials.retain(|t| picked.case.as_ref().is_none_or(|part| case(&t.record).contains(part)));
    trials.retain(|t| whole.is_none_or(|whole| whole.contains(&t.record.order)));
    let cases: BTreeSet<String> = trials.iter().filter(|t| !is_b(t)).map(|t| case(&t.record)).collect();
    if cases.len() > 1 {
        return Err(PackError::Mixed(cases.into_iter().collect::<Vec<_>>().join(", ")));
    }
    let facts = facts(&trials, picked, cases.into_iter().next());
    let (mut recorded, mut block, mut previous) = (Vec::new(), 0, None);
    for (order, trial) in trials.iter().enumerate() {
        let current = (trial.stage.clone(), trial.block.unwrap_or(trial.record.trial));
        block += u32::from(previous.as_ref().is_some_and(|previous| *previous != current));
        previous = Some(current);
        let value = trial.record.metric(&picked.metric).filter(|_| trial.record.outcome == Outcome::Ok);
        let value = value.filter(|v| v.is_finite() && *v > 0.0);
        recorded.extend(value.map(|value| Recorded { order: order as u64, block, is_b: is_b(trial), value }));
    }
    if recorded.is_empty() {
        return Err(PackError::Nothing(metrics(&trials)));
    }
    let failed = trials.len() - recorded.len();
    Ok(Packed { recording: Recording { facts, trials: recorded }, failed })
}

fn read(lines: &str) -> Result<Vec<Stored>, PackError> {
    let complete = lines.rfind('\n').map_or("", |end| &lines[..end]);
    let parse = |(i, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| PackError::Line { line: i + 1, reason: e.to_string() })
    };
    complete.lines().enumerate().map(parse).collect()
}

fn is_b(trial: &Stored) -> bool {
    trial.arm.as_deref() == Some("b")
}

fn case(record: &TrialRecord) -> String {
    let case = &record.case;
    format!("{} {} {} {}", case.experiment, case.platform, case.workload, case.background)
}

fn metrics(trials: &[Stored]) -> String {
    let names: BTreeSet<&str> = trials.iter().flat_map(|t| &t.record.metrics).map(|m| m.name.as_str()).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn facts(trials: &[Stored], picked: &Picked, case: Option<String>) -> BTreeMap<String, String> {
    let metric = trials.iter().flat_map(|t| &t.record.metrics).find(|m| m.name == picked.metric);
    let text = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let unit = |unit: Unit| serde_json::to_value(unit).map(text).unwrap_or_default();
    let direction = |direction: Direction| serde_json::to_value(direction).map(text).unwrap_or_default();
    let facts = [
        ("case", case),
        ("metric", Some(picked.metric.clone())),
        ("unit", metric.map(|m| unit(m.unit))),
        ("direction", metric.map(|m| direction(m.direction))),
        ("date", trials.first().map(|t| t.record.started.clone())),
        ("accelerator", trials.first().map(|t| t.record.case.accelerator.to_string())),
        ("seconds a trial", seconds(trials).map(|s| format!("{s:.4}"))),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The wall-clock time per trial, including everything around it. All times are in UTC.
fn seconds(trials: &[Stored]) -> Option<f64> {
    let at = |t: &Stored| t.record.started.strip_suffix('Z')?.parse::<jiff::civil::DateTime>().ok();
    let (first, last) = (at(trials.first()?)?, at(trials.last()?)?);
    (trials.len() > 1).then(|| last.duration_since(first).as_secs_f64() / (trials.len() - 1) as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use featherweight::model::record::TrialRecord;

    /// A successful boot trial.
    fn record(order: u64) -> TrialRecord {
        serde_json::from_value(json!({
            "schema": 1, "run": "20261121-084514-3f9a", "order": order, "trial": 0, "role": "measured",
            "case": {
                "experiment": "boot", "platform": "fake", "accelerator": "none", "workload": "hello", "attacker": null,
                "placement": "unpinned", "background": 0, "victims": 1, "image": "00",
            },
            "started": "2026-11-21T08:45:14Z", "cpus": {"victim": [], "attackers": []},
            "metrics": [{"name": "boot", "unit": "ns", "direction": "lower", "value": 7_190_081.0 + order as f64}],
            "events": {"spawn": 0, "main": 7_190_081 + order}, "attack_ops": null, "outcome": "ok", "reason": null,
        }))
        .expect("a stored line")
    }

    fn line(order: u64, fields: &Value) -> String {
        let mut line = serde_json::to_value(record(order)).unwrap();
        line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        format!("{line}\n")
    }

    fn boot(lines: &str) -> Result<Packed, PackError> {
        pack(lines, None, &Picked { metric: "boot".into(), case: None })
    }

    #[test]
    fn a_run_becomes_one_arm_and_its_torn_end_is_skipped() {
        let lines: String = (0..5).map(|i| line(i, &json!({"trial": i}))).collect();
        let packed = boot(&format!("{lines}{{\"torn")).unwrap();
        let trials = &packed.recording.trials;
        assert_eq!((trials.len(), trials[4].block, trials[4].value, packed.failed), (5, 4, 7_190_085.0, 0));
        assert!(!packed.recording.has_two_arms());
        assert_eq!(packed.recording.fact("case"), Some("boot fake hello 0"));
        assert_eq!((packed.recording.fact("unit"), packed.recording.fact("direction")), (Some("ns"), Some("lower")));
        assert_eq!(Recording::unpack(&packed.recording.packed().unwrap()), Ok(packed.recording));
    }

    #[test]
    fn a_session_keeps_arms_and_whole_blocks() {
        let trial = |order, arm: &str, stage: &str, block: u32| {
            line(order, &json!({"arm": arm, "stage": stage, "block": block}))
        };
        let lines = [
            trial(0, "b", "first", 0),
            trial(1, "a", "first", 0),
            trial(2, "null", "first", 0),
            trial(3, "a", "first", 1),
            trial(4, "a", "first", 1),
            trial(5, "b", "first", 1),
            trial(6, "a", "second", 0),
            trial(7, "b", "second", 0),
        ];
        let whole = BTreeSet::from([0, 1, 2, 4, 5, 6, 7]);
        let picked = Picked { metric: "boot".into(), case: None };
        let packed = pack(&lines.concat(), Some(&whole), &picked).unwrap().recording;
        let seen: Vec<_> = packed.trials.iter().map(|t| (t.block, t.is_b, t.value as u64 - 7_190_081)).collect();
        assert_eq!(seen, [(0, true, 0), (0, false, 1), (1, false, 4), (1, true, 5), (2, false, 6), (2, true, 7)]);
    }

    #[test]
    fn failures_are_left_out_and_counted() {
        let lines = line(0, &json!({})) + &line(1, &json!({"outcome": "failed", "metrics": [], "reason": "x"}));
        let packed = boot(&lines).unwrap();
        assert_eq!((packed.recording.trials.len(), packed.failed), (1, 1));
    }

    #[test]
    fn runs_that_cannot_be_packed_are_errors() {
        assert!(matches!(boot("{}\n"), Err(PackError::Line { line: 1, .. })));
        assert_eq!(boot(""), Err(PackError::Nothing(String::new())));
        let other = pack(&line(0, &json!({})), None, &Picked { metric: "ready".into(), case: None });
        assert_eq!(other, Err(PackError::Nothing("boot".into())));
        let mut sleep = record(1);
        sleep.case.workload = featherweight::model::program::Program::Sleep;
        let lines = line(0, &json!({})) + &serde_json::to_string(&sleep).unwrap() + "\n";
        assert!(
            matches!(boot(&lines), Err(PackError::Mixed(cases)) if cases == "boot fake hello 0, boot fake sleep 0")
        );
        let one = pack(&lines, None, &Picked { metric: "boot".into(), case: Some("sleep".into()) });
        assert_eq!(one.map(|p| p.recording.trials.len()), Ok(1));
    }
}
