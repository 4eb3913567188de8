//! `--save-baseline` and `--baseline`: a run kept under a name, and a run held against it.

use std::path::Path;

use super::Options;
use super::target::{Refusal, random_seed, terminal};
use crate::compare::live::MetricSelection;
use crate::compare::rule::{Comparison, Rule, Verdict};
use crate::compare::stored::baseline::{self, BaselineName};
use crate::compare::stored::{
    Compared, FEWEST, Past, Question, asks_otherwise, compare, confirmed, flagged_alone, other_host,
};
use crate::host::HostFacts;
use crate::host::folders::Folders;
use crate::host::output;
use crate::measure::session::{RunRequest, RunSummary};
use crate::model::configuration::Configuration;
use crate::model::exit::Exit;
use crate::model::record::Experiment;
use crate::model::run::RunId;
use crate::report::{Format, comparison};
use crate::store::{RunFile, RunOutcome, RunValues, read_run_file, read_values};

/// The name under which a run is kept.
pub(super) struct Keep<'a>(&'a BaselineName);

impl<'a> Keep<'a> {
    /// The name that the options give; `None` without one.
    ///
    /// # Errors
    /// When too little is asked for to judge anything by it.
    pub(super) fn open(options: &'a Options, request: &RunRequest) -> Result<Option<Self>, Refusal> {
        let Some(name) = &options.save_baseline else { return Ok(None) };
        if let RunRequest::New { configuration, .. } = request {
            enough(configuration).map_err(|why| (Exit::BadInput, format!("--save-baseline {name}: {why}")))?;
        }
        Ok(Some(Self(name)))
    }

    /// Keeps the run that ended so, where it is complete.
    pub(super) fn run(&self, experiment: Experiment, run: &RunSummary, folders: &Folders) -> Result<(), Refusal> {
        let name = self.0;
        if run.outcome != RunOutcome::Complete {
            output::err!("not saved as baseline {name}: {}", unfinished(run.outcome, "--save-baseline", name));
            return Ok(());
        }
        if read_run_file(&run.dir).is_ok_and(|file| file.confirms.is_some()) {
            output::err!("not saved as baseline {name}: the run only measured again what another one had shown");
            return Ok(());
        }
        let saved = baseline::save(&folders.baselines(), name, experiment, &run.dir);
        let dir = saved.map_err(|e| (Exit::Failure, format!("--save-baseline {name}: cannot be saved ({e})")))?;
        if let Some(why) = read_run_file(&dir).ok().as_ref().and_then(invalid) {
            let cure = "save it again when the host is quiet";
            output::err!(
                "warning: the noise guard calls the run INVALID ({why}), and so will be what is compared with it; {cure}"
            );
        }
        output::out!("baseline {name}: {}", dir.display());
        Ok(())
    }
}

/// Why nothing can be judged by a run. The host does not bear on a virtual clock.
fn invalid(run: &RunFile) -> Option<&String> {
    let is_real = run.platforms.iter().any(|platform| !platform.capabilities.simulated);
    run.noise.as_ref().filter(|_| is_real)?.invalid.first()
}

/// Refuses fewer trials a case than can show a difference, with the cure.
fn enough(configuration: &Configuration) -> Result<(), String> {
    let (trials, runs) = (configuration.repetitions(), FEWEST.div_ceil(configuration.each_pass().max(1)));
    match trials {
        FEWEST.. => Ok(()),
        _ => Err(format!("with {trials} trials of a case no difference can be told from chance; add --runs {runs}")),
    }
}

fn unfinished(outcome: RunOutcome, option: &str, name: &dyn std::fmt::Display) -> String {
    format!("the run is {outcome}; it goes on with --resume last {option} {name}")
}

/// What a run is held against.
pub(super) struct Against {
    name: String,
    run: RunValues,
}

impl Against {
    /// The baseline that the options name; `None` without one. What would not be comparable is refused before anything is
    /// measured.
    ///
    /// # Errors
    /// When there is no such baseline, it cannot be read, it is of another host, something else is asked for than it has,
    /// or too little to tell a difference.
    pub(super) fn open(
        experiment: Experiment,
        options: &Options,
        request: &RunRequest,
        folders: &Folders,
    ) -> Result<Option<Self>, Refusal> {
        let Some(name) = &options.baseline else { return Ok(None) };
        let refused = |why: String| (Exit::BadInput, format!("--baseline {name}: {why}"));
        if !baseline::experiments(&folders.baselines(), name).contains(&experiment) {
            return Err(refused(missing(experiment, name, &folders.baselines())));
        }
        let run = read_values(&baseline::folder(&folders.baselines(), name, experiment));
        let run = run.map_err(|e| refused(e.to_string()))?;
        let mut otherwise = other_host(&run.file, &HostFacts::read(Path::new("/")));
        if let RunRequest::New { configuration, .. } = request {
            otherwise.extend(asks_otherwise(&run.file.configuration, configuration));
            enough(configuration).map_err(refused)?;
        }
        if !otherwise.is_empty() {
            return Err(refused(format!("not comparable: {}", otherwise.join("; "))));
        }
        enough(&run.file.configuration).map_err(|why| refused(format!("as it was saved: {why}, and save it again")))?;
        Ok(Some(Self { name: name.to_string(), run }))
    }

    /// Compares the run with it, where that is complete, has what looks worse measured again by `measure`, and prints
    /// what is to be said. `exit` is that of the run itself.
    pub(super) fn judge(
        &self,
        run: &RunSummary,
        runs: &Path,
        exit: Exit,
        measure: impl FnOnce(Configuration, RunId) -> Result<RunSummary, Refusal>,
    ) -> Result<Exit, Refusal> {
        if run.outcome != RunOutcome::Complete {
            output::err!("not compared with {}: {}", self.name, unfinished(run.outcome, "--baseline", &self.name));
            return Ok(exit);
        }
        let run = read(&run.dir)?;
        let past = Past::load(runs, &self.run, &run);
        let mut compared = self.compare(&run, &past);
        let mut exit = exit;
        if let Some(configuration) = flagged_alone(&run.file.configuration, &compared, random_seed()) {
            suspect(&compared.comparison, &self.name);
            let again = measure(configuration, run.file.run.clone());
            let again = again.and_then(|summary| Ok((read(&summary.dir)?, summary)));
            // What was seen is told, also where it could not be looked at again.
            let (again, summary) = again.inspect_err(|_| print(&compared.comparison))?;
            summary.problems.iter().for_each(|problem| output::err!("error: {problem}"));
            compared = confirmed(compared, &self.compare(&again, &past), again.file.run.as_str());
            if summary.outcome == RunOutcome::Interrupted {
                exit = Exit::Interrupted;
            }
        }
        print(&compared.comparison);
        Ok(self::exit(&compared.comparison, exit))
    }

    fn compare(&self, run: &RunValues, past: &Past) -> Compared {
        let question = Question { rule: Rule::DEFAULT, metrics: MetricSelection::Headline, past };
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

fn read(dir: &Path) -> Result<RunValues, Refusal> {
    read_values(dir).map_err(|e| (Exit::Failure, e.to_string()))
}

/// Tells what is measured again, and why.
fn suspect(compared: &Comparison, name: &str) {
    let worse: Vec<_> = compared.lines.iter().filter(|line| line.decision.verdict == Verdict::Regressed).collect();
    for line in &worse {
        let shift = line.decision.shift.map_or(f64::NAN, |shift| 100.0 * shift.value.exp_m1());
        output::out!("{} {}: {shift:+.1} % against {name}", line.case, line.metric);
    }
    output::out!("What looks worse is measured again, everything provisioned anew: a regression is there twice.\n");
}

fn print(compared: &Comparison) {
    let (look, width) = terminal();
    output::out!("\n{}", comparison(compared, Format::Text, look, width).trim_end());
}

/// The exit code of a comparison after a run that ended with `run`.
fn exit(compared: &Comparison, run: Exit) -> Exit {
    match (run, compared.exit()) {
        (Exit::Interrupted, _) => Exit::Interrupted,
        (_, judged @ (Exit::BadInput | Exit::Regression)) => judged,
        (Exit::Fine, judged) => judged,
        (run, _) => run,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::profile::profile;
    use super::*;
    use crate::model::configuration::Profile;
    use crate::store::testing::run_file;
    use crate::store::{NoiseGuard, PlatformEntry};

    #[rstest]
    #[case(Experiment::Boot, None)]
    #[case(Experiment::Footprint, None)]
    #[case(Experiment::Scalability, Some("add --runs 5"))]
    #[case(Experiment::Isolation, Some("add --runs 5"))]
    fn the_quick_profile_is_judged_where_it_has_trials_enough(
        #[case] experiment: Experiment,
        #[case] cure: Option<&str>,
    ) {
        let told = enough(&profile(experiment, Profile::Quick)).err();
        assert_eq!(told.is_some(), cure.is_some());
        assert!(told.is_none_or(|told| cure.is_some_and(|cure| told.ends_with(cure))));
    }

    #[test]
    fn a_noisy_run_is_no_baseline_unless_its_clock_is_virtual() {
        let mut run = run_file();
        run.noise = Some(NoiseGuard {
            before: Vec::new(),
            after: Vec::new(),
            invalid: vec!["others had 50 % of CPU 1".to_owned()],
            unjudged: None,
        });
        assert_eq!(invalid(&run), None);
        let entry = r#"{"id":"native","capabilities":{"accelerator":"none","fork":true,"limits":true,
            "launch_concurrency":1,"host_processes":true,"network":true,"own_memory":false,"simulated":false},
            "facts":{"version":"1","notes":[]}}"#;
        run.platforms = vec![serde_json::from_str::<PlatformEntry>(entry).unwrap()];
        assert_eq!(invalid(&run).map(String::as_str), Some("others had 50 % of CPU 1"));
    }

    #[rstest]
    #[case(Exit::Fine, true, Exit::Regression)]
    #[case(Exit::Failure, true, Exit::Regression)]
    #[case(Exit::Interrupted, true, Exit::Interrupted)]
    #[case(Exit::Fine, false, Exit::NothingRan)]
    #[case(Exit::Failure, false, Exit::Failure)]
    fn a_regression_comes_before_trouble(#[case] run: Exit, #[case] regressed: bool, #[case] expected: Exit) {
        let verdict = if regressed { "REGRESSED" } else { "INVALID" };
        let line = serde_json::json!({
            "case": "boot/hello/0", "metric": "boot", "unit": "ns", "direction": "lower", "a": null, "b": null,
            "ruling": { "verdict": verdict, "shift": { "value": 0.1, "interval": null }, "p": null,
                "detectable": null, "blocks": 9 },
        });
        let side = serde_json::json!({ "name": "x", "facts": {} });
        let compared = serde_json::json!({
            "a": side, "b": side, "notes": [], "not_comparable": [], "lines": [line], "took": null,
        });
        assert_eq!(exit(&serde_json::from_value(compared).unwrap(), run), expected);
    }
}
