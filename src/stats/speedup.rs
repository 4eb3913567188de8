//! The serial part of a program, from its parallel speedup.
//!
//! Invariant: a perfect speedup gives a serial part of 0, no speedup gives 1.

/// The experimentally determined serial fraction (Karp & Flatt 1990, 10.1145/78607.78614).
///
/// `None` unless there is more than one processor and the speedup is above zero. Negative for a speedup above the number of
/// processors.
pub fn karp_flatt(speedup: f64, processors: f64) -> Option<f64> {
    let defined = speedup > 0.0 && speedup.is_finite() && processors > 1.0 && processors.is_finite();
    defined.then(|| (1.0 / speedup - 1.0 / processors) / (1.0 - 1.0 / processors))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_perfect_speedup_has_no_serial_part() {
        assert_eq!(karp_flatt(8.0, 8.0), Some(0.0));
        assert_eq!(karp_flatt(1.0, 8.0), Some(1.0));
        assert!(karp_flatt(9.0, 8.0).is_some_and(|e| e < 0.0));
    }

    #[test]
    fn one_processor_has_no_serial_part() {
        assert_eq!(karp_flatt(1.0, 1.0), None);
        assert_eq!(karp_flatt(0.0, 4.0), None);
        assert_eq!(karp_flatt(f64::NAN, 4.0), None);
    }

    proptest! {
        #[test]
        fn the_serial_part_of_amdahls_law_is_found(serial in 0.0..1.0f64, processors in 2..512u32) {
            let p = f64::from(processors);
            let found = karp_flatt(1.0 / (serial + (1.0 - serial) / p), p).unwrap();
            prop_assert!((found - serial).abs() < 1e-12);
        }
    }
}
