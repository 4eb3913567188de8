//! From blocks to verdicts. Pure: the same blocks give the same verdicts, whether they were just measured or read from disk.

use std::collections::BTreeMap;

use super::store::AbTrial;
use super::{ArmId, CaseFile, JudgedMetric, SessionFile, StoredSession};
use crate::compare::rule::{Decision, Judge, Line, Next, Rule, Stage, Verdict, block_difference};
use crate::measure::{DecidedVerdict, Standing};
use crate::model::record::Outcome;
use crate::stats::{Sample, Summary, summarize};

/// The share of an arm's trials that may fail before the others no longer represent it.
const FAILING: f64 = 0.20;
/// The blocks before an arm with some successful trials counts as failing.
const BLOCKS_TO_FAIL: usize = 5;
/// The blocks before an arm without successful trials counts as failing.
const BLOCKS_TO_GIVE_UP: usize = 2;
/// The blocks without a difference before a metric that never had one is given up.
const BLOCKS_WITHOUT_DIFFERENCE: usize = 5;
/// The blocks without a difference, on top of a quarter of all, before a metric that had some is given up.
const BLOCKS_TO_LOSE: usize = 3;

/// The evaluators of a session's cases.
#[derive(Debug)]
pub(super) struct Evaluator {
    pub(super) cases: Vec<CaseEvaluator>,
    record: Option<u32>,
}

/// The judges of one case's metrics.
#[derive(Debug)]
pub(super) struct CaseEvaluator {
    pub(super) file: CaseFile,
    metrics: Vec<MetricEvaluator>,
    tallies: BTreeMap<ArmId, Tally>,
    blocks: BTreeMap<Stage, usize>,
}

#[derive(Debug)]
struct MetricEvaluator {
    metric: JudgedMetric,
    test: Judge,
    null: Judge,
    /// The number of blocks with a difference.
    differences: usize,
    /// The number of blocks without a difference.
    lost: usize,
    /// Why no more blocks are measured for it. This is final, since a stage that is over never opens again.
    given_up: Option<String>,
    a: Vec<f64>,
    b: Vec<f64>,
}

/// The outcomes of an arm's trials.
#[derive(Debug, Clone, Default)]
struct Tally {
    trials: usize,
    failed: usize,
    reason: Option<String>,
}

impl Evaluator {
    /// Evaluators without blocks.
    pub(super) fn new(file: &SessionFile) -> Self {
        Self { cases: file.cases.iter().cloned().map(CaseEvaluator::new).collect(), record: file.record }
    }

    /// Evaluators with the blocks of a stored session.
    pub(super) fn replayed(session: &StoredSession) -> Self {
        let mut evaluator = Self::new(&session.file);
        for ((name, stage, _), trials) in session.blocks() {
            if let Some(case) = evaluator.cases.iter_mut().find(|case| case.file.name == name) {
                case.take(stage, &trials);
            }
        }
        evaluator
    }

    /// Whether the case of that index needs more blocks in `stage`.
    pub(super) fn is_open(&self, case: usize, stage: Stage) -> bool {
        self.left(case, stage) > 0
    }

    /// The most blocks that the case of that index still takes in `stage`.
    pub(super) fn left(&self, case: usize, stage: Stage) -> usize {
        let case = &self.cases[case];
        if case.file.refused.is_some() || case.failing().is_some() {
            return 0;
        }
        match self.record {
            Some(blocks) if stage == Stage::First => (blocks as usize).saturating_sub(case.done(stage)),
            Some(_) => 0,
            None => case.left(stage),
        }
    }

    /// The cases that need more blocks in `stage`.
    pub(super) fn open(&self, stage: Stage) -> Vec<usize> {
        (0..self.cases.len()).filter(|&case| self.is_open(case, stage)).collect()
    }

    /// The state of the metrics of the case of that index; empty in a recording, which judges nothing.
    pub(super) fn standing(&self, case: usize) -> Vec<Standing> {
        let judged = self.cases[case].metrics.iter().filter(|metric| metric.metric.refused.is_none());
        judged.filter(|_| self.record.is_none()).map(MetricEvaluator::standing).collect()
    }

    /// Why cases of a recording have fewer blocks than requested.
    pub(super) fn gaps(&self) -> Vec<String> {
        let refused = |case: &CaseEvaluator| case.file.refused.as_ref().and_then(|decision| decision.reason.clone());
        let gap =
            |case: &CaseEvaluator| Some(format!("{}: {}", case.file.name, refused(case).or_else(|| case.failing())?));
        self.cases.iter().filter_map(gap).collect()
    }

    /// A line with the decision for every metric of every case. `noise` invalidates the whole session; `stopped` is why it
    /// ended early.
    pub(super) fn lines(&self, noise: Option<&str>, stopped: Option<&str>) -> Vec<Line> {
        self.cases.iter().flat_map(|case| case.lines(noise, stopped)).collect()
    }
}

impl CaseEvaluator {
    fn new(file: CaseFile) -> Self {
        let metrics = file.metrics.iter().map(|metric| MetricEvaluator::new(metric, file.rule)).collect();
        Self { file, metrics, tallies: BTreeMap::new(), blocks: BTreeMap::new() }
    }

    /// The blocks of that stage so far.
    pub(super) fn done(&self, stage: Stage) -> usize {
        self.blocks.get(&stage).copied().unwrap_or(0)
    }

    fn all_done(&self) -> usize {
        self.blocks.values().sum()
    }

    /// Adds a whole block.
    pub(super) fn take(&mut self, stage: Stage, trials: &[&AbTrial]) {
        *self.blocks.entry(stage).or_default() += 1;
        for trial in trials {
            self.tallies.entry(trial.arm).or_default().take(trial);
        }
        for metric in self.metrics.iter_mut().filter(|metric| metric.metric.refused.is_none()) {
            metric.take(stage, trials);
        }
    }

    fn left(&self, stage: Stage) -> usize {
        let needed = |metric: &MetricEvaluator| match metric.next() {
            Next::Measure(in_stage, left) if in_stage == stage => left,
            _ => 0,
        };
        self.metrics.iter().filter(|metric| metric.metric.refused.is_none()).map(needed).max().unwrap_or(0)
    }

    /// Why the successful trials of this case do not represent its arms; `None` where they do.
    fn failing(&self) -> Option<String> {
        let blocks = self.all_done();
        let tally = |arm: &ArmId| self.tallies.get(arm).cloned().unwrap_or_default();
        let is_failing = |tally: &Tally| match tally.failed {
            failed if failed == tally.trials => blocks >= BLOCKS_TO_GIVE_UP && failed > 0,
            failed => blocks >= BLOCKS_TO_FAIL && failed as f64 > FAILING * tally.trials as f64,
        };
        let failing: Vec<&ArmId> = ArmId::ALL.iter().filter(|arm| is_failing(&tally(arm))).collect();
        let words = |arm: &&ArmId| {
            let tally = tally(arm);
            let reason = tally.reason.unwrap_or_default();
            match tally.failed == tally.trials {
                true => format!("{}: no successful trials of {}: {reason}", arm.words(), tally.trials),
                false => format!("{}: {} of {} trials failed: {reason}", arm.words(), tally.failed, tally.trials),
            }
        };
        (!failing.is_empty()).then(|| failing.iter().map(words).collect::<Vec<_>>().join("; "))
    }

    /// How the null control contradicts this case; `None` where it does not.
    fn contradiction(&self) -> Option<String> {
        let metric = self.metrics.iter().find(|metric| metric.null.differs())?;
        let percent = metric.null.shift().map_or(0.0, |shift| 100.0 * shift.value.exp_m1());
        let (name, way) = (&metric.metric.name, if percent > 0.0 { "worse" } else { "better" });
        Some(format!("the null control, A measured once more, is {:.1} % {way} than A in {name}", percent.abs()))
    }

    fn lines(&self, noise: Option<&str>, stopped: Option<&str>) -> Vec<Line> {
        let against: Vec<String> =
            self.failing().into_iter().chain(self.contradiction()).chain(noise.map(str::to_owned)).collect();
        let line = |metric: &MetricEvaluator| Line {
            case: self.file.name.clone(),
            metric: metric.metric.name.clone(),
            unit: metric.metric.unit,
            direction: metric.metric.direction,
            a: summary(&metric.a),
            b: summary(&metric.b),
            decision: self.decision(metric, &against, stopped),
        };
        self.metrics.iter().map(line).collect()
    }

    fn decision(&self, metric: &MetricEvaluator, against: &[String], stopped: Option<&str>) -> Decision {
        if let Some(refused) = &self.file.refused {
            return refused.clone();
        }
        if let Some(why) = &metric.metric.refused {
            return Decision::without_numbers(Verdict::Skipped, why.clone());
        }
        if !against.is_empty() {
            let failed = self.failing().is_some();
            return Decision { failed, ..metric.test.decision().invalid(against.join("; ")) };
        }
        match (metric.next(), stopped) {
            (Next::Done(decision), _) => decision,
            (Next::Measure(..), Some(why)) => Decision { reason: Some(why.to_owned()), ..metric.test.decision() },
            (Next::Measure(..), None) => metric.test.decision(),
        }
    }
}

impl MetricEvaluator {
    fn new(metric: &JudgedMetric, rule: Rule) -> Self {
        Self {
            metric: metric.clone(),
            test: Judge::new(rule),
            null: Judge::new(rule),
            differences: 0,
            lost: 0,
            given_up: None,
            a: Vec::new(),
            b: Vec::new(),
        }
    }

    fn standing(&self) -> Standing {
        let verdict = match self.next() {
            Next::Measure(..) => None,
            Next::Done(decision) => Some(DecidedVerdict { verdict: decision.verdict, blocks: decision.blocks }),
        };
        Standing { metric: self.metric.name.clone(), shift: self.test.shift(), verdict }
    }

    /// Adds the values of a block.
    fn take(&mut self, stage: Stage, trials: &[&AbTrial]) {
        let values = |arm: ArmId| -> Vec<f64> {
            let good = trials.iter().filter(|trial| trial.arm == arm && trial.record.outcome == Outcome::Ok);
            good.filter_map(|trial| trial.record.metric(&self.metric.name)).collect()
        };
        let [a, b, null] = [ArmId::A, ArmId::B, ArmId::Null].map(values);
        match block_difference(self.metric.direction, &a, &b) {
            Some(difference) => self.push(stage, difference),
            None => self.lose(),
        }
        if let Some(difference) = block_difference(self.metric.direction, &a, &null) {
            self.null.push(stage, difference);
        }
        self.a.extend(a);
        self.b.extend(b);
    }

    fn push(&mut self, stage: Stage, difference: f64) {
        self.differences += 1;
        // A judge ends its first stage by itself. In the second, a decision is final, however many blocks other metrics
        // take.
        if stage == Stage::First || matches!(self.test.next(), Next::Measure(Stage::Second, _)) {
            self.test.push(stage, difference);
        }
    }

    fn lose(&mut self) {
        self.lost += 1;
        let blocks = self.differences + self.lost;
        let is_enough = match self.differences {
            0 => self.lost >= BLOCKS_WITHOUT_DIFFERENCE,
            _ => self.lost > BLOCKS_TO_LOSE + blocks / 4,
        };
        if is_enough && self.given_up.is_none() {
            let why = "its values are zero, negative or missing";
            self.given_up = Some(format!("it has no ratio in {} of {blocks} blocks: {why}", self.lost));
        }
    }

    /// What to measure next; nothing for a metric that was given up.
    fn next(&self) -> Next {
        match (self.test.next(), &self.given_up) {
            (Next::Measure(..), Some(_)) => {
                Next::Done(Decision { reason: self.given_up.clone(), ..self.test.decision() })
            }
            (next, _) => next,
        }
    }
}

impl Tally {
    fn take(&mut self, trial: &AbTrial) {
        self.trials += 1;
        if trial.record.outcome != Outcome::Ok {
            self.failed += 1;
            self.reason = self.reason.take().or_else(|| trial.record.reason.clone());
        }
    }
}

impl ArmId {
    fn words(self) -> &'static str {
        match self {
            ArmId::A => "a",
            ArmId::B => "b",
            ArmId::Null => "the null control",
        }
    }
}

fn summary(values: &[f64]) -> Option<Summary> {
    Sample::new(values.to_vec()).ok().map(|sample| summarize(&sample))
}
