//! Metrics of one case, some with missing values.

use super::super::evaluator::Evaluator;
use super::*;

/// A session with a slower arm, ten blocks and no decision yet.
fn ten_blocks() -> (Fixture, StoredSession) {
    let fixture = Fixture::new();
    let base =
        Question { metrics: MetricSelection::All, record: Some(10), ..question("fake", "fake,inject=busy:250us") };
    let mut stored = fixture.run(base).stored;
    stored.file.record = None;
    (fixture, stored)
}

/// Removes `removal` from B's trials in these blocks.
fn without_removal(stored: &mut StoredSession, blocks: impl Fn(u32) -> bool) {
    let trials = stored.trials.iter_mut().filter(|trial| trial.arm == ArmId::B && blocks(trial.block));
    trials.for_each(|trial| trial.record.metrics.retain(|metric| metric.name != "removal"));
}

#[test]
fn a_metric_without_ratios_is_left_out_and_stops_no_other() {
    for (lost, summary) in [(3, "it has no ratio in 6 of 10 blocks"), (0, "it has no ratio in 5 of 5 blocks")] {
        let (_fixture, mut stored) = ten_blocks();
        without_removal(&mut stored, |block| block > lost || lost == 0);
        let evaluator = Evaluator::replayed(&stored);
        assert_eq!(evaluator.left(0, Stage::First), 2, "the others take their twelve");
        let lines = evaluator.lines(None, Some("it was stopped"));
        let reason = |metric: &str| {
            let line = lines.iter().find(|line| line.metric == metric).expect("a line");
            line.decision.reason.clone().expect("a reason")
        };
        assert!(reason("removal").starts_with(summary), "{}", reason("removal"));
        assert_eq!(reason("boot"), "it was stopped");
    }
}

#[test]
fn a_metric_that_loses_a_block_now_and_then_continues() {
    let (_fixture, mut stored) = ten_blocks();
    without_removal(&mut stored, |block| block.is_multiple_of(4));
    let evaluator = Evaluator::replayed(&stored);
    assert!(evaluator.left(0, Stage::First) >= 2);
    let lines = evaluator.lines(None, None);
    assert!(lines.iter().all(|line| line.decision.reason.as_ref().is_none_or(|why| !why.contains("no ratio"))));
}
