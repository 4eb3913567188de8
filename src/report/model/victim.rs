//! What is measured of each victim, and how its numbers are spoken of. A table, and words by direction.

use super::text::{count, median_cell, quantity, ratio, ratio_spread, share, share_spread};
use super::{CaseResult, Cell};
use crate::model::units::{Direction, Scale, Unit};
use crate::stats::{Response, Summary};

/// A victim's headline, its other numbers and its words.
#[derive(Debug)]
pub(super) struct Victim {
    /// As a case names it.
    workload: &'static str,
    /// Its name in sentences.
    pub(super) name: &'static str,
    /// The metric that its slowdown is of.
    pub(super) metric: &'static str,
    /// The metric's unit.
    pub(super) unit: Unit,
    /// Which way the metric improves.
    pub(super) direction: Direction,
    /// The metric as a column's heading.
    pub(super) column: &'static str,
    /// The metric as an axis's label.
    pub(super) label: &'static str,
    /// What the victim does, as the beginning of a sentence.
    pub(super) does: &'static str,
    /// Where its numbers come from.
    pub(super) clock: &'static str,
    /// Numbers that stand beside the headline.
    pub(super) beside: &'static [Detail],
    /// Numbers for a table of their own.
    pub(super) more: &'static [Detail],
}

/// A number beside the headline.
#[derive(Debug)]
pub(super) struct Detail {
    /// The metric.
    pub(super) metric: &'static str,
    /// Its column.
    pub(super) column: &'static str,
    /// Its unit.
    pub(super) unit: Unit,
}

const fn detail(metric: &'static str, column: &'static str, unit: Unit) -> Detail {
    Detail { metric, column, unit }
}

/// How busy the load generator was: near 1, its limit may have been measured instead of the server's.
const BUSY: Detail = detail("client_cpu", "client busy", Unit::Ratio);

const VICTIMS: [Victim; 3] = [
    Victim {
        workload: "sqlite",
        name: "SQLite",
        metric: "insert_time",
        unit: Unit::Nanos,
        direction: Direction::Lower,
        column: "insert time",
        label: "time of all inserts",
        does: "SQLite inserts rows one by one on an in-memory file system",
        clock: "The time runs from the guest's ready line to its result, on the host's clock; the guest's own clock is a \
            cross-check.",
        beside: &[detail("insert_time_guest", "by the guest's clock", Unit::Nanos)],
        more: &[],
    },
    Victim {
        workload: "nginx",
        name: "Nginx",
        metric: "throughput",
        unit: Unit::PerSecond,
        direction: Direction::Higher,
        column: "throughput",
        label: "requests per second",
        does: "wrk asks Nginx for the same small page over and over, on all its connections at once",
        clock: "Throughput and latency are what wrk reports; how busy wrk itself was tells whether it was the limit.",
        beside: &[detail("latency_p50", "p50", Unit::Nanos), detail("latency_p99", "p99", Unit::Nanos), BUSY],
        more: &[
            detail("client_errors", "client errors", Unit::Count),
            detail("client_time_wait", "ports in TIME_WAIT", Unit::Count),
        ],
    },
    Victim {
        workload: "redis",
        name: "Redis",
        metric: "throughput",
        unit: Unit::PerSecond,
        direction: Direction::Higher,
        column: "throughput",
        label: "operations per second",
        does: "redis-benchmark sets and gets keys, several requests at once from each of its clients",
        clock: "Throughput and latency are what redis-benchmark reports; how busy it was itself tells whether it was the \
            limit.",
        beside: &[
            detail("throughput_set", "SET", Unit::PerSecond),
            detail("throughput_get", "GET", Unit::PerSecond),
            BUSY,
        ],
        more: &[
            detail("latency_p50_set", "SET p50", Unit::Nanos),
            detail("latency_p99_set", "SET p99", Unit::Nanos),
            detail("latency_p50_get", "GET p50", Unit::Nanos),
            detail("latency_p99_get", "GET p99", Unit::Nanos),
            detail("client_time_wait", "ports in TIME_WAIT", Unit::Count),
        ],
    },
];

/// A workload's name in headings and sentences.
pub(super) fn name(workload: &str) -> &str {
    VICTIMS.iter().find(|v| v.workload == workload).map_or(workload, |v| v.name)
}

/// Whether a workload is driven from outside.
pub(super) fn is_server(workload: &str) -> bool {
    VICTIMS.iter().any(|v| v.workload == workload && v.direction == Direction::Higher)
}

/// How a workload is spoken of; the first of the table where there is none.
pub(super) fn victim(workload: &str) -> &'static Victim {
    VICTIMS.iter().find(|v| v.workload == workload).unwrap_or(&VICTIMS[0])
}

impl Victim {
    /// `SQLite on native takes 1.31 s (…)`, `Nginx on native serves 45.8 k/s (…)`, without the subject.
    pub(super) fn alone(&self, case: &CaseResult) -> String {
        let verb = if self.direction == Direction::Higher { "serves" } else { "takes" };
        match case.summary(self.metric) {
            Some(summary) => format!("{verb} {}", quantity(summary, self.unit)),
            None => format!("has no good trial in {}", case.counts.trials()),
        }
    }

    /// What a load makes of the headline: `it takes 1.96 × as long (…)`, `52 % of its throughput is left (…)`.
    pub(super) fn change(&self, response: &Response) -> String {
        match (response, self.direction) {
            (Response::DidNotRespond { .. }, _) => format!("it stops answering ({})", ratio_spread(response)),
            (_, Direction::Higher) => {
                format!("{} of its throughput is left ({})", share(response), share_spread(response))
            }
            _ => format!("it takes {} as long ({})", ratio(response), ratio_spread(response)),
        }
    }

    /// What company makes of each: `each takes 2.05 × as long (…)`, `each has 52 % of the throughput (…)`.
    pub(super) fn each(&self, response: &Response) -> String {
        match (response, self.direction) {
            (Response::DidNotRespond { .. }, _) => format!("they stop answering ({})", ratio_spread(response)),
            (_, Direction::Higher) => {
                format!("each has {} of the throughput ({})", share(response), share_spread(response))
            }
            _ => format!("each takes {} as long ({})", ratio(response), ratio_spread(response)),
        }
    }

    /// What an attacker does to it: `makes SQLite take 1.96 × as long`, `leaves Nginx 52 % of its throughput`.
    pub(super) fn harm(&self, response: &Response) -> String {
        match (response, self.direction) {
            (Response::DidNotRespond { .. }, _) => format!("stops {}", self.name),
            (_, Direction::Higher) => format!("leaves {} {} of its throughput", self.name, share(response)),
            _ => format!("makes {} take {} as long", self.name, ratio(response)),
        }
    }

    /// `1.96 ×`, `52 %`: the harm in a word, for lists.
    pub(super) fn short(&self, response: &Response) -> String {
        match self.direction {
            Direction::Higher => share(response),
            _ => ratio(response),
        }
    }

    /// What belongs beside [`Victim::short`] and [`Victim::harm`].
    pub(super) fn short_spread(&self, response: &Response) -> String {
        match self.direction {
            Direction::Higher => share_spread(response),
            _ => ratio_spread(response),
        }
    }

    /// How its slowdown is to be read, for a table's note.
    pub(super) fn reading(&self) -> &'static str {
        match self.direction {
            Direction::Higher => "throughput without divided by throughput with; 2 × is half of it",
            _ => "time with divided by time without",
        }
    }
}

impl Detail {
    /// The cell of a case. A share is shown in per cent.
    pub(super) fn cell(&self, case: &CaseResult, all: &[CaseResult]) -> Cell {
        match self.unit {
            Unit::Ratio => percent_cell(case.summary(self.metric)),
            unit => median_cell(case.summary(self.metric), scale(all, self.metric, unit)),
        }
    }
}

/// The scale of a metric's column.
pub(super) fn scale(all: &[CaseResult], metric: &str, unit: Unit) -> Scale {
    super::text::column_scale(unit, all.iter().filter_map(|c| c.summary(metric)))
}

fn percent_cell(summary: Option<&Summary>) -> Cell {
    let Some(s) = summary else { return Cell::missing() };
    let (low, high) = s.interval.map_or((s.min, s.max), |i| (i.low, i.high));
    let detail = match s.count {
        1 => count(1, "trial"),
        _ => format!("{:.0} – {:.0} %", 100.0 * low, 100.0 * high),
    };
    Cell::new(format!("{:.0} %", 100.0 * s.median)).detail(detail)
}
