//! Interrupting and continuing: the blocks and verdicts are those of a session without an interruption.

use std::fs;

use rstest::rstest;

use super::*;
use crate::host::ledger::Ledger;

/// Raises the interrupt at the launch of that number.
fn interrupted_at(fixture: &Fixture, at: u64) -> TestHook {
    let interrupt = fixture.interrupt.clone();
    altered(move |launch, _| {
        if launch == at {
            interrupt.raise();
        }
    })
}

/// The folders of a session of a slower arm that was interrupted at that launch.
fn interrupted(at: u64) -> (Fixture, Ran) {
    let fixture = Fixture::new();
    let ran = fixture
        .run_with_hook(fixture.new_session(question("fake", "fake,inject=busy:250us")), interrupted_at(&fixture, at));
    assert_eq!(ran.stored.file.outcome, RunOutcome::Interrupted);
    (fixture.again(), ran)
}

fn edit(file: &std::path::Path, change: impl FnOnce(String) -> String) {
    fs::write(file, change(fs::read_to_string(file).expect("readable"))).expect("writable");
}

#[rstest]
#[case::in_a_first_trial(1)]
#[case::before_a_block(3)]
#[case::within_a_block(7)]
#[case::in_the_second_stage(40)]
fn an_interrupted_session_comes_to_the_same_blocks_and_verdicts(#[case] at: u64) {
    let whole = Fixture::new().run(question("fake", "fake,inject=busy:250us"));
    let (fixture, torn) = interrupted(at);
    assert!(torn.summary.file.comparison.is_none());
    let ran = fixture.run_with_hook(fixture.resume("last"), TestHook::default());
    assert_eq!((ran.summary.dir.clone(), ran.stored.file.outcome), (torn.summary.dir.clone(), RunOutcome::Complete));
    assert_eq!((ran.orders(), ran.verdicts()), (whole.orders(), whole.verdicts()));
    assert_eq!(ran.stored.trials[..torn.stored.trials.len()], torn.stored.trials, "what was recorded is as it was");
    let attempts = |ran: &Ran| ran.stored.trials.iter().filter(|trial| trial.attempt > 0).count();
    let is_torn = !torn.stored.trials.len().is_multiple_of(3);
    assert_eq!(attempts(&ran), if is_torn { 3 } else { 0 }, "a torn block is measured again, and only that");
}

#[test]
fn a_session_whose_harness_was_killed_continues() {
    let (fixture, torn) = interrupted(12);
    edit(&torn.summary.dir.join(SESSION_FILE), |text| text.replace("\"interrupted\"", "\"running\""));
    let trials = torn.summary.dir.join(crate::store::TRIALS_FILE);
    edit(&trials, |text| text[..text.len() - 7].to_owned());
    for run in std::iter::once(&torn.stored.file.run).chain(&torn.stored.file.runners) {
        drop(Ledger::open(&fixture.folders().state, run, crate::platform::reap_engines).expect("what a crash leaves"));
    }
    let ran = fixture.run_with_hook(fixture.resume("last"), TestHook::default());
    assert_eq!((ran.verdicts(), ran.stored.warnings), (vec![Verdict::Regressed; 2], Vec::new()));
}

#[rstest]
#[case::complete("\"interrupted\"", "\"complete\"", "is complete; there is nothing to continue")]
#[case::another_version("simulated: its", "simulates its", "or its capabilities changed")]
#[case::another_guest("\"digest\": \"simulated\"", "\"digest\": \"other\"", "guest hello has changed")]
#[case::another_kernel("\"kernel\": \"", "\"kernel\": \"9", "kernel: 9")]
#[case::newer("\"schema\": 1", "\"schema\": 9", "has schema 9")]
fn a_session_that_does_not_fit_is_refused_and_untouched(#[case] from: &str, #[case] to: &str, #[case] reason: &str) {
    let (fixture, torn) = interrupted(12);
    let file = torn.summary.dir.join(SESSION_FILE);
    edit(&file, |text| {
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1)
    });
    let before = fs::read(&file).expect("readable");
    let error =
        fixture.try_run(fixture.resume(torn.stored.file.run.as_str()), TestHook::default(), None).expect_err("refused");
    let text = error.to_string();
    assert!(text.starts_with("--resume: ") && text.contains(reason), "{text}");
    assert_eq!(fs::read(&file).expect("readable"), before);
    assert_eq!(error.exit(), Exit::BadInput);
}

#[rstest]
#[case::of_a_new_session(None)]
#[case::of_one_that_was_continued(Some(12))]
fn a_second_stage_that_is_refused_keeps_what_was_measured(#[case] torn: Option<u64>) {
    let fixture = torn.map_or_else(Fixture::new, |at| interrupted(at).0);
    let request = if torn.is_some() {
        fixture.resume("last")
    } else {
        fixture.new_session(question("fake", "fake,inject=busy:250us"))
    };
    let summary = fixture.try_run(request, made_anew(), None).expect("it has measured");
    let [problem] = summary.problems.as_slice() else { panic!("{:?}", summary.problems) };
    assert!(problem.contains("what fake/hello boots has changed"), "{problem}");
    assert_eq!((summary.file.outcome, summary.exit()), (RunOutcome::Stopped, Exit::Failure));
    let stored = read_session(&summary.dir).expect("it is there");
    assert_eq!((stored.file, stored.trials.len()), (summary.file, 36), "a first stage of twelve blocks");
    let ran = fixture.run_with_hook(fixture.resume("last"), TestHook::default());
    assert_eq!(ran.verdicts(), [Verdict::Regressed; 2]);
}

#[test]
fn a_program_that_was_built_anew_is_another() {
    let (_fixture, torn) = interrupted(12);
    let before = torn.stored.file;
    let of = |digest: &str| {
        let mut file = before.clone();
        let entry = file.arms.b.entry.as_mut().expect("it can run");
        entry.facts.notes.push(format!("set: runtime=/x, SHA-256 {digest}"));
        file
    };
    let refused = resume::same_environment(&of("00ff"), &of("11ff")).expect_err("refused").to_string();
    assert!(refused.contains("SHA-256 00ff and is ") && refused.contains("SHA-256 11ff"), "{refused}");
    assert!(resume::same_environment(&of("00ff"), &of("00ff")).is_ok());
}

#[test]
fn an_arm_keeps_its_name_and_its_revision_is_a_commit() {
    let base = question("native,guests=HEAD", "native");
    let mut file = SessionFile::new(base, Vec::new());
    session::pin_revisions(&mut file, &Folders::from_env()).expect("a commit");
    assert_eq!(file.arms.a.name, "native,guests=HEAD");
    assert!(file.arms.a.arm.settings.guests.is_some_and(|commit| commit.len() == 40));
}

#[test]
fn nothing_unfinished_and_a_session_in_progress_are_refused() {
    let fixture = Fixture::new();
    let none = fixture.try_run(fixture.resume("last"), TestHook::default(), None).expect_err("refused").to_string();
    assert!(none.starts_with("--resume: no unfinished session under "), "{none}");
    let (fixture, torn) = interrupted(12);
    let held = Ledger::open(&fixture.folders().state, &torn.stored.file.run, crate::platform::reap_engines)
        .expect("a living session");
    let error = Session::open(fixture.resume("last"), fixture.folders(), fixture.interrupt.clone(), Vec::new())
        .expect_err("refused");
    assert!(error.to_string().contains("still in progress"), "{error}");
    assert!(held.dir().is_dir(), "the living session keeps its ledger");
}
