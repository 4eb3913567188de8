//! The tables over recordings: the results of every rule on measured trials.

use std::collections::BTreeMap;

use crate::power::proof::{
    Call, Contender, Controlled, Injected, NoiseModel, Outcome, Pair, Random, Recording, Roc, Same, Tally, between,
    controlled, fit, score,
};
use featherweight::compare::rule::{Rule, block_difference};
use featherweight::model::units::{Direction, Nanos};
use featherweight::stats::{Estimate, Level, Sample, hodges_lehmann};

use super::lab::Lab;
use super::simulate::{Covering, EFFECTS, Host, MORE, coverage_row};
use super::table::{Table, per_cent};

/// The number of comparisons in a suite.
const SUITE: usize = 60;

/// A recording with the name of its file.
#[derive(Debug, Clone)]
pub(super) struct Tape {
    /// The file's name without its endings.
    pub(super) name: String,
    /// The recording.
    pub(super) recording: Recording,
    /// The values of arm A in order.
    pub(super) a: Vec<f64>,
    /// The blocks of two arms; none in a recording of one.
    pub(super) blocks: Vec<Pair>,
}

/// All recordings.
#[derive(Debug, Clone, Default)]
pub(super) struct Tapes {
    /// Those of one arm.
    pub(super) same: Vec<Tape>,
    /// Those of two arms.
    pub(super) injected: Vec<Tape>,
}

impl Tape {
    /// The recording of that name.
    pub(super) fn new(name: String, recording: Recording) -> Self {
        let blocks = if recording.has_two_arms() { recording.blocks() } else { Vec::new() };
        Self { name, a: recording.values(false), blocks, recording }
    }

    /// A session of one arm against itself, B's values multiplied by `1 + effect`.
    pub(super) fn same<'s>(&'s self, effect: f64) -> impl Fn(&mut Random) -> Same<'s> + Sync + 's {
        let by = self.rule();
        move |random| Same::new(&self.a, 1.0 + effect, random).by(by)
    }

    fn injected<'s>(&'s self) -> impl Fn(&mut Random) -> Injected<'s> + Sync + 's {
        let by = self.rule();
        move |random| Injected::new(&self.blocks, random).by(by)
    }

    /// The number of sessions of that cost that fit into the recording without overlap.
    fn sessions_that_fit(&self, tally: Tally) -> String {
        let blocks = self.blocks.first().map(|block| 2 * block.a.len() * self.blocks.len());
        format!("{:.1}", blocks.unwrap_or(self.a.len()) as f64 / tally.cost())
    }

    /// B's true slowdown, over the whole recording.
    fn measured(&self) -> Option<Estimate> {
        let all =
            self.blocks.iter().filter_map(|block| block_difference(Direction::Lower, &block.a, &block.b)).collect();
        Some(hodges_lehmann(&Sample::new(all).ok()?, Level::P95))
    }

    /// The rule that `ab` would use.
    pub(super) fn rule(&self) -> Rule {
        self.seconds().map_or(Rule::DEFAULT, |seconds| Rule::for_trials_of(Nanos((seconds * 1e9) as u64)))
    }

    fn seconds(&self) -> Option<f64> {
        self.recording.fact("seconds a trial")?.parse().ok()
    }

    /// The measuring time of a session.
    fn time(&self, tally: Tally) -> String {
        match self.seconds().map(|seconds| tally.cost() * seconds) {
            None => "—".to_owned(),
            Some(s) if s < 60.0 => format!("{s:.1} s"),
            Some(s) => format!("{:.1} min", s / 60.0),
        }
    }
}

impl Tapes {
    /// The models of the recordings of one arm. The spread of a case's sessions is that of its recordings.
    pub(super) fn hosts(&self) -> Vec<Host> {
        let mut medians: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for tape in self.same.iter().chain(&self.injected) {
            let middle = Sample::new(tape.a.clone()).map(|s| featherweight::stats::median(&s));
            medians.entry(tape.recording.fact("case").unwrap_or(&tape.name)).or_default().extend(middle);
        }
        let host = |tape: &Tape| {
            let case = tape.recording.fact("case").unwrap_or(&tape.name);
            let session = medians.get(case).and_then(|medians| between(medians)).unwrap_or(0.0);
            Some(Host { name: tape.name.clone(), rule: tape.rule(), model: NoiseModel { session, ..fit(&tape.a)? } })
        };
        self.same.iter().filter_map(host).collect()
    }

    /// The list of the recordings.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(
            "recordings",
            "The recordings.",
            &["recording", "case", "trials", "seconds per trial", "command"],
        );
        for tape in self.same.iter().chain(&self.injected) {
            let fact = |name| tape.recording.fact(name).unwrap_or("—").to_owned();
            table.rows.push(vec![
                tape.name.clone(),
                fact("case"),
                tape.recording.trials.len().to_string(),
                fact("seconds a trial"),
                format!("`{}`", fact("command")),
            ]);
        }
        table
    }

    /// False alarms of every rule, by recording and for a suite.
    pub(super) fn alarms(&self, lab: Lab) -> Table {
        let title = format!(
            "Recordings compared with themselves: sessions that reported a difference in either direction; {} sessions per cell ({} \
             for ours). A suite is {SUITE} comparisons and has a false alarm if one of them has.",
            lab.sessions,
            MORE * lab.sessions
        );
        let mut table = Table::new("aa", title, &["rule"]);
        table.head.extend(self.same.iter().map(|tape| tape.name.clone()));
        table.head.push("a suite".to_owned());
        for rule in Contender::ALL {
            eprintln!("replayed, the same against itself: {}", rule.name());
            let sessions = if rule == Contender::Ours { MORE * lab.sessions } else { lab.sessions };
            let outcomes = |tape: &Tape| lab.outcomes(&format!("aa {}", tape.name), (rule, sessions), tape.same(0.0));
            let all: Vec<Vec<Outcome>> = self.same.iter().map(outcomes).collect();
            let mut row = vec![rule.name().to_owned()];
            row.extend(all.iter().map(|outcomes| {
                let tally: Tally = outcomes.iter().copied().collect();
                if rule == Contender::Ours {
                    format!("{} of {}", tally.slower + tally.faster, tally.sessions)
                } else {
                    per_cent(tally.either())
                }
            }));
            row.push(per_cent(suites(&all)));
            table.rows.push(row);
            if rule == Contender::Ours {
                let mut row = vec!["*sessions of ours that fit into it*".to_owned()];
                row.extend(
                    self.same.iter().zip(&all).map(|(tape, all)| tape.sessions_that_fit(all.iter().copied().collect())),
                );
                row.push("—".to_owned());
                table.rows.push(row);
            }
        }
        table
    }

    /// How often the null control makes a case INVALID, and the results of the other sessions.
    pub(super) fn controls(&self, lab: Lab) -> Table {
        let title = format!(
            "Sessions of ours with a null control on recordings; B's values are unchanged ({} sessions per cell) or multiplied ({}). \
             Invalid: the control differs from A, so there is no verdict on B.",
            MORE * lab.sessions,
            lab.sessions
        );
        let head = [
            "recording",
            "no difference: invalid",
            "false alarms",
            "+5 %: invalid",
            "found",
            "+10 %: invalid",
            "found",
        ];
        let mut table = Table::new("null", title, &head);
        for tape in &self.same {
            eprintln!("replayed with a null control: {}", tape.name);
            let columns = [(0.0, MORE * lab.sessions), (0.05, lab.sessions), (0.10, lab.sessions)];
            let cells =
                columns.into_iter().flat_map(|(effect, sessions)| controlled_cells(lab, tape, effect, sessions));
            table.rows.push(std::iter::once(tape.name.clone()).chain(cells).collect());
        }
        table
    }

    /// The detection of our rule for synthetic shifts, and its cost.
    pub(super) fn ours(&self, lab: Lab) -> Table {
        let title = format!(
            "Ours on recordings with B's values multiplied (synthetic), and its cost in trials of both arms and in measuring time; {} \
             sessions per cell.",
            lab.sessions
        );
        let head = ["recording", "+2 %", "+5 %", "+10 %", "no difference: trials", "time", "+5 %: trials", "time"];
        let mut table = Table::new("ours", title, &head);
        for tape in &self.same {
            let found = EFFECTS.map(|effect| self.shifted(lab, tape, Contender::Ours, effect));
            let nothing = self.shifted(lab, tape, Contender::Ours, 0.0);
            let mut row = vec![tape.name.clone()];
            row.extend(found.map(|tally| per_cent(tally.alarms())));
            for tally in [nothing, found[1]] {
                row.extend([format!("{:.0}", tally.cost()), tape.time(tally)]);
            }
            table.rows.push(row);
        }
        table
    }

    /// The detection of every rule for synthetic shifts of 5 % and 10 %.
    pub(super) fn found(&self, lab: Lab) -> Table {
        let title =
            format!("Every rule on the same shifts: +5 % found · +10 % found; {} sessions per cell.", lab.sessions);
        let mut table = Table::new("found", title, &["rule"]);
        table.head.extend(self.same.iter().map(|tape| tape.name.clone()));
        for rule in Contender::ALL {
            eprintln!("replayed with a synthetic shift: {}", rule.name());
            let cell = |tape: &Tape| {
                let [five, ten] = [0.05, 0.10].map(|effect| self.shifted(lab, tape, rule, effect));
                format!("{} · {}", per_cent(five.alarms()), per_cent(ten.alarms()))
            };
            table.rows.push(std::iter::once(rule.name().to_owned()).chain(self.same.iter().map(cell)).collect());
        }
        table
    }

    /// Sessions of that rule on a recording with B's values multiplied.
    pub(super) fn shifted(&self, lab: Lab, tape: &Tape, rule: Contender, effect: f64) -> Tally {
        lab.tally(&format!("shifted {} {effect}", tape.name), (rule, lab.sessions), tape.same(effect))
    }

    /// The detection of every rule for injected slowdowns.
    pub(super) fn injected(&self, lab: Lab) -> Table {
        let title = format!(
            "Slowdowns that were injected while measuring, with labels hidden from the rule: sessions that reported B as slower (and \
             faster, if any); {} sessions per cell. B's true slowdown is that of the whole recording, with its 95 % interval.",
            lab.sessions
        );
        let mut table = Table::new("injected", title, &["rule"]);
        table.head.extend(self.injected.iter().map(|tape| tape.name.clone()));
        let truth = |tape: &Tape| match tape.measured() {
            Some(Estimate { value, interval: Some(i) }) => {
                let share = |log: f64| 100.0 * log.exp_m1();
                format!("{:+.1} % ({:.1} to {:.1})", share(value), share(i.low), share(i.high))
            }
            _ => "—".to_owned(),
        };
        let row = |name: &str, cells: Vec<String>| std::iter::once(name.to_owned()).chain(cells).collect::<Vec<_>>();
        table.rows.push(row("*B's true slowdown*", self.injected.iter().map(truth).collect()));
        for rule in Contender::ALL {
            eprintln!("replayed, injected: {}", rule.name());
            let tallies: Vec<Tally> = self.injected.iter().map(|tape| injected_tally(lab, tape, rule)).collect();
            let cell = |tally: &Tally| match (tally.sessions, tally.faster) {
                (0, _) => "too short".to_owned(),
                (_, 0) => per_cent(tally.alarms()),
                (n, faster) => format!("{} (faster: {})", per_cent(tally.alarms()), per_cent(faster as f64 / n as f64)),
            };
            table.rows.push(row(rule.name(), tallies.iter().map(cell).collect()));
            if rule == Contender::Ours {
                let cost = |(tape, tally): (&Tape, &Tally)| format!("{:.0} · {}", tally.cost(), tape.time(*tally));
                let costs = self.injected.iter().zip(&tallies).map(cost).collect();
                table.rows.push(row("*its trials · time*", costs));
                let fit =
                    self.injected.iter().zip(&tallies).map(|(tape, tally)| tape.sessions_that_fit(*tally)).collect();
                table.rows.push(row("*its sessions that fit into it*", fit));
            }
        }
        table
    }

    /// The curves of every rule: synthetic shifts of 2 % and 5 % on each recording of one arm, and each recording of two.
    pub(super) fn curves(&self, lab: Lab) -> Vec<(String, Vec<(Contender, Roc)>)> {
        let synthetic = self.same.iter().flat_map(|tape| [0.02, 0.05].map(|effect| (tape, effect)));
        let mut curves: Vec<_> = synthetic
            .map(|(tape, effect)| {
                let name = format!("{}, +{:.0} % synthetic", tape.name, 100.0 * effect);
                (name, curves_of_rules(|rule| roc(&scores(lab, tape, rule, 0.0), &scores(lab, tape, rule, effect))))
            })
            .collect();
        curves.extend(self.injected.iter().map(|tape| {
            let case = tape.recording.fact("case");
            let without = self.same.iter().find(|same| same.recording.fact("case") == case).unwrap_or(tape);
            let with = |rule| {
                let source = tape.injected();
                lab.each(&format!("roc {} {rule:?}", tape.name), lab.sessions, |random| {
                    score(rule, &mut source(random), random)
                })
            };
            (
                format!("{}, injected", tape.name),
                curves_of_rules(|rule| roc(&scores(lab, without, rule, 0.0), &with(rule))),
            )
        }));
        curves
    }

    /// The rows of coverages on recordings compared with themselves, whose true ratio is 1.
    pub(super) fn coverage(&self, lab: Lab) -> Vec<Vec<String>> {
        let row = |tape: &Tape| {
            let source = Box::new(tape.same(0.0));
            coverage_row(lab, &Covering { name: format!("{}, replayed", tape.name), factor: 1.0, source })
        };
        self.same.iter().map(row).collect()
    }
}

/// The share of invalid sessions, and that of valid ones with a difference: in B's direction if there is an effect.
fn controlled_cells(lab: Lab, tape: &Tape, effect: f64, sessions: usize) -> [String; 2] {
    let source = tape.same(effect);
    let session = |random: &mut Random| controlled(&mut source(random), random);
    let all = lab.each(&format!("null {} {effect}", tape.name), sessions, session);
    let is_reported = |session: &&Controlled| match effect {
        0.0 => session.call != Call::Nothing,
        _ => session.call == Call::Slower,
    };
    let (invalid, valid): (Vec<_>, Vec<_>) = all.iter().partition(|session| session.is_invalid);
    [invalid.len(), valid.into_iter().filter(is_reported).count()].map(|n| per_cent(n as f64 / all.len() as f64))
}

fn injected_tally(lab: Lab, tape: &Tape, rule: Contender) -> Tally {
    lab.tally(&format!("injected {}", tape.name), (rule, lab.sessions), tape.injected())
}

fn curves_of_rules(curve: impl Fn(Contender) -> Option<Roc>) -> Vec<(Contender, Roc)> {
    Contender::ALL.into_iter().filter_map(|rule| Some((rule, curve(rule)?))).collect()
}

fn roc(without: &[f64], with: &[f64]) -> Option<Roc> {
    Roc::new(without, with)
}

fn scores(lab: Lab, tape: &Tape, rule: Contender, effect: f64) -> Vec<f64> {
    let source = tape.same(effect);
    let label = format!("roc {} {effect} {rule:?}", tape.name);
    lab.each(&label, lab.sessions, |random| score(rule, &mut source(random), random))
}

/// The areas below the curves, and the detection with one false alarm in a hundred comparisons.
pub(super) fn areas(lab: Lab, curves: &[(String, Vec<(Contender, Roc)>)]) -> Table {
    let title = format!(
        "Area below the ROC curve, and in parentheses the share found at a threshold with 1 % false alarms; equal numbers of \
         trials for every rule except Kata's; {} sessions per cell.",
        lab.sessions
    );
    let mut table = Table::new("roc", title, &["slowdown"]);
    table.head.extend(Contender::ALL.map(|rule| rule.short().to_owned()));
    for (name, rules) in curves {
        eprintln!("ROC: {name}");
        let cell = |rule: Contender| {
            let found = rules.iter().find(|(other, _)| *other == rule);
            found.map_or("—".to_owned(), |(_, roc)| format!("{:.3} ({})", roc.area, per_cent(roc.found_at(0.01))))
        };
        table.rows.push(std::iter::once(name.clone()).chain(Contender::ALL.map(cell)).collect());
    }
    table
}

/// The share of suites with an alarm. A suite takes its comparisons from all recordings in turn.
fn suites(all: &[Vec<Outcome>]) -> f64 {
    let sessions = all.iter().map(Vec::len).min().unwrap_or(0);
    let in_turn: Vec<bool> =
        (0..sessions).flat_map(|i| all.iter().map(move |outcomes| outcomes[i].call != Call::Nothing)).collect();
    let suites = in_turn.chunks_exact(SUITE);
    suites.clone().filter(|suite| suite.contains(&true)).count() as f64 / suites.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_has_an_alarm_if_one_of_its_comparisons_has() {
        let of = |call| Outcome { call, trials: 1 };
        let mut all = vec![vec![of(Call::Nothing); 60]; 2];
        assert_eq!(suites(&all), 0.0);
        all[1][45] = of(Call::Faster);
        assert_eq!(suites(&all), 0.5);
        assert!(suites(&[]).is_nan());
    }
}
