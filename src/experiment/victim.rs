//! The victims: how each is launched and what its lines mean.

use super::boot::span;
use super::stage::time;
use crate::guest::GuestLine;
use crate::platform::{Error, Event, Exit, Stopped};
use crate::store::Metric;
use crate::units::Nanos;

/// The arguments of the SQLite victim.
pub(super) fn sqlite_arguments(rows: u32) -> Vec<String> {
    vec![format!("rows={rows}")]
}

/// The numbers of a SQLite victim that ended: `insert_time` on the host's clock, from `FW ready` to `FW result`, and
/// `insert_time_guest`, the guest's own measure, as a cross-check.
pub(super) fn sqlite_metrics(name: &str, rows: u32, stopped: &Stopped) -> Result<Vec<Metric>, Error> {
    ended_well(name, stopped.exit)?;
    let result = stopped.lines.iter().find_map(|stamped| match &stamped.line {
        GuestLine::Result(result) => Some(result),
        _ => None,
    });
    let number = |key: &str| result.and_then(|r| r.get(key)).and_then(serde_json::Value::as_u64);
    if number("rows") != Some(u64::from(rows)) {
        return Err(Error::failed(
            format!("read the result of {name}"),
            format!("it does not tell {rows} rows: {result:?}"),
        ));
    }
    let mut metrics = vec![time("insert_time", span(name, &stopped.events, Event::Ready, Event::Result)?)];
    metrics.extend(number("insert_ns").map(|ns| time("insert_time_guest", Nanos(ns))));
    Ok(metrics)
}

/// A victim that ends otherwise than by returning 0 has no result.
pub(super) fn ended_well(name: &str, exit: Exit) -> Result<(), Error> {
    match exit {
        Exit::Code(0) => Ok(()),
        Exit::Code(code) => Err(Error::failed(format!("run {name}"), format!("the guest ended with code {code}"))),
        Exit::Signal(signal) => Err(Error::failed(format!("run {name}"), format!("signal {signal} ended the guest"))),
    }
}
