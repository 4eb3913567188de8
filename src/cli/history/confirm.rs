//! Having change points answered: before against after, by `cargo xtask ab`.

use std::collections::BTreeSet;
use std::env;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::compare::history::{History, Question};
use crate::compare::live::{list_sessions, read_session_file};
use crate::host::folders::Folders;
use crate::model::exit::Exit;
use crate::platform::arm::Arm;
use anyhow::Context;

/// Starts a session for each question that has none yet and can have one here, and adds what came out to the history.
/// [`Exit::Regression`] where one of them confirmed one.
///
/// # Errors
/// When this program cannot be started again.
pub(super) fn confirm(history: &History, questions: &[Question]) -> anyhow::Result<Exit> {
    let program = env::current_exe().context("find this program")?;
    let folders = Folders::from_env();
    let mut exits = Vec::new();
    for question in questions {
        match obstacle(question, &folders.project) {
            Some(why) => eprintln!("not started: {}: {why}", question.about()),
            None => {
                eprintln!("started: cargo xtask {}", question.command.join(" "));
                let sessions = || list_sessions(&folders.comparisons());
                let before: BTreeSet<PathBuf> = sessions().into_iter().collect();
                let exit = answered(&program, &question.command)?;
                keep(history, sessions().into_iter().filter(|dir| !before.contains(dir)));
                exits.push(exit);
                if exit == Exit::Interrupted {
                    break;
                }
            }
        }
    }
    Ok(gravest(&exits))
}

/// Why the question is not asked again; `None` where it is.
fn obstacle(question: &Question, project: &Path) -> Option<String> {
    if let Some((session, verdict)) = &question.answer {
        return Some(format!("answered by {session}: {verdict}"));
    }
    let Some(arms) = &question.arms else { return question.why_not.clone() };
    [&arms.a, &arms.b].into_iter().find_map(|arm| missing(arm, project))
}

/// What an arm needs and is not here.
fn missing(arm: &str, project: &Path) -> Option<String> {
    let settings = arm.parse::<Arm>().ok()?.settings;
    if let Some(revision) = settings.guests.filter(|revision| !has_revision(project, revision)) {
        return Some(format!("revision {revision} is not in this repository: fetch it"));
    }
    let mut paths = [settings.runtime, settings.qemu, settings.images].into_iter().flatten();
    paths.find(|path| !path.exists()).map(|path| format!("{} is not here any more", path.display()))
}

fn has_revision(project: &Path, revision: &str) -> bool {
    let mut git = Command::new("git");
    git.arg("-C").arg(project).args(["cat-file", "-e"]).arg(format!("{revision}^{{commit}}"));
    git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    git.status().is_ok_and(|status| status.success())
}

/// Runs `program` with the question's words. What it prints is for people, while our output may be for a program.
fn answered(program: &Path, command: &[String]) -> anyhow::Result<Exit> {
    let out = io::stderr().as_fd().try_clone_to_owned().context("share the error output")?;
    let status = Command::new(program).args(command).stdout(Stdio::from(out)).status();
    let status = status.with_context(|| format!("start {}", program.display()))?;
    Ok(match status.code() {
        Some(0) => Exit::Fine,
        Some(1) => Exit::Regression,
        Some(130) => Exit::Interrupted,
        _ => Exit::Failure,
    })
}

/// Adds the new sessions, so that the question is not asked again.
fn keep(history: &History, sessions: impl Iterator<Item = PathBuf>) {
    for dir in sessions {
        let session = read_session_file(&dir).map_err(anyhow::Error::from);
        if let Err(e) = session.and_then(|session| Ok(history.add_session(&session)?)) {
            eprintln!("not added: {e:#}");
        }
    }
}

/// The exit code of several sessions: a regression speaks over everything but the user's own stop.
fn gravest(exits: &[Exit]) -> Exit {
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
    fn the_code_of_a_session_is_its_answer() {
        let of = |program: &str| answered(Path::new(program), &[]).unwrap();
        assert_eq!((of("true"), of("false")), (Exit::Fine, Exit::Regression));
        assert!(answered(Path::new("/nowhere/at/all"), &[]).is_err());
    }

    #[test]
    fn a_regression_speaks_over_trouble_and_the_users_stop_over_both() {
        assert_eq!(gravest(&[]), Exit::Fine);
        assert_eq!(gravest(&[Exit::Fine, Exit::Failure, Exit::Regression]), Exit::Regression);
        assert_eq!(gravest(&[Exit::Regression, Exit::Interrupted]), Exit::Interrupted);
    }

    #[test]
    fn what_an_arm_needs_and_is_not_here_is_named() {
        let project = Folders::from_env().project;
        let why = |a: &str, b: &str| obstacle(&question(a, b), &project);
        let gone = why("oci:crun,runtime=/nowhere/crun,append=x", "oci:crun,runtime=/proc/self/exe");
        assert_eq!(gone.as_deref(), Some("/nowhere/crun is not here any more"));
        let unknown = why("youki,guests=0000000000000000000000000000000000000000", "youki");
        assert!(unknown.is_some_and(|why| why.ends_with("is not in this repository: fetch it")));
        let here = "oci:crun,runtime=/proc/self/exe";
        assert_eq!(why(here, here), None);
    }

    #[test]
    fn what_is_answered_or_has_no_arms_is_not_started() {
        let project = Folders::from_env().project;
        let answer = Some(("20261121-084514-3f9a".parse().unwrap(), crate::compare::rule::Verdict::Equivalent));
        let answered = Question { answer, ..question("a", "b") };
        assert_eq!(obstacle(&answered, &project).as_deref(), Some("answered by 20261121-084514-3f9a: EQUIVALENT"));
        let none = Question { arms: None, why_not: Some("the kernel".to_owned()), ..question("a", "b") };
        assert_eq!(obstacle(&none, &project).as_deref(), Some("the kernel"));
    }
}
