//! What a runtime complained of, from its log. Pure.

use serde_json::Value;

/// The last error in a log, or else its last line: runtimes write JSON lines with `level` and `msg`, and whatever they
/// print before they read their options as plain text.
pub(super) fn complaint(log: &str) -> Option<String> {
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut errors = lines().filter_map(|line| {
        let entry: Value = serde_json::from_str(line).ok()?;
        let severe = matches!(entry["level"].as_str()?, "error" | "fatal" | "panic");
        severe.then(|| entry["msg"].as_str().map(str::to_owned))?
    });
    errors.next_back().or_else(|| lines().next_back().map(str::to_owned))
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
