//! Going on with a run that did not finish: what is recorded stays, the rest is run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::guest::Image;
use crate::host::{self, HostFacts};
use crate::measure::plan::{Plan, PlannedTrial};
use crate::model::record::{Experiment, TrialRecord};
use crate::store::{PlatformEntry, RunFile, RunOutcome, StoredRun, list_runs, read_run, run_folder};

/// Why a run cannot be gone on with. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// There is none.
    #[error("no unfinished {experiment} run under {runs}")]
    NoneUnfinished {
        /// What is measured.
        experiment: Experiment,
        /// Where runs were looked for.
        runs: PathBuf,
    },
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] crate::store::ReadError),
    /// It is another target's.
    #[error("{dir} is a run of {found}; this is {wanted}: cargo bench --bench {found} -- --resume …")]
    OtherTarget {
        /// Its folder.
        dir: PathBuf,
        /// What it measured.
        found: Experiment,
        /// What this target measures.
        wanted: Experiment,
    },
    /// There is nothing left to do.
    #[error("{0} is complete: there is nothing to go on with")]
    Complete(PathBuf),
    /// Its plan comes out differently here and now.
    #[error("the plan of {dir} cannot be rebuilt here: {reason}; begin a new run instead")]
    OtherPlan {
        /// Its folder.
        dir: PathBuf,
        /// What differs.
        reason: String,
    },
}

/// Finds and reads the run that `--resume` names: its id, its folder, or `last` for the latest unfinished one.
///
/// # Errors
/// When there is none, or it is not to be gone on with.
pub(super) fn find(wanted: Experiment, name: &str, runs: &Path) -> Result<StoredRun, ResumeError> {
    let run = match name {
        "last" => latest_unfinished(wanted, runs)
            .ok_or_else(|| ResumeError::NoneUnfinished { experiment: wanted, runs: runs.to_owned() })?,
        name => read_run(&run_folder(runs, name))?,
    };
    check(run, wanted)
}

/// Refuses a run of another target, and one that is complete.
///
/// # Errors
/// As said.
pub(super) fn check(run: StoredRun, wanted: Experiment) -> Result<StoredRun, ResumeError> {
    let found = run.file.experiment();
    match run.file.outcome {
        _ if found != wanted => Err(ResumeError::OtherTarget { dir: run.dir, found, wanted }),
        RunOutcome::Complete => Err(ResumeError::Complete(run.dir)),
        _ => Ok(run),
    }
}

fn latest_unfinished(wanted: Experiment, runs: &Path) -> Option<StoredRun> {
    let readable = list_runs(runs).into_iter().rev().filter_map(|dir| read_run(&dir).ok());
    readable.into_iter().find(|run| run.file.experiment() == wanted && run.file.outcome != RunOutcome::Complete)
}

/// The orders that are recorded already, once it is sure that the plan is the one they belong to and that the platforms
/// are still what they were.
///
/// # Errors
/// When the plan differs from the one that was recorded, such as after a platform went missing, or a platform has
/// another version: one run must not mix them.
pub(super) fn recorded(
    run: &StoredRun,
    plan: &Plan,
    platforms: &[PlatformEntry],
) -> Result<BTreeSet<u64>, ResumeError> {
    let differs = |reason: String| ResumeError::OtherPlan { dir: run.dir.clone(), reason };
    for before in &run.file.platforms {
        let now = platforms.iter().find(|now| now.id == before.id);
        if let Some(now) = now.filter(|now| (&now.facts, now.capabilities) != (&before.facts, before.capabilities)) {
            let (id, then, now) = (&before.id, &before.facts.version, &now.facts.version);
            return Err(differs(format!("{id} was {then} and is {now}, or can do other things than then")));
        }
        // With a platform that is there, too, a skip is of one of its guests.
        if let Some(skip) = plan.skips.iter().find(|skip| now.is_none() && skip.platform.as_ref() == Some(&before.id)) {
            return Err(differs(format!("a platform that took part cannot run now: {skip}")));
        }
    }
    if plan.trials.len() as u64 != run.file.planned {
        return Err(differs(format!("it has {} trials now and had {}", plan.trials.len(), run.file.planned)));
    }
    for record in &run.trials {
        let planned = plan.trials.get(record.order as usize).filter(|trial| is_of(record, trial));
        planned.ok_or_else(|| differs(format!("trial {} is another case now", record.order)))?;
    }
    Ok(run.trials.iter().map(|record| record.order).collect())
}

/// Refuses to go on with other guests, or on another host or kernel, than the run began with.
///
/// # Errors
/// Names what differs.
pub(super) fn same_environment(
    dir: &Path,
    before: &RunFile,
    images: &[Image],
    made: &BTreeMap<String, String>,
    host: &BTreeMap<String, Value>,
) -> Result<(), ResumeError> {
    let differs = |reason: String| ResumeError::OtherPlan { dir: dir.to_owned(), reason };
    for image in &before.images {
        let now = images.iter().find(|now| now.program == image.program);
        if now.is_none_or(|now| now.digest != image.digest) {
            return Err(differs(format!("the guest {} is another than then", image.program)));
        }
    }
    if let Some((what, _)) = before.made.iter().find(|(what, digest)| made.get(*what).is_some_and(|now| now != *digest))
    {
        return Err(differs(format!("what is booted as {what} is another than then")));
    }
    let differences = host::differences(&HostFacts::stored(&before.host), &HostFacts::stored(host));
    if differences.is_empty() { Ok(()) } else { Err(differs(differences.join("; "))) }
}

fn is_of(record: &TrialRecord, trial: &PlannedTrial) -> bool {
    let case = &record.case;
    record.trial == trial.trial
        && record.role == trial.role
        && case.platform == trial.platform
        && case.workload == trial.workload
        && case.attacker == trial.attacker
        && case.placement == trial.placement
        && case.background == trial.background
        && case.victims == trial.victims
}
