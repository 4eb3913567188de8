//! One run from opening to closing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::environment::{self, RunEnvironment, host_facts};
use super::guests::Guests;
use super::resume::{self, ResumeError};
use super::{EngineEvent, Observer};
use crate::host::Topology;
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::host::ledger::{self, Ledger, Leftovers, RunState};
use crate::host::sampler::Sampler;
use crate::measure::plan::{self, Plan, PlannedTrial};
use crate::measure::session::host_support::{host_support, read_topology};
use crate::measure::session::record;
use crate::measure::trial::Background;
use crate::measure::trial::Stage;
use crate::measure::workload::Tools;
use crate::model::configuration::Configuration;
use crate::model::platform::PlatformId;
use crate::model::record::{Experiment, SCHEMA, TrialRecord};
use crate::model::run::RunId;
use crate::platform::{Context, Error, Platform, Settings};
use crate::store::{NoiseGuard, RunFile, RunOutcome, Skip, StoredRun, Writer, read_run};

/// What is to be run.
#[derive(Debug, Clone)]
pub enum RunRequest {
    /// A new run, its folder made under `out`.
    New {
        /// What it is asked to do.
        configuration: Box<Configuration>,
        /// The folder that receives the run's folder.
        out: PathBuf,
        /// The run of which it measures again what looked worse there.
        confirms: Option<RunId>,
    },
    /// A run that did not finish.
    Resume {
        /// What the target measures.
        experiment: Experiment,
        /// The run's folder, or `last`.
        name: String,
        /// Where runs are looked for.
        runs: PathBuf,
    },
}

/// Why a run cannot begin, or ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// `--resume` cannot be followed.
    #[error("--resume: {0}")]
    Resume(#[from] ResumeError),
    /// Another harness runs it just now.
    #[error("run {0} is still in progress; wait until it ends, or stop it with Ctrl-C")]
    InProgress(RunId),
    /// A folder cannot be written or read.
    #[error("{what} {path}: {source}")]
    Folder {
        /// What was being done.
        what: &'static str,
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The host cannot be read, or a guest cannot be built.
    #[error("{0}")]
    Host(String),
    /// Not one trial can run here.
    #[error("nothing can run here:\n{}", reasons(.0))]
    NothingToRun(Vec<Skip>),
    /// The filter leaves no trial.
    #[error("no case's name contains `{0}`; --list prints the names")]
    FilteredOut(String),
}

fn reasons(skips: &[Skip]) -> String {
    skips.iter().map(|skip| format!("  {skip}")).collect::<Vec<_>>().join("\n")
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct RunSummary {
    /// Its folder.
    pub dir: PathBuf,
    /// How it stands.
    pub outcome: RunOutcome,
    /// Why it was stopped, or what could not be removed.
    pub problems: Vec<String>,
    /// What the ledger's sweep found still alive: a leak.
    pub leftovers: Leftovers,
}

/// A run that is planned and ready to begin.
#[derive(Debug)]
pub struct Session {
    folders: Folders,
    interrupt: Interrupt,
    ledger: Arc<Ledger>,
    platforms: Vec<Box<dyn Platform>>,
    topology: Topology,
    generator: Tools,
    plan: Plan,
    dir: PathBuf,
    file: RunFile,
    done: BTreeSet<u64>,
}

impl Session {
    /// Opens what `request` asks for and plans it. Changes nothing on the host but the ledger.
    ///
    /// # Errors
    /// When the request cannot be followed, or nothing can run here.
    pub fn open(
        request: RunRequest,
        folders: Folders,
        interrupt: Interrupt,
        command: Vec<String>,
    ) -> Result<Self, EngineError> {
        let topology = read_topology()?;
        let (file, dir, stored, ledger) = match request {
            RunRequest::New { configuration, out, confirms } => {
                let file = RunFile { confirms, ..new_file(*configuration, command) };
                let dir = out.join(format!("{}-{}", file.run, file.experiment()));
                let ledger = open_ledger(&folders, &file.run)?;
                (file, dir, None, ledger)
            }
            RunRequest::Resume { experiment, name, runs } => {
                let found = resume::find(experiment, &name, &runs)?;
                let ledger = open_ledger(&folders, &found.file.run)?;
                // Read again now that nobody else can be adding to it.
                let stored = read_run(&found.dir).map_err(ResumeError::from);
                let stored = stored.and_then(|run| resume::check(run, experiment));
                let stored = stored.inspect_err(|_| drop(ledger.close()))?;
                (stored.file.clone(), found.dir, Some(stored), ledger)
            }
        };
        let context = Context::new(Arc::clone(&ledger), interrupt.clone());
        let generator = Tools::new(context.clone());
        let (platforms, entries, host_support) = host_support(&file.configuration, &context, &topology, &generator);
        let file = RunFile { platforms: entries, ..file };
        let plan = plan::build(&file.configuration, &host_support);
        let mut session =
            Self { folders, interrupt, ledger, platforms, topology, generator, plan, dir, file, done: BTreeSet::new() };
        session.admit(stored.as_ref()).inspect_err(|_| drop(session.ledger.close()))?;
        Ok(session)
    }

    /// What will be run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Gives the run up before it began; removes its ledger.
    pub fn abandon(self) {
        // A ledger that stays is empty and found by `cargo xtask clean`.
        drop(self.ledger.close());
    }

    /// Refuses a plan without trials, and a stored run that the plan does not fit.
    fn admit(&mut self, stored: Option<&StoredRun>) -> Result<(), EngineError> {
        self.file.skips = self.plan.skips.clone();
        if let Some(stored) = stored {
            self.done = resume::recorded(stored, &self.plan, &self.file.platforms)?;
        }
        match (&self.file.configuration.filter, self.plan.trials.is_empty()) {
            (_, false) => Ok(()),
            (Some(word), true) if !self.platforms.is_empty() => Err(EngineError::FilteredOut(word.clone())),
            (_, true) => Err(EngineError::NothingToRun(self.plan.skips.clone())),
        }
    }

    /// Runs what is not recorded yet, and removes everything that was made.
    ///
    /// # Errors
    /// When it cannot begin. Once it has begun, problems are told in the summary.
    pub fn run(mut self, observer: &mut dyn Observer) -> Result<RunSummary, EngineError> {
        let guests = Guests::build(&self.plan, &self.platforms, &Settings::default(), &self.folders, observer);
        let mut guests = guests.inspect_err(|_| drop(self.ledger.close()))?;
        let began = self.begin(&mut guests, observer).inspect_err(|_| drop(self.ledger.close()));
        let (mut writer, mut environment) = began?;
        let begun = EngineEvent::Begun { run: &self.file.run, dir: &self.dir, plan: &self.plan, done: self.done.len() };
        observer.notice(&begun);
        for skip in &self.file.skips {
            observer.notice(&EngineEvent::Preparing(&format!("skipped: {skip}")));
        }
        self.measure_noise(&mut environment, observer);

        let mut background = Background::new(environment.background_count());
        let ended = self.trials(&guests, environment.sampler(), &mut background, &mut writer, observer);
        let mut problems = self.clear(&mut background);

        self.measure_noise(&mut environment, observer);
        let noise = environment.close(&mut problems);
        self.file.noise = NoiseGuard::of_both(self.file.noise.take(), noise);
        let leftovers = self.close_platforms(&mut problems);
        (self.file.outcome, self.file.reason) = outcome_of(ended);
        self.file.ended = Some(record::now());
        problems.extend(self.file.reason.clone());
        if let Err(e) = writer.describe(&self.file) {
            problems.push(format!("write {}: {e}", self.dir.display()));
        }
        observer.notice(&EngineEvent::Ended(self.file.outcome));
        Ok(RunSummary { dir: self.dir, outcome: self.file.outcome, problems, leftovers })
    }

    /// A user who wants to stop does not wait for the noise guard.
    fn measure_noise(&self, environment: &mut RunEnvironment, observer: &mut dyn Observer) {
        if !self.interrupt.is_raised() {
            environment.measure_noise(observer);
        }
    }

    /// Opens the run's folder and prepares the platforms and the host.
    fn begin(
        &mut self,
        guests: &mut Guests,
        observer: &mut dyn Observer,
    ) -> Result<(Writer, RunEnvironment), EngineError> {
        guests.prepare(&self.platforms)?;
        guests.warnings().for_each(|warning| observer.notice(&EngineEvent::Preparing(&warning)));
        let images = &guests.images;
        let folder = |source| EngineError::Folder { what: "write the run's folder", path: self.dir.clone(), source };
        let host = host_facts(&self.folders);
        let made = guests.made(&self.platforms);
        resume::same_environment(&self.dir, &self.file, images, &made, &host)?;
        let writer = Writer::open(&self.dir).map_err(folder)?;
        self.file.host = host;
        let resource_costs: Vec<_> = self.platforms.iter().map(|platform| platform.resource_cost()).collect();
        let environment = RunEnvironment::prepare(
            &self.file.configuration,
            &self.topology,
            &environment::needs(&self.file.configuration, &self.plan, &resource_costs),
            &self.ledger,
            &self.dir,
            &self.folders,
            observer,
        )?;
        self.file.images = images.clone();
        self.file.made = made;
        self.file.planned = self.plan.trials.len() as u64;
        self.file.outcome = RunOutcome::Running;
        writer.describe(&self.file).map_err(folder)?;
        Ok((writer, environment))
    }

    /// The loop over the trials: run, record at once, tell.
    fn trials(
        &self,
        guests: &Guests,
        sampler: Option<&Sampler>,
        background: &mut Background,
        writer: &mut Writer,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        for trial in self.plan.trials.iter().filter(|trial| !self.done.contains(&trial.order)) {
            if self.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            observer.notice(&EngineEvent::TrialBegins(trial));
            let record = self.trial(guests, sampler, background, trial)?;
            writer.append(&record).map_err(|e| Error::Fatal(format!("write {}: {e}", self.dir.display())))?;
            observer.notice(&EngineEvent::TrialEnded(trial, &record));
        }
        Ok(())
    }

    fn trial(
        &self,
        guests: &Guests,
        sampler: Option<&Sampler>,
        background: &mut Background,
        trial: &PlannedTrial,
    ) -> Result<TrialRecord, Error> {
        let before = background.platform().filter(|before| **before != trial.platform).cloned();
        let cleared = before.map_or(Ok(()), |before| background.clear(self.platform(&before)?));
        let stage = Stage {
            platform: self.platform(&trial.platform)?,
            ledger: &self.ledger,
            images: &guests.images,
            missing_guests: &guests.missing_guests(&trial.platform),
            host_generator: &self.generator,
            configuration: &self.file.configuration,
            topology: &self.topology,
            proc: Path::new("/proc"),
            sampler,
        };
        record::run(&stage, background, trial, cleared)
    }

    fn platform(&self, id: &PlatformId) -> Result<&dyn Platform, Error> {
        let found = self.platforms.iter().find(|platform| platform.id() == id);
        found.map(AsRef::as_ref).ok_or_else(|| Error::Fatal(format!("the plan names {id}, which was not opened")))
    }

    fn clear(&self, background: &mut Background) -> Vec<String> {
        let Some(id) = background.platform().cloned() else { return Vec::new() };
        let cleared = self.platform(&id).and_then(|platform| background.clear(platform));
        cleared.err().map(|e| e.to_string()).into_iter().collect()
    }

    /// Lets the platforms go, then sweeps by the ledger: whatever that still finds is a leak.
    fn close_platforms(&mut self, problems: &mut Vec<String>) -> Leftovers {
        self.platforms.clear();
        self.ledger.close().unwrap_or_else(|e| {
            problems.push(e.to_string());
            Leftovers::default()
        })
    }
}

fn outcome_of(ended: Result<(), Error>) -> (RunOutcome, Option<String>) {
    match ended {
        Ok(()) => (RunOutcome::Complete, None),
        Err(Error::Interrupted) => (RunOutcome::Interrupted, None),
        Err(error) => (RunOutcome::Stopped, Some(error.to_string())),
    }
}

fn new_file(configuration: Configuration, command: Vec<String>) -> RunFile {
    RunFile {
        schema: SCHEMA,
        run: RunId::generate(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command,
        configuration,
        started: record::now(),
        ended: None,
        host: Default::default(),
        platforms: Vec::new(),
        images: Vec::new(),
        made: BTreeMap::new(),
        skips: Vec::new(),
        planned: 0,
        noise: None,
        outcome: RunOutcome::Running,
        reason: None,
        confirms: None,
    }
}

/// Opens the run's ledger, after reaping what a crash of the same run left.
pub(crate) fn open_ledger(folders: &Folders, run: &RunId) -> Result<Arc<Ledger>, EngineError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::ResourceBusy => EngineError::InProgress(run.clone()),
        _ => EngineError::Folder { what: "open the ledger in", path: folders.state.clone(), source },
    };
    let dead = ledger::list(&folders.state).map_err(failed)?.contains(&(run.clone(), RunState::Dead));
    if dead {
        ledger::reap(&folders.state, run, crate::platform::reap_engines).map_err(failed)?;
    }
    Ledger::open(&folders.state, run, crate::platform::reap_engines).map(Arc::new).map_err(failed)
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
