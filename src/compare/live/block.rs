//! A block: some runs of every lane of one case, in an order that the seed decides.

use sha2::{Digest, Sha256};

use crate::compare::rule::Stage;
use crate::measure::plan::Shuffler;
use crate::model::names::named_enum;

named_enum! {
    /// Which lane a trial ran in.
    pub enum Which ("arm") {
        /// What is compared with.
        A = "a",
        /// What is asked about.
        B = "b",
        /// A once more, opened and prepared on its own: the null control.
        Null = "null",
    }
}

/// The lanes of a session.
pub(super) fn lanes(null_control: bool) -> &'static [Which] {
    if null_control { &[Which::A, Which::B, Which::Null] } else { &[Which::A, Which::B] }
}

/// The lanes of the trials of one block, `runs` of each. The same for ever, whatever was measured before it.
pub(super) fn order(seed: u64, case: &str, stage: Stage, block: u32, runs: usize, lanes: &[Which]) -> Vec<Which> {
    let name = format!("{seed}/{case}/{stage:?}/{block}");
    let digest = Sha256::digest(name.as_bytes());
    let seed = digest.iter().take(8).fold(0, |seed: u64, &byte| seed << 8 | u64::from(byte));
    Shuffler::new(seed).shuffled(lanes.iter().flat_map(|&lane| std::iter::repeat_n(lane, runs)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_every_lane_as_often_and_never_changes() {
        let of = |block| order(7, "boot/hello/0", Stage::First, block, 3, lanes(true));
        let letters = |order: Vec<Which>| order.into_iter().map(|w| &w.name()[..1]).collect::<String>();
        assert_eq!([0, 1, 2].map(|block| letters(of(block))), ["nbnaaanbb", "aabnnbnab", "aanbbbnan"]);
        for lane in Which::ALL {
            assert_eq!(of(9).iter().filter(|which| *which == lane).count(), 3);
        }
        assert_eq!(order(7, "x", Stage::First, 0, 2, lanes(false)).len(), 4);
    }

    #[test]
    fn what_leads_within_blocks_is_no_lane_for_long() {
        let first = |block| order(1, "x", Stage::Second, block, 1, lanes(false))[0];
        let leads = (0..1_000).filter(|&block| first(block) == Which::A).count();
        assert!((440..=560).contains(&leads), "{leads}");
    }
}
