//! The null control: A once more beside A and B, which speaks against a case where it differs from A.

use super::contender::judged;
use super::{Call, Random, Same, Source};
use featherweight::compare::rule::{Judge, Stage, block_difference};
use featherweight::model::units::Direction;

/// What a session with a null control came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Controlled {
    /// What would be said of B without it.
    pub call: Call,
    /// Whether it differs from A: then nothing is said of B.
    pub is_invalid: bool,
}

/// One session of our rule in blocks of three arms. As in `ab`, A and B alone decide when it ends. It is not blind: the control
/// is known to be A. `None` where not one block could be measured.
pub fn controlled(source: &mut Same<'_>, random: &mut Random) -> Option<Controlled> {
    let rule = source.rule();
    let mut null = Judge::new(rule);
    let next = || {
        let (pair, control) = source.controlled_block(rule.runs, random)?;
        let difference = |values: &[f64]| block_difference(Direction::Lower, &pair.a, values);
        // To a null control the stages are one, and the second has no end of its own.
        null.push(Stage::Second, difference(&control)?);
        difference(&pair.b)
    };
    let (call, _) = judged(rule, next)?;
    Some(Controlled { call, is_invalid: null.differs() })
}
