//! One session from opening to its comparison.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::Stop;
use super::evaluator::Evaluator;
use super::runner::{Opening, TestHook};
use super::runners::ArmRunners;
use super::store::{SESSION_FILE, SessionFile};
use super::{AbError, ArmId, Event, Question, StoredSession, Watcher, resume};
use crate::compare::rule::{Rule, Stage};
use crate::host::Topology;
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::host::ledger::{self, Ledger, Leftovers, RunState};
use crate::host::placement;
use crate::measure::session::{EngineError, now, open_ledger, read_topology};
use crate::model::cpuset::CpuSet;
use crate::model::units::Nanos;
use crate::platform::arm;
use crate::store::{RunOutcome, Writer};

/// What is to be measured.
#[derive(Debug, Clone)]
pub enum SessionRequest {
    /// A new session, its folder made under `out`.
    New {
        /// What is compared.
        question: Box<Question>,
        /// The folder that receives the session's folder.
        out: PathBuf,
    },
    /// A session that did not finish.
    Resume {
        /// Its id, its folder, or `last`.
        name: String,
        /// Where sessions are looked for.
        sessions: PathBuf,
    },
}

/// How a session ended.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Its folder.
    pub dir: PathBuf,
    /// Its description, with the comparison where there is one.
    pub file: SessionFile,
    /// What went wrong beside the measuring.
    pub problems: Vec<String>,
    /// What the ledgers' sweeps found still alive: leaks.
    pub leftovers: Vec<Leftovers>,
    /// Whether it stopped because its time was over: then there is an answer all the same.
    pub is_out_of_time: bool,
}

/// A case that a session will measure, or cannot.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Its name.
    pub name: String,
    /// Why it cannot be measured.
    pub skipped: Option<String>,
    /// How its blocks are judged, by how long its trials take, roughly.
    pub rule: Rule,
    /// How long a block of it takes, roughly.
    pub block: Nanos,
}

/// A session that is open and ready to begin.
#[derive(Debug)]
pub struct Session {
    pub(super) folders: Folders,
    pub(super) interrupt: Interrupt,
    pub(super) held: Held,
    pub(super) topology: Topology,
    /// The CPUs of this process before anything was placed.
    pub(super) usable: CpuSet,
    pub(super) dir: PathBuf,
    pub(super) file: SessionFile,
    pub(super) stored: Option<StoredSession>,
    pub(super) runners: Option<ArmRunners>,
    pub(super) dress: TestHook,
    pub(super) problems: Vec<String>,
    pub(super) leftovers: Vec<Leftovers>,
    pub(super) limit: Option<Limit>,
    /// Whether this process has written a trial.
    pub(super) has_measured: bool,
}

/// When a session is given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) asked: Duration,
    pub(super) at: Instant,
}

/// The session's own ledger: nobody else may go on with it meanwhile. Removed when it is dropped.
#[derive(Debug)]
pub(super) struct Held(pub(super) Arc<Ledger>);

impl Drop for Held {
    fn drop(&mut self) {
        // One that stays is found by `cargo xtask clean`.
        drop(self.0.close());
    }
}

impl Session {
    /// Opens what `request` asks for. Changes nothing on the host but the ledgers.
    ///
    /// # Errors
    /// When the request cannot be followed, or nothing can run here.
    pub fn open(
        request: SessionRequest,
        folders: Folders,
        interrupt: Interrupt,
        command: Vec<String>,
    ) -> Result<Self, AbError> {
        Self::open_dressed(request, folders, interrupt, command, TestHook::default())
    }

    pub(super) fn open_dressed(
        request: SessionRequest,
        folders: Folders,
        interrupt: Interrupt,
        command: Vec<String>,
        dress: TestHook,
    ) -> Result<Self, AbError> {
        let topology = read_topology()?;
        let usable = placement::usable_cpus().map_err(|e| EngineError::Host(format!("read the CPUs: {e}")))?;
        let (file, dir, stored) = match request {
            SessionRequest::New { question, out } => {
                let mut file = SessionFile::new(*question, command);
                pin(&mut file, &folders)?;
                let dir = out.join(file.run.as_str());
                (file, dir, None)
            }
            SessionRequest::Resume { name, sessions } => {
                let found = resume::find(&name, &sessions)?;
                (found.file.clone(), found.dir.clone(), Some(found))
            }
        };
        let held = Held(open_ledger(&folders, &file.run)?);
        reap_lanes(&folders, &file)?;
        let mut session = Self {
            folders,
            interrupt,
            held,
            topology,
            usable,
            dir,
            file,
            stored,
            runners: None,
            dress,
            problems: Vec::new(),
            leftovers: Vec::new(),
            limit: None,
            has_measured: false,
        };
        session.admit()?;
        Ok(session)
    }

    /// Opens the lanes, and refuses what cannot be measured or gone on with.
    fn admit(&mut self) -> Result<(), AbError> {
        let runners = self.open_lanes(Stage::First)?;
        let mut here = self.file.clone();
        runners.describe(&mut here);
        if self.stored.is_some() {
            // Read again now that nobody else can be adding to it.
            let stored = resume::find(&self.dir.to_string_lossy(), &self.dir)?;
            resume::same_platforms(&stored.file, &here)?;
            (self.file, self.stored) = (stored.file.clone(), Some(stored));
        } else {
            for which in [ArmId::A, ArmId::B] {
                self.file.arm_mut(which).entry.clone_from(&here.arm(which).entry);
            }
        }
        let nothing_fits = runners.names(self.file.configuration.filter.as_deref()).is_empty();
        match &self.file.configuration.filter {
            _ if !nothing_fits => {}
            Some(word) if !runners.names(None).is_empty() => {
                return Err(AbError::Input(format!("no case's name contains `{word}`; --dry-run prints the names")));
            }
            _ => return Err(AbError::nothing(runners.all())),
        }
        self.runners = Some(runners);
        Ok(())
    }

    pub(super) fn open_lanes(&self, stage: Stage) -> Result<ArmRunners, EngineError> {
        let opening = Opening {
            configuration: &self.file.configuration,
            topology: &self.topology,
            folders: &self.folders,
            interrupt: &self.interrupt,
            dress: &self.dress,
            stage,
        };
        ArmRunners::open(&self.file.arms, self.file.null_control, &opening)
    }

    /// What it will measure, case by case.
    pub fn outline(&self) -> Vec<Outline> {
        let Some(runners) = &self.runners else { return Vec::new() };
        let of = |name: String| {
            let each = || runners.all().iter().filter_map(|runner| runner.find(&name)).map(|trial| trial.estimate);
            let rule = self.file.asked.rule(each().max().unwrap_or_default());
            let block = Nanos(each().map(|trial| trial.0).sum::<u64>() * rule.runs as u64);
            Outline { skipped: runners.missing(&name), name, rule, block }
        };
        runners.names(self.file.configuration.filter.as_deref()).into_iter().map(of).collect()
    }

    /// Its description so far.
    pub fn file(&self) -> &SessionFile {
        &self.file
    }

    /// Measures until every metric has its verdict or `limit` is over, and removes everything that was made.
    ///
    /// # Errors
    /// When it cannot begin. Once it has begun, problems are told in the summary.
    pub fn run(mut self, limit: Option<Duration>, watcher: &mut dyn Watcher) -> Result<Summary, AbError> {
        let began = Instant::now();
        self.limit = limit.map(|asked| Limit { asked, at: began + asked });
        let mut evaluator = match &self.stored {
            Some(stored) => Evaluator::replayed(stored),
            None => Evaluator::new(&self.file),
        };
        let ended = self.stages(&mut evaluator, watcher).map_err(|stop| match stop {
            // This very process has measured already: that is worth more than a plain refusal.
            Stop::Refused(error) if self.has_measured => Stop::Failure(error.to_string()),
            other => other,
        });
        self.close_lanes();
        if let Err(Stop::Refused(error)) = ended {
            self.discard();
            return Err(error);
        }
        self.file.took = self.file.took + began.elapsed().into();
        let is_out_of_time = matches!(ended, Err(Stop::OutOfTime(_)));
        self.conclude(ended, &evaluator);
        let written = Writer::open(&self.dir).and_then(|writer| writer.describe_in(SESSION_FILE, &self.file));
        self.problems.extend(written.err().map(|e| format!("write {}: {e}", self.dir.display())));
        watcher.notice(&Event::Ended { outcome: self.file.outcome, dir: &self.dir });
        let Self { dir, file, problems, leftovers, .. } = self;
        Ok(Summary { dir, file, problems, leftovers, is_out_of_time })
    }

    /// Removes the folder of a new session that was refused before its first block: it would be refused again and again.
    fn discard(&self) {
        if self.stored.is_none() {
            // Where even that cannot be done, it is a session that can be gone on with.
            drop(fs::remove_dir_all(&self.dir));
        }
    }

    fn stages(&mut self, evaluator: &mut Evaluator, watcher: &mut dyn Watcher) -> Result<(), Stop> {
        let is_new = self.file.cases.is_empty();
        if is_new || !evaluator.open(Stage::First).is_empty() {
            self.stage(Stage::First, evaluator, watcher)?;
        }
        if !evaluator.open(Stage::Second).is_empty() {
            self.close_lanes();
            self.stage(Stage::Second, evaluator, watcher)?;
        }
        Ok(())
    }

    fn close_lanes(&mut self) {
        if let Some(runners) = self.runners.take() {
            let left = runners.close(&mut self.problems);
            self.leftovers.extend(left);
        }
    }

    /// Writes down how it ended, and what is to be said.
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
            // Nobody else would say so: there is no comparison.
            self.problems.extend(evaluator.gaps());
        }
        let is_judged = self.file.record.is_none() && matches!(ended, Ok(()) | Err(Stop::OutOfTime(_)));
        self.file.comparison = is_judged.then(|| super::summary::comparison(&self.file, evaluator));
    }
}

/// Makes the revisions of the arms' guests commits; their names stay what the user wrote.
pub(super) fn pin(file: &mut SessionFile, folders: &Folders) -> Result<(), AbError> {
    for which in [ArmId::A, ArmId::B] {
        let settings = &mut file.arm_mut(which).arm.settings;
        *settings = arm::pinned(settings, folders).map_err(|e| AbError::Input(e.to_string()))?;
    }
    Ok(())
}

/// Removes what a crash of this session left.
fn reap_lanes(folders: &Folders, file: &SessionFile) -> Result<(), EngineError> {
    let failed =
        |source: io::Error| EngineError::Folder { what: "reap the ledgers in", path: folders.state.clone(), source };
    if file.runners.is_empty() || !Path::new(&folders.state).is_dir() {
        return Ok(());
    }
    let known = ledger::list(&folders.state).map_err(failed)?;
    let dead = known.into_iter().filter(|(run, state)| *state == RunState::Dead && file.runners.contains(run));
    dead.into_iter().try_for_each(|(run, _)| {
        ledger::reap(&folders.state, &run, crate::platform::reap_engines).map(drop).map_err(failed)
    })
}
