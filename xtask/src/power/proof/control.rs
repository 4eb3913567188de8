//! The null control: A once more, next to A and B. A case in which it differs from A is invalid.

use super::contender::judged;
use super::{Call, Random, Same, Source};
use featherweight::compare::rule::{Judge, Stage, block_difference};
use featherweight::model::units::Direction;

/// The outcome of a session with a null control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Controlled {
    /// The decision about B without the control.
    pub call: Call,
    /// Whether the control differs from A, so that there is no verdict on B.
    pub is_invalid: bool,
}

/// One session of our rule in blocks of three arms. As in `ab`, only A and B decide when it ends. It is not blind, since the
/// control is known to be A. `None` without any block.
pub fn controlled(source: &mut Same<'_>, random: &mut Random) -> Option<Controlled> {
    let rule = source.rule();
    let mut null = Judge::new(rule);
    let next = || {
        let (pair, control) = source.controlled_block(rule.runs, random)?;
        let difference = |values: &[f64]| block_difference(Direction::Lower, &pair.a, values);
        // The null control has a single stage without an early end.
        null.push(Stage::Second, difference(&control)?);
        difference(&pair.b)
    };
    let (call, _) = judged(rule, next)?;
    Some(Controlled { call, is_invalid: null.differs() })
}
