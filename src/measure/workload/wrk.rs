//! Parses the output of `wrk --latency`. Pure.
//!
//! Times have a unit, from `us` to `h`; rates and counts are plain numbers.

use crate::model::units::Nanos;

/// The results of wrk.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Responses, whatever their status.
    pub requests: u64,
    /// Responses per second.
    pub rate: f64,
    /// The median latency.
    pub p50: Nanos,
    /// The 99th percentile of the latency.
    pub p99: Nanos,
    /// The errors.
    pub errors: Errors,
}

/// The numbers of errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Errors {
    /// Connections that failed.
    pub connect: u64,
    /// Reads that failed.
    pub read: u64,
    /// Writes that failed.
    pub write: u64,
    /// Responses that came after wrk's timeout of two seconds.
    pub timeout: u64,
    /// Responses with a status of 400 or above.
    pub status: u64,
}

impl Errors {
    /// The sum of all errors.
    pub fn sum(&self) -> u64 {
        self.connect + self.read + self.write + self.timeout + self.status
    }
}

/// Reads wrk's output to its last line.
///
/// # Errors
/// Names what is missing or unknown.
pub fn parse(text: &str) -> Result<Report, String> {
    let rate = after(text, "Requests/sec:")?;
    let rate: f64 = rate.parse().map_err(|_| format!("`{rate}` requests per second"))?;
    // Without the last line, the number before it may be cut.
    after(text, "Transfer/sec:")?;
    let requests = requests(text)?;
    if requests == 0 || !rate.is_finite() || rate <= 0.0 {
        return Err(format!("no request was answered ({requests} requests, {rate} a second)"));
    }
    let [p50, p99] = ["50%", "99%"].map(|share| after(text, share).and_then(time));
    Ok(Report { requests, rate, p50: p50?, p99: p99?, errors: errors(text)? })
}

/// The rest of the line that begins with `label`.
fn after<'a>(text: &'a str, label: &str) -> Result<&'a str, String> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
    let rest = line.map(str::trim).filter(|rest| !rest.is_empty());
    rest.ok_or_else(|| format!("no line `{label} …`"))
}

/// `43187 requests in 1.10s, 35.01MB read`
fn requests(text: &str) -> Result<u64, String> {
    let line = text.lines().find(|line| line.contains(" requests in ")).ok_or("no line `… requests in …`")?;
    let count = line.split_whitespace().next().unwrap_or_default();
    count.parse().map_err(|_| format!("`{}`", line.trim()))
}

/// Lines that wrk leaves out without errors: `Socket errors: connect 0, read 3301, write 0, timeout 0`, and
/// `Non-2xx or 3xx responses: 67206`.
fn errors(text: &str) -> Result<Errors, String> {
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| format!("`{text}` errors"));
    let mut errors = Errors::default();
    if let Ok(list) = after(text, "Socket errors:") {
        for entry in list.split(", ") {
            let (kind, count) = entry.split_once(' ').ok_or_else(|| format!("`{entry}` errors"))?;
            let field = match kind {
                "connect" => &mut errors.connect,
                "read" => &mut errors.read,
                "write" => &mut errors.write,
                "timeout" => &mut errors.timeout,
                _ => return Err(format!("unknown kind of error `{entry}`")),
            };
            *field = number(count)?;
        }
    }
    if let Ok(count) = after(text, "Non-2xx or 3xx responses:") {
        errors.status = number(count)?;
    }
    Ok(errors)
}

/// `190.00us`, `2.72ms`, `1.10s`, `1.01m`, `1.00h`
fn time(text: &str) -> Result<Nanos, String> {
    let invalid = || format!("invalid time `{text}`");
    let at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(invalid)?;
    let unit = match &text[at..] {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return Err(invalid()),
    };
    let number: f64 = text[..at].parse().map_err(|_| invalid())?;
    if number.is_finite() && number > 0.0 { Ok(Nanos((number * unit).round() as u64)) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const GOOD: &str = include_str!("../../../fixtures/wrk/4.1.0-good.txt");
    const NOT_FOUND: &str = include_str!("../../../fixtures/wrk/4.1.0-not-found.txt");
    const TIMEOUTS: &str = include_str!("../../../fixtures/wrk/4.1.0-timeouts.txt");
    const READ_ERRORS: &str = include_str!("../../../fixtures/wrk/4.1.0-read-errors.txt");
    const NEVER: &str = include_str!("../../../fixtures/wrk/4.1.0-never-answers.txt");
    const CUT: &str = include_str!("../../../fixtures/wrk/4.1.0-cut-by-hand.txt");
    const GOOD_4_2: &str = include_str!("../../../fixtures/wrk/4.2.0-good-by-hand.txt");
    const ERRORS_4_2: &str = include_str!("../../../fixtures/wrk/4.2.0-all-errors-by-hand.txt");

    const NONE: Errors = Errors { connect: 0, read: 0, write: 0, timeout: 0, status: 0 };

    #[rstest]
    #[case(GOOD, 43187, 39146.07, 190_000, 2_720_000, NONE)]
    #[case(NOT_FOUND, 67206, 61012.17, 125_000, 3_600_000, Errors { status: 67206, ..NONE })]
    #[case(TIMEOUTS, 528, 130.53, 10_360_000, 26_130_000, Errors { timeout: 4, ..NONE })]
    #[case(READ_ERRORS, 13207, 13168.39, 163_000, 35_950_000, Errors { read: 3301, ..NONE })]
    #[case(GOOD_4_2, 19_319_500, 160995.83, 640_100_000, 60_600_000_000, NONE)]
    #[case(ERRORS_4_2, 21730, 2168.66, 2_010_000, 110_300_000,
        Errors { connect: 3, read: 5, write: 7, timeout: 11, status: 13 })]
    fn a_whole_output_is_read(
        #[case] text: &str,
        #[case] requests: u64,
        #[case] rate: f64,
        #[case] p50: u64,
        #[case] p99: u64,
        #[case] errors: Errors,
    ) {
        let expected = Report { requests, rate, p50: Nanos(p50), p99: Nanos(p99), errors };
        assert_eq!(parse(text), Ok(expected));
    }

    #[rstest]
    #[case::nothing("", "no line `Requests/sec: …`")]
    #[case::cut(CUT, "no line `Requests/sec: …`")]
    #[case::never_answered(NEVER, "no request was answered (0 requests, 0 a second)")]
    #[case::usage("Usage: wrk <options> <url>\n", "no line `Requests/sec: …`")]
    fn what_is_no_result_is_an_error(#[case] text: &str, #[case] why: &str) {
        assert_eq!(parse(text), Err(why.to_owned()));
    }

    #[rstest]
    #[case("Requests/sec:  39146.07", "Requests/sec:  nan", "no request was answered (43187 requests, NaN a second)")]
    #[case("Requests/sec:  39146.07", "Requests/sec:  39.1k", "`39.1k` requests per second")]
    #[case("50%  190.00us", "50%  190.00", "invalid time `190.00`")]
    #[case("50%  190.00us", "50%  -nanus", "invalid time `-nanus`")]
    #[case("99%    2.72ms", "99%    2.72fortnights", "invalid time `2.72fortnights`")]
    #[case("43187 requests in", "43k requests in", "`43k requests in 1.10s, 35.01MB read`")]
    #[case("Requests/sec:", "  Socket errors: connect 0, swim 3\nRequests/sec:", "unknown kind of error `swim 3`")]
    #[case("Requests/sec:", "  Non-2xx or 3xx responses: many\nRequests/sec:", "`many` errors")]
    fn an_odd_line_is_an_error(#[case] line: &str, #[case] instead: &str, #[case] why: &str) {
        assert_eq!(parse(&GOOD.replace(line, instead)), Err(why.to_owned()));
    }

    proptest! {
        /// Only the transfer rate, which is not read, may be cut.
        #[test]
        fn a_cut_output_is_an_error_or_whole(at in 0..GOOD.len()) {
            let cut = parse(&GOOD[..at]);
            prop_assert!(cut.is_err() || GOOD[..at].contains("Transfer/sec:"));
            prop_assert!(cut.is_err() || cut == parse(GOOD));
        }
    }
}
