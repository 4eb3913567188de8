//! One stage of a session: lanes opened and prepared, a first trial of each case, then round after round of blocks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::calibrate;
use super::error::Stop;
use super::evaluator::Evaluator;
use super::event::Relay;
use super::metric::{JudgedMetric, MetricSelection, judged};
use super::reader::BlockKey;
use super::runners::{ArmRunners, Around, Turn, Warm};
use super::store::{AbTrial, SESSION_FILE};
use super::{AbError, ArmId, CaseFile, Event, Session, StoredSession, Watcher, block, case, resume};
use crate::compare::rule::{Decision, Stage, Verdict};
use crate::host::placement;
use crate::measure::session::{EngineError, RunEnvironment, host_facts, needs};
use crate::model::record::{Outcome, TrialRecord};
use crate::store::{NoiseGuard, RunOutcome, Writer};

/// What the rounds of a stage work with.
struct Rounds<'a> {
    stage: Stage,
    runners: &'a mut ArmRunners,
    around: Around<'a>,
    log: &'a mut BlockLog,
    evaluator: &'a mut Evaluator,
    watcher: &'a mut dyn Watcher,
}

/// Where the blocks of a stage go.
struct BlockLog {
    writer: Writer,
    order: u64,
    /// How often each block was begun before.
    attempts: BTreeMap<BlockKey, u32>,
    /// How long a block of each case took, as measured in this stage.
    spans: BTreeMap<String, Vec<Duration>>,
}

impl Session {
    /// Measures one stage, with the lanes that are open or with new ones.
    pub(super) fn stage(
        &mut self,
        stage: Stage,
        evaluator: &mut Evaluator,
        watcher: &mut dyn Watcher,
    ) -> Result<(), Stop> {
        if stage == Stage::First {
            self.calibrate(watcher).map_err(|stop| self.or_interrupted(stop))?;
        }
        let mut runners = match self.runners.take() {
            Some(runners) => runners,
            None => self.open_lanes(stage)?,
        };
        let ended = self.in_lanes(stage, &mut runners, evaluator, watcher).map_err(|stop| self.or_interrupted(stop));
        self.runners = Some(runners);
        ended
    }

    /// What the user interrupts fails in many ways.
    fn or_interrupted(&self, stop: Stop) -> Stop {
        if self.interrupt.is_raised() { Stop::Interrupted } else { stop }
    }

    /// Makes busy work that is a share of the median a time, by trials without it.
    fn calibrate(&mut self, watcher: &mut dyn Watcher) -> Result<(), Stop> {
        let is_unresolved = |which: &ArmId| self.file.arm(*which).arm.settings.is_unresolved();
        let unresolved: Vec<ArmId> = [ArmId::A, ArmId::B].into_iter().filter(is_unresolved).collect();
        if unresolved.is_empty() {
            return Ok(());
        }
        let Some(mut runners) = self.runners.take() else { return Ok(()) };
        watcher.notice(&Event::Preparing("calibrating what is injected"));
        let names = runners.names(self.file.configuration.filter.as_deref());
        let names: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| runners.missing(name).is_none()).collect();
        let ended = self.calibrate_in(&mut runners, &unresolved, &names, watcher);
        self.leftovers.extend(runners.close(&mut self.problems));
        ended?;
        let runners = self.open_lanes(Stage::First)?;
        // What is set on them is another now.
        runners.describe(&mut self.file);
        self.runners = Some(runners);
        Ok(())
    }

    fn calibrate_in(
        &mut self,
        runners: &mut ArmRunners,
        unresolved: &[ArmId],
        names: &[&str],
        watcher: &mut dyn Watcher,
    ) -> Result<(), Stop> {
        // Without a case that both can run, there is nothing to inject into.
        let [name, others @ ..] = names else { return Ok(()) };
        runners.prepare(&mut Relay(watcher))?;
        let topology = self.topology.clone();
        let around = Around { topology: &topology, sampler: None };
        for &which in unresolved {
            let (median, metric) = calibrate::median(runners, which, name, around)?;
            let arm = self.file.arm_mut(which);
            arm.arm.settings.resolve_busy(median);
            let mut note =
                format!("{which}: {} by the median {metric} of {name} without it, {median}: {}", arm.name, arm.arm);
            if !others.is_empty() {
                note += &format!("; the same time, and so another share, in {}", others.join(", "));
            }
            watcher.notice(&Event::Preparing(&note));
            self.file.notes.push(note);
        }
        Ok(())
    }

    fn in_lanes(
        &mut self,
        stage: Stage,
        runners: &mut ArmRunners,
        evaluator: &mut Evaluator,
        watcher: &mut dyn Watcher,
    ) -> Result<(), Stop> {
        runners.prepare(&mut Relay(watcher))?;
        let mut log = self.begin(runners)?;
        let resource_costs = runners.resource_costs();
        let mut environment = RunEnvironment::prepare(
            &self.file.configuration,
            &self.topology,
            &needs(&self.file.configuration, &runners.plan(), &resource_costs),
            &self.held.0,
            &self.dir,
            &self.folders,
            &mut Relay(watcher),
        )?;
        self.measure_noise(&mut environment, watcher);
        let topology = self.topology.clone();
        let around = Around { topology: &topology, sampler: environment.sampler() };
        let rounds = Rounds { stage, runners: &mut *runners, around, log: &mut log, evaluator, watcher: &mut *watcher };
        let ended = self.rounds(rounds);
        runners.clear(&mut self.problems);
        self.measure_noise(&mut environment, watcher);
        let noise = environment.close(&mut self.problems);
        self.file.noise = NoiseGuard::of_both(self.file.noise.take(), noise);
        // Whoever is opened next must find the CPUs that this process had.
        let unpinned = placement::pin_current_thread(&self.usable);
        self.problems.extend(unpinned.err().map(|e| format!("leave the harness's CPUs: {e}")));
        ended
    }

    /// A user who wants to stop does not wait for the noise guard.
    fn measure_noise(&self, environment: &mut RunEnvironment, watcher: &mut dyn Watcher) {
        if !self.interrupt.is_raised() {
            environment.measure_noise(&mut Relay(watcher));
        }
    }

    /// Opens the session's folder, and makes sure that the lanes are what they were.
    fn begin(&mut self, runners: &ArmRunners) -> Result<BlockLog, Stop> {
        let mut here = self.file.clone();
        here.host = host_facts(&self.folders);
        runners.describe(&mut here);
        resume::same_environment(&self.file, &here)?;
        here.runners.extend(runners.run_ids());
        here.outcome = RunOutcome::Running;
        self.file = here;
        let failed =
            |source| EngineError::Folder { what: "write the session's folder", path: self.dir.clone(), source };
        let writer = Writer::open(&self.dir).map_err(failed)?;
        writer.describe_in(SESSION_FILE, &self.file).map_err(failed)?;
        // What earlier stages wrote is counted as what an earlier process wrote.
        let stored = super::read_session(&self.dir).map_err(AbError::from)?;
        let order = stored.trials.iter().map(|trial| trial.record.order + 1).max().unwrap_or(0);
        Ok(BlockLog { writer, order, attempts: StoredSession::attempts(&stored), spans: BTreeMap::new() })
    }

    fn rounds(&mut self, mut rounds: Rounds<'_>) -> Result<(), Stop> {
        self.warm_up(&mut rounds)?;
        let stage = rounds.stage;
        rounds.watcher.notice(&match stage {
            Stage::First => Event::Begun { run: &self.file.run, dir: &self.dir, cases: &self.file.cases },
            Stage::Second => Event::Preparing("there is something: everything is provisioned anew and measured again"),
        });
        loop {
            let open = rounds.evaluator.open(stage);
            if open.is_empty() {
                return Ok(());
            }
            for index in open {
                if rounds.evaluator.is_open(index, stage) {
                    self.block(index, &mut rounds)?;
                }
            }
        }
    }

    /// Runs every case that is to be measured once in every lane. The first time, that tells what there is to judge.
    fn warm_up(&mut self, rounds: &mut Rounds<'_>) -> Result<(), Stop> {
        if self.file.cases.is_empty() {
            self.file.cases = self.first_trials(rounds)?;
            self.describe(rounds.log)?;
            *rounds.evaluator = Evaluator::new(&self.file);
            return Ok(());
        }
        for index in rounds.evaluator.open(rounds.stage) {
            // What cannot run now shows in its blocks.
            rounds.runners.warm_up(&rounds.evaluator.cases[index].file.name, rounds.around)?;
        }
        Ok(())
    }

    fn describe(&self, log: &BlockLog) -> Result<(), Stop> {
        let written = log.writer.describe_in(SESSION_FILE, &self.file);
        written.map_err(|e| Stop::Failure(format!("write {}: {e}", self.dir.display())))
    }

    /// Runs every case once in every lane: what works, how long it takes, which metrics it has.
    fn first_trials(&self, rounds: &mut Rounds<'_>) -> Result<Vec<CaseFile>, Stop> {
        let mut cases = Vec::new();
        for name in rounds.runners.names(self.file.configuration.filter.as_deref()) {
            rounds.watcher.notice(&Event::Preparing(&format!("{name}: a first trial of each arm")));
            cases.push(self.first_trial(&name, rounds.runners, rounds.around)?);
        }
        let shown = |name: &String| cases.iter().any(|case| case.metrics.iter().any(|metric| metric.name == *name));
        match &self.file.metrics {
            MetricSelection::Named(wanted) if !wanted.iter().all(shown) => {
                let unknown: Vec<&str> = wanted.iter().filter(|name| !shown(name)).map(String::as_str).collect();
                let problem = "is no metric of these cases; --metric all judges every one there is";
                Err(Stop::input(format!("--metric {}: {problem}", unknown.join(","))))
            }
            _ => Ok(cases),
        }
    }

    fn first_trial(&self, name: &str, runners: &mut ArmRunners, around: Around<'_>) -> Result<CaseFile, Stop> {
        let refused = match runners.missing(name) {
            Some(why) => Decision::without_numbers(Verdict::Skipped, why),
            None => {
                let warm = runners.warm_up(name, around)?;
                match unable(&warm) {
                    Some(decision) => decision,
                    None => return Ok(self.able(name, &warm)),
                }
            }
        };
        let planned = runners.all().iter().find_map(|runner| runner.find(name));
        let planned = planned.ok_or_else(|| Stop::Failure(format!("{name} is not planned")))?;
        Ok(CaseFile::refused(planned, &self.file.metrics, self.file.rule, refused))
    }

    /// A case of which every lane has shown a good trial.
    fn able(&self, name: &str, warm: &[(ArmId, Warm)]) -> CaseFile {
        let of = |which: ArmId| warm.iter().find(|(of, _)| *of == which).and_then(|(_, warm)| warm.as_ref().ok());
        let trial = warm.iter().filter_map(|(_, warm)| warm.as_ref().ok()).map(|(_, took)| *took).max();
        let trial = trial.unwrap_or_default();
        let metrics = of(ArmId::A).zip(of(ArmId::B)).map(|((a, _), (b, _))| self.judged(a, b)).unwrap_or_default();
        CaseFile { name: name.to_owned(), rule: self.file.asked.rule(trial), trial, metrics, refused: None }
    }

    fn judged(&self, a: &TrialRecord, b: &TrialRecord) -> Vec<JudgedMetric> {
        judged(&self.file.metrics, a.case.experiment, a.case.workload, &a.metrics, &b.metrics)
    }

    fn block(&mut self, index: usize, rounds: &mut Rounds<'_>) -> Result<(), Stop> {
        let (stage, case) = (rounds.stage, &rounds.evaluator.cases[index]);
        let (name, runs, number) = (case.file.name.clone(), case.file.rule.runs, case.done(stage) as u32);
        self.check_time(rounds.span(&case.file))?;
        let began = Instant::now();
        let attempt = rounds.log.attempts.get(&(name.clone(), stage, number)).map_or(0, |last| last + 1);
        let mut trials = Vec::new();
        for which in block::order(self.file.seed, &name, stage, number, runs, block::runners(self.file.null_control)) {
            if self.interrupt.is_raised() {
                return Err(Stop::Interrupted);
            }
            let turn = Turn { which, name: &name, order: rounds.log.order, block: number };
            let record = rounds.runners.run(turn, rounds.around)?;
            let trial = AbTrial::new(record, &self.file.run, turn, stage, attempt);
            self.keep(&trial, rounds)?;
            trials.push(trial);
        }
        rounds.evaluator.cases[index].take(stage, &trials.iter().collect::<Vec<_>>());
        rounds.log.spans.entry(name).or_default().push(began.elapsed());
        rounds.tell(index);
        Ok(())
    }

    fn keep(&mut self, trial: &AbTrial, rounds: &mut Rounds<'_>) -> Result<(), Stop> {
        let written = rounds.log.writer.append(trial);
        written.map_err(|e| Stop::Failure(format!("write {}: {e}", self.dir.display())))?;
        rounds.log.order += 1;
        self.has_measured = true;
        if trial.record.outcome != Outcome::Ok {
            let case = case::name(&trial.record.case);
            rounds.watcher.notice(&Event::Bad { case: &case, which: trial.arm, record: &trial.record });
        }
        Ok(())
    }

    /// Ends the session where a block of that span would end after its time.
    fn check_time(&self, block: Duration) -> Result<(), Stop> {
        match self.limit {
            Some(limit) if Instant::now() + block > limit.at => Err(Stop::OutOfTime(limit.asked)),
            _ => Ok(()),
        }
    }
}

impl Rounds<'_> {
    /// How long a block of that case takes: as long as its others did, or as its first trial lets expect.
    fn span(&self, case: &CaseFile) -> Duration {
        match self.log.spans.get(&case.name).map(Vec::as_slice) {
            Some(spans @ [_, ..]) => spans.iter().sum::<Duration>() / spans.len() as u32,
            _ => Duration::from(case.trial) * (case.rule.runs * self.runners.all().len()) as u32,
        }
    }

    /// Tells of a block of the case of that index.
    fn tell(&mut self, index: usize) {
        let cases = &self.evaluator.cases;
        let done: usize = cases.iter().map(|case| case.done(self.stage)).sum();
        let left: Vec<usize> = (0..cases.len()).map(|case| self.evaluator.left(case, self.stage)).collect();
        let span = cases.iter().zip(&left).map(|(case, left)| self.span(&case.file) * *left as u32).sum();
        self.watcher.notice(&Event::Block {
            case: &cases[index].file.name,
            stage: self.stage,
            done,
            most: done + left.iter().sum::<usize>(),
            left: span,
            standing: &self.evaluator.standing(index),
        });
    }
}

/// What is said of a case that a lane could not run once; `None` where all could.
fn unable(warm: &[(ArmId, Warm)]) -> Option<Decision> {
    let bad: Vec<(ArmId, &TrialRecord)> =
        warm.iter().filter_map(|(which, warm)| Some((*which, warm.as_ref().err()?))).collect();
    let skipped = bad.iter().filter(|(_, trial)| trial.outcome == Outcome::Skipped).count();
    let verdict = if skipped > 0 { Verdict::Skipped } else { Verdict::Invalid };
    let summary = |(which, trial): &(ArmId, &TrialRecord)| match trial.outcome {
        Outcome::Skipped => format!("{which}: {}", calibrate::reason(trial)),
        _ => format!("{which}: not one good trial: {}", calibrate::reason(trial)),
    };
    let reasons: Vec<String> = bad.iter().map(summary).collect();
    let decision =
        || Decision { failed: skipped < bad.len(), ..Decision::without_numbers(verdict, reasons.join("; ")) };
    (!bad.is_empty()).then(decision)
}
