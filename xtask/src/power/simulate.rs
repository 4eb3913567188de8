//! The tables of the simulator, whose hosts have a noise model.

use crate::power::proof::{Contender, NoiseModel, Random, Simulated, Tally, at_the_end, covered};
use featherweight::compare::rule::Rule;

use super::lab::Lab;
use super::table::{Table, per_cent};

/// A simulated host.
#[derive(Debug, Clone)]
pub(super) struct Host {
    /// Its name in tables.
    pub(super) name: String,
    /// Its noise.
    pub(super) model: NoiseModel,
    /// The rule that suits its trials.
    pub(super) rule: Rule,
}

/// The slowdowns to detect, as shares.
pub(super) const EFFECTS: [f64; 3] = [0.02, 0.05, 0.10];
/// The factor for our sessions when false alarms are counted, to resolve rates below one in a thousand.
pub(super) const MORE: usize = 10;
/// The numbers of blocks at which the interval's coverage is computed; 0 stands for the end of a session.
const BLOCKS: [usize; 4] = [10, 20, 30, 50];

impl Host {
    /// The drifting host of the methodology.
    pub(super) fn drifting() -> Self {
        Self { name: "drifting host".to_owned(), model: NoiseModel::DRIFTING, rule: Rule::DEFAULT }
    }

    fn source(&self, effect: f64) -> impl Fn(&mut Random) -> Simulated + Sync + '_ {
        move |random| Simulated::new(self.model, 1.0 + effect, random).by(self.rule)
    }

    fn tally(&self, lab: Lab, rule: Contender, effect: f64) -> Tally {
        let more = if rule == Contender::Ours && effect == 0.0 { MORE } else { 1 };
        lab.tally(&format!("simulated {} {effect}", self.name), (rule, more * lab.sessions), self.source(effect))
    }
}

/// False alarms, detection and cost of every rule on one host: the table of the methodology.
pub(super) fn rules(lab: Lab, host: &Host) -> Table {
    let m = &host.model;
    let title = format!(
        "Simulated, {}: core noise of {}, a tail of {} in {} of the trials, waves of {}, sessions {} apart; \
         {} sessions per cell ({} for the false alarms of ours).",
        host.name,
        per_cent(m.core),
        per_cent(m.tail),
        per_cent(m.tail_share),
        per_cent(m.wave),
        per_cent(m.session),
        lab.sessions,
        MORE * lab.sessions
    );
    let mut table = Table::new(
        "simulated",
        title,
        &["rule", "false alarms", "+2 %", "+5 %", "+10 %", "trials, no difference", "trials, +5 %"],
    );
    for rule in Contender::ALL {
        eprintln!("simulated, {}: {}", host.name, rule.name());
        let nothing = host.tally(lab, rule, 0.0);
        let found = EFFECTS.map(|effect| host.tally(lab, rule, effect));
        let mut row = vec![rule.name().to_owned(), per_cent(nothing.either())];
        row.extend(found.map(|tally| per_cent(tally.alarms())));
        row.extend([nothing, found[1]].map(|tally| format!("{:.0}", tally.cost())));
        table.rows.push(row);
    }
    table
}

/// False alarms and detection of every rule on hosts that are fitted to recordings.
pub(super) fn fitted(lab: Lab, hosts: &[Host]) -> Table {
    let title = format!(
        "Simulated with the noise of the recordings: false alarms · +5 % found; {} sessions per cell.",
        lab.sessions
    );
    let mut table = Table::new("fitted", title, &["rule"]);
    table.head.extend(hosts.iter().map(|host| host.name.clone()));
    for rule in Contender::ALL {
        eprintln!("simulated with recorded noise: {}", rule.name());
        let cell = |host: &Host| {
            let [nothing, five] = [0.0, 0.05].map(|effect| host.tally(lab, rule, effect));
            format!("{} · {}", per_cent(nothing.either()), per_cent(five.alarms()))
        };
        table.rows.push(std::iter::once(rule.name().to_owned()).chain(hosts.iter().map(cell)).collect());
    }
    table
}

/// The parameters of the hosts.
pub(super) fn models(hosts: &[Host]) -> Table {
    let title = "The noise of the recordings: spreads as shares of the metric.";
    let head = [
        "recording",
        "median",
        "core",
        "tail: trials",
        "tail: lift",
        "wave",
        "memory of the wave",
        "walk per trial",
        "sessions",
    ];
    let mut table = Table::new("noise", title, &head);
    for Host { name, model: m, .. } in hosts {
        table.rows.push(vec![
            name.clone(),
            featherweight::model::units::Nanos(m.median as u64).to_string(),
            per_cent(m.core),
            per_cent(m.tail_share),
            per_cent(m.tail),
            per_cent(m.wave),
            if m.wave > 0.0 { format!("{}", m.memory) } else { "—".to_owned() },
            per_cent(m.walk),
            if m.session > 0.0 { per_cent(m.session) } else { "—".to_owned() },
        ]);
    }
    table
}

/// A row of coverages: a name and a source with a known effect.
pub(super) struct Covering<'s, S> {
    /// The row's name.
    pub(super) name: String,
    /// B's true factor.
    pub(super) factor: f64,
    /// The source.
    pub(super) source: Box<dyn Fn(&mut Random) -> S + Sync + 's>,
}

/// An empty table of coverages.
pub(super) fn coverage_table(lab: Lab) -> Table {
    let title = format!(
        "How often the interval of the ratio contains the true value: the 95 % interval after a number of blocks, and both \
         intervals at the end of a session of ours; {} sessions per cell.",
        5 * lab.sessions
    );
    let head = ["noise", "10 blocks", "20", "30", "50", "session's end, 95 %", "session's end, 98 %"];
    Table::new("coverage", title, &head)
}

/// One row of coverages.
pub(super) fn coverage_row<S: crate::power::proof::Source>(lab: Lab, row: &Covering<'_, S>) -> Vec<String> {
    eprintln!("coverage: {}", row.name);
    let (truth, sessions) = (row.factor.ln(), 5 * lab.sessions);
    let label = |blocks: usize| format!("coverage {} {blocks}", row.name);
    let share = |held: Vec<bool>| per_cent(held.iter().filter(|held| **held).count() as f64 / held.len() as f64);
    let mut cells = vec![row.name.clone()];
    for blocks in BLOCKS {
        cells.push(share(lab.each(&label(blocks), sessions, |random| {
            covered(&mut (row.source)(random), blocks, truth, random).map(|c| c.holds)
        })));
    }
    let ends = lab.each(&label(0), sessions, |random| at_the_end(&mut (row.source)(random), truth, random));
    cells.push(share(ends.iter().filter_map(|end| end.p95.map(|c| c.holds)).collect()));
    cells.push(share(ends.iter().filter_map(|end| end.p98.map(|c| c.holds)).collect()));
    cells
}

/// The rows of coverages on the simulated hosts, with a slowdown of 5 %.
pub(super) fn coverage(lab: Lab, hosts: &[Host]) -> Vec<Vec<String>> {
    let row = |host: &Host| {
        let factor = 1.05;
        let source = Box::new(host.source(factor - 1.0));
        coverage_row(lab, &Covering { name: format!("{}, simulated, +5 %", host.name), factor, source })
    };
    hosts.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_row_and_the_seed_fixes_every_cell() {
        let lab = Lab { sessions: 1, seed: 3 };
        let table = rules(lab, &Host::drifting());
        assert_eq!((table.rows.len(), table.rows[7].len()), (8, table.head.len()));
        assert_eq!(table, rules(lab, &Host::drifting()));
    }
}
