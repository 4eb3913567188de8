//! The reason for a runtime's failure, parsed from its log.

use serde_json::Value;

/// Returns the last error in a log, else its last line. Runtimes write JSON lines with `level` and `msg`, and plain
/// text before they have read their options.
pub(super) fn complaint(log: &str) -> Option<String> {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let error = lines.iter().rev().find_map(|line| error_message(line));
    error.or_else(|| lines.last().map(|&line| line.to_owned()))
}

fn error_message(line: &str) -> Option<String> {
    let entry: Value = serde_json::from_str(line).ok()?;
    match entry["level"].as_str()? {
        "error" | "fatal" | "panic" => entry["msg"].as_str().map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("\n", None)]
    #[case::runc(r#"{"level":"error","msg":"runc create failed: no","time":"x"}"#, Some("runc create failed: no"))]
    #[case::crun(r#"{"msg":"in hybrid mode","level":"error","time":"x"}"#, Some("in hybrid mode"))]
    #[case::the_last_error("{\"level\":\"error\",\"msg\":\"a\"}\n{\"level\":\"warning\",\"msg\":\"b\"}\n", Some("a"))]
    #[case::no_json("first\nunknown flag\n\n", Some("unknown flag"))]
    fn the_reason_is_found(#[case] log: &str, #[case] expected: Option<&str>) {
        assert_eq!(complaint(log).as_deref(), expected);
    }
}
