//! A bench target from its command line to its exit code.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use super::Options;
use super::baseline::{Baseline, Save};
use super::resolve::{resolve, trial_configuration};
use crate::cli::exit::{self, BadInput};
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::host::output;
use crate::measure::RunError;
use crate::measure::plan::Plan;
use crate::measure::session::{RunRequest, RunSummary, Session};
use crate::model::exit::Exit;
use crate::model::record::{CaseName, Experiment, Outcome, Role, TrialRecord};
use crate::platform;
use crate::report::progress;
use crate::report::{self, Look};
use crate::store::{RunOutcome, StoredRun, read_run};

/// Runs the bench target of `experiment`.
pub fn bench(experiment: Experiment) -> ExitCode {
    platform::launcher_entry();
    let options = Options::parse();
    target(experiment, &options).unwrap_or_else(|error| exit::report(&error)).into()
}

fn target(experiment: Experiment, options: &Options) -> anyhow::Result<Exit> {
    if options.format.is_some() {
        return Ok(list_for_test_runner(experiment, options));
    }
    let folders = Folders::from_env();
    if !(options.bench || options.list || options.dry_run) {
        return try_once(experiment, folders);
    }
    let request = request(experiment, options, &folders)?;
    let save = Save::open(options, &request)?;
    let baseline = Baseline::open(experiment, options, &request, &folders)?;
    let interrupt = Interrupt::on_signals().context("failed to install the handler of Ctrl-C")?;
    let session = open(request, &folders, &interrupt)?;
    if options.list || options.dry_run {
        print_plan(session.plan(), options);
        session.abandon();
        return Ok(Exit::Fine);
    }
    let summary = session.run(progress::for_stderr().as_mut())?;
    let pages = Pages::new(options, &folders);
    let exit = finish(&summary, &pages);
    if let Some(save) = save {
        save.keep(experiment, &summary, &folders)?;
    }
    let Some(baseline) = baseline else { return Ok(exit) };
    baseline.judge(&summary, &pages.runs, exit, |configuration, confirms| {
        let (configuration, confirms) = (Box::new(configuration), Some(confirms));
        let session = open(RunRequest::New { configuration, out: pages.runs.clone(), confirms }, &folders, &interrupt)?;
        Ok(session.run(progress::for_stderr().as_mut())?)
    })
}

fn open(request: RunRequest, folders: &Folders, interrupt: &Interrupt) -> Result<Session, RunError> {
    Session::open(request, folders.clone(), interrupt.clone(), std::env::args().collect())
}

/// Runs the target once, with few trials, on the fake platform, and keeps no run: what `cargo test --benches` does.
fn try_once(experiment: Experiment, folders: Folders) -> anyhow::Result<Exit> {
    let output = folders.output.join(format!("try-{experiment}-{}", std::process::id()));
    let folders = Folders { output: output.clone(), ..folders };
    let configuration = Box::new(trial_configuration(experiment));
    let request = RunRequest::New { configuration, out: folders.runs(), confirms: None };
    let interrupt = Interrupt::new().context("failed to create an interrupt")?;
    let session = open(request, &folders, &interrupt)?;
    let summary = session.run(&mut ())?;
    let run = read_run(&summary.dir)?;
    let verdict = judge(&summary, &run);
    report::write(std::slice::from_ref(&run), &folders.report()).context("failed to write the report")?;
    std::fs::remove_dir_all(&output).with_context(|| format!("failed to remove {}", output.display()))?;
    output::out!("{experiment}: tried on fake, {} trials", run.trials.len());
    Ok(verdict)
}

fn request(experiment: Experiment, options: &Options, folders: &Folders) -> Result<RunRequest, BadInput> {
    let out = options.out.clone().unwrap_or_else(|| folders.runs());
    if let Some(name) = &options.resume {
        return Ok(RunRequest::Resume { experiment, name: name.clone(), runs: out });
    }
    let configuration = resolve(experiment, options, random_seed())?;
    if !(options.list || options.dry_run) {
        check_writable("--out", &out)?;
    }
    Ok(RunRequest::New { configuration: Box::new(configuration), out, confirms: None })
}

/// Checks before anything is measured that the folder of `option` can be written; creates it if it is missing.
///
/// # Errors
/// When it cannot be created or written.
pub fn check_writable(option: &str, folder: &Path) -> Result<(), BadInput> {
    let probe = folder.join(format!(".featherweight-{}", std::process::id()));
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&probe, b""))
        .and_then(|()| std::fs::remove_file(&probe));
    written.map_err(|e| {
        BadInput::new(
            format!("{option} {}", folder.display()),
            format!("not writable: {e}; expected a writable folder"),
        )
    })
}

/// The seed of the trials' order if the user sets none: the time of day.
pub fn random_seed() -> u64 {
    jiff::Timestamp::now().as_nanosecond() as u64
}

fn print_plan(plan: &Plan, options: &Options) {
    if options.list {
        // References and placebos belong to their case: a filter cannot select them.
        let measured = plan.trials.iter().filter(|trial| trial.role == Role::Measured);
        let names: BTreeSet<String> = measured.map(ToString::to_string).collect();
        names.iter().for_each(|name| output::out!("{name}"));
        return;
    }
    for trial in &plan.trials {
        output::out!("{:5}  {trial} #{}", trial.order, trial.trial);
    }
    plan.skips.iter().for_each(|skip| output::out!("skipped: {skip}"));
    let estimate = progress::in_words(Duration::from(plan.estimate()));
    output::out!("{} trials, about {estimate}", plan.trials.len());
}

/// Lists the tests for a test runner: one, the target itself.
fn list_for_test_runner(experiment: Experiment, options: &Options) -> Exit {
    if options.list && !options.ignored {
        output::out!("{experiment}: test");
    }
    Exit::Fine
}

/// The folder of the runs, and the folder of the page over the latest of them.
struct Pages {
    runs: PathBuf,
    report: PathBuf,
}

impl Pages {
    /// Runs in another folder have their page there, too.
    fn new(options: &Options, folders: &Folders) -> Self {
        match &options.out {
            Some(out) => Self { runs: out.clone(), report: out.join("report") },
            None => Self { runs: folders.runs(), report: folders.report() },
        }
    }
}

/// Prints the table and writes the reports; the path of the report is the last line.
fn finish(summary: &RunSummary, pages: &Pages) -> Exit {
    summary.problems.iter().for_each(|problem| output::err!("error: {problem}"));
    let run = match read_run(&summary.dir) {
        Ok(run) => run,
        Err(e) => {
            output::err!("error: {e}");
            return Exit::Failure;
        }
    };
    let (look, width) = terminal();
    output::out!("{}", report::terminal(&run, look, width));
    run.file.skips.iter().for_each(|skip| output::out!("skipped: {skip}"));
    let own = report::write(std::slice::from_ref(&run), &summary.dir.join("report"));
    let page = own.and_then(|_| report::write_with(&report::latest(&pages.runs), &pages.report));
    let verdict = judge(summary, &run);
    match page {
        Ok(path) => {
            output::out!("run: {}", summary.dir.display());
            output::out!("report: {}", path.display());
            verdict
        }
        Err(e) => {
            output::err!("error: failed to write the report: {e}");
            Exit::Failure
        }
    }
}

/// Prints the failures of a run and returns its exit code.
fn judge(summary: &RunSummary, run: &StoredRun) -> Exit {
    let without_success = cases_without_successful_trials(&run.trials);
    without_success.iter().for_each(|case| output::err!("error: no successful trials for {case}"));
    let has_leftovers = summary.leftovers != Default::default();
    if has_leftovers {
        output::err!("error: the run left {} behind; they are removed now", summary.leftovers);
    }
    let all_skipped = !run.trials.is_empty() && run.trials.iter().all(|trial| trial.outcome == Outcome::Skipped);
    match summary.outcome {
        RunOutcome::Interrupted => Exit::Interrupted,
        RunOutcome::Complete if all_skipped && !has_leftovers => {
            output::err!("error: every trial was skipped; the reasons are above and in the report");
            Exit::NothingRan
        }
        RunOutcome::Complete if without_success.is_empty() && !has_leftovers && summary.problems.is_empty() => {
            Exit::Fine
        }
        _ => Exit::Failure,
    }
}

/// How to print the table to standard output: plain unless it is a terminal and `NO_COLOR` (no-color.org) is unset.
pub fn terminal() -> (Look, Option<u16>) {
    let stdout = std::io::stdout();
    let wants_color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let look = if stdout.is_terminal() && wants_color { Look::Styled } else { Look::Plain };
    (look, rustix::termios::tcgetwinsize(stdout).ok().map(|size| size.ws_col).filter(|&columns| columns > 0))
}

/// The cases that were tried and whose trials all failed.
fn cases_without_successful_trials(trials: &[TrialRecord]) -> Vec<String> {
    let mut successes = BTreeMap::new();
    for trial in trials.iter().filter(|t| t.outcome != Outcome::Skipped) {
        *successes.entry((trial.case.clone(), trial.role)).or_insert(0) += usize::from(trial.outcome == Outcome::Ok);
    }
    let without_success = successes.into_iter().filter(|&(_, successes)| successes == 0);
    without_success.map(|((case, role), _)| CaseName::of(&case, role).to_string()).collect()
}
