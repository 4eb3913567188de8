//! One stage of a session: arms prepared, a first trial of each case, then block after block.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use super::arm_runners::ArmRunners;
use super::calibrate;
use super::error::{AbError, ResumeError, Stop};
use super::evaluator::Evaluator;
use super::metric::{MetricSelection, judged};
use super::prepared_arms::{PreparedArms, Turn, WarmUp};
use super::reader::BlockKey;
use super::session::SessionState;
use super::store::{AbTrial, SESSION_FILE};
use super::{ArmId, CaseFile, StoredSession, block, case, resume};
use crate::compare::rule::{Decision, Stage, Verdict};
use crate::host::placement;
use crate::host::sampler::Sampler;
use crate::measure::environment::{EnvironmentSpec, RunEnvironment, host_facts, needs};
use crate::measure::{BlockProgress, Event, Observer, RunError};
use crate::model::record::{Outcome, TrialRecord};
use crate::store::{NoiseGuard, RunOutcome, Writer};

/// What the blocks of a stage are measured with.
struct StageRun<'a, 'r> {
    stage: Stage,
    arms: &'a mut PreparedArms<'r>,
    sampler: &'a Sampler,
    log: &'a mut BlockLog,
    evaluator: &'a mut Evaluator,
    observer: &'a mut dyn Observer,
}

/// Stores the blocks of a stage.
struct BlockLog {
    writer: Writer,
    order: u64,
    /// How often each block was begun before.
    attempts: BTreeMap<BlockKey, u32>,
    /// The time of each block of a case, as measured in this stage.
    spans: BTreeMap<String, Vec<Duration>>,
}

impl SessionState {
    /// Turns shares of busy work into times, by trials without it. Returns the arms with the resolved work.
    pub(super) fn calibrated(&mut self, arms: ArmRunners, observer: &mut dyn Observer) -> Result<ArmRunners, Stop> {
        let is_unresolved = |arm: &ArmId| self.file.arm(*arm).arm.settings.is_unresolved();
        let unresolved: Vec<ArmId> = [ArmId::A, ArmId::B].into_iter().filter(is_unresolved).collect();
        if unresolved.is_empty() {
            return Ok(arms);
        }
        observer.notice(&Event::Preparing("calibrating the injected work"));
        let ended = self.calibrate(&arms, &unresolved, observer).map_err(|stop| self.or_interrupted(stop));
        self.close_arms(arms);
        ended?;
        let arms = self.open_arms(Stage::First)?;
        arms.describe(&mut self.file);
        Ok(arms)
    }

    fn calibrate(&mut self, arms: &ArmRunners, unresolved: &[ArmId], observer: &mut dyn Observer) -> Result<(), Stop> {
        let mut names = arms.names(self.file.configuration.filter.as_deref());
        names.retain(|name| arms.missing(name).is_none());
        // Without a case that both arms can run, there is nothing to inject into.
        let [name, others @ ..] = names.as_slice() else { return Ok(()) };
        let mut prepared = arms.prepare(&Arc::default(), observer)?;
        for &id in unresolved {
            let (median, metric) = calibrate::median(&mut prepared, id, name)?;
            let arm = self.file.arm_mut(id);
            arm.arm.settings.resolve_busy(median);
            let metric = metric.name;
            let mut note =
                format!("{id}: {} by the median {metric} of {name} without it, {median}: {}", arm.name, arm.arm);
            if !others.is_empty() {
                note += &format!("; the same time, and so another share, in {}", others.join(", "));
            }
            observer.notice(&Event::Preparing(&note));
            self.file.notes.push(note);
        }
        Ok(())
    }

    /// Measures one stage with `arms`, and closes them.
    pub(super) fn stage(
        &mut self,
        stage: Stage,
        arms: ArmRunners,
        evaluator: &mut Evaluator,
        observer: &mut dyn Observer,
    ) -> Result<(), Stop> {
        let ended = self.with_arms(stage, &arms, evaluator, observer).map_err(|stop| self.or_interrupted(stop));
        self.close_arms(arms);
        ended
    }

    /// An interrupt causes failures of many kinds, so it takes precedence over them.
    fn or_interrupted(&self, stop: Stop) -> Stop {
        if self.interrupt.is_raised() { Stop::Interrupted } else { stop }
    }

    fn with_arms(
        &mut self,
        stage: Stage,
        arms: &ArmRunners,
        evaluator: &mut Evaluator,
        observer: &mut dyn Observer,
    ) -> Result<(), Stop> {
        let background = Arc::<AtomicU32>::default();
        let mut prepared = arms.prepare(&background, observer)?;
        let mut log = self.begin(&prepared)?;
        let mut environment = self.environment(arms, &background, observer)?;
        self.measure_noise(&mut environment, observer);
        let (arms, sampler) = (&mut prepared, environment.sampler());
        let run = StageRun { stage, arms, sampler, log: &mut log, evaluator, observer: &mut *observer };
        let ended = self.blocks(run);
        prepared.clear(&mut self.problems);
        self.measure_noise(&mut environment, observer);
        let noise = environment.close(&mut self.problems);
        self.file.noise = NoiseGuard::of_both(self.file.noise.take(), noise);
        // The arms of the next stage must find the CPUs that this process had.
        let unpinned = placement::pin_current_thread(&self.usable);
        self.problems.extend(unpinned.err().map(|e| format!("failed to unpin the harness: {e}")));
        ended
    }

    fn environment(
        &self,
        arms: &ArmRunners,
        background: &Arc<AtomicU32>,
        observer: &mut dyn Observer,
    ) -> Result<RunEnvironment, RunError> {
        let configuration = &self.file.configuration;
        let spec = EnvironmentSpec {
            configuration,
            topology: &self.topology,
            needs: &needs(configuration, &arms.plan(), &arms.resource_costs()),
            ledger: self.ledger.get(),
            dir: &self.dir,
            folders: &self.folders,
            background,
        };
        RunEnvironment::prepare(spec, observer)
    }

    /// Measures the noise, unless the user is waiting for the session to stop.
    fn measure_noise(&self, environment: &mut RunEnvironment, observer: &mut dyn Observer) {
        if !self.interrupt.is_raised() {
            environment.measure_noise(observer);
        }
    }

    /// Opens the session's folder after checking that arms and host are what they were.
    fn begin(&mut self, arms: &PreparedArms<'_>) -> Result<BlockLog, Stop> {
        let mut described = self.file.clone();
        described.host = host_facts(&self.folders);
        arms.describe(&mut described);
        resume::same_environment(&self.file, &described)?;
        described.runners.extend(arms.opened().run_ids());
        described.outcome = RunOutcome::Running;
        self.file = described;
        let failed = |source| RunError::Folder { action: "write the session's folder", path: self.dir.clone(), source };
        let writer = Writer::open(&self.dir).map_err(failed)?;
        writer.describe_in(SESSION_FILE, &self.file).map_err(failed)?;
        // Trials of an earlier stage count like those of an earlier process.
        let stored = super::read_session(&self.dir).map_err(ResumeError::from)?;
        let order = stored.trials.iter().map(|trial| trial.record.order + 1).max().unwrap_or(0);
        Ok(BlockLog { writer, order, attempts: StoredSession::attempts(&stored), spans: BTreeMap::new() })
    }

    /// Measures one block of every open case in turn, until no case is open.
    fn blocks(&mut self, mut run: StageRun<'_, '_>) -> Result<(), Stop> {
        self.warm_up(&mut run)?;
        self.report_begin(&mut run);
        loop {
            let open = run.evaluator.open(run.stage);
            if open.is_empty() {
                return Ok(());
            }
            for index in open {
                if run.evaluator.is_open(index, run.stage) {
                    self.block(index, &mut run)?;
                }
            }
        }
    }

    fn report_begin(&self, run: &mut StageRun<'_, '_>) {
        let cases = &self.file.cases;
        let measurable = cases.iter().filter(|case| case.refused.is_none()).count();
        run.observer.notice(&match run.stage {
            Stage::First => {
                Event::SessionBegins { session: &self.file.run, dir: &self.dir, cases: cases.len(), measurable }
            }
            Stage::Second => Event::Preparing("possible change; re-provisioned both arms to confirm"),
        });
    }

    /// Runs every open case once in every arm. The first time, that shows which metrics there are to judge.
    fn warm_up(&mut self, run: &mut StageRun<'_, '_>) -> Result<(), Stop> {
        if self.file.cases.is_empty() {
            self.file.cases = self.first_trials(run)?;
            let written = run.log.writer.describe_in(SESSION_FILE, &self.file);
            written.map_err(|e| Stop::Failure(self.write_failure(&e)))?;
            *run.evaluator = Evaluator::new(&self.file);
            return Ok(());
        }
        for index in run.evaluator.open(run.stage) {
            // The blocks show what cannot run now.
            run.arms.warm_up(&run.evaluator.cases[index].file.name, Some(run.sampler))?;
        }
        Ok(())
    }

    /// Runs every case once in every arm: which arms can run it, how long it takes, which metrics it has.
    fn first_trials(&self, run: &mut StageRun<'_, '_>) -> Result<Vec<CaseFile>, Stop> {
        let mut cases = Vec::new();
        for name in run.arms.opened().names(self.file.configuration.filter.as_deref()) {
            run.observer.notice(&Event::Preparing(&format!("{name}: a first trial of each arm")));
            cases.push(self.first_trial(&name, run)?);
        }
        if let MetricSelection::Named(names) = &self.file.metrics {
            let is_known = |name: &str| cases.iter().any(|case| case.metrics.iter().any(|metric| metric.name == name));
            let unknown: Vec<String> = names.iter().filter(|name| !is_known(name)).cloned().collect();
            if !unknown.is_empty() {
                return Err(AbError::UnknownMetrics(unknown).into());
            }
        }
        Ok(cases)
    }

    fn first_trial(&self, name: &str, run: &mut StageRun<'_, '_>) -> Result<CaseFile, Stop> {
        let arms = run.arms.opened();
        let refused = match arms.missing(name) {
            Some(why) => Decision::without_numbers(Verdict::Skipped, why),
            None => {
                let warm_ups = run.arms.warm_up(name, Some(run.sampler))?;
                match unable(&warm_ups) {
                    Some(decision) => decision,
                    None => return Ok(self.measurable_case(name, &warm_ups)),
                }
            }
        };
        let planned = arms.all().iter().find_map(|arm| arm.find(name));
        let planned = planned.ok_or_else(|| Stop::Failure(format!("{name} is not planned")))?;
        Ok(CaseFile::refused(planned, &self.file.metrics, self.file.rule, refused))
    }

    /// A case with a good trial in every arm.
    fn measurable_case(&self, name: &str, warm_ups: &[(ArmId, WarmUp)]) -> CaseFile {
        let good = |id: ArmId| {
            let warm_up = warm_ups.iter().find(|(arm, _)| *arm == id);
            warm_up.and_then(|(_, warm_up)| warm_up.as_ref().ok()).map(|(record, _)| record)
        };
        let times = warm_ups.iter().filter_map(|(_, warm_up)| warm_up.as_ref().ok()).map(|(_, took)| *took);
        let trial = times.max().unwrap_or_default();
        let metrics = match (good(ArmId::A), good(ArmId::B)) {
            (Some(a), Some(b)) => {
                judged(&self.file.metrics, a.case.experiment, a.case.workload, &a.metrics, &b.metrics)
            }
            _ => Vec::new(),
        };
        CaseFile { name: name.to_owned(), rule: self.file.overrides.rule(trial), trial, metrics, refused: None }
    }

    fn block(&mut self, index: usize, run: &mut StageRun<'_, '_>) -> Result<(), Stop> {
        let (stage, case) = (run.stage, &run.evaluator.cases[index]);
        let (name, runs, number) = (case.file.name.clone(), case.file.rule.runs, case.done(stage) as u32);
        self.check_time(run.span(&case.file))?;
        let began = Instant::now();
        let attempt = run.log.attempts.get(&(name.clone(), stage, number)).map_or(0, |last| last + 1);
        let mut trials = Vec::new();
        for arm in block::order(self.file.seed, &name, stage, number, runs, block::arms(self.file.null_control)) {
            if self.interrupt.is_raised() {
                return Err(Stop::Interrupted);
            }
            let turn = Turn { arm, name: &name, order: run.log.order, block: number };
            let record = run.arms.run(turn, Some(run.sampler))?;
            let trial = AbTrial::new(record, &self.file.run, turn, stage, attempt);
            self.store(&trial, run)?;
            trials.push(trial);
        }
        run.evaluator.cases[index].take(stage, &trials.iter().collect::<Vec<_>>());
        run.log.spans.entry(name).or_default().push(began.elapsed());
        run.report_block(index);
        Ok(())
    }

    fn store(&mut self, trial: &AbTrial, run: &mut StageRun<'_, '_>) -> Result<(), Stop> {
        let written = run.log.writer.append(trial);
        written.map_err(|e| Stop::Failure(self.write_failure(&e)))?;
        run.log.order += 1;
        self.has_measured = true;
        if trial.record.outcome != Outcome::Ok {
            let case = case::name(&trial.record.case);
            run.observer.notice(&Event::ArmTrialFailed { case: &case, arm: trial.arm, record: &trial.record });
        }
        Ok(())
    }

    /// Ends the session where a block of that span would end after the time limit.
    fn check_time(&self, block: Duration) -> Result<(), Stop> {
        match self.limit {
            Some(limit) if Instant::now() + block > limit.end => Err(Stop::OutOfTime(limit.duration)),
            _ => Ok(()),
        }
    }
}

impl StageRun<'_, '_> {
    /// The expected time of a block of that case, by its other blocks or by its first trial.
    fn span(&self, case: &CaseFile) -> Duration {
        match self.log.spans.get(&case.name).map(Vec::as_slice) {
            Some(spans @ [_, ..]) => spans.iter().sum::<Duration>() / spans.len() as u32,
            _ => Duration::from(case.trial) * (case.rule.runs * self.arms.opened().all().len()) as u32,
        }
    }

    /// Reports a block of the case of that index.
    fn report_block(&mut self, index: usize) {
        let cases = &self.evaluator.cases;
        let done: usize = cases.iter().map(|case| case.done(self.stage)).sum();
        let left: Vec<usize> = (0..cases.len()).map(|case| self.evaluator.left(case, self.stage)).collect();
        let span = cases.iter().zip(&left).map(|(case, left)| self.span(&case.file) * *left as u32).sum();
        self.observer.notice(&Event::BlockEnded(BlockProgress {
            case: &cases[index].file.name,
            stage: self.stage,
            done,
            most: done + left.iter().sum::<usize>(),
            left: span,
            standing: &self.evaluator.standing(index),
        }));
    }
}

/// The decision on a case that an arm could not run; `None` where all arms could.
fn unable(warm_ups: &[(ArmId, WarmUp)]) -> Option<Decision> {
    let bad: Vec<(ArmId, &TrialRecord)> =
        warm_ups.iter().filter_map(|(arm, warm_up)| Some((*arm, warm_up.as_ref().err()?))).collect();
    let skipped = bad.iter().filter(|(_, trial)| trial.outcome == Outcome::Skipped).count();
    let verdict = if skipped > 0 { Verdict::Skipped } else { Verdict::Invalid };
    let words = |(arm, trial): &(ArmId, &TrialRecord)| match trial.outcome {
        Outcome::Skipped => format!("{arm}: {}", calibrate::reason(trial)),
        _ => format!("{arm}: no successful trials: {}", calibrate::reason(trial)),
    };
    let reasons: Vec<String> = bad.iter().map(words).collect();
    let decision = Decision::without_numbers(verdict, reasons.join("; "));
    (!bad.is_empty()).then_some(Decision { failed: skipped < bad.len(), ..decision })
}
