//! `cargo xtask gate` and `cargo xtask nightly`: measurements in continuous integration.
//!
//! The steps of `.github/actions/gate/action.yml` and `.github/workflows/bench.yml` call these commands. Most files
//! here are pure: they turn inputs, exit codes and stored sessions into arguments, verdicts and Markdown. Only
//! `api`, `programs`, `prepare` and `nightly/git.rs` start other programs.
//!
//! Invariant: no shell interprets an input. Each one is a single argument, and a value always follows `=`, so that no
//! program mistakes it for an option.

mod api;
mod arguments;
mod arms;
mod comment;
mod inputs;
mod measure;
mod nightly;
mod prepare;
mod programs;
mod quote;
mod runner;
mod session;
mod summary;
#[cfg(test)]
mod testing;
mod title;
mod tools;
mod verdict;
mod workflow;

use crate::cli::exit::BadInput;
use crate::model::exit::Exit;

pub use nightly::Nightly;

use comment::CommentOptions;
use inputs::Inputs;
use runner::Runner;
use verdict::FailurePolicy;
use workflow::{Level, annotate};

/// The title of the gate's own annotations.
const TITLE: &str = "Featherweight gate";

/// Measure a base against a head in continuous integration, and fail on a confirmed regression
#[derive(Debug, clap::Args)]
#[command(after_help = "The GitHub action runs prepare, measure, comment and finish in this order. \
        Every option can also be set by the environment variable in its description; an empty variable counts as unset.\n\n\
        Examples:\n  \
        cargo xtask gate measure --a=oci:crun --b=oci:crun,runtime=./crun\n  \
        cargo xtask gate measure --platform=youki --base=main --head=HEAD\n  \
        cargo xtask gate finish --code=3 --trouble=warn\n\n\
        Exit codes of finish: 0 no regression, 1 a regression, 2 bad input, 3 nothing could run, 4 failure, \
        130 interrupted.")]
pub struct Gate {
    #[command(subcommand)]
    step: Step,
}

/// A step of the action.
#[derive(Debug, clap::Subcommand)]
enum Step {
    /// Install the tools that the arms need
    Prepare(Box<Inputs>),
    /// Compare the arms; write the job summary, annotations and outputs. Exits with 0 whatever the verdict is
    Measure(Box<Inputs>),
    /// Create or update the comment on the pull request
    #[command(after_help = "The token is read from GATE_TOKEN only: every process can read command lines.")]
    Comment(CommentOptions),
    /// Exit with the code of the measurement, which decides whether the job fails
    Finish(Finish),
}

/// Options of the last step.
#[derive(Debug, clap::Args)]
struct Finish {
    /// Exit code of `cargo xtask ab`
    #[arg(long, value_name = "CODE", env = "GATE_CODE", hide_env_values = true, allow_negative_numbers = true)]
    code: i32,
    /// Whether exit codes 3, 4 and 130 fail the job: fail, warn [default: fail]
    #[arg(long = "trouble", value_name = "POLICY", env = "GATE_TROUBLE", hide_env_values = true)]
    policy: Option<String>,
}

impl Gate {
    /// Runs one step.
    ///
    /// # Errors
    /// When a program cannot start or a file cannot be read or written. Bad input becomes an annotation and
    /// [`Exit::BadInput`].
    pub fn run(self) -> anyhow::Result<Exit> {
        let runner = Runner::from_env();
        annotate_bad_input(match self.step {
            Step::Prepare(inputs) => prepare::prepare(&inputs, &runner),
            Step::Measure(inputs) => measure::measure(&inputs, &runner).map(|()| Exit::Fine),
            Step::Comment(options) => {
                comment::comment(&options, &runner);
                Ok(Exit::Fine)
            }
            Step::Finish(options) => Ok(options.run()),
        })
    }
}

impl Finish {
    fn run(&self) -> Exit {
        let policy = FailurePolicy::from_input(self.policy.as_deref());
        let code = policy.code_of_job(self.code);
        if code != self.code {
            workflow::print(&format!("ignored exit code {} of the measurement: `trouble` is `warn`", self.code));
        }
        exit(code)
    }
}

/// Shows bad input as an annotation, since nobody searches a log for the reason of exit code 2.
fn annotate_bad_input(result: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
    let error = match result {
        Ok(exit) => return Ok(exit),
        Err(error) => error,
    };
    match error.downcast_ref::<BadInput>() {
        Some(bad) => {
            annotate(Level::Error, TITLE, &bad.0);
            Ok(Exit::BadInput)
        }
        None => Err(error),
    }
}

/// The exit code for scripts. Codes that Featherweight does not have, such as those of signals, count as failure.
fn exit(code: i32) -> Exit {
    match code {
        0 => Exit::Fine,
        1 => Exit::Regression,
        2 => Exit::BadInput,
        3 => Exit::NothingRan,
        130 => Exit::Interrupted,
        _ => Exit::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_input_is_exit_code_2_and_other_errors_stay_errors() {
        let bad = BadInput("base: missing".to_owned());
        assert_eq!(annotate_bad_input(Err(bad.into())).unwrap(), Exit::BadInput);
        assert!(annotate_bad_input(Err(anyhow::anyhow!("the disk is full"))).is_err());
        assert_eq!(annotate_bad_input(Ok(Exit::Regression)).unwrap(), Exit::Regression);
    }

    #[test]
    fn a_code_of_a_signal_is_a_failure() {
        assert_eq!([0, 1, 2, 3, 4, 130, 137].map(|code| exit(code) as u8), [0, 1, 2, 3, 4, 130, 4]);
    }
}
