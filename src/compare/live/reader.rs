//! Reads a session's folder. Never panics, whatever the folder contains.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::store::{AbTrial, SESSION_FILE, SESSION_SCHEMA, SessionFile};
use super::{ArmId, block, case};
use crate::compare::rule::Stage;
use crate::model::record::SCHEMA;
use crate::model::run::RunId;
use crate::store::{Location, ReadError, RunOutcome, each_trial};

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSession {
    /// The folder.
    pub dir: PathBuf,
    /// The description.
    pub file: SessionFile,
    /// The trials in the order of the file, including those of incomplete blocks.
    pub trials: Vec<AbTrial>,
    /// What the reader skipped: a torn last line.
    pub warnings: Vec<String>,
}

/// The case, the stage and the number of a block.
pub(super) type BlockKey = (String, Stage, u32);

impl StoredSession {
    /// The trials of complete blocks, by case, stage and number: what is judged.
    pub fn blocks(&self) -> BTreeMap<(String, Stage, u32), Vec<&AbTrial>> {
        let runs = |name: &str| self.file.cases.iter().find(|case| case.name == name).map_or(0, |case| case.rule.runs);
        let mut attempts: BTreeMap<(BlockKey, u32), Vec<&AbTrial>> = BTreeMap::new();
        for trial in &self.trials {
            attempts.entry((key(trial), trial.attempt)).or_default().push(trial);
        }
        let is_whole = |name: &str, trials: &[&AbTrial]| {
            let count = |arm: ArmId| trials.iter().filter(|trial| trial.arm == arm).count();
            runs(name) > 0 && block::arms(self.file.null_control).iter().all(|&arm| count(arm) == runs(name))
        };
        let whole = attempts.into_iter().filter(|((key, _), trials)| is_whole(&key.0, trials));
        // A later attempt replaces an earlier one.
        whole.map(|((key, _), trials)| (key, trials)).collect()
    }

    /// The number of the last attempt at each block.
    pub(super) fn attempts(&self) -> BTreeMap<BlockKey, u32> {
        let mut attempts = BTreeMap::new();
        for trial in &self.trials {
            let most = attempts.entry(key(trial)).or_insert(0);
            *most = trial.attempt.max(*most);
        }
        attempts
    }
}

fn key(trial: &AbTrial) -> BlockKey {
    (case::name(&trial.record.case), trial.stage, trial.block)
}

/// Reads the session in the folder `dir`.
///
/// # Errors
/// When the folder has no session, is damaged before its last line, has trials of another session, or a newer schema.
pub fn read_session(dir: &Path) -> Result<StoredSession, ReadError> {
    let (file, mut trials) = (read_session_file(dir)?, Vec::new());
    let torn = each_trial(dir, |text, location| {
        let trial: AbTrial = location.parse(text, SCHEMA, |trial: &AbTrial| trial.record.schema)?;
        location.check_run(trial.record.run.as_str(), &file.run)?;
        trials.push(trial);
        Ok(())
    })?;
    Ok(StoredSession { dir: dir.to_owned(), file, trials, warnings: torn.into_iter().collect() })
}

/// Reads the description of the session in the folder `dir`, without its trials.
///
/// # Errors
/// As [`read_session`].
pub fn read_session_file(dir: &Path) -> Result<SessionFile, ReadError> {
    let path = dir.join(SESSION_FILE);
    let text = fs::read_to_string(&path).map_err(|source| ReadError::NoRun { path: path.clone(), source })?;
    Location { path: &path, line: 1 }.parse(&text, SESSION_SCHEMA, |file: &SessionFile| file.schema)
}

/// The folders under `sessions` that contain a session, oldest first.
pub fn list_sessions(sessions: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(sessions) else { return Vec::new() };
    let folders = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut found: Vec<PathBuf> = folders.filter(|dir| dir.join(SESSION_FILE).is_file()).collect();
    found.sort();
    found
}

/// The folder of a session by its id under `sessions`, or by its path.
pub fn session_folder(sessions: &Path, name: &str) -> PathBuf {
    match name.parse::<RunId>() {
        Ok(id) => sessions.join(id.as_str()),
        Err(_) => PathBuf::from(name),
    }
}

/// The latest session under `sessions` that is not complete.
pub fn latest_unfinished(sessions: &Path) -> Option<PathBuf> {
    let mut latest = list_sessions(sessions).into_iter().rev();
    latest.find(|dir| read_session_file(dir).is_ok_and(|file| file.outcome != RunOutcome::Complete))
}
