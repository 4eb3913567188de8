//! A bench target from its command line to its exit code.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use super::Options;
use super::baseline::{Against, Keep};
use super::resolve::{BadInput, resolve, trial_configuration};
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::host::output;
use crate::measure::plan::Plan;
use crate::measure::session::{EngineError, RunRequest, RunSummary, Session};
use crate::model::exit::Exit;
use crate::model::record::{CaseName, Experiment, Outcome, Role};
use crate::platform;
use crate::report::progress;
use crate::report::{self, Look};
use crate::store::{RunOutcome, StoredRun, read_run};

/// Runs the bench target of `experiment`.
pub fn bench(experiment: Experiment) -> ExitCode {
    platform::launcher_entry();
    let options = Options::parse();
    let exit = target(experiment, &options).unwrap_or_else(|(exit, message)| {
        output::err!("error: {message}");
        exit
    });
    exit.into()
}

pub(super) type Refusal = (Exit, String);

fn target(experiment: Experiment, options: &Options) -> Result<Exit, Refusal> {
    if options.format.is_some() {
        return Ok(list_for_test_runner(experiment, options));
    }
    let folders = Folders::from_env();
    if !(options.bench || options.list || options.dry_run) {
        return try_once(experiment, folders);
    }
    let request = request(experiment, options, &folders)?;
    let keep = Keep::open(options, &request)?;
    let against = Against::open(experiment, options, &request, &folders)?;
    let interrupt = Interrupt::on_signals().map_err(|e| (Exit::Failure, format!("watch for Ctrl-C: {e}")))?;
    let session = open(request, &folders, &interrupt)?;
    if options.list || options.dry_run {
        print_plan(session.plan(), options);
        session.abandon();
        return Ok(Exit::Fine);
    }
    let summary = session.run(progress::for_stderr().as_mut()).map_err(refusal)?;
    let pages = Pages::of(options, &folders);
    let exit = finish(&summary, &pages);
    if let Some(keep) = keep {
        keep.run(experiment, &summary, &folders)?;
    }
    let Some(against) = against else { return Ok(exit) };
    against.judge(&summary, &pages.runs, exit, |configuration, confirms| {
        let (configuration, confirms) = (Box::new(configuration), Some(confirms));
        let session = open(RunRequest::New { configuration, out: pages.runs.clone(), confirms }, &folders, &interrupt)?;
        session.run(progress::for_stderr().as_mut()).map_err(refusal)
    })
}

fn open(request: RunRequest, folders: &Folders, interrupt: &Interrupt) -> Result<Session, Refusal> {
    Session::open(request, folders.clone(), interrupt.clone(), std::env::args().collect()).map_err(refusal)
}

/// Runs the target once, tiny, on the fake platform, and leaves no run behind: what `cargo test --benches` does.
fn try_once(experiment: Experiment, folders: Folders) -> Result<Exit, Refusal> {
    let output = folders.output.join(format!("try-{experiment}-{}", std::process::id()));
    let folders = Folders { output: output.clone(), ..folders };
    let configuration = Box::new(trial_configuration(experiment));
    let request = RunRequest::New { configuration, out: folders.runs(), confirms: None };
    let interrupt = Interrupt::new().map_err(|e| (Exit::Failure, e.to_string()))?;
    let session = Session::open(request, folders.clone(), interrupt, std::env::args().collect()).map_err(refusal)?;
    let summary = session.run(&mut ()).map_err(refusal)?;
    let run = read_run(&summary.dir).map_err(|e| (Exit::Failure, e.to_string()))?;
    let verdict = judge(&summary, &run);
    let written = report::write(std::slice::from_ref(&run), &folders.report());
    written.map_err(|e| (Exit::Failure, format!("write the report: {e}")))?;
    std::fs::remove_dir_all(&output).map_err(|e| (Exit::Failure, format!("remove {}: {e}", output.display())))?;
    output::out!("{experiment}: tried on fake, {} trials", run.trials.len());
    Ok(verdict)
}

fn request(experiment: Experiment, options: &Options, folders: &Folders) -> Result<RunRequest, Refusal> {
    let out = options.out.clone().unwrap_or_else(|| folders.runs());
    if let Some(name) = &options.resume {
        return Ok(RunRequest::Resume { experiment, name: name.clone(), runs: out });
    }
    let configuration = resolve(experiment, options, random_seed()).map_err(|e| (Exit::BadInput, e.to_string()))?;
    if !(options.list || options.dry_run) {
        check_writable("--out", &out).map_err(|e| (Exit::BadInput, e.to_string()))?;
    }
    Ok(RunRequest::New { configuration: Box::new(configuration), out, confirms: None })
}

/// Proves that the folder of `option` can be written before anything is measured, and makes it where it is not there.
///
/// # Errors
/// When it cannot.
pub fn check_writable(option: &str, folder: &Path) -> Result<(), BadInput> {
    let probe = folder.join(format!(".featherweight-{}", std::process::id()));
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&probe, b""))
        .and_then(|()| std::fs::remove_file(&probe));
    written.map_err(|e| {
        BadInput::new(
            format!("{option} {}", folder.display()),
            format!("cannot be written ({e}); name a folder that can"),
        )
    })
}

/// Another seed every time, of which the order of the trials comes.
pub fn random_seed() -> u64 {
    jiff::Timestamp::now().as_nanosecond() as u64
}

fn refusal(error: EngineError) -> Refusal {
    let exit = match &error {
        EngineError::Resume(_) | EngineError::InProgress(_) | EngineError::FilteredOut(_) => Exit::BadInput,
        EngineError::NothingToRun(_) => Exit::NothingRan,
        EngineError::Folder { .. } | EngineError::Host(_) => Exit::Failure,
    };
    (exit, error.to_string())
}

fn print_plan(plan: &Plan, options: &Options) {
    if options.list {
        // References and placebos come with what they stand beside: a filter cannot name them.
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

/// Answers a test runner that asks which tests there are: one, the target itself.
fn list_for_test_runner(experiment: Experiment, options: &Options) -> Exit {
    if options.list && !options.ignored {
        output::out!("{experiment}: test");
    }
    Exit::Fine
}

/// Where runs are, and the page over the latest of them.
struct Pages {
    runs: PathBuf,
    report: PathBuf,
}

impl Pages {
    /// Runs that were sent elsewhere have their page there, too.
    fn of(options: &Options, folders: &Folders) -> Self {
        match &options.out {
            Some(out) => Self { runs: out.clone(), report: out.join("report") },
            None => Self { runs: folders.runs(), report: folders.report() },
        }
    }
}

/// Prints the table and writes the reports; the report's path is the last line.
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
            output::err!("error: write the report: {e}");
            Exit::Failure
        }
    }
}

/// The exit code of a run, with what is wrong printed.
fn judge(summary: &RunSummary, run: &StoredRun) -> Exit {
    let barren = cases_without_successful_trials(&run.trials);
    barren.iter().for_each(|case| output::err!("error: not one good trial of {case}"));
    let leak = summary.leftovers != Default::default();
    if leak {
        output::err!("error: left behind and removed by the ledger: {:?}", summary.leftovers);
    }
    let nothing = !run.trials.is_empty() && run.trials.iter().all(|trial| trial.outcome == Outcome::Skipped);
    match summary.outcome {
        RunOutcome::Interrupted => Exit::Interrupted,
        RunOutcome::Complete if nothing && !leak => {
            output::err!("error: every trial was skipped; the reasons are above and in the report");
            Exit::NothingRan
        }
        RunOutcome::Complete if barren.is_empty() && !leak && summary.problems.is_empty() => Exit::Fine,
        _ => Exit::Failure,
    }
}

/// How standard output wants the table: plain unless it is a terminal and `NO_COLOR` (no-color.org) is unset.
pub fn terminal() -> (Look, Option<u16>) {
    let stdout = std::io::stdout();
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let look = if stdout.is_terminal() && colours { Look::Styled } else { Look::Plain };
    (look, rustix::termios::tcgetwinsize(stdout).ok().map(|size| size.ws_col).filter(|&columns| columns > 0))
}

/// The cases of which every trial failed.
fn cases_without_successful_trials(trials: &[crate::model::record::TrialRecord]) -> Vec<String> {
    let mut good = std::collections::BTreeMap::new();
    for trial in trials.iter().filter(|t| t.outcome != Outcome::Skipped) {
        *good.entry((trial.case.clone(), trial.role)).or_insert(0) += usize::from(trial.outcome == Outcome::Ok);
    }
    let barren = good.into_iter().filter(|&(_, good)| good == 0);
    barren.map(|((case, role), _)| CaseName::of(&case, role).to_string()).collect()
}
