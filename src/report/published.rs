//! Numbers that others published, always shown with their source and its host.
//!
//! They are facts only; the files are in `fixtures/published/`.

use serde::Deserialize;

use crate::model::attacker::Attacker;
use crate::model::placement::Placement;
use crate::model::record::Experiment;

/// All published numbers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Published {
    /// The publication.
    pub source: Source,
    /// Slowdowns of victims by attackers.
    pub slowdowns: Vec<PublishedSlowdown>,
    /// A victim over the number of background instances.
    pub ladders: Vec<PublishedLadder>,
    /// Single statements.
    pub statements: Vec<Statement>,
}

/// A publication.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Source {
    /// Its author.
    pub author: String,
    /// Its title.
    pub title: String,
    /// The kind of work, and its place.
    pub venue: String,
    /// The year.
    pub year: u16,
    /// The measured machine and software.
    pub host: String,
}

/// One published slowdown.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PublishedSlowdown {
    /// The victim, by its name in cases.
    pub workload: String,
    /// The platform, by its name in the publication.
    pub platform: String,
    /// The attacker.
    pub attacker: Attacker,
    /// The attacker's placement, in our words.
    pub placement: Placement,
    /// The additional time in per cent of the time alone.
    pub percent: f64,
}

/// A published ladder of a victim's time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PublishedLadder {
    /// The victim, by its name in cases.
    pub workload: String,
    /// The platform.
    pub platform: String,
    /// The number of runs per level.
    pub runs: u32,
    /// The levels in ascending order.
    pub levels: Vec<PublishedLevel>,
}

/// One level of a published ladder.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct PublishedLevel {
    /// Idle background instances.
    pub background: u32,
    /// The mean, in seconds.
    pub mean_s: f64,
    /// The standard deviation, in seconds.
    pub sd_s: f64,
}

/// One published statement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Statement {
    /// The experiment that it belongs to.
    pub experiment: Experiment,
    /// Its guest or victim, by its name in cases.
    pub workload: String,
    /// The platform.
    pub platform: String,
    /// The measured quantity.
    pub what: String,
    /// The result.
    pub result: String,
    /// Its place in the publication.
    pub place: String,
}

impl Published {
    /// The built-in numbers.
    pub fn load() -> Published {
        const WHY: &str = "the built-in file is checked by a test";
        #[derive(Deserialize)]
        struct Slowdowns {
            slowdowns: Vec<PublishedSlowdown>,
        }
        let source = serde_json::from_str(include_str!("../../fixtures/published/source.json")).expect(WHY);
        let table: Slowdowns =
            serde_json::from_str(include_str!("../../fixtures/published/slowdowns.json")).expect(WHY);
        let ladder = serde_json::from_str(include_str!("../../fixtures/published/sqlite-ladder.json")).expect(WHY);
        let statements = serde_json::from_str(include_str!("../../fixtures/published/statements.json")).expect(WHY);
        Published { source, slowdowns: table.slowdowns, ladders: vec![ladder], statements }
    }
}

impl Source {
    /// The source in a line, with the machine.
    pub fn cite(&self) -> String {
        format!("{}, “{}”, {}, {}; measured on {}", self.author, self.title, self.venue, self.year, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_numbers_are_complete() {
        let published = Published::load();
        assert_eq!(published.slowdowns.len(), 20, "5 attackers, 2 placements, 2 platforms");
        assert!(published.source.cite().contains("Docker 23.0.1"));
        let ladder = &published.ladders[0];
        assert_eq!((ladder.levels.len(), ladder.levels[100].background), (101, 1000));
        assert!(ladder.levels.iter().all(|l| (1.1..1.3).contains(&l.mean_s) && l.sd_s > 0.0));
    }

    #[test]
    fn the_write_attack_from_the_sibling_thread_is_the_published_outlier() {
        let published = Published::load();
        let worst = published.slowdowns.iter().max_by(|a, b| a.percent.total_cmp(&b.percent)).unwrap();
        assert_eq!(
            (worst.platform.as_str(), worst.attacker, worst.placement),
            ("Unikraft", Attacker::Write, Placement::SameCore)
        );
    }
}
