//! One session from opening to its comparison.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arm_runner::{Opening, TestHook};
use super::arm_runners::ArmRunners;
use super::error::{AbError, Stop};
use super::evaluator::Evaluator;
use super::store::{SESSION_FILE, SessionFile};
use super::{ArmId, Question, StoredSession, resume};
use crate::compare::rule::{Rule, Stage};
use crate::host::Topology;
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::host::ledger::{self, Leftovers, RunState};
use crate::host::placement;
use crate::measure::rig::{RunLedger, now, read_topology};
use crate::measure::{Event, Observer, RunError};
use crate::model::cpuset::CpuSet;
use crate::model::units::Nanos;
use crate::platform::arm;
use crate::store::{RunOutcome, Writer};

/// Which session to begin or to continue.
#[derive(Debug, Clone)]
pub enum SessionRequest {
    /// A new session, its folder made under `out`.
    New {
        /// What to compare.
        question: Box<Question>,
        /// The folder that receives the session's folder.
        out: PathBuf,
    },
    /// A session that did not finish.
    Resume {
        /// The session's id, its folder, or `last`.
        name: String,
        /// The folder of the stored sessions.
        sessions: PathBuf,
    },
}

/// How a session ended.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The session's folder.
    pub dir: PathBuf,
    /// The session's description, with the comparison if there is one.
    pub file: SessionFile,
    /// What went wrong apart from the trials.
    pub problems: Vec<String>,
    /// What the ledgers' sweeps found still alive: leaks.
    pub leftovers: Vec<Leftovers>,
    /// Whether its time limit was over; it has an answer all the same.
    pub is_out_of_time: bool,
}

/// A case that a session will measure or skip.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// The name.
    pub name: String,
    /// Why it cannot be measured.
    pub skipped: Option<String>,
    /// The likely rule for its blocks, which depends on the time of a trial.
    pub rule: Rule,
    /// The estimated time of a block.
    pub block: Nanos,
}

/// A session that is open and ready to begin.
#[derive(Debug)]
pub struct Session {
    arms: ArmRunners,
    state: SessionState,
}

/// The session's own state: its folder, its description and what went wrong.
#[derive(Debug)]
pub(super) struct SessionState {
    pub(super) folders: Folders,
    pub(super) interrupt: Interrupt,
    pub(super) topology: Arc<Topology>,
    /// The CPUs of this process before it was pinned.
    pub(super) usable: CpuSet,
    pub(super) dir: PathBuf,
    pub(super) file: SessionFile,
    /// What was stored when the session was opened; `None` for a new one.
    pub(super) stored: Option<StoredSession>,
    pub(super) hook: TestHook,
    pub(super) problems: Vec<String>,
    pub(super) leftovers: Vec<Leftovers>,
    pub(super) limit: Option<TimeLimit>,
    /// Whether this process has stored a trial.
    pub(super) has_measured: bool,
    /// Held until the session has ended, so that nobody else continues it meanwhile.
    pub(super) ledger: RunLedger,
}

/// The time limit that the user set.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimit {
    pub(super) duration: Duration,
    pub(super) end: Instant,
}

impl Session {
    /// Opens the session that `request` names. Changes nothing on the host but the ledgers.
    ///
    /// # Errors
    /// When the session cannot be continued, or nothing can run here.
    pub fn open(
        request: SessionRequest,
        folders: Folders,
        interrupt: Interrupt,
        command: Vec<String>,
    ) -> Result<Self, AbError> {
        Self::open_with_hook(request, folders, interrupt, command, TestHook::default())
    }

    pub(super) fn open_with_hook(
        request: SessionRequest,
        folders: Folders,
        interrupt: Interrupt,
        command: Vec<String>,
        hook: TestHook,
    ) -> Result<Self, AbError> {
        let topology = Arc::new(read_topology()?);
        let usable = placement::usable_cpus().map_err(RunError::ReadUsableCpus)?;
        let (file, dir, stored) = find(request, &folders, command)?;
        let ledger = RunLedger::open(&folders, &file.run)?;
        reap_arms(&folders, &file)?;
        let mut state = SessionState {
            folders,
            interrupt,
            topology,
            usable,
            dir,
            file,
            stored,
            hook,
            problems: Vec::new(),
            leftovers: Vec::new(),
            limit: None,
            has_measured: false,
            ledger,
        };
        let arms = state.open_arms(Stage::First)?;
        state.admit(&arms)?;
        Ok(Self { arms, state })
    }

    /// The cases that it will measure or skip.
    pub fn outline(&self) -> Vec<Outline> {
        let names = self.arms.names(self.state.file.configuration.filter.as_deref());
        names.into_iter().map(|name| self.outline_of(name)).collect()
    }

    fn outline_of(&self, name: String) -> Outline {
        let planned = self.arms.all().iter().filter_map(|arm| arm.find(&name));
        let estimates: Vec<Nanos> = planned.map(|trial| trial.estimate).collect();
        let rule = self.state.file.overrides.rule(estimates.iter().copied().max().unwrap_or_default());
        let block = Nanos(estimates.iter().map(|estimate| estimate.0).sum::<u64>() * rule.runs as u64);
        Outline { skipped: self.arms.missing(&name), name, rule, block }
    }

    /// The session's description so far.
    pub fn file(&self) -> &SessionFile {
        &self.state.file
    }

    /// Measures until every metric has its verdict or `limit` is over, and removes everything that was made.
    ///
    /// # Errors
    /// When the session cannot begin. Once it has begun, problems are in the summary.
    pub fn run(self, limit: Option<Duration>, observer: &mut dyn Observer) -> Result<Summary, AbError> {
        let Self { arms, mut state } = self;
        let began = Instant::now();
        state.limit = limit.map(|duration| TimeLimit { duration, end: began + duration });
        let mut evaluator = match &state.stored {
            Some(stored) => Evaluator::replayed(stored),
            None => Evaluator::new(&state.file),
        };
        let ended = match state.stages(arms, &mut evaluator, observer) {
            // What this process has measured is worth more than a plain refusal.
            Err(Stop::Refused(error)) if state.has_measured => Err(Stop::Failure(error.to_string())),
            Err(Stop::Refused(error)) => {
                state.discard();
                return Err(error);
            }
            ended => ended,
        };
        state.file.took = state.file.took + began.elapsed().into();
        let is_out_of_time = matches!(ended, Err(Stop::OutOfTime(_)));
        state.conclude(ended, &evaluator);
        observer.notice(&Event::SessionEnded { outcome: state.file.outcome, dir: &state.dir });
        let SessionState { dir, file, problems, leftovers, .. } = state;
        Ok(Summary { dir, file, problems, leftovers, is_out_of_time })
    }
}

type FoundSession = (SessionFile, PathBuf, Option<StoredSession>);

fn find(request: SessionRequest, folders: &Folders, command: Vec<String>) -> Result<FoundSession, AbError> {
    match request {
        SessionRequest::New { question, out } => {
            let mut file = SessionFile::new(*question, command);
            pin_revisions(&mut file, folders)?;
            let dir = out.join(file.run.as_str());
            Ok((file, dir, None))
        }
        SessionRequest::Resume { name, sessions } => {
            let found = resume::find(&name, &sessions)?;
            Ok((found.file.clone(), found.dir.clone(), Some(found)))
        }
    }
}

impl SessionState {
    /// Rejects cases that cannot be measured and a session that cannot be continued.
    fn admit(&mut self, arms: &ArmRunners) -> Result<(), AbError> {
        let mut described = self.file.clone();
        arms.describe(&mut described);
        if self.stored.is_some() {
            // Read again now that nobody else can be adding to it.
            let stored = resume::find(&self.dir.to_string_lossy(), &self.dir)?;
            resume::same_platforms(&stored.file, &described)?;
            (self.file, self.stored) = (stored.file.clone(), Some(stored));
        } else {
            self.file = described;
        }
        match &self.file.configuration.filter {
            filter if !arms.names(filter.as_deref()).is_empty() => Ok(()),
            Some(word) if !arms.names(None).is_empty() => Err(AbError::FilteredOut(word.clone())),
            _ => Err(AbError::NothingToRun(arms.skips())),
        }
    }

    pub(super) fn open_arms(&self, stage: Stage) -> Result<ArmRunners, RunError> {
        let opening = Opening {
            configuration: &self.file.configuration,
            topology: &self.topology,
            folders: &self.folders,
            interrupt: &self.interrupt,
            hook: &self.hook,
            stage,
        };
        ArmRunners::open(&self.file.arms, self.file.null_control, &opening)
    }

    pub(super) fn close_arms(&mut self, arms: ArmRunners) {
        self.leftovers.extend(arms.close(&mut self.problems));
    }

    /// Measures the stages that have open cases. The first one uses the arms that are open.
    fn stages(&mut self, arms: ArmRunners, evaluator: &mut Evaluator, observer: &mut dyn Observer) -> Result<(), Stop> {
        let is_new = self.file.cases.is_empty();
        if is_new || !evaluator.open(Stage::First).is_empty() {
            let arms = self.calibrated(arms, observer)?;
            self.stage(Stage::First, arms, evaluator, observer)?;
        } else {
            self.close_arms(arms);
        }
        if !evaluator.open(Stage::Second).is_empty() {
            let arms = self.open_arms(Stage::Second)?;
            self.stage(Stage::Second, arms, evaluator, observer)?;
        }
        Ok(())
    }

    /// Removes the folder of a new session that was refused before its first block. If that fails, the session can be
    /// continued.
    fn discard(&self) {
        if self.stored.is_none() {
            drop(std::fs::remove_dir_all(&self.dir));
        }
    }

    /// Records how the session ended, with its comparison.
    fn conclude(&mut self, ended: Result<(), Stop>, evaluator: &Evaluator) {
        self.file.ended = Some(now());
        (self.file.outcome, self.file.reason) = match &ended {
            Ok(()) => (RunOutcome::Complete, None),
            Err(Stop::Interrupted) => (RunOutcome::Interrupted, None),
            Err(stop) => (RunOutcome::Stopped, stop.reason()),
        };
        if let Err(Stop::Failure(reason)) = &ended {
            self.problems.push(reason.clone());
        }
        if self.file.record.is_some() {
            // A recording has no comparison that would report them.
            self.problems.extend(evaluator.gaps());
        }
        let is_judged = self.file.record.is_none() && matches!(ended, Ok(()) | Err(Stop::OutOfTime(_)));
        self.file.comparison = is_judged.then(|| super::summary::comparison(&self.file, evaluator));
        let written = Writer::open(&self.dir).and_then(|writer| writer.describe_in(SESSION_FILE, &self.file));
        self.problems.extend(written.err().map(|e| self.write_failure(&e)));
    }

    pub(super) fn write_failure(&self, error: &io::Error) -> String {
        format!("failed to write {}: {error}", self.dir.display())
    }
}

/// Replaces the revisions of the arms' guests with commits. The arms' names stay what the user wrote.
pub(super) fn pin_revisions(file: &mut SessionFile, folders: &Folders) -> Result<(), AbError> {
    for arm in [ArmId::A, ArmId::B] {
        let settings = &mut file.arm_mut(arm).arm.settings;
        *settings = arm::pinned(settings, folders).map_err(|source| AbError::Revision { arm, source })?;
    }
    Ok(())
}

/// Removes what a crash of this session left.
fn reap_arms(folders: &Folders, file: &SessionFile) -> Result<(), RunError> {
    let failed = |source: io::Error| {
        let action = "reap the ledgers in";
        RunError::Folder { action, path: folders.state.clone(), source }
    };
    if file.runners.is_empty() || !folders.state.is_dir() {
        return Ok(());
    }
    let known = ledger::list(&folders.state).map_err(failed)?;
    let dead = known.into_iter().filter(|(run, state)| *state == RunState::Dead && file.runners.contains(run));
    dead.into_iter().try_for_each(|(run, _)| {
        ledger::reap(&folders.state, &run, crate::platform::reap_engines).map(drop).map_err(failed)
    })
}
