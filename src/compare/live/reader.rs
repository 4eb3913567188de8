//! Reading a session's folder. Never panics, whatever is in it.

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
    /// Its folder.
    pub dir: PathBuf,
    /// Its description.
    pub file: SessionFile,
    /// Its trials in the order of the file, those of torn blocks included.
    pub trials: Vec<AbTrial>,
    /// What was passed over in reading: a torn last line.
    pub warnings: Vec<String>,
}

/// Where a block belongs: its case, its stage and its number.
pub(super) type BlockKey = (String, Stage, u32);

impl StoredSession {
    /// The trials of the blocks that are whole, by case, stage and number: what is judged.
    pub fn blocks(&self) -> BTreeMap<(String, Stage, u32), Vec<&AbTrial>> {
        let runs = |name: &str| self.file.cases.iter().find(|case| case.name == name).map_or(0, |case| case.rule.runs);
        let mut attempts: BTreeMap<(BlockKey, u32), Vec<&AbTrial>> = BTreeMap::new();
        for trial in &self.trials {
            attempts.entry((key(trial), trial.attempt)).or_default().push(trial);
        }
        let is_whole = |name: &str, trials: &[&AbTrial]| {
            let of = |which: ArmId| trials.iter().filter(|trial| trial.arm == which).count();
            runs(name) > 0 && block::runners(self.file.null_control).iter().all(|&which| of(which) == runs(name))
        };
        let whole = attempts.into_iter().filter(|((key, _), trials)| is_whole(&key.0, trials));
        // A later attempt takes the place of an earlier one.
        whole.map(|((key, _), trials)| (key, trials)).collect()
    }

    /// How often each block was begun.
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
/// When it is no session, is damaged elsewhere than in its last line, holds trials of another, or was written by a newer
/// schema.
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

/// Reads the description of the session in the folder `dir`, and not its trials.
///
/// # Errors
/// As [`read_session`].
pub fn read_session_file(dir: &Path) -> Result<SessionFile, ReadError> {
    let path = dir.join(SESSION_FILE);
    let text = fs::read_to_string(&path).map_err(|source| ReadError::NoRun { path: path.clone(), source })?;
    Location { path: &path, line: 1 }.parse(&text, SESSION_SCHEMA, |file: &SessionFile| file.schema)
}

/// The folders under `sessions` that hold a session, oldest first. Folders that do not are passed over.
pub fn list_sessions(sessions: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(sessions) else { return Vec::new() };
    let folders = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut found: Vec<PathBuf> = folders.filter(|dir| dir.join(SESSION_FILE).is_file()).collect();
    found.sort();
    found
}

/// The folder of the session that `name` means: an id under `sessions`, or a path.
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
