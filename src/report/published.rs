//! Numbers that others published, to stand beside ours: always with their source and the host they come from.
//!
//! Facts and figures only; the files are in `fixtures/published/`.

use serde::Deserialize;

use crate::model::attacker::Attacker;
use crate::model::placement::Placement;
use crate::model::record::Experiment;

/// Everything that is included.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Published {
    /// Where the numbers come from.
    pub source: Source,
    /// Slowdowns of a victim beside an attacker.
    pub slowdowns: Vec<PublishedSlowdown>,
    /// A victim over the number of background instances.
    pub ladders: Vec<PublishedLadder>,
    /// Single statements.
    pub statements: Vec<Statement>,
}

/// A publication.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Source {
    /// Who wrote it.
    pub author: String,
    /// Its title.
    pub title: String,
    /// What kind of work, and where.
    pub venue: String,
    /// When.
    pub year: u16,
    /// The machine and the software that were measured.
    pub host: String,
}

/// One published slowdown.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PublishedSlowdown {
    /// The victim, as a case names it.
    pub workload: String,
    /// Where it was measured, as the publication names it.
    pub platform: String,
    /// The neighbour.
    pub attacker: Attacker,
    /// Where the neighbour ran, in our words.
    pub placement: Placement,
    /// How much more time, in per cent of the time alone.
    pub percent: f64,
}

/// A published ladder of a victim's time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PublishedLadder {
    /// The victim, as a case names it.
    pub workload: String,
    /// Where it was measured.
    pub platform: String,
    /// How many runs are behind each level.
    pub runs: u32,
    /// The levels, rising.
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
    /// Which of our experiments it belongs to.
    pub experiment: Experiment,
    /// Which guest or victim it is about, as a case names it.
    pub workload: String,
    /// Where it was measured.
    pub platform: String,
    /// What was measured.
    pub what: String,
    /// What came out.
    pub result: String,
    /// Where it stands.
    pub place: String,
}

impl Published {
    /// The numbers that are built in.
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
    fn the_built_in_numbers_are_whole() {
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
