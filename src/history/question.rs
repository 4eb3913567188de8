//! A change point as a question: which two arms would answer it, and has it been answered already.
//!
//! Pure. Only what can be had twice on one host can be an arm: guests of two revisions, two programs of a runtime.

use serde::Serialize;

use super::intake::PROGRAMS;
use super::{Change, Entry, Kind, Track};
use crate::regression::Verdict;
use crate::run::RunId;
use crate::store::Experiment;

/// The question that a change point is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// What is measured where.
    pub subject: String,
    /// What changed: `boot 4.9 % worse`, one text a metric.
    pub shifts: Vec<String>,
    /// The last session before and the first after.
    pub between: (RunId, RunId),
    /// What is known to differ between before and after.
    pub differences: Vec<String>,
    /// The arms that would answer it.
    pub arms: Option<Arms>,
    /// Why there are none.
    pub why_not: Option<String>,
    /// What `cargo xtask` is called with to have it answered; empty without arms.
    pub command: Vec<String>,
    /// The session that answered it, and how.
    pub answer: Option<(RunId, Verdict)>,
}

/// Before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arms {
    /// Before.
    pub a: String,
    /// After.
    pub b: String,
    /// What alone differs in them.
    pub of: String,
}

/// The questions of all `tracks`: of each the latest change, those that one session would answer put together.
pub fn questions(tracks: &[Track<'_>], all: &[Entry]) -> Vec<Question> {
    let mut questions: Vec<Question> = Vec::new();
    for (one, change) in tracks.iter().filter_map(|one| Some((one, one.changes.last()?))) {
        let question = question(one, change, all);
        match questions.iter_mut().find(|other| other.is_one_with(&question)) {
            Some(other) => other.take(question),
            None => questions.push(question),
        }
    }
    questions
}

fn question(track: &Track<'_>, change: &Change<'_>, all: &[Entry]) -> Question {
    let (before, after) = (change.before, change.after);
    let arms = arms(before, after).and_then(|arms| Ok((case_options(after)?, arms)));
    let (command, arms, why_not) = match arms {
        Ok((options, arms)) => (command(&arms, &options, after), Some(arms), None),
        Err(why) => (Vec::new(), None, Some(why)),
    };
    let answer = arms.as_ref().and_then(|arms| answer(arms, after, all));
    Question {
        subject: track.name(),
        shifts: vec![format!("{} {}", after.metric, change.in_words())],
        between: (before.session.clone(), after.session.clone()),
        differences: change.differences.clone(),
        arms,
        why_not,
        command,
        answer,
    }
}

impl Question {
    /// What changed, in a line.
    pub fn about(&self) -> String {
        let (before, after) = &self.between;
        format!("{}: {}, between {before} and {after}", self.subject, self.shifts.join(", "))
    }

    /// Whether one session answers both.
    fn is_one_with(&self, other: &Question) -> bool {
        let head = |question: &Question| {
            let end = question.command.iter().position(|word| word == METRIC).unwrap_or(0);
            question.command[..end].to_vec()
        };
        self.arms.is_some() && self.between == other.between && head(self) == head(other)
    }

    fn take(&mut self, other: Question) {
        self.shifts.extend(other.shifts);
        if let (Some(mine), Some(theirs)) = (self.command.last_mut(), other.command.last()) {
            *mine = format!("{mine},{theirs}");
        }
        // Answered is what has an answer in all of its metrics; the worst one counts.
        self.answer = match (self.answer.take(), other.answer) {
            (Some(a), Some(b)) => Some(if b.1 == Verdict::Regressed { b } else { a }),
            _ => None,
        };
    }
}

/// The option that a command ends with, so that metrics can be added.
const METRIC: &str = "--metric";

fn command(arms: &Arms, options: &[String], entry: &Entry) -> Vec<String> {
    let words = ["ab", "--a", &arms.a, "--b", &arms.b, "--bench", entry.experiment.name()].map(str::to_owned);
    let metric = [METRIC.to_owned(), entry.metric.clone()];
    words.into_iter().chain(options.iter().cloned()).chain(metric).collect()
}

/// The options that choose the entry's case.
fn case_options(entry: &Entry) -> Result<Vec<String>, String> {
    let unknown = || format!("`{}` is no case that `ab` can be asked for", entry.case);
    let parts: Vec<&str> = entry.case.split('/').collect();
    let pair = |option: &str, value: &str| vec![option.to_owned(), value.to_owned()];
    let (experiment, workload, rest) = match parts.as_slice() {
        [experiment, workload, rest @ ..] => (*experiment, *workload, rest),
        _ => return Err(unknown()),
    };
    if experiment != entry.experiment.name() {
        return Err(unknown());
    }
    let rest = match (entry.experiment, rest) {
        (Experiment::Isolation, [placement, neighbour]) => {
            [pair("--placement", placement), pair("--attacker", neighbour)].concat()
        }
        (_, ["0"]) => Vec::new(),
        (_, [background]) if background.parse::<u32>().is_ok() => pair("--background", background),
        _ => return Err(unknown()),
    };
    Ok([pair("--workload", workload), rest].concat())
}

/// The two arms that differ in what changed, where both can be had here.
fn arms(before: &Entry, after: &Entry) -> Result<Arms, String> {
    let arms = |key: &str, a: &str, b: &str, of: &str| {
        let arm = |entry: &Entry, value: &str| format!("{},{key}={value}", entry.platform);
        Ok(Arms { a: arm(before, a), b: arm(after, b), of: of.to_owned() })
    };
    let plain = !after.platform.contains("guests=") && !after.platform.contains("images=");
    let guests_differ = before.image.is_some() && after.image.is_some() && before.image != after.image;
    match (&before.revision, &after.revision) {
        (Some(a), Some(b)) if a != b && guests_differ && plain => {
            return arms("guests", a, b, "the guests");
        }
        _ => {}
    }
    if let Some((key, a, b)) = programs(before, after) {
        return arms(key, a, b, "the program");
    }
    Err(why_not(before, after, guests_differ))
}

/// A program whose path was another one.
fn programs<'a>(before: &'a Entry, after: &'a Entry) -> Option<(&'static str, &'a str, &'a str)> {
    let path = |entry: &'a Entry, key: &str| entry.versions.get(key).filter(|path| path.starts_with('/'));
    PROGRAMS.into_iter().find_map(|key| {
        let (a, b) = (path(before, key)?, path(after, key)?);
        (a != b).then_some((key, a.as_str(), b.as_str()))
    })
}

fn why_not(before: &Entry, after: &Entry, guests_differ: bool) -> String {
    let versions = before.versions.iter().find_map(|(name, a)| {
        let b = after.versions.get(name).filter(|b| *b != a)?;
        Some(format!(
            "{name} was {a} and is {b}: install the earlier one beside it and name both programs, as in \
             --a {0},runtime=PATH --b {0}",
            after.platform
        ))
    });
    if let Some(versions) = versions {
        return versions;
    }
    if before.kernel != after.kernel {
        return "the kernel is the host's own and cannot be an arm: boot the earlier one and run the benchmark again"
            .to_owned();
    }
    if guests_differ {
        return "the guests differ, and the revisions that they were built from are not known".to_owned();
    }
    if before.revision != after.revision || before.version != after.version {
        return "only the harness differs, which both arms would share: look at what changed in it".to_owned();
    }
    "nothing that is recorded differs: look at the host".to_owned()
}

/// The arm that an entry is about, with the paths of its programs again.
fn arm(entry: &Entry) -> String {
    let path = |key: &str| Some(format!(",{key}={}", entry.versions.get(key).filter(|path| path.starts_with('/'))?));
    entry.platform.clone() + &PROGRAMS.into_iter().filter_map(path).collect::<String>()
}

/// The last session that held these arms against each other in that metric.
fn answer(arms: &Arms, asked: &Entry, all: &[Entry]) -> Option<(RunId, Verdict)> {
    let is_it = |entry: &&Entry| {
        entry.kind == Kind::Ab
            && entry.host == asked.host
            && (&entry.anchor.name, &arm(entry)) == (&arms.a, &arms.b)
            && (&entry.case, &entry.metric) == (&asked.case, &asked.metric)
    };
    let last = all.iter().filter(is_it).max_by(|a, b| a.session.cmp(&b.session))?;
    Some((last.session.clone(), last.verdict.filter(|verdict| *verdict != Verdict::Invalid)?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::stepped;
    use super::super::tracks;
    use super::*;

    fn asked(entries: &[Entry]) -> Vec<Question> {
        questions(&tracks(entries), entries)
    }

    fn arms_of(change: impl Fn(&mut Entry)) -> Result<Arms, String> {
        let mut entries = stepped(40, 25, 0.05);
        entries.iter_mut().skip(25).for_each(change);
        let question = asked(&entries).remove(0);
        question.arms.ok_or_else(|| question.why_not.unwrap())
    }

    #[test]
    fn other_guests_of_known_revisions_are_two_arms() {
        let question = asked(&stepped(40, 25, 0.05)).remove(0);
        let (a, b) = (format!("youki,guests={}", "a".repeat(40)), format!("youki,guests={}", "b".repeat(40)));
        let expected = ["ab", "--a", &a, "--b", &b, "--bench", "boot", "--workload", "hello", "--metric", "boot"];
        assert_eq!(question.command, expected);
        assert_eq!(question.answer, None);
    }

    #[test]
    fn several_metrics_of_one_case_are_one_session() {
        let mut entries = stepped(40, 25, 0.05);
        let other: Vec<Entry> =
            entries.iter().map(|entry| Entry { metric: "whole".to_owned(), ..entry.clone() }).collect();
        entries.extend(other);
        let questions = asked(&entries);
        assert_eq!(questions.len(), 1);
        assert_eq!(questions[0].command.last().map(String::as_str), Some("boot,whole"));
    }

    #[test]
    fn a_runtime_under_two_paths_is_two_arms() {
        let mut entries = stepped(40, 25, 0.05);
        for (i, entry) in entries.iter_mut().enumerate() {
            entry.image = None;
            entry.versions.insert("runtime".to_owned(), format!("/opt/{}/crun", if i < 25 { 1 } else { 2 }));
        }
        let arms = asked(&entries).remove(0).arms.unwrap();
        assert_eq!((arms.a.as_str(), arms.b.as_str()), ("youki,runtime=/opt/1/crun", "youki,runtime=/opt/2/crun"));
    }

    #[test]
    fn what_cannot_be_had_twice_is_no_arm_and_says_why() {
        let same = |e: &mut Entry| {
            e.image = Some("a".repeat(64));
            e.revision = Some("a".repeat(40));
        };
        let why = |change: &dyn Fn(&mut Entry)| {
            arms_of(|entry| {
                same(entry);
                change(entry);
            })
            .unwrap_err()
        };
        assert!(why(&|_| {}).starts_with("nothing that is recorded differs"));
        assert!(why(&|e| e.kernel = Some("6.9".to_owned())).starts_with("the kernel is the host's own"));
        assert!(why(&|e| e.revision = Some("c".repeat(40))).starts_with("only the harness differs"));
        assert!(why(&|e| e.image = Some("c".repeat(64))).starts_with("the guests differ"));
        let version = why(&|e| drop(e.versions.insert("youki".to_owned(), "0.8".to_owned())));
        assert!(version.starts_with("youki was libcontainer 0.7.0 and is 0.8: install"), "{version}");
    }

    #[test]
    fn a_session_of_the_same_arms_is_the_answer() {
        let mut entries = stepped(40, 25, 0.05);
        let arms = asked(&entries).remove(0).arms.unwrap();
        let answer = Entry {
            kind: Kind::Ab,
            session: "20261201-000000-00ab".parse().unwrap(),
            platform: arms.b.clone(),
            anchor: super::super::Anchor { id: "x".to_owned(), name: arms.a },
            verdict: Some(Verdict::Regressed),
            ..entries[30].clone()
        };
        entries.push(answer.clone());
        assert_eq!(asked(&entries)[0].answer, Some((answer.session, Verdict::Regressed)));
    }

    #[test]
    fn every_kind_of_case_has_its_options() {
        let options = |experiment: Experiment, case: &str| {
            let entry = Entry { experiment, case: case.to_owned(), ..stepped(1, 0, 0.0).remove(0) };
            case_options(&entry).map(|options| options.join(" "))
        };
        assert_eq!(options(Experiment::Boot, "boot/hello/100").unwrap(), "--workload hello --background 100");
        assert_eq!(
            options(Experiment::Isolation, "isolation/sqlite/same-thread/prime").unwrap(),
            "--workload sqlite --placement same-thread --attacker prime"
        );
        assert!(options(Experiment::Scalability, "scalability/sqlite/4-victims").is_err());
        assert!(options(Experiment::Boot, "footprint/sleep/0").is_err());
        assert!(options(Experiment::Boot, "").is_err());
    }
}
