//! `--save-baseline` and `--baseline`: keep a run under a name, and compare a later run with it.

use std::fmt::Display;
use std::path::Path;

use anyhow::Context;

use super::Options;
use super::target::{random_seed, terminal};
use crate::cli::exit::BadInput;
use crate::compare::live::MetricSelection;
use crate::compare::rule::{Comparison, Rule, Verdict};
use crate::compare::stored::baseline::{self, BaselineName};
use crate::compare::stored::{
    Compared, FEWEST, Past, Question, compare, confirmed, flagged_alone, other_host, trial_differences,
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

/// The name under which to keep a run.
pub(super) struct Save<'a>(&'a BaselineName);

impl<'a> Save<'a> {
    /// The name in the options, if any.
    ///
    /// # Errors
    /// When the run would have too few trials to compare with.
    pub(super) fn open(options: &'a Options, request: &RunRequest) -> Result<Option<Self>, BadInput> {
        let Some(name) = &options.save_baseline else { return Ok(None) };
        if let RunRequest::New { configuration, .. } = request {
            check_trials(configuration).map_err(|why| BadInput::new(format!("--save-baseline {name}"), why))?;
        }
        Ok(Some(Self(name)))
    }

    /// Keeps `run` if it is complete and did not only confirm another one.
    pub(super) fn keep(&self, experiment: Experiment, run: &RunSummary, folders: &Folders) -> anyhow::Result<()> {
        let name = self.0;
        if run.outcome != RunOutcome::Complete {
            output::err!("not saved as baseline {name}: {}", unfinished(run.outcome, "--save-baseline", name));
            return Ok(());
        }
        if read_run_file(&run.dir).is_ok_and(|file| file.confirms.is_some()) {
            output::err!("not saved as baseline {name}: the run only confirmed the regressions of another one");
            return Ok(());
        }
        let saved = baseline::save(&folders.baselines(), name, experiment, &run.dir);
        let dir = saved.with_context(|| format!("failed to save baseline {name}"))?;
        if let Some(why) = read_run_file(&dir).ok().as_ref().and_then(invalid) {
            output::err!("warning: baseline {name} is INVALID, and so will be comparisons with it: {why}");
            output::err!("help: save it again when the host is quiet");
        }
        output::out!("baseline {name}: {}", dir.display());
        Ok(())
    }
}

/// Why the noise guard rejects a run; a virtual clock does not depend on the host.
fn invalid(run: &RunFile) -> Option<&String> {
    let is_real = run.platforms.iter().any(|platform| !platform.capabilities.simulated);
    run.noise.as_ref().filter(|_| is_real)?.invalid.first()
}

/// Refuses a configuration with fewer trials per case than can show a difference.
fn check_trials(configuration: &Configuration) -> Result<(), String> {
    let (trials, runs) = (configuration.repetitions(), FEWEST.div_ceil(configuration.each_pass().max(1)));
    match trials {
        FEWEST.. => Ok(()),
        _ => {
            let problem = format!("{trials} trials per case are too few to compare; expected {FEWEST} or more");
            Err(format!("{problem}\nhelp: add --runs {runs}"))
        }
    }
}

fn unfinished(outcome: RunOutcome, option: &str, name: &dyn Display) -> String {
    format!("the run is {outcome}\nhelp: continue with --resume last {option} {name}")
}

/// The baseline to compare a run with.
pub(super) struct Baseline {
    name: String,
    run: RunValues,
}

impl Baseline {
    /// The baseline that the options name, if any. Refuses before anything is measured what would not be comparable.
    ///
    /// # Errors
    /// When the baseline does not exist, cannot be read, is of another host or another configuration, or when either run
    /// has too few trials.
    pub(super) fn open(
        experiment: Experiment,
        options: &Options,
        request: &RunRequest,
        folders: &Folders,
    ) -> Result<Option<Self>, BadInput> {
        let Some(name) = &options.baseline else { return Ok(None) };
        let refused = |why: String| BadInput::new(format!("--baseline {name}"), why);
        if !baseline::experiments(&folders.baselines(), name).contains(&experiment) {
            return Err(refused(missing(experiment, name, &folders.baselines())));
        }
        let run = read_values(&baseline::folder(&folders.baselines(), name, experiment));
        let run = run.map_err(|e| refused(e.to_string()))?;
        let mut differences = other_host(&run.file, &HostFacts::read(Path::new("/")));
        if let RunRequest::New { configuration, .. } = request {
            differences.extend(trial_differences(&run.file.configuration, configuration));
            check_trials(configuration).map_err(refused)?;
        }
        if !differences.is_empty() {
            return Err(refused(format!("not comparable: {}", differences.join("; "))));
        }
        let saved = check_trials(&run.file.configuration);
        saved.map_err(|why| refused(format!("as saved, {why} and save it again")))?;
        Ok(Some(Self { name: name.to_string(), run }))
    }

    /// Compares a complete `run` with the baseline and prints the comparison. Cases that look worse are measured again by
    /// `measure` first. `exit` is the exit code of the run itself.
    pub(super) fn judge(
        &self,
        run: &RunSummary,
        runs: &Path,
        exit: Exit,
        measure: impl FnOnce(Configuration, RunId) -> anyhow::Result<RunSummary>,
    ) -> anyhow::Result<Exit> {
        if run.outcome != RunOutcome::Complete {
            output::err!("not compared with {}: {}", self.name, unfinished(run.outcome, "--baseline", &self.name));
            return Ok(exit);
        }
        let run = read_values(&run.dir)?;
        let past = Past::load(runs, &self.run, &run);
        let mut compared = self.compare(&run, &past);
        let mut exit = exit;
        if let Some(configuration) = flagged_alone(&run.file.configuration, &compared, random_seed()) {
            print_suspects(&compared.comparison, &self.name);
            let again = measure(configuration, run.file.run.clone());
            let again = again.and_then(|summary| Ok((read_values(&summary.dir)?, summary)));
            // The first comparison is printed even if the confirmation fails.
            let (again, summary) = again.inspect_err(|_| print(&compared.comparison))?;
            summary.problems.iter().for_each(|problem| output::err!("error: {problem}"));
            compared = confirmed(compared, &self.compare(&again, &past), again.file.run.as_str());
            if summary.outcome == RunOutcome::Interrupted {
                exit = Exit::Interrupted;
            }
        }
        print(&compared.comparison);
        Ok(combined_exit(&compared.comparison, exit))
    }

    fn compare(&self, run: &RunValues, past: &Past) -> Compared {
        let question = Question { rule: Rule::DEFAULT, metrics: MetricSelection::Headline, past };
        compare((&self.name, &self.run), (run.file.run.as_str(), run), &question)
    }
}

/// The problem of a baseline that does not exist, or has no run of `experiment`.
fn missing(experiment: Experiment, name: &BaselineName, baselines: &Path) -> String {
    let help = format!("help: save it with --save-baseline {name}");
    let saved: Vec<&str> = baseline::experiments(baselines, name).into_iter().map(Experiment::name).collect();
    if !saved.is_empty() {
        return format!("has no {experiment} run, only {}\n{help}", saved.join(", "));
    }
    let known: Vec<String> = baseline::names(baselines).iter().map(ToString::to_string).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    format!("unknown baseline (known: {known})\n{help}")
}

/// Prints which metrics look worse and are measured again.
fn print_suspects(compared: &Comparison, name: &str) {
    for line in compared.lines.iter().filter(|line| line.decision.verdict == Verdict::Regressed) {
        let shift = line.decision.shift.map_or(f64::NAN, |shift| 100.0 * shift.value.exp_m1());
        output::out!("{} {}: {shift:+.1} % against {name}", line.case, line.metric);
    }
    output::out!("possible regressions; provisioning again and re-measuring to confirm\n");
}

fn print(compared: &Comparison) {
    let (look, width) = terminal();
    output::out!("\n{}", comparison(compared, Format::Text, look, width).trim_end());
}

/// The exit code of a comparison after a run that ended with `run`.
fn combined_exit(compared: &Comparison, run: Exit) -> Exit {
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
    #[case(Experiment::Scalability, Some("help: add --runs 5"))]
    #[case(Experiment::Isolation, Some("help: add --runs 5"))]
    fn the_quick_profile_is_compared_if_it_has_enough_trials(
        #[case] experiment: Experiment,
        #[case] help: Option<&str>,
    ) {
        let problem = check_trials(&profile(experiment, Profile::Quick)).err();
        assert_eq!(problem.is_some(), help.is_some());
        assert!(problem.is_none_or(|problem| help.is_some_and(|help| problem.ends_with(help))));
    }

    #[test]
    fn a_noisy_run_is_invalid_unless_its_clock_is_virtual() {
        let mut run = run_file();
        run.noise = Some(NoiseGuard {
            before: Vec::new(),
            after: Vec::new(),
            invalid: vec!["other processes used 50 % of CPU 1".to_owned()],
            unjudged: None,
        });
        assert_eq!(invalid(&run), None);
        let entry = r#"{"id":"native","capabilities":{"accelerator":"none","fork":true,"limits":true,
            "launch_concurrency":1,"host_processes":true,"network":true,"own_memory":false,"simulated":false},
            "facts":{"version":"1","notes":[]}}"#;
        run.platforms = vec![serde_json::from_str::<PlatformEntry>(entry).unwrap()];
        assert_eq!(invalid(&run).map(String::as_str), Some("other processes used 50 % of CPU 1"));
    }

    #[rstest]
    #[case(Exit::Fine, true, Exit::Regression)]
    #[case(Exit::Failure, true, Exit::Regression)]
    #[case(Exit::Interrupted, true, Exit::Interrupted)]
    #[case(Exit::Fine, false, Exit::NothingRan)]
    #[case(Exit::Failure, false, Exit::Failure)]
    fn a_regression_takes_precedence_over_a_failure(
        #[case] run: Exit,
        #[case] regressed: bool,
        #[case] expected: Exit,
    ) {
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
        assert_eq!(combined_exit(&serde_json::from_value(compared).unwrap(), run), expected);
    }
}
