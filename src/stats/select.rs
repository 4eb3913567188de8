//! Exact order statistics of a set that is too large to store, such as the n(n+1)/2 averages of n values.
//!
//! Invariant: the result is exactly a member of the set, since the search ends at the smallest number that enough members do
//! not exceed. It needs at most 64 counts for any size.

/// A finite set, given by a function that counts the members up to a number.
pub(super) struct Ranked<F> {
    /// The number of members.
    pub(super) count: usize,
    /// The smallest member.
    pub(super) low: f64,
    /// The largest member.
    pub(super) high: f64,
    /// Returns the number of members that do not exceed its argument.
    pub(super) at_most: F,
}

impl<F: Fn(f64) -> usize> Ranked<F> {
    /// The `rank`-th smallest member, from 1.
    pub(super) fn nth(&self, rank: usize) -> f64 {
        debug_assert!((1..=self.count).contains(&rank));
        let (mut low, mut high) = (key(self.low), key(self.high));
        while low < high {
            let middle = low.midpoint(high);
            if (self.at_most)(value(middle)) >= rank {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        value(low) + 0.0 // turns negative zero into zero
    }

    /// The `rank`-th largest member, from 1.
    pub(super) fn nth_from_top(&self, rank: usize) -> f64 {
        self.nth(self.count + 1 - rank)
    }

    /// The middle member, or the mean of the two middle ones.
    pub(super) fn median(&self) -> f64 {
        let half = self.count / 2;
        match self.count % 2 {
            1 => self.nth(half + 1),
            _ => 0.5 * self.nth(half) + 0.5 * self.nth(half + 1),
        }
    }
}

/// Maps numbers to integers and keeps their order (IEEE 754 totalOrder).
fn key(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The inverse of [`key`].
fn value(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_have_the_order_of_their_numbers() {
        let numbers = [f64::MIN, -1.0, -f64::MIN_POSITIVE, 0.0, f64::MIN_POSITIVE, 1.0, f64::INFINITY];
        assert!(numbers.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert!(numbers.iter().all(|&n| value(key(n)) == n));
    }

    proptest! {
        #[test]
        fn every_rank_is_found_exactly(mut values in prop::collection::vec(-1e3..1e3f64, 1..40)) {
            values.sort_unstable_by(f64::total_cmp);
            let set = Ranked {
                count: values.len(),
                low: values[0],
                high: values[values.len() - 1],
                at_most: |t| values.iter().filter(|&&v| v <= t).count(),
            };
            for (i, &expected) in values.iter().enumerate() {
                prop_assert_eq!(set.nth(i + 1), expected);
                prop_assert_eq!(set.nth_from_top(values.len() - i), expected);
            }
        }
    }
}
