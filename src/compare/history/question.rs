//! A change point as a question: the two arms that would answer it, and the answer if there is one.
//!
//! Pure. Arms need something that one host can have twice: guests of two revisions, or two programs of a runtime.

use serde::Serialize;

use super::session::PROGRAMS;
use super::unanswerable::Unanswerable;
use super::{Change, Entry, SessionKind, Track, parameters};
use crate::compare::rule::Verdict;
use crate::model::attacker::Attacker;
use crate::model::record::Experiment;
use crate::model::run::RunId;
use crate::platform::arm::{Arm, ArmError};

/// The question of a change point.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// The platform and the case.
    pub subject: String,
    /// The changes, one text for each metric: `boot 4.9 % worse`.
    pub shifts: Vec<String>,
    /// The last session before the change and the first one after it.
    pub between: (RunId, RunId),
    /// The known differences between before and after.
    pub differences: Vec<String>,
    /// The arms that would answer it.
    pub arms: Option<Arms>,
    /// Why there are no arms.
    pub why_not: Option<String>,
    /// The arguments of `cargo xtask` that answer it; empty without arms.
    pub command: Vec<String>,
    /// The session that answered it, with its verdict.
    pub answer: Option<(RunId, Verdict)>,
}

/// The arms of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arms {
    /// The arm as before the change.
    pub a: String,
    /// The arm as after the change.
    pub b: String,
    /// The only difference between them.
    pub of: String,
}

/// The questions of the latest changes of all `tracks`. Changes that one session would answer become one question.
pub fn questions(tracks: &[Track<'_>], all: &[Entry]) -> Vec<Question> {
    let mut questions: Vec<Question> = Vec::new();
    for (one, change) in tracks.iter().filter_map(|one| Some((one, one.changes.last()?))) {
        let question = question(one, change, all);
        match questions.iter_mut().find(|other| other.is_one_with(&question)) {
            Some(other) => other.add(question),
            None => questions.push(question),
        }
    }
    questions
}

fn question(track: &Track<'_>, change: &Change<'_>, all: &[Entry]) -> Question {
    let (before, after) = (change.before, change.after);
    let request = options(after).and_then(|options| Ok(AbRequest { options, ..arms(before, after)? }));
    let (request, why_not) = match request {
        Ok(request) => (Some(request), None),
        Err(why) => (None, Some(why.to_string())),
    };
    Question {
        subject: track.name(),
        shifts: vec![format!("{} {}", after.metric, change.in_words())],
        between: (before.session.clone(), after.session.clone()),
        differences: change.differences.clone(),
        command: request.as_ref().map(|request| request.command(after)).unwrap_or_default(),
        answer: request.as_ref().and_then(|request| request.answer(after, all)),
        arms: request.map(|AbRequest { a, b, of, .. }| Arms { a: a.to_string(), b: b.to_string(), of: of.to_owned() }),
        why_not,
    }
}

impl Question {
    /// The change in one line.
    pub fn about(&self) -> String {
        let (before, after) = &self.between;
        format!("{}: {}, between {before} and {after}", self.subject, self.shifts.join(", "))
    }

    /// Whether one session answers both questions.
    fn is_one_with(&self, other: &Question) -> bool {
        let head = |question: &Question| {
            let end = question.command.iter().position(|word| word == METRIC).unwrap_or(0);
            question.command[..end].to_vec()
        };
        self.arms.is_some() && self.between == other.between && head(self) == head(other)
    }

    fn add(&mut self, other: Question) {
        self.shifts.extend(other.shifts);
        if let (Some(mine), Some(theirs)) = (self.command.last_mut(), other.command.last()) {
            *mine = format!("{mine},{theirs}");
        }
        // A question is answered if all its metrics are; the worst answer counts.
        self.answer = match (self.answer.take(), other.answer) {
            (Some(a), Some(b)) => Some(if b.1 == Verdict::Regressed { b } else { a }),
            _ => None,
        };
    }
}

/// The option that a command ends with, so that metrics can be added.
const METRIC: &str = "--metric";

/// A command line of `cargo xtask ab`.
struct AbRequest {
    a: Arm,
    b: Arm,
    /// The only difference between the arms.
    of: &'static str,
    /// The options that select the case and its parameters.
    options: Vec<String>,
}

impl AbRequest {
    fn command(&self, entry: &Entry) -> Vec<String> {
        let (a, b) = (self.a.to_string(), self.b.to_string());
        let words = ["ab", "--a", &a, "--b", &b, "--bench", entry.experiment.name()].map(str::to_owned);
        let metric = [METRIC.to_owned(), entry.metric.clone()];
        words.into_iter().chain(self.options.iter().cloned()).chain(metric).collect()
    }

    /// The last session that compared these arms in that metric, with its verdict unless that is INVALID.
    fn answer(&self, after: &Entry, all: &[Entry]) -> Option<(RunId, Verdict)> {
        let is_it = |entry: &&Entry| {
            entry.kind == SessionKind::Ab
                && entry.verdict != Some(Verdict::Invalid)
                && (&entry.host, &entry.metric, &entry.case) == (&after.host, &after.metric, &after.case)
                && options(entry).is_ok_and(|options| options == self.options)
                && entry.anchor.name.parse::<Arm>().is_ok_and(|a| a == self.a)
                && arm(entry).is_ok_and(|b| b == self.b)
        };
        let last = all.iter().filter(is_it).max_by(|a, b| a.session.cmp(&b.session))?;
        Some((last.session.clone(), last.verdict?))
    }
}

/// The options that select the entry's case and its parameters.
///
/// # Errors
/// When `ab` does not support them.
fn options(entry: &Entry) -> Result<Vec<String>, Unanswerable> {
    let unknown = || Unanswerable::Case(entry.case.clone());
    let parts: Vec<&str> = entry.case.split('/').collect();
    let pair = |option: &str, value: &str| vec![option.to_owned(), value.to_owned()];
    let (experiment, workload, rest) = match parts.as_slice() {
        [experiment, workload, rest @ ..] => (*experiment, *workload, rest),
        _ => return Err(unknown()),
    };
    let rest = match (entry.experiment, rest) {
        _ if experiment != entry.experiment.name() => return Err(unknown()),
        // References and placebos have the same kind of name as attacked cases.
        (Experiment::Isolation, [placement, neighbor]) if neighbor.parse::<Attacker>().is_ok() => {
            [pair("--placement", placement), pair("--attacker", neighbor)].concat()
        }
        (Experiment::Isolation, _) => return Err(unknown()),
        (_, [background]) if background.parse::<u32>().is_ok() => pair("--background", background),
        _ => return Err(unknown()),
    };
    Ok([pair("--workload", workload), rest, parameters::options(&entry.parameters)?].concat())
}

/// The two arms that differ in what changed; everything else is as after the change.
fn arms(before: &Entry, after: &Entry) -> Result<AbRequest, Unanswerable> {
    let arm = arm(after)?;
    let own_guests = arm.settings.guests.is_none() && arm.settings.images.is_none();
    let request = |key: &str, a: &str, b: &str, of| {
        let with = |value: &str| {
            let mut arm = arm.clone();
            arm.set(key, value).map(|()| arm)
        };
        Ok(AbRequest { a: with(a)?, b: with(b)?, of, options: Vec::new() })
    };
    let guests_differ = before.image.is_some() && after.image.is_some() && before.image != after.image;
    match (&before.revision, &after.revision) {
        (Some(a), Some(b)) if a != b && guests_differ && own_guests => return request("guests", a, b, "the guests"),
        _ => {}
    }
    match programs(before, after) {
        Some((key, a, b)) => request(key, a, b, "the program"),
        None => Err(Unanswerable::new(before, after, guests_differ)),
    }
}

/// The arm of an entry, including the paths of its programs.
fn arm(entry: &Entry) -> Result<Arm, ArmError> {
    let mut arm: Arm = entry.platform.parse()?;
    for (key, path) in PROGRAMS.iter().filter_map(|key| Some((key, path(entry, key)?))) {
        arm.set(key, path)?;
    }
    Ok(arm)
}

/// The path of an arm's program.
fn path<'a>(entry: &'a Entry, key: &str) -> Option<&'a str> {
    entry.versions.get(key).filter(|path| path.starts_with('/')).map(String::as_str)
}

/// A program whose path changed.
fn programs<'a>(before: &'a Entry, after: &'a Entry) -> Option<(&'static str, &'a str, &'a str)> {
    PROGRAMS.into_iter().find_map(|key| {
        let (a, b) = (path(before, key)?, path(after, key)?);
        (a != b).then_some((key, a, b))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::stepped;
    use super::super::tracks;
    use super::*;

    fn questions_of(entries: &[Entry]) -> Vec<Question> {
        questions(&tracks(entries), entries)
    }

    fn arms_of(change: impl Fn(&mut Entry)) -> Result<Arms, String> {
        let mut entries = stepped(40, 25, 0.05);
        entries.iter_mut().skip(25).for_each(change);
        let question = questions_of(&entries).remove(0);
        question.arms.ok_or_else(|| question.why_not.unwrap())
    }

    #[test]
    fn other_guests_of_known_revisions_are_two_arms() {
        let question = questions_of(&stepped(40, 25, 0.05)).remove(0);
        let (a, b) = (format!("youki,guests={}", "a".repeat(40)), format!("youki,guests={}", "b".repeat(40)));
        let expected = ["ab", "--a", &a, "--b", &b, "--bench", "boot", "--workload", "hello"];
        assert_eq!(question.command[..9], expected);
        assert_eq!(question.command[9..], ["--background", "0", "--metric", "boot"]);
        assert_eq!(question.answer, None);
    }

    #[test]
    fn several_metrics_of_one_case_are_one_session() {
        let mut entries = stepped(40, 25, 0.05);
        let other: Vec<Entry> =
            entries.iter().map(|entry| Entry { metric: "whole".to_owned(), ..entry.clone() }).collect();
        entries.extend(other);
        let questions = questions_of(&entries);
        assert_eq!(questions.len(), 1);
        assert_eq!(questions[0].command.last().map(String::as_str), Some("boot,whole"));
    }

    #[test]
    fn a_runtime_under_two_paths_is_two_arms() {
        let mut entries = stepped(40, 25, 0.05);
        for (i, entry) in entries.iter_mut().enumerate() {
            entry.image = None;
            entry.platform = "oci:crun,append=x".to_owned();
            entry.versions.insert("runtime".to_owned(), format!("/opt/{}/crun", if i < 25 { 1 } else { 2 }));
        }
        let arms = questions_of(&entries).remove(0).arms.unwrap();
        let arm = |n: u32| format!("oci:crun,runtime=/opt/{n}/crun,append=x");
        assert_eq!((arms.a, arms.b), (arm(1), arm(2)), "in the order in which arms are written");
    }

    #[test]
    fn a_question_without_arms_has_a_reason() {
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
        assert!(why(&|_| {}).starts_with("no recorded fact differs"));
        assert!(why(&|e| e.kernel = Some("6.9".to_owned())).starts_with("the kernel differs"));
        assert!(why(&|e| e.facts = "0".repeat(12)).starts_with("the host's microcode"));
        assert!(why(&|e| e.revision = Some("c".repeat(40))).starts_with("only the harness differs"));
        assert!(why(&|e| e.image = Some("c".repeat(64))).starts_with("the guests differ"));
        let version = why(&|e| drop(e.versions.insert("youki".to_owned(), "0.8".to_owned())));
        assert!(version.starts_with("youki was libcontainer 0.7.0 and is 0.8: install"), "{version}");
    }

    /// A session that compared the arms of the question in the case of `like`.
    fn session_of(question: &Question, like: &Entry) -> Entry {
        let arms = question.arms.clone().unwrap();
        Entry {
            kind: SessionKind::Ab,
            session: "20261201-000000-00ab".parse().unwrap(),
            platform: arms.b,
            anchor: super::super::Anchor { id: "x".to_owned(), name: arms.a },
            verdict: Some(Verdict::Regressed),
            ..like.clone()
        }
    }

    #[test]
    fn a_session_of_the_same_arms_is_the_answer() {
        let mut entries = stepped(40, 25, 0.05);
        let answer = session_of(&questions_of(&entries)[0], &entries[30]);
        let other_rows = Entry { parameters: [("rows".to_owned(), "1".to_owned())].into(), ..answer.clone() };
        entries.push(other_rows);
        assert_eq!(questions_of(&entries)[0].answer, None);
        entries.push(answer.clone());
        let noisy = "20261202-000000-00ab".parse().unwrap();
        entries.push(Entry { session: noisy, verdict: Some(Verdict::Invalid), ..answer.clone() });
        assert_eq!(questions_of(&entries)[0].answer, Some((answer.session, Verdict::Regressed)));
    }

    #[test]
    fn guests_on_a_named_program_are_compared_there() {
        let mut entries = stepped(40, 25, 0.05);
        for entry in &mut entries {
            entry.platform = "oci:crun,append=x".to_owned();
            entry.versions.insert("runtime".to_owned(), "/opt/crun".to_owned());
        }
        let question = questions_of(&entries).remove(0);
        let arm = |c: &str| format!("oci:crun,runtime=/opt/crun,guests={},append=x", c.repeat(40));
        assert_eq!(question.command[1..5], ["--a", &arm("a"), "--b", &arm("b")]);
        let platform = format!("oci:crun,guests={},append=x", "b".repeat(40));
        entries.push(Entry { platform, ..session_of(&question, &entries[30]) });
        assert!(questions_of(&entries)[0].answer.is_some());
    }

    #[test]
    fn every_kind_of_case_has_its_options() {
        let options_of = |experiment: Experiment, case: &str| {
            let rows = [("rows".to_owned(), "60000".to_owned())].into();
            let parameters = if case.contains("sqlite") { rows } else { std::collections::BTreeMap::new() };
            let entry = Entry { experiment, case: case.to_owned(), parameters, ..stepped(1, 0, 0.0).remove(0) };
            options(&entry).map(|options| options.join(" "))
        };
        assert_eq!(options_of(Experiment::Boot, "boot/hello/100").unwrap(), "--workload hello --background 100");
        assert_eq!(options_of(Experiment::Footprint, "footprint/sleep/0").unwrap(), "--workload sleep --background 0");
        assert_eq!(
            options_of(Experiment::Isolation, "isolation/sqlite/same-thread/prime").unwrap(),
            "--workload sqlite --placement same-thread --attacker prime --rows 60000"
        );
        for neighbor in ["reference", "placebo", "measured"] {
            let case = format!("isolation/sqlite/same-thread/{neighbor}");
            assert!(options_of(Experiment::Isolation, &case).is_err(), "{neighbor}");
        }
        assert!(options_of(Experiment::Scalability, "scalability/sqlite/4-victims").is_err());
        assert!(options_of(Experiment::Boot, "footprint/sleep/0").is_err());
        assert!(options_of(Experiment::Boot, "").is_err());
    }
}
