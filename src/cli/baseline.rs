//! `--save-baseline` and `--baseline`: a run kept under a name, and a run held against it.

use std::path::Path;

use super::Options;
use super::bench::{Exit, Refusal, fresh_seed, terminal};
use crate::compare::baseline::{self, BaselineName};
use crate::compare::{Compared, Metrics, Past, Question, asks_otherwise, compare, confirmed, flagged_alone};
use crate::engine::{Request, RunSummary};
use crate::plan::Configuration;
use crate::regression::{Comparison, Rule, Verdict};
use crate::report::{Format, comparison};
use crate::run::Folders;
use crate::say;
use crate::store::{Experiment, RunOutcome, SlimRun, read_slim};

/// Keeps the run in the folder `run` under that name.
pub(super) fn save(name: &BaselineName, experiment: Experiment, run: &Path, folders: &Folders) -> Result<(), Refusal> {
    let saved = baseline::save(&folders.baselines(), name, experiment, run);
    let dir = saved.map_err(|e| (Exit::Trouble, format!("--save-baseline {name}: cannot be saved ({e})")))?;
    say::out!("baseline {name}: {}", dir.display());
    Ok(())
}

/// What a run is held against.
pub(super) struct Against {
    name: String,
    run: SlimRun,
}

impl Against {
    /// The baseline that the options name; `None` without one. What would not be comparable is refused before anything is
    /// measured.
    ///
    /// # Errors
    /// When there is no such baseline, it cannot be read, or something else is asked for than it has.
    pub(super) fn open(
        experiment: Experiment,
        options: &Options,
        request: &Request,
        folders: &Folders,
    ) -> Result<Option<Self>, Refusal> {
        let Some(name) = &options.baseline else { return Ok(None) };
        let refused = |why: String| (Exit::BadInput, format!("--baseline {name}: {why}"));
        if !baseline::experiments(&folders.baselines(), name).contains(&experiment) {
            return Err(refused(missing(experiment, name, &folders.baselines())));
        }
        let run = read_slim(&baseline::folder(&folders.baselines(), name, experiment));
        let run = run.map_err(|e| refused(e.to_string()))?;
        if let Request::New { configuration, .. } = request {
            let otherwise = asks_otherwise(&run.file.configuration, configuration);
            if !otherwise.is_empty() {
                return Err(refused(format!("not comparable: {}", otherwise.join("; "))));
            }
        }
        Ok(Some(Self { name: name.to_string(), run }))
    }

    /// Compares the run in the folder `dir` with it, has what looks worse measured again by `measure`, and prints what
    /// is to be said. `exit` is that of the run itself.
    pub(super) fn judge(
        &self,
        dir: &Path,
        runs: &Path,
        exit: Exit,
        measure: impl FnOnce(Configuration) -> Result<RunSummary, Refusal>,
    ) -> Result<Exit, Refusal> {
        let run = read(dir)?;
        let past = Past::load(runs, &self.run, &[self.run.file.run.clone(), run.file.run.clone()]);
        let mut compared = self.compare(&run, &past);
        let mut exit = exit;
        if let Some(configuration) = flagged_alone(&run.file.configuration, &compared, fresh_seed()) {
            suspect(&compared.comparison, &self.name);
            let summary = measure(configuration)?;
            summary.problems.iter().for_each(|problem| say::err!("error: {problem}"));
            let again = read(&summary.dir)?;
            compared = confirmed(compared, &self.compare(&again, &past), again.file.run.as_str());
            if summary.outcome == RunOutcome::Interrupted {
                exit = Exit::Interrupted;
            }
        }
        print(&compared.comparison);
        Ok(self::exit(&compared.comparison, exit))
    }

    fn compare(&self, run: &SlimRun, past: &Past) -> Compared {
        let question = Question { rule: Rule::USUAL, metrics: Metrics::Headline, past };
        compare((&self.name, &self.run), (run.file.run.as_str(), run), &question)
    }
}

fn missing(experiment: Experiment, name: &BaselineName, baselines: &Path) -> String {
    let has = baseline::experiments(baselines, name);
    if !has.is_empty() {
        let has: Vec<&str> = has.into_iter().map(Experiment::name).collect();
        return format!("has {}, and no {experiment}; --save-baseline {name} saves one", has.join(", "));
    }
    let there: Vec<String> = baseline::names(baselines).iter().map(ToString::to_string).collect();
    let there = if there.is_empty() { "none is saved".to_owned() } else { format!("accepted: {}", there.join(", ")) };
    format!("there is no such baseline; {there}; --save-baseline {name} saves one")
}

fn read(dir: &Path) -> Result<SlimRun, Refusal> {
    read_slim(dir).map_err(|e| (Exit::Trouble, e.to_string()))
}

/// Tells what is measured again, and why.
fn suspect(compared: &Comparison, name: &str) {
    let worse: Vec<_> = compared.lines.iter().filter(|line| line.ruling.verdict == Verdict::Regressed).collect();
    for line in &worse {
        let shift = line.ruling.shift.map_or(f64::NAN, |shift| 100.0 * shift.value.exp_m1());
        say::out!("{} {}: {shift:+.1} % against {name}", line.case, line.metric);
    }
    say::out!("What looks worse is measured again, everything provisioned anew: a regression is there twice.\n");
}

fn print(compared: &Comparison) {
    let (look, width) = terminal();
    say::out!("\n{}", comparison(compared, Format::Text, look, width).trim_end());
}

/// The exit code of a comparison after a run that ended with `run`.
fn exit(compared: &Comparison, run: Exit) -> Exit {
    match run {
        Exit::Interrupted => Exit::Interrupted,
        _ if !compared.not_comparable.is_empty() => Exit::BadInput,
        _ if compared.has_regressed() => Exit::Regression,
        other => other,
    }
}
