//! Parses the output of `redis-benchmark --csv`. Pure.
//!
//! Since version 6.2, a header names the columns, which include latencies. Before that, a line was a name and a rate.

use crate::model::units::Nanos;

/// The results of one kind of request.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The kind: `SET`, `GET`.
    pub test: String,
    /// Requests per second.
    pub rate: f64,
    /// The median latency, where the tool reports it.
    pub p50: Option<Nanos>,
    /// The 99th percentile of the latency, where the tool reports it.
    pub p99: Option<Nanos>,
}

/// Reads the rows of `tests`, in that order; the tool prints them in upper case, and in one row each.
///
/// # Errors
/// Names what is missing or unknown.
pub fn parse(text: &str, tests: &[&str]) -> Result<Vec<Row>, String> {
    let whole = text.strip_suffix('\n').ok_or("the output ends within a line")?;
    let mut lines = whole.lines().filter(|line| !line.trim().is_empty()).peekable();
    let header = lines.next_if(|line| line.starts_with("\"test\",")).map(cells).transpose()?;
    let rows: Vec<Row> = lines.map(|line| row(line, header.as_deref())).collect::<Result<_, _>>()?;
    let find = |test: &&str| {
        let row = rows.iter().find(|row| row.test == **test).cloned();
        row.ok_or_else(|| format!("no line for {test}"))
    };
    tests.iter().map(find).collect()
}

fn row(line: &str, header: Option<&[String]>) -> Result<Row, String> {
    let invalid = || format!("`{line}`");
    let cells = cells(line)?;
    if cells.len() != header.map_or(2, <[String]>::len) {
        return Err(invalid());
    }
    let column = |name: &str| cells.get(header?.iter().position(|column| column == name)?).map(String::as_str);
    let rate = match header {
        None => cells.get(1).map(String::as_str),
        Some(_) => column("rps"),
    };
    let rate = rate.and_then(|text| text.parse::<f64>().ok()).filter(|rate| rate.is_finite() && *rate > 0.0);
    let milliseconds = |name: &str| column(name).map(|text| time(text).ok_or_else(invalid)).transpose();
    let (p50, p99) = (milliseconds("p50_latency_ms")?, milliseconds("p99_latency_ms")?);
    Ok(Row { test: cells.first().cloned().ok_or_else(invalid)?, rate: rate.ok_or_else(invalid)?, p50, p99 })
}

/// The cells of `"SET","1503759.38"`. No cell contains a comma or a quote.
fn cells(line: &str) -> Result<Vec<String>, String> {
    let cell = |text: &str| Some(text.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    line.trim_end().split(',').map(cell).collect::<Option<_>>().ok_or_else(|| format!("`{line}`"))
}

fn time(milliseconds: &str) -> Option<Nanos> {
    let time: f64 = milliseconds.parse().ok()?;
    (time.is_finite() && time >= 0.0).then(|| Nanos((time * 1e6).round() as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const GOOD: &str = include_str!("../../../fixtures/redis-benchmark/7.0.15-good.txt");
    const SERVER_GONE: &str = include_str!("../../../fixtures/redis-benchmark/7.0.15-server-gone.txt");
    const NO_TIME: &str = include_str!("../../../fixtures/redis-benchmark/7.0-no-time-by-hand.txt");
    const CUT: &str = include_str!("../../../fixtures/redis-benchmark/7.0-cut-by-hand.txt");
    const GOOD_6: &str = include_str!("../../../fixtures/redis-benchmark/6.0-good-by-hand.txt");
    const GOOD_5: &str = include_str!("../../../fixtures/redis-benchmark/5.0-good-by-hand.txt");

    const TESTS: &[&str] = &["SET", "GET"];

    fn expected(test: &str, rate: f64, latencies: Option<(u64, u64)>) -> Row {
        let (p50, p99) = latencies.map(|(p50, p99)| (Nanos(p50), Nanos(p99))).unzip();
        Row { test: test.to_owned(), rate, p50, p99 }
    }

    #[rstest]
    #[case(GOOD, (1503759.38, Some((223_000, 631_000))), (1694915.25, Some((151_000, 391_000))))]
    #[case(GOOD_6, (98039.22, None), (101010.10, None))]
    #[case(GOOD_5, (123456.79, None), (131578.95, None))]
    fn a_whole_output_is_read(
        #[case] text: &str,
        #[case] set: (f64, Option<(u64, u64)>),
        #[case] get: (f64, Option<(u64, u64)>),
    ) {
        assert_eq!(parse(text, TESTS), Ok(vec![expected("SET", set.0, set.1), expected("GET", get.0, get.1)]));
    }

    #[rstest]
    #[case::nothing("", "the output ends within a line")]
    #[case::blank("\n", "no line for SET")]
    #[case::server_gone(SERVER_GONE, "no line for SET")]
    #[case::cut(CUT, "the output ends within a line")]
    #[case::one_kind_only("\"SET\",\"1.00\"\n", "no line for GET")]
    #[case::no_time(NO_TIME, "`\"SET\",\"inf\",\"0.000\",\"0.000\",\"0.000\",\"0.000\",\"0.000\",\"0.000\"`")]
    #[case::nothing_done("\"SET\",\"0.00\"\n\"GET\",\"1.00\"\n", "`\"SET\",\"0.00\"`")]
    #[case::no_number("\"SET\",\"nan\"\n\"GET\",\"1.00\"\n", "`\"SET\",\"nan\"`")]
    #[case::other_words("SET: rps=1.0\n", "`SET: rps=1.0`")]
    #[case::too_many_cells("\"SET\",\"1.00\",\"2\"\n", "`\"SET\",\"1.00\",\"2\"`")]
    fn what_is_no_result_is_an_error(#[case] text: &str, #[case] why: &str) {
        assert_eq!(parse(text, TESTS), Err(why.to_owned()));
    }

    proptest! {
        #[test]
        fn a_cut_output_is_an_error(at in 0..GOOD.len() - 1) {
            prop_assert!(parse(&GOOD[..at], TESTS).is_err());
        }
    }
}
