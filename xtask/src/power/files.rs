//! Recordings on disk: read from a folder, packed from a stored run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::power::proof::{Picked, Recording, pack};
use anyhow::Context;
use featherweight::compare::live::read_session;
use featherweight::store::{ReadError, replace};
use serde_json::Value;

use super::replay::{Tape, Tapes};
use featherweight::cli::exit::BadInput;

/// The ending of a recording's file name.
const ENDING: &str = ".csv.gz";

/// All recordings of a folder by the names of their files. Unreadable files are reported and skipped.
///
/// # Errors
/// When no recording can be read.
pub(super) fn read(dir: &Path) -> anyhow::Result<Tapes> {
    let entries = fs::read_dir(dir).map_err(|e| BadInput(format!("--recordings {}: {e}", dir.display())))?;
    let mut tapes = Tapes::default();
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(name) = file.strip_suffix(ENDING) else { continue };
        let recording = fs::read(&path).map_err(|e| e.to_string());
        match recording.and_then(|bytes| Recording::unpack(&bytes).map_err(|e| e.to_string())) {
            Ok(recording) if recording.has_two_arms() => tapes.injected.push(Tape::new(name.to_owned(), recording)),
            Ok(recording) => tapes.same.push(Tape::new(name.to_owned(), recording)),
            Err(why) => eprintln!("warning: {}: {why}", path.display()),
        }
    }
    if tapes.same.is_empty() && tapes.injected.is_empty() {
        return Err(BadInput(format!("--recordings {}: no readable *{ENDING} in it", dir.display())).into());
    }
    Ok(tapes)
}

/// Packs one metric of a stored run, or of an A/B session, into a recording.
///
/// # Errors
/// When the folder has neither, or the recording cannot be made or written.
pub(super) fn write(dir: &Path, picked: &Picked, output: &Path) -> anyhow::Result<String> {
    let trials = dir.join(featherweight::store::TRIALS_FILE);
    let lines = fs::read_to_string(&trials).map_err(|e| BadInput(format!("--pack: {}: {e}", trials.display())))?;
    let whole = whole(dir)?;
    let mut packed =
        pack(&lines, whole.as_ref(), picked).map_err(|e| BadInput(format!("{}: {e}", trials.display())))?;
    packed.recording.facts.extend(facts(dir));
    packed.recording.facts.insert("failed trials".to_owned(), packed.failed.to_string());
    if let Some(parent) = output.parent() {
        fs::create_dir_all(parent).with_context(|| format!("failed to create {}", parent.display()))?;
    }
    let bytes = packed.recording.packed()?;
    replace(output, &bytes).with_context(|| format!("failed to write {}", output.display()))?;
    let trials = packed.recording.trials.len();
    Ok(format!("{}: {trials} trials, {} left out, {} bytes", output.display(), packed.failed, bytes.len()))
}

/// The orders of the trials in whole blocks of an A/B session; `None` for a run.
fn whole(dir: &Path) -> anyhow::Result<Option<BTreeSet<u64>>> {
    match read_session(dir) {
        Ok(session) => Ok(Some(session.blocks().values().flatten().map(|trial| trial.record.order).collect())),
        Err(ReadError::NoRun { .. }) => Ok(None),
        Err(e) => Err(BadInput(format!("--pack: {e}")).into()),
    }
}

/// The facts about host and versions in `run.json` or `session.json`.
fn facts(dir: &Path) -> BTreeMap<String, String> {
    let read = |name: &str| serde_json::from_str::<Value>(&fs::read_to_string(dir.join(name)).ok()?).ok();
    let Some(file) = read("run.json").or_else(|| read("session.json")) else { return BTreeMap::new() };
    let mut facts = BTreeMap::new();
    for name in ["run", "version"] {
        facts.extend(file[name].as_str().map(|text| (name.to_owned(), text.to_owned())));
    }
    let words: Vec<&str> = file["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    facts.insert("command".to_owned(), command(&words));
    for name in ["cpu_model", "cores", "logical_cpus", "kernel", "os", "memory", "machine", "virtualised", "revision"] {
        let value = &file["host"][name];
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        facts.extend((!value.is_null()).then(|| (format!("host {}", name.replace('_', " ")), text)));
    }
    for platform in file["platforms"].as_array().into_iter().flatten() {
        let version = platform["id"].as_str().zip(platform["facts"]["version"].as_str());
        facts.extend(version.map(|(id, version)| (format!("version of {}", id.replace(':', " ")), version.to_owned())));
    }
    facts
}

/// The command without the locations of files on this machine.
fn command(words: &[&str]) -> String {
    let program = words.first().and_then(|word| word.rsplit('/').next()).unwrap_or_default();
    // Cargo names a bench target's executable `boot-<hash>`.
    let program = program.rsplit_once('-').map_or(program, |(name, _)| name);
    let mut kept = vec![program];
    // The last word is cargo's own; before it, `--bench` is an option of `ab`.
    let words = words.strip_suffix(&["--bench"]).unwrap_or(words);
    let mut rest = words.iter().skip(1).copied();
    while let Some(word) = rest.next() {
        match word {
            "--out" => drop(rest.next()),
            word => kept.push(word),
        }
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use featherweight::model::exit::Exit;

    use super::*;
    use featherweight::cli::exit;

    #[test]
    fn a_stored_run_becomes_a_readable_recording() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let run = project.join("fixtures/runs/20261121-084514-0b00");
        let dir = tempfile::tempdir().unwrap();
        let picked = Picked { metric: "boot".into(), case: Some("fake:steady hello 0".into()) };
        let summary = write(&run, &picked, &dir.path().join("deep/steady.csv.gz")).unwrap();
        assert!(summary.contains("trials"), "{summary}");
        fs::write(dir.path().join("deep/torn.csv.gz"), b"torn").unwrap();
        let tapes = read(&dir.path().join("deep")).unwrap();
        assert_eq!((tapes.same.len(), tapes.injected.len(), tapes.same[0].name.as_str()), (1, 0, "steady"));
        let recording = &tapes.same[0].recording;
        assert_eq!(recording.fact("host cpu model"), Some("simulated CPU"));
        assert!(recording.fact("command").is_some_and(|c| c.contains("--platform")));
    }

    #[test]
    fn a_command_has_no_folders() {
        let words = ["/a/b/boot-d7611ef097a9", "--platform", "youki", "--out", "/c/d", "--runs", "9", "--bench"];
        assert_eq!(command(&words), "boot --platform youki --runs 9");
        let words = ["target/xtask", "ab", "--bench", "scalability", "--a", "youki", "--record", "9", "--out", "x"];
        assert_eq!(command(&words), "xtask ab --bench scalability --a youki --record 9");
        assert_eq!(command(&[]), "");
    }

    #[test]
    fn missing_files_are_bad_input() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(exit::code(&read(dir.path()).unwrap_err()), Exit::BadInput);
        assert_eq!(exit::code(&read(&dir.path().join("gone")).unwrap_err()), Exit::BadInput);
        let output = dir.path().join("x.csv.gz");
        assert_eq!(exit::code(&write(dir.path(), &Picked::default(), &output).unwrap_err()), Exit::BadInput);
    }
}
