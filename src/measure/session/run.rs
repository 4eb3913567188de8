//! One run from opening to closing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::resume::{self, ResumeError};
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::host::ledger::Leftovers;
use crate::host::sampler::Sampler;
use crate::measure::environment::{EnvironmentSpec, RunEnvironment, host_facts, needs};
use crate::measure::plan::Plan;
use crate::measure::rig::{PreparedRig, Rig, RigSpec, RunLedger, now, read_topology};
use crate::measure::{Event, Observer, RunError};
use crate::model::configuration::Configuration;
use crate::model::record::{Experiment, SCHEMA};
use crate::model::run::RunId;
use crate::platform::Error;
use crate::store::{NoiseGuard, RunFile, RunOutcome, StoredRun, Writer, read_run};

/// Which run to begin or to continue.
#[derive(Debug, Clone)]
pub enum RunRequest {
    /// A new run, its folder made under `out`.
    New {
        /// The resolved command line.
        configuration: Box<Configuration>,
        /// The folder that receives the run's folder.
        out: PathBuf,
        /// The run that looked worse, whose cases this run measures again.
        confirms: Option<RunId>,
    },
    /// A run that did not finish.
    Resume {
        /// The experiment of the bench target.
        experiment: Experiment,
        /// The run's id, its folder, or `last`.
        name: String,
        /// The folder of the stored runs.
        runs: PathBuf,
    },
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct RunSummary {
    /// The run's folder.
    pub dir: PathBuf,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Why it was stopped, and what could not be removed.
    pub problems: Vec<String>,
    /// What the ledger's sweep found still alive: a leak.
    pub leftovers: Leftovers,
}

/// A run that is planned and ready to begin.
#[derive(Debug)]
pub struct Session {
    rig: Rig,
    run: Run,
}

/// The run's own state: its folder, its description and the trials that are recorded already.
#[derive(Debug)]
struct Run {
    interrupt: Interrupt,
    dir: PathBuf,
    file: RunFile,
    done: BTreeSet<u64>,
}

/// A run whose ledger is held: nobody else can add to it.
struct HeldRun {
    ledger: RunLedger,
    dir: PathBuf,
    file: RunFile,
    /// What is stored of a resumed run.
    stored: Option<StoredRun>,
}

impl Session {
    /// Opens the run that `request` names, and plans it. Changes nothing on the host but the ledger.
    ///
    /// # Errors
    /// When the run cannot be continued, or nothing can run here.
    pub fn open(
        request: RunRequest,
        folders: Folders,
        interrupt: Interrupt,
        command: Vec<String>,
    ) -> Result<Self, RunError> {
        let topology = Arc::new(read_topology()?);
        let HeldRun { ledger, dir, file, stored } = HeldRun::open(request, &folders, command)?;
        let configuration = file.configuration.clone();
        let spec = RigSpec { configuration, arm: None, topology, folders: &folders, interrupt: &interrupt };
        let rig = Rig::assemble(spec, ledger);
        let file = RunFile { platforms: rig.entries().to_vec(), skips: rig.plan().skips.clone(), ..file };
        let done = match &stored {
            Some(stored) => resume::recorded(stored, rig.plan(), rig.entries())?,
            None => BTreeSet::new(),
        };
        check_plan(&rig, &file)?;
        Ok(Self { rig, run: Run { interrupt, dir, file, done } })
    }

    /// The planned trials.
    pub fn plan(&self) -> &Plan {
        self.rig.plan()
    }

    /// Gives the run up before it began, and removes its ledger.
    pub fn abandon(self) {
        drop(self);
    }

    /// Runs the trials that are not recorded yet, and removes everything that was made.
    ///
    /// # Errors
    /// When the run cannot begin. Once it has begun, problems are in the summary.
    pub fn run(self, observer: &mut dyn Observer) -> Result<RunSummary, RunError> {
        let Self { rig, mut run } = self;
        let background = Arc::<AtomicU32>::default();
        let mut prepared = rig.prepare(&background, observer)?;
        prepared.warnings().iter().for_each(|warning| observer.notice(&Event::Preparing(warning)));
        let (mut writer, mut environment) = run.begin(&prepared, &background, observer)?;
        run.report_begin(rig.plan(), observer);

        run.measure_noise(&mut environment, observer);
        let ended = run.trials(&mut prepared, environment.sampler(), &mut writer, observer);
        let mut problems: Vec<String> = prepared.clear().err().map(|e| e.to_string()).into_iter().collect();
        run.measure_noise(&mut environment, observer);

        let noise = environment.close(&mut problems);
        run.file.noise = NoiseGuard::of_both(run.file.noise.take(), noise);
        drop(prepared);
        let leftovers = rig.close(&mut problems);
        run.conclude(ended, &writer, &mut problems);
        observer.notice(&Event::RunEnded(run.file.outcome));
        Ok(RunSummary { dir: run.dir, outcome: run.file.outcome, problems, leftovers })
    }
}

impl HeldRun {
    fn open(request: RunRequest, folders: &Folders, command: Vec<String>) -> Result<Self, RunError> {
        match request {
            RunRequest::New { configuration, out, confirms } => {
                let file = RunFile { confirms, ..new_file(*configuration, command) };
                let dir = out.join(format!("{}-{}", file.run, file.experiment()));
                Ok(Self { ledger: RunLedger::open(folders, &file.run)?, dir, file, stored: None })
            }
            RunRequest::Resume { experiment, name, runs } => {
                let found = resume::find(experiment, &name, &runs)?;
                let ledger = RunLedger::open(folders, &found.file.run)?;
                // Read again now that nobody else can be adding to it.
                let stored = read_run(&found.dir).map_err(ResumeError::from)?;
                let stored = resume::check(stored, experiment)?;
                Ok(Self { ledger, dir: found.dir, file: stored.file.clone(), stored: Some(stored) })
            }
        }
    }
}

/// Rejects a plan without trials.
fn check_plan(rig: &Rig, file: &RunFile) -> Result<(), RunError> {
    match &file.configuration.filter {
        _ if !rig.plan().trials.is_empty() => Ok(()),
        Some(word) if !rig.entries().is_empty() => Err(RunError::FilteredOut(word.clone())),
        _ => Err(RunError::NothingToRun(rig.plan().skips.clone())),
    }
}

impl Run {
    /// Prepares the run's environment and writes its description.
    fn begin(
        &mut self,
        rig: &PreparedRig<'_>,
        background: &Arc<AtomicU32>,
        observer: &mut dyn Observer,
    ) -> Result<(Writer, RunEnvironment), RunError> {
        let opened = rig.rig();
        let (images, boot_artifacts) = (rig.images(), rig.boot_artifacts());
        let host = host_facts(opened.folders());
        resume::same_environment(&self.dir, &self.file, images, &boot_artifacts, &host)?;
        let dir = self.dir.clone();
        let failed = |source| RunError::Folder { action: "write the run's folder", path: dir.clone(), source };
        let writer = Writer::open(&self.dir).map_err(failed)?;
        self.file.host = host;
        let spec = EnvironmentSpec {
            configuration: &self.file.configuration,
            topology: opened.topology(),
            needs: &needs(&self.file.configuration, opened.plan(), &opened.resource_costs()),
            ledger: opened.ledger().get(),
            dir: &self.dir,
            folders: opened.folders(),
            background,
        };
        let environment = RunEnvironment::prepare(spec, observer)?;
        self.file.images = images.to_vec();
        self.file.made = boot_artifacts;
        self.file.planned = opened.plan().trials.len() as u64;
        self.file.outcome = RunOutcome::Running;
        writer.describe(&self.file).map_err(failed)?;
        Ok((writer, environment))
    }

    fn report_begin(&self, plan: &Plan, observer: &mut dyn Observer) {
        observer.notice(&Event::RunBegins { run: &self.file.run, dir: &self.dir, plan, done: self.done.len() });
        for skip in &self.file.skips {
            observer.notice(&Event::Preparing(&format!("skipped: {skip}")));
        }
    }

    /// Measures the noise, unless the user is waiting for the run to stop.
    fn measure_noise(&self, environment: &mut RunEnvironment, observer: &mut dyn Observer) {
        if !self.interrupt.is_raised() {
            environment.measure_noise(observer);
        }
    }

    /// Runs and records one trial after the other.
    fn trials(
        &self,
        rig: &mut PreparedRig<'_>,
        sampler: &Sampler,
        writer: &mut Writer,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let planned = &rig.rig().plan().trials;
        for trial in planned.iter().filter(|trial| !self.done.contains(&trial.order)) {
            if self.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            observer.notice(&Event::TrialBegins(trial));
            let record = rig.run(trial, Some(sampler), Ok(()))?;
            writer.append(&record).map_err(|e| Error::Fatal(self.write_failure(&e)))?;
            observer.notice(&Event::TrialEnded(trial, &record));
        }
        Ok(())
    }

    /// Records how the run ended.
    fn conclude(&mut self, ended: Result<(), Error>, writer: &Writer, problems: &mut Vec<String>) {
        (self.file.outcome, self.file.reason) = match ended {
            Ok(()) => (RunOutcome::Complete, None),
            Err(Error::Interrupted) => (RunOutcome::Interrupted, None),
            Err(error) => (RunOutcome::Stopped, Some(error.to_string())),
        };
        self.file.ended = Some(now());
        problems.extend(self.file.reason.clone());
        problems.extend(writer.describe(&self.file).err().map(|e| self.write_failure(&e)));
    }

    fn write_failure(&self, error: &std::io::Error) -> String {
        format!("failed to write {}: {error}", self.dir.display())
    }
}

fn new_file(configuration: Configuration, command: Vec<String>) -> RunFile {
    RunFile {
        schema: SCHEMA,
        run: RunId::generate(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command,
        configuration,
        started: now(),
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

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
