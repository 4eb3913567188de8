//! Continues a run that did not finish: recorded trials stay, the rest is run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::guest::Image;
use crate::host::{self, HostFacts};
use crate::measure::plan::{Plan, PlannedTrial};
use crate::model::record::{Experiment, TrialRecord};
use crate::store::{PlatformEntry, RunFile, RunOutcome, StoredRun, list_runs, read_run, run_folder};

/// Why a run cannot be continued. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// There is no unfinished run.
    #[error("no unfinished {experiment} run under {runs}")]
    NoneUnfinished {
        /// The experiment.
        experiment: Experiment,
        /// The folder of the runs.
        runs: PathBuf,
    },
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] crate::store::ReadError),
    /// The run belongs to another bench target.
    #[error("{dir} is a run of {found}; this is {expected}: cargo bench --bench {found} -- --resume …")]
    OtherTarget {
        /// Its folder.
        dir: PathBuf,
        /// The experiment of the run.
        found: Experiment,
        /// The experiment of this target.
        expected: Experiment,
    },
    /// All trials are recorded.
    #[error("{0} is complete; there is nothing to continue")]
    Complete(PathBuf),
    /// Its plan is different now.
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
/// When there is no such run, or it cannot be continued.
pub(super) fn find(experiment: Experiment, name: &str, runs: &Path) -> Result<StoredRun, ResumeError> {
    let run = match name {
        "last" => latest_unfinished(experiment, runs)
            .ok_or_else(|| ResumeError::NoneUnfinished { experiment, runs: runs.to_owned() })?,
        name => read_run(&run_folder(runs, name))?,
    };
    check(run, experiment)
}

/// Rejects a run of another target, and a complete run.
///
/// # Errors
/// The reason.
pub(super) fn check(run: StoredRun, expected: Experiment) -> Result<StoredRun, ResumeError> {
    let found = run.file.experiment();
    match run.file.outcome {
        _ if found != expected => Err(ResumeError::OtherTarget { dir: run.dir, found, expected }),
        RunOutcome::Complete => Err(ResumeError::Complete(run.dir)),
        _ => Ok(run),
    }
}

fn latest_unfinished(experiment: Experiment, runs: &Path) -> Option<StoredRun> {
    let readable = list_runs(runs).into_iter().rev().filter_map(|dir| read_run(&dir).ok());
    readable.into_iter().find(|run| run.file.experiment() == experiment && run.file.outcome != RunOutcome::Complete)
}

/// The orders of the recorded trials, after checking that they belong to this plan and that the platforms are the same.
///
/// # Errors
/// When the plan differs from the recorded one, such as without a platform, or when a platform has another version: one
/// run must not mix them.
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
            return Err(differs(format!("{id} was {then} and is {now}, or its capabilities changed")));
        }
        // A skip on a platform that can run is of one of its guests.
        if let Some(skip) = plan.skips.iter().find(|skip| now.is_none() && skip.platform.as_ref() == Some(&before.id)) {
            return Err(differs(format!("a platform that took part cannot run now: {skip}")));
        }
    }
    if plan.trials.len() as u64 != run.file.planned {
        return Err(differs(format!("it has {} trials now and had {}", plan.trials.len(), run.file.planned)));
    }
    for record in &run.trials {
        let planned = plan.trials.get(record.order as usize).filter(|trial| is_record_of(record, trial));
        planned.ok_or_else(|| differs(format!("trial {} is another case now", record.order)))?;
    }
    Ok(run.trials.iter().map(|record| record.order).collect())
}

/// Rejects other guests, and another host or kernel, than the run began with.
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
            return Err(differs(format!("guest {} has changed", image.program)));
        }
    }
    if let Some((what, _)) = before.made.iter().find(|(what, digest)| made.get(*what).is_some_and(|now| now != *digest))
    {
        return Err(differs(format!("what {what} boots has changed")));
    }
    let differences = host::differences(&HostFacts::stored(&before.host), &HostFacts::stored(host));
    if differences.is_empty() { Ok(()) } else { Err(differs(differences.join("; "))) }
}

fn is_record_of(record: &TrialRecord, trial: &PlannedTrial) -> bool {
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
