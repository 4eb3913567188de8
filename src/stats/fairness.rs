//! How evenly a resource is shared.
//!
//! Invariant: the index is between 1/n (one takes all) and 1 (all take the same), in every unit.

use super::Sample;

/// Jain's fairness index, (sum x)^2 / (n sum x^2) (Jain, Chiu & Hawe 1984, DEC-TR-301).
///
/// `None` if a share is negative or all are zero.
pub fn jain(shares: &Sample) -> Option<f64> {
    let largest = shares.max();
    if shares.min() < 0.0 || largest == 0.0 {
        return None;
    }
    let relative = || shares.sorted().iter().map(|x| x / largest);
    let (sum, squares): (f64, f64) = (relative().sum(), relative().map(|x| x * x).sum());
    Some(sum * sum / (shares.count() as f64 * squares))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(shares: &[f64]) -> Option<f64> {
        jain(&Sample::new(shares.to_vec()).unwrap())
    }

    #[test]
    fn equal_shares_are_fair_and_a_single_taker_is_not() {
        assert_eq!(index(&[5.0; 4]), Some(1.0));
        assert_eq!(index(&[0.0, 0.0, 0.0, 9.0]), Some(0.25));
        assert_eq!(index(&[2.0, 4.0, 4.0]), Some(100.0 / 108.0));
    }

    #[test]
    fn nothing_shared_has_no_fairness() {
        assert_eq!(index(&[0.0, 0.0]), None);
        assert_eq!(index(&[-1.0, 2.0]), None);
    }

    proptest! {
        #[test]
        fn the_index_lies_between_one_taker_and_equality(shares in prop::collection::vec(1e-6..1e12f64, 1..50)) {
            let fairness = index(&shares).unwrap();
            prop_assert!(1.0 / shares.len() as f64 - 1e-12 <= fairness && fairness <= 1.0 + 1e-12);
        }
    }
}
