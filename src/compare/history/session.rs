//! Turns a stored ab session into entries of a history. Pure: the ratio is the session's own.

use sha2::{Digest, Sha256};

use super::host::{digest_of, hexadecimal, in_words};
use super::intake::{Refused, UNKNOWN_HOST, ratio};
use super::parameters::parameters;
use super::{Anchor, Entry, HostKey, SCHEMA, SessionKind};
use crate::compare::live::SessionFile;
use crate::compare::rule::{Line, Side};
use crate::host::HostFacts;
use crate::model::units::Direction;
use crate::platform::arm::Arm;

/// The settings of an arm that name a program by its path.
pub(super) const PROGRAMS: [&str; 2] = ["runtime", "qemu"];

/// The machine of a session, and one entry for each metric that can improve.
///
/// # Errors
/// When the session has no verdicts, or its host is unknown.
pub fn session_entries(file: &SessionFile) -> Result<(HostKey, Vec<Entry>), Refused> {
    let refused = |reason: String| Refused { session: file.run.clone(), reason };
    let comparison = file.comparison.as_ref().ok_or_else(|| refused(unjudged(file)))?;
    let facts = HostFacts::stored(&file.host);
    let host = HostKey::of(&facts).ok_or_else(|| refused(UNKNOWN_HOST.to_owned()))?;
    let anchor = Anchor { id: digest(&comparison.a, facts.kernel.as_deref()), name: comparison.a.name.clone() };
    let judged = Judged { file, facts: &facts, host: &host, anchor, b: &comparison.b };
    let lines = comparison.lines.iter().filter(|line| line.direction != Direction::Neutral);
    let entries = lines.filter_map(|line| judged.entry(line)).collect();
    Ok((host, entries))
}

fn unjudged(file: &SessionFile) -> String {
    match file.record {
        Some(_) => "it is a recording without verdicts".to_owned(),
        None => format!("it has no verdict yet; continue it with `cargo xtask ab --resume {}`", file.run),
    }
}

/// A session with its verdicts.
struct Judged<'a> {
    file: &'a SessionFile,
    facts: &'a HostFacts,
    host: &'a HostKey,
    anchor: Anchor,
    b: &'a Side,
}

impl Judged<'_> {
    fn entry(&self, line: &Line) -> Option<Entry> {
        let Judged { file, facts, b, .. } = self;
        let summary = line.b.as_ref().filter(|b| b.median.is_finite())?;
        let capabilities = file.arms.b.entry.as_ref().map(|entry| entry.capabilities);
        let workload = line.case.split('/').nth(1).unwrap_or_default();
        Some(Entry {
            schema: SCHEMA,
            session: file.run.clone(),
            kind: SessionKind::Ab,
            time: file.started.clone(),
            host: self.host.clone(),
            machine: in_words(facts),
            kernel: facts.kernel.clone(),
            facts: digest_of(facts),
            version: file.version.clone(),
            revision: file.arms.b.arm.settings.guests.clone().or_else(|| facts.revision.clone()),
            platform: without_programs(&b.name),
            versions: b.facts.iter().filter(|(name, _)| !is_elsewhere(name)).map(owned).collect(),
            accelerator: capabilities.map(|can| can.accelerator),
            image: self.image(workload),
            experiment: file.configuration.experiment(),
            case: line.case.clone(),
            parameters: parameters(&file.configuration, workload, 0),
            metric: line.metric.clone(),
            unit: line.unit,
            direction: line.direction,
            trials: summary.count,
            median: summary.median,
            ratio: line.decision.shift.and_then(ratio),
            anchor: self.anchor.clone(),
            verdict: Some(line.decision.verdict),
            simulated: capabilities.is_some_and(|can| can.simulated),
            values: Vec::new(),
        })
    }

    /// The digest of what arm B boots, or else of its guest.
    fn image(&self, workload: &str) -> Option<String> {
        let arm = &self.file.arms.b;
        let image = arm.images.iter().find(|image| image.program.name() == workload)?;
        let made = arm.made.get(&format!("{}/{workload}", arm.arm.platform));
        Some(made.unwrap_or(&image.digest).clone())
    }
}

/// Whether an entry has a field for this fact of a side.
fn is_elsewhere(name: &str) -> bool {
    name.starts_with("image ") || name.starts_with("made ") || name == "accelerator"
}

/// An arm's name without the paths of its programs, which are among its versions. So another path continues the track.
fn without_programs(name: &str) -> String {
    let Ok(mut arm) = name.parse::<Arm>() else { return name.to_owned() };
    (arm.settings.runtime, arm.settings.qemu) = (None, None);
    arm.to_string()
}

fn owned((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

/// The identity of an arm A. Facts that name the kernel do not count, since both arms share it.
fn digest(side: &Side, kernel: Option<&str>) -> String {
    let names_kernel = |value: &str| kernel.is_some_and(|kernel| value.contains(kernel));
    let facts = side.facts.iter().filter(|(_, value)| !names_kernel(value));
    let text: String = facts.map(|(name, value)| format!("{name}={value}\n")).collect();
    hexadecimal(&Sha256::digest(format!("{}\n{text}", side.name))[..6])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::compare::rule::Verdict;
    use crate::store::testing::run_file;

    /// An ab session with that change.
    fn session(change: impl FnOnce(&mut Value)) -> SessionFile {
        let side = |name: &str| json!({ "name": name, "facts": { "version": "0.7.0", "image hello": "ff" } });
        let summary = json!({
            "count": 30, "median": 7e6, "mean": 7e6, "sd": 1.0, "min": 6e6, "max": 8e6, "interval": null,
        });
        let interval = json!({ "low": 0.04, "high": 0.06, "level": 0.98 });
        let decision = json!({
            "verdict": "REGRESSED", "shift": { "value": 0.05, "interval": interval }, "p": 0.001, "detectable": 0.03,
            "blocks": 50, "reason": null, "failed": false,
        });
        let line = |metric: &str, direction: &str| {
            json!({
                "case": "boot/hello/0", "metric": metric, "unit": "ns", "direction": direction, "a": summary, "b": summary,
                "ruling": decision,
            })
        };
        let mut skipped = line("skipped", "lower");
        skipped["b"] = Value::Null;
        let lines = [line("boot", "lower"), line("load", "neutral"), skipped];
        let (a, b) = (side("youki,guests=v1"), side("youki"));
        let comparison = json!({ "a": a, "b": b, "notes": [], "not_comparable": [], "lines": lines, "took": 5 });
        let image = json!({ "program": "hello", "rootfs": "/r", "digest": "ff", "size": 1 });
        let arm = json!({
            "name": "youki", "platform": "youki", "settings": {}, "entry": null, "images": [image], "made": {},
        });
        let mut file = json!({
            "schema": 1, "run": "20261103-000000-0003", "version": "0.1.0", "command": [],
            "arms": { "a": arm, "b": arm }, "configuration": run_file().configuration,
            "rule": crate::compare::rule::Rule::DEFAULT, "asked": { "tolerance": null, "blocks": null, "runs": null },
            "metrics": "headline", "null_control": true, "seed": 1, "cases": [], "lanes": [],
            "host": { "cpu_model": "EPYC", "kernel": "6.8" }, "started": "2026-11-03T00:00:00Z", "ended": null, "took": 5,
            "notes": [], "noise": null, "outcome": "complete", "reason": null, "comparison": comparison,
        });
        change(&mut file);
        serde_json::from_value(file).expect("a session")
    }

    fn entries(change: impl FnOnce(&mut Value)) -> Vec<Entry> {
        session_entries(&session(change)).unwrap().1
    }

    #[test]
    fn a_session_brings_its_own_ratio_and_verdict() {
        let entries = entries(|_| {});
        assert_eq!(entries.len(), 1, "{entries:?}");
        let entry = &entries[0];
        assert!((entry.ratio.unwrap().value - 0.05f64.exp()).abs() < 1e-12);
        assert_eq!((entry.verdict, entry.anchor.name.as_str()), (Some(Verdict::Regressed), "youki,guests=v1"));
        assert_eq!(entry.image.as_deref(), Some("ff"));
        assert_eq!(entry.versions.keys().collect::<Vec<_>>(), ["version"], "the guests have a field of their own");
    }

    #[test]
    fn what_a_platform_makes_of_a_guest_is_what_is_measured() {
        let entries = entries(|file| file["arms"]["b"]["made"] = json!({ "youki/hello": "ee", "youki/sleep": "dd" }));
        assert_eq!(entries[0].image.as_deref(), Some("ee"));
    }

    #[test]
    fn guests_of_another_revision_are_of_that_one() {
        let revision = |settings: Value| {
            let change = |file: &mut Value| {
                file["host"]["revision"] = "head".into();
                file["arms"]["b"]["settings"] = settings;
            };
            entries(change).remove(0).revision
        };
        assert_eq!(revision(json!({})).as_deref(), Some("head"));
        assert_eq!(revision(json!({ "guests": "v2" })).as_deref(), Some("v2"));
    }

    #[test]
    fn the_anchor_outlives_a_kernel_and_no_other_version() {
        let id = |kernel: &str, version: &str| {
            let change = |file: &mut Value| {
                file["host"]["kernel"] = kernel.into();
                file["comparison"]["a"]["facts"]["version"] = version.into();
            };
            entries(change).remove(0).anchor.id
        };
        assert_eq!(id("6.8", "0.7.0"), id("6.12", "0.7.0"));
        assert_ne!(id("6.8", "0.7.0"), id("6.8", "0.8.0"));
        assert_eq!(id("6.8", "Linux 6.8"), id("6.12", "Linux 6.12"), "the kernel by another name");
    }

    #[test]
    fn other_rows_are_another_track() {
        let with_rows = |rows: u32| {
            entries(|file| {
                file["configuration"]["experiment"] = "scalability".into();
                file["configuration"]["rows"] = rows.into();
                file["comparison"]["lines"][0]["case"] = "scalability/sqlite/0".into();
            })
        };
        let both = [with_rows(5_000), with_rows(60_000)].concat();
        assert_eq!(super::super::tracks(&both).len(), 2);
    }

    #[test]
    fn the_path_of_a_program_is_a_version_and_begins_no_other_track() {
        let entries = entries(|file| {
            file["comparison"]["b"]["name"] = "oci:crun,runtime=/opt/a,,b/crun,append=x,,y".into();
            file["comparison"]["b"]["facts"] = json!({ "runtime": "/opt/a,b/crun", "append": "x,y" });
        });
        assert_eq!(entries[0].platform, "oci:crun,append=x,,y");
        assert_eq!(entries[0].versions["runtime"], "/opt/a,b/crun");
    }

    #[test]
    fn a_session_without_verdicts_is_refused_with_the_cure() {
        let message = |change: fn(&mut Value)| session_entries(&session(change)).unwrap_err().to_string();
        let open = message(|file| file["comparison"] = Value::Null);
        assert!(
            open.ends_with("no verdict yet; continue it with `cargo xtask ab --resume 20261103-000000-0003`"),
            "{open}"
        );
        let recording = message(|file| (file["comparison"], file["record"]) = (Value::Null, 9.into()));
        assert!(recording.ends_with("it is a recording without verdicts"), "{recording}");
        assert!(message(|file| file["host"] = json!({})).contains("its host's facts"));
    }
}
