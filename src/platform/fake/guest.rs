//! What a fake guest does, decided when it is launched.

use serde_json::json;

use super::super::{Exit, LaunchSpec};
use crate::guest::GuestLine;
use crate::model::program::Program;
use crate::model::units::{Bytes, Nanos};

const BOOT: Nanos = Nanos(5_000_000);
const SETUP: Nanos = Nanos(100_000);
const ROW: Nanos = Nanos(10_000);
const WIND_DOWN: Nanos = Nanos(300_000);
const OPERATION: Nanos = Nanos(1_000);

/// A guest's memory by default.
const MEMORY: Bytes = Bytes(64 << 20);

/// With less memory, a guest ends instead of starting its program.
const NEEDED: Bytes = Bytes(23 << 20);

/// What a guest is launched into.
#[derive(Debug)]
pub(super) struct GuestContext {
    /// The instant of its launch.
    pub(super) spawn: Nanos,
    /// The number of the launch.
    pub(super) number: u64,
    /// The number of living instances.
    pub(super) living: u64,
    /// The number of busy guests on its CPUs.
    pub(super) rivals: u64,
}

/// A guest's lines and its end.
#[derive(Debug)]
pub(super) struct Timeline {
    /// The instant of its launch.
    pub(super) spawn: Nanos,
    /// Its lines, ordered by time.
    pub(super) lines: Vec<(Nanos, GuestLine)>,
    /// When and how it ends by itself; `None` if it never does.
    pub(super) end: Option<(Nanos, Exit)>,
    /// Its memory.
    pub(super) memory: Bytes,
    /// Since when it performs one operation a microsecond; `None` if it is not an attacker.
    pub(super) attacking_since: Option<Nanos>,
    busy: bool,
}

impl GuestContext {
    /// The guest's life.
    ///
    /// # Errors
    /// Fails if an argument is invalid.
    pub(super) fn timeline(&self, spec: &LaunchSpec) -> Result<Timeline, String> {
        let busy = Nanos(argument(spec, "busy")?.unwrap_or(0));
        let is_worker = spec.image.program == Program::Sqlite;
        let late = if is_worker { Nanos(0) } else { busy };
        let main = self.spawn + self.vary(Nanos(BOOT.0 + BOOT.0 * self.living / 2000)) + late;
        let ready = main + SETUP;
        let deadline = self.spawn + spec.deadline.into();
        let mut timeline = Timeline {
            spawn: self.spawn,
            lines: vec![(main, GuestLine::Main)],
            end: Some((deadline, Exit::Code(DEADLINE_CODE))),
            memory: spec.memory.unwrap_or(MEMORY),
            attacking_since: None,
            busy: false,
        };
        match spec.image.program {
            Program::Hello => timeline.end = Some((main + WIND_DOWN, Exit::Code(0))),
            Program::Sleep | Program::Nginx | Program::Redis => timeline.lines.push((ready, GuestLine::Ready)),
            Program::Sqlite => {
                self.work(&mut timeline, ready, argument(spec, "rows")?.unwrap_or(60_000), busy);
            }
            Program::Probe => probe(&mut timeline, main, spec)?,
            _ => {
                timeline.lines.push((ready, GuestLine::Ready));
                timeline.attacking_since = Some(ready);
                timeline.busy = true;
            }
        }
        if timeline.memory < NEEDED {
            timeline.starve(main);
        }
        Ok(timeline)
    }

    fn work(&self, timeline: &mut Timeline, ready: Nanos, rows: u64, busy: Nanos) {
        let took = self.vary(Nanos(ROW.0 * rows * (self.rivals + 1))) + busy;
        let done = ready + took;
        timeline.lines.push((ready, GuestLine::Ready));
        timeline.lines.push((done, GuestLine::Result(json!({ "rows": rows, "insert_ns": took.0 }))));
        timeline.end = Some((done + WIND_DOWN, Exit::Code(0)));
        timeline.busy = true;
    }

    fn vary(&self, span: Nanos) -> Nanos {
        Nanos(span.0 / 10_000 * parts_per_10_000(self.number))
    }
}

/// From 9,900 to 10,100, depending on the number of the launch: up to 1 % less or more.
pub(super) fn parts_per_10_000(number: u64) -> u64 {
    // Knuth's multiplicative hash spreads consecutive numbers evenly over 32 bits (The Art of Computer Programming,
    // 6.4); without the cut to 32 bits they would rise steadily, which is a trend.
    let hash = u64::from((number as u32).wrapping_mul(2_654_435_761));
    9_900 + ((hash * 201) >> 32)
}

/// The exit code of a guest that reached its deadline.
const DEADLINE_CODE: i32 = 124;

/// The exit code of a guest with too little memory.
const OUT_OF_MEMORY_CODE: i32 = 137;

fn argument(spec: &LaunchSpec, key: &str) -> Result<Option<u64>, String> {
    let value = spec.arguments.iter().find_map(|a| a.strip_prefix(key)?.strip_prefix('='));
    value.map(|v| v.parse().map_err(|_| format!("invalid {key}={v}; expected a number"))).transpose()
}

/// The misbehaving guest of the conformance suite.
fn probe(timeline: &mut Timeline, main: Nanos, spec: &LaunchSpec) -> Result<(), String> {
    let action = spec.arguments.iter().find_map(|a| a.strip_prefix("do=")).unwrap_or("");
    let soon = main + WIND_DOWN;
    match action {
        "exit" => {
            let code = argument(spec, "code")?.unwrap_or(0);
            timeline.end = Some((soon, Exit::Code(code as i32)));
        }
        "hang" => timeline.lines.push((main + SETUP, GuestLine::Ready)),
        "where" => {
            timeline.lines.push((soon, GuestLine::Result(json!({ "pid": 1 }))));
            timeline.end = Some((soon + WIND_DOWN, Exit::Code(0)));
        }
        "crash" => timeline.end = Some((soon, Exit::Signal(6))),
        "flood" => timeline.lines.extend((0..10_000).map(|_| (soon, GuestLine::Other("flood".to_owned())))),
        "silent" => {
            timeline.lines.clear();
            timeline.end = Some((soon, Exit::Code(0)));
        }
        other => {
            timeline.lines.push((soon, GuestLine::Error(format!("do={other}: not simulated"))));
            timeline.end = Some((soon, Exit::Code(2)));
        }
    }
    Ok(())
}

impl Timeline {
    /// Whether it keeps its CPUs busy while it lives.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// The guest ends at `at`, before its first line.
    fn starve(&mut self, at: Nanos) {
        (self.lines, self.end) = (Vec::new(), Some((at, Exit::Code(OUT_OF_MEMORY_CODE))));
        (self.attacking_since, self.busy) = (None, false);
    }

    /// Whether it ended because of too little memory.
    pub(super) fn is_starved(&self) -> bool {
        self.end.is_some_and(|(_, exit)| exit == Exit::Code(OUT_OF_MEMORY_CODE))
    }

    /// The guest prints its first line and nothing more.
    pub(super) fn hang_after_main(&mut self) {
        self.lines.truncate(1);
        self.end = None;
        self.attacking_since = None;
    }

    /// The guest ends with exit code 9 right after its first line.
    pub(super) fn crash_after_main(&mut self) {
        self.hang_after_main();
        self.end = self.lines.first().map(|&(main, _)| (main + WIND_DOWN, Exit::Code(9)));
    }

    /// The guest ends with exit code 9 ten microseconds after it is ready. That is before any load on it ends, whatever the
    /// order in which concurrent loads begin.
    pub(super) fn fade_when_ready(&mut self) {
        let ready = self.lines.iter().find(|(_, line)| *line == GuestLine::Ready).map(|&(at, _)| at);
        self.end = ready.map(|at| (at + Nanos(10_000), Exit::Code(9)));
    }

    /// The operations performed until `now`.
    pub(super) fn operations(&self, now: Nanos) -> Option<u64> {
        self.attacking_since.map(|since| now.saturating_sub(since).0 / OPERATION.0)
    }
}
