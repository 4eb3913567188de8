//! The receiver operating characteristic of a rule: its detections and false alarms for all thresholds.

/// The curve from no session flagged to every session flagged.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Roc {
    /// The shares of false alarms and of detections, both rising.
    pub points: Vec<(f64, f64)>,
    /// The area below the curve: the probability that a session with a difference scores higher than one without; ties count half.
    pub area: f64,
}

impl Roc {
    /// The curve of the scores of sessions without and with a difference; `None` if there are none of either.
    pub fn new(without: &[f64], with: &[f64]) -> Option<Roc> {
        if without.is_empty() || with.is_empty() {
            return None;
        }
        let mut all: Vec<(f64, bool)> =
            without.iter().map(|s| (*s, false)).chain(with.iter().map(|s| (*s, true))).collect();
        all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let (mut points, mut area) = (vec![(0.0, 0.0)], 0.0);
        let (mut x, mut y) = (0.0, 0.0);
        for tied in all.chunk_by(|a, b| a.0 == b.0) {
            let hits = tied.iter().filter(|(_, is_real)| *is_real).count() as f64 / with.len() as f64;
            let alarms = tied.iter().filter(|(_, is_real)| !is_real).count() as f64 / without.len() as f64;
            area += alarms * (y + hits / 2.0);
            (x, y) = (x + alarms, y + hits);
            points.push((x, y));
        }
        Some(Roc { points, area })
    }

    /// The share of detections at the threshold with at most this share of false alarms.
    pub fn found_at(&self, alarms: f64) -> f64 {
        self.points.iter().take_while(|(x, _)| *x <= alarms + 1e-12).last().map_or(0.0, |(_, y)| *y)
    }

    /// The shares of detections at these shares of false alarms, to draw the curve with few points.
    pub fn thinned(&self, alarms: &[f64]) -> Vec<(f64, f64)> {
        alarms.iter().map(|&x| (x, self.found_at(x))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_rule_has_the_whole_area_and_a_coin_has_half() {
        let perfect = Roc::new(&[0.0, 1.0], &[2.0, 3.0]).unwrap();
        assert_eq!((perfect.area, perfect.found_at(0.0)), (1.0, 1.0));
        let coin = Roc::new(&[1.0, 1.0], &[1.0, 1.0]).unwrap();
        assert_eq!((coin.area, coin.found_at(0.5)), (0.5, 0.0));
        let mixed = Roc::new(&[1.0, 3.0], &[2.0, 4.0]).unwrap();
        assert_eq!((mixed.area, mixed.found_at(0.0), mixed.found_at(0.5)), (0.75, 0.5, 1.0));
        assert_eq!(mixed.thinned(&[0.0, 1.0]), [(0.0, 0.5), (1.0, 1.0)]);
    }

    #[test]
    fn without_scores_there_is_no_curve() {
        assert_eq!(Roc::new(&[], &[1.0]), None);
        assert_eq!(Roc::new(&[1.0], &[]), None);
    }
}
