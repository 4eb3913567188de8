//! Confirms change points: compares before and after with `cargo xtask ab`.

use std::collections::BTreeSet;
use std::env;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::compare::history::{History, Question};
use crate::compare::live::{list_sessions, read_session_file};
use crate::host::folders::Folders;
use crate::host::output;
use crate::model::exit::Exit;
use crate::platform::arm::Arm;
use anyhow::Context;

/// Starts a session for each unanswered question whose arms are available here, and adds its results to the history.
/// Returns [`Exit::Regression`] if a session confirmed one.
///
/// # Errors
/// When this program cannot start itself.
pub(super) fn confirm(history: &History, questions: &[Question]) -> anyhow::Result<Exit> {
    let program = env::current_exe().context("failed to find the path of this program")?;
    let folders = Folders::from_env();
    let mut exits = Vec::new();
    for question in questions {
        match obstacle(question, &folders.project) {
            Some(why) => output::err!("skipped: {}: {why}", question.about()),
            None => {
                output::err!("running: cargo xtask {}", question.command.join(" "));
                let sessions = || list_sessions(&folders.comparisons());
                let before: BTreeSet<PathBuf> = sessions().into_iter().collect();
                let exit = run_session(&program, &question.command)?;
                add_sessions(history, sessions().into_iter().filter(|dir| !before.contains(dir)));
                exits.push(exit);
                if exit == Exit::Interrupted {
                    break;
                }
            }
        }
    }
    Ok(combined_exit(&exits))
}

/// Why no session can answer the question; `None` if one can.
fn obstacle(question: &Question, project: &Path) -> Option<String> {
    if let Some((session, verdict)) = &question.answer {
        return Some(format!("answered by {session}: {verdict}"));
    }
    let Some(arms) = &question.arms else { return question.why_not.clone() };
    [&arms.a, &arms.b].into_iter().find_map(|arm| missing(arm, project))
}

/// What an arm needs that is missing on this host.
fn missing(arm: &str, project: &Path) -> Option<String> {
    let settings = arm.parse::<Arm>().ok()?.settings;
    if let Some(revision) = settings.guests.filter(|revision| !has_revision(project, revision)) {
        return Some(format!("revision {revision} is not in this repository; fetch it first"));
    }
    let mut paths = [settings.runtime, settings.qemu, settings.images].into_iter().flatten();
    paths.find(|path| !path.exists()).map(|path| format!("{} no longer exists", path.display()))
}

fn has_revision(project: &Path, revision: &str) -> bool {
    let mut git = Command::new("git");
    git.arg("-C").arg(project).args(["cat-file", "-e"]).arg(format!("{revision}^{{commit}}"));
    git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    git.status().is_ok_and(|status| status.success())
}

/// Runs `program` with the question's command. Its output goes to standard error, because ours may be for a program.
fn run_session(program: &Path, command: &[String]) -> anyhow::Result<Exit> {
    let out = io::stderr().as_fd().try_clone_to_owned().context("failed to duplicate standard error")?;
    let status = Command::new(program).args(command).stdout(Stdio::from(out)).status();
    let status = status.with_context(|| format!("failed to start {}", program.display()))?;
    Ok(match status.code() {
        Some(0) => Exit::Fine,
        Some(1) => Exit::Regression,
        Some(130) => Exit::Interrupted,
        _ => Exit::Failure,
    })
}

/// Adds the new sessions, which answer the question.
fn add_sessions(history: &History, sessions: impl Iterator<Item = PathBuf>) {
    for dir in sessions {
        let session = read_session_file(&dir).map_err(anyhow::Error::from);
        if let Err(e) = session.and_then(|session| Ok(history.add_session(&session)?)) {
            output::err!("warning: not added to the history: {e:#}");
        }
    }
}

/// The exit code of several sessions: only an interruption takes precedence over a regression.
fn combined_exit(exits: &[Exit]) -> Exit {
    let order = [Exit::Interrupted, Exit::Regression, Exit::Failure];
    order.into_iter().find(|exit| exits.contains(exit)).unwrap_or(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use crate::compare::history::Arms;

    use super::*;

    fn question(a: &str, b: &str) -> Question {
        Question {
            subject: "youki boot/hello/0".to_owned(),
            shifts: vec!["boot 5.0 % worse".to_owned()],
            between: ("20261001-000000-0001".parse().unwrap(), "20261002-000000-0002".parse().unwrap()),
            differences: Vec::new(),
            arms: Some(Arms { a: a.to_owned(), b: b.to_owned(), of: String::new() }),
            why_not: None,
            command: Vec::new(),
            answer: None,
        }
    }

    #[test]
    fn the_exit_code_of_a_session_is_its_answer() {
        let exit = |program: &str| run_session(Path::new(program), &[]).unwrap();
        assert_eq!((exit("true"), exit("false")), (Exit::Fine, Exit::Regression));
        assert!(run_session(Path::new("/nowhere/at/all"), &[]).is_err());
    }

    #[test]
    fn a_regression_takes_precedence_over_a_failure_and_an_interruption_over_both() {
        assert_eq!(combined_exit(&[]), Exit::Fine);
        assert_eq!(combined_exit(&[Exit::Fine, Exit::Failure, Exit::Regression]), Exit::Regression);
        assert_eq!(combined_exit(&[Exit::Regression, Exit::Interrupted]), Exit::Interrupted);
    }

    #[test]
    fn what_an_arm_needs_and_is_missing_is_named() {
        let project = Folders::from_env().project;
        let why = |a: &str, b: &str| obstacle(&question(a, b), &project);
        let gone = why("oci:crun,runtime=/nowhere/crun,append=x", "oci:crun,runtime=/proc/self/exe");
        assert_eq!(gone.as_deref(), Some("/nowhere/crun no longer exists"));
        let unknown = why("youki,guests=0000000000000000000000000000000000000000", "youki");
        assert!(unknown.is_some_and(|why| why.ends_with("is not in this repository; fetch it first")));
        let available = "oci:crun,runtime=/proc/self/exe";
        assert_eq!(why(available, available), None);
    }

    #[test]
    fn an_answered_question_or_one_without_arms_is_skipped() {
        let project = Folders::from_env().project;
        let answer = Some(("20261121-084514-3f9a".parse().unwrap(), crate::compare::rule::Verdict::Equivalent));
        let answered = Question { answer, ..question("a", "b") };
        assert_eq!(obstacle(&answered, &project).as_deref(), Some("answered by 20261121-084514-3f9a: EQUIVALENT"));
        let none = Question { arms: None, why_not: Some("the kernel".to_owned()), ..question("a", "b") };
        assert_eq!(obstacle(&none, &project).as_deref(), Some("the kernel"));
    }
}
