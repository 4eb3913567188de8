//! A block: some runs of every lane of one case, in an order that the seed decides.

use sha2::{Digest, Sha256};

use crate::compare::rule::Stage;
use crate::measure::plan::Shuffler;
use crate::model::names::named_enum;

named_enum! {
    /// Which lane a trial ran in.
    pub enum ArmId ("arm") {
        /// What is compared with.
        A = "a",
        /// What is asked about.
        B = "b",
        /// A once more, opened and prepared on its own: the null control.
        Null = "null",
    }
}

/// The lanes of a session.
pub(super) fn runners(null_control: bool) -> &'static [ArmId] {
    if null_control { &[ArmId::A, ArmId::B, ArmId::Null] } else { &[ArmId::A, ArmId::B] }
}

/// The lanes of the trials of one block, `runs` of each. The same for ever, whatever was measured before it.
pub(super) fn order(seed: u64, case: &str, stage: Stage, block: u32, runs: usize, runners: &[ArmId]) -> Vec<ArmId> {
    let name = format!("{seed}/{case}/{stage:?}/{block}");
    let digest = Sha256::digest(name.as_bytes());
    let seed = digest.iter().take(8).fold(0, |seed: u64, &byte| seed << 8 | u64::from(byte));
    Shuffler::new(seed).shuffled(runners.iter().flat_map(|&runner| std::iter::repeat_n(runner, runs)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_every_lane_as_often_and_never_changes() {
        let of = |block| order(7, "boot/hello/0", Stage::First, block, 3, runners(true));
        let letters = |order: Vec<ArmId>| order.into_iter().map(|w| &w.name()[..1]).collect::<String>();
        assert_eq!([0, 1, 2].map(|block| letters(of(block))), ["nbnaaanbb", "aabnnbnab", "aanbbbnan"]);
        for runner in ArmId::ALL {
            assert_eq!(of(9).iter().filter(|which| *which == runner).count(), 3);
        }
        assert_eq!(order(7, "x", Stage::First, 0, 2, runners(false)).len(), 4);
    }

    #[test]
    fn what_leads_within_blocks_is_no_lane_for_long() {
        let first = |block| order(1, "x", Stage::Second, block, 1, runners(false))[0];
        let leads = (0..1_000).filter(|&block| first(block) == ArmId::A).count();
        assert!((440..=560).contains(&leads), "{leads}");
    }
}
