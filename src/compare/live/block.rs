//! A block: some runs of every arm of one case, in an order that the seed decides.

use sha2::{Digest, Sha256};

use super::ArmId;
use crate::compare::rule::Stage;
use crate::measure::plan::Shuffler;

/// The arms of a session.
pub(super) fn arms(null_control: bool) -> &'static [ArmId] {
    if null_control { &[ArmId::A, ArmId::B, ArmId::Null] } else { &[ArmId::A, ArmId::B] }
}

/// The arms of the trials of one block, `runs` of each. The order depends on the arguments alone, so it never changes.
pub(super) fn order(seed: u64, case: &str, stage: Stage, block: u32, runs: usize, arms: &[ArmId]) -> Vec<ArmId> {
    let name = format!("{seed}/{case}/{stage:?}/{block}");
    let digest = Sha256::digest(name.as_bytes());
    let seed = digest.iter().take(8).fold(0, |seed: u64, &byte| seed << 8 | u64::from(byte));
    Shuffler::new(seed).shuffled(arms.iter().flat_map(|&arm| std::iter::repeat_n(arm, runs)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_every_arm_as_often_and_never_changes() {
        let order_of = |block| order(7, "boot/hello/0", Stage::First, block, 3, arms(true));
        let letters = |order: Vec<ArmId>| order.into_iter().map(|arm| &arm.name()[..1]).collect::<String>();
        assert_eq!([0, 1, 2].map(|block| letters(order_of(block))), ["nbnaaanbb", "aabnnbnab", "aanbbbnan"]);
        for arm in ArmId::ALL {
            assert_eq!(order_of(9).iter().filter(|other| *other == arm).count(), 3);
        }
        assert_eq!(order(7, "x", Stage::First, 0, 2, arms(false)).len(), 4);
    }

    #[test]
    fn no_arm_leads_most_blocks() {
        let first = |block| order(1, "x", Stage::Second, block, 1, arms(false))[0];
        let leads = (0..1_000).filter(|&block| first(block) == ArmId::A).count();
        assert!((440..=560).contains(&leads), "{leads}");
    }
}
