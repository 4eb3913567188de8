//! From the exit code of `cargo xtask ab` and the stored verdicts to the verdict of the gate and the end of the job.

/// The exit code when nothing was compared.
const FAILURE: i32 = 4;

/// What the gate concludes about the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every metric was compared, and none regressed.
    Passed,
    /// A regression is confirmed.
    Regressed,
    /// Some metric shows neither a regression nor its absence.
    Inconclusive,
    /// The host was too noisy, or the null control differed.
    Invalid,
    /// No arm could run here.
    NothingRan,
    /// An input is wrong.
    BadInput,
    /// The user or the runner stopped the measurement.
    Interrupted,
    /// An arm failed, the measurement stopped, something was left behind, or nothing was compared.
    Failed,
}

/// An exit code with its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The exit code; it decides about the job.
    pub(super) code: i32,
    /// The verdict, for readers and for later steps.
    pub(super) verdict: Verdict,
}

impl Outcome {
    /// The outcome by the exit code of `ab` and the verdicts of its session, one per metric and case.
    pub(super) fn new(code: i32, verdicts: &[String]) -> Self {
        let verdict = match code {
            0 => without_regression(verdicts),
            1 => Verdict::Regressed,
            2 => Verdict::BadInput,
            3 => Verdict::NothingRan,
            130 => Verdict::Interrupted,
            _ => Verdict::Failed,
        };
        // A measurement without a comparison has not passed.
        let code = if (code, verdict) == (0, Verdict::Failed) { FAILURE } else { code };
        Self { code, verdict }
    }
}

/// The verdict of exit code 0. Doubt about one metric is doubt about the change.
fn without_regression(verdicts: &[String]) -> Verdict {
    let has = |name: &str| verdicts.iter().any(|verdict| verdict == name);
    match verdicts {
        [] => Verdict::Failed,
        _ if has("INVALID") => Verdict::Invalid,
        _ if has("INCONCLUSIVE") => Verdict::Inconclusive,
        _ => Verdict::Passed,
    }
}

impl Verdict {
    /// The name in the action's output, which workflows of others compare.
    pub(super) fn name(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Regressed => "regressed",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Invalid => "invalid",
            Verdict::NothingRan => "nothing-ran",
            Verdict::BadInput => "bad-input",
            Verdict::Interrupted => "interrupted",
            Verdict::Failed => "trouble",
        }
    }

    /// One sentence for readers of the pull request.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Verdict::Passed => "No regression.",
            Verdict::Regressed => "Regression, confirmed by a second, independent measurement.",
            Verdict::Inconclusive => {
                "INCONCLUSIVE: no regression is confirmed, but the measurement cannot rule one out for every metric. \
                 This does not fail the job."
            }
            Verdict::Invalid => {
                "INVALID: the measurement contradicts itself, so it says nothing about the change. \
                 This does not fail the job. Run it again."
            }
            Verdict::NothingRan => "Nothing could run, so the effect of the change is unknown.",
            Verdict::BadInput => "The gate cannot use its inputs.",
            Verdict::Interrupted => "The measurement was interrupted.",
            Verdict::Failed => "Failure: an arm failed, the measurement did not finish, or something was left behind.",
        }
    }
}

/// Whether the job fails when the gate could not measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailurePolicy {
    /// It fails: a gate that is green because nothing ran is worse than none.
    Fail,
    /// It passes. This is for platforms that not every runner can execute.
    Warn,
}

impl FailurePolicy {
    /// The policy by the input `trouble`. An unknown word fails the job rather than hiding a failure.
    pub(super) fn from_input(input: Option<&str>) -> Self {
        match input {
            Some("warn") => FailurePolicy::Warn,
            _ => FailurePolicy::Fail,
        }
    }

    /// The exit code of the job for a measurement's. A regression and bad input always fail.
    pub(super) fn code_of_job(self, code: i32) -> i32 {
        match (self, code) {
            (_, 0..=2) | (FailurePolicy::Fail, _) => code,
            (FailurePolicy::Warn, _) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::passed(0, &["EQUIVALENT", "IMPROVED", "SKIPPED"], 0, Verdict::Passed)]
    #[case::doubtful(0, &["EQUIVALENT", "INCONCLUSIVE"], 0, Verdict::Inconclusive)]
    #[case::contradictory(0, &["INCONCLUSIVE", "INVALID"], 0, Verdict::Invalid)]
    #[case::nothing_was_compared(0, &[], 4, Verdict::Failed)]
    #[case::regressed(1, &["REGRESSED", "INVALID"], 1, Verdict::Regressed)]
    #[case::bad_input(2, &[], 2, Verdict::BadInput)]
    #[case::nothing_ran(3, &["SKIPPED"], 3, Verdict::NothingRan)]
    #[case::an_arm_failed(4, &["INVALID"], 4, Verdict::Failed)]
    #[case::interrupted(130, &["EQUIVALENT"], 130, Verdict::Interrupted)]
    #[case::killed(137, &[], 137, Verdict::Failed)]
    fn the_exit_code_decides_and_then_the_verdicts(
        #[case] code: i32,
        #[case] verdicts: &[&str],
        #[case] expected_code: i32,
        #[case] verdict: Verdict,
    ) {
        let verdicts: Vec<String> = verdicts.iter().map(|&verdict| verdict.to_owned()).collect();
        assert_eq!(Outcome::new(code, &verdicts), Outcome { code: expected_code, verdict });
    }

    #[rstest]
    #[case(0, 0)]
    #[case(1, 1)]
    #[case(2, 2)]
    #[case(3, 0)]
    #[case(4, 0)]
    #[case(130, 0)]
    #[case(137, 0)]
    fn only_a_failed_measurement_may_pass(#[case] code: i32, #[case] with_warn: i32) {
        assert_eq!(FailurePolicy::Fail.code_of_job(code), code);
        assert_eq!(FailurePolicy::Warn.code_of_job(code), with_warn);
    }

    #[rstest]
    #[case(Some("warn"), FailurePolicy::Warn)]
    #[case(Some("fail"), FailurePolicy::Fail)]
    #[case(Some("Warn"), FailurePolicy::Fail)]
    #[case(Some(""), FailurePolicy::Fail)]
    #[case(None, FailurePolicy::Fail)]
    fn a_job_fails_unless_a_warning_is_asked_for(#[case] input: Option<&str>, #[case] expected: FailurePolicy) {
        assert_eq!(FailurePolicy::from_input(input), expected);
    }
}
