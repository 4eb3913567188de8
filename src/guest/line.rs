//! The lines that a guest prints: the whole protocol between a guest and the harness. Pure.
//!
//! A program prints `FW main` first, `FW ready` when it serves or is about to work, and `FW result {json}` at the end.
//! An attacker also prints `FW ops N`, its operations so far, once a second or at the interval `report_ms=`.
//! In a virtual machine, the guest system prints `FW guest` before it starts the program, and `FW exit code N` or
//! `FW exit signal N` after the program has ended.

use serde_json::Value;

/// One line of a guest's output.
#[derive(Debug, Clone, PartialEq)]
pub enum GuestLine {
    /// `FW main`: the program's first line.
    Main,
    /// `FW ready`: the program serves, or is about to begin the measured work.
    Ready,
    /// `FW ops N`: the number of operations since the attacker began.
    Ops(u64),
    /// `FW result {json}`: the program's own measurements, one JSON object.
    Result(Value),
    /// `FW error TEXT`: the guest failed.
    Error(String),
    /// `FW guest`: the guest system is up and about to start the program.
    Guest,
    /// `FW exit code N`: the program exited with this code.
    ExitCode(u8),
    /// `FW exit signal N`: this signal ended the program.
    ExitSignal(u8),
    /// Any other output; kept for the log.
    Other(String),
}

impl GuestLine {
    /// Parses one line, with or without its line end. A line outside of the protocol becomes `Other`.
    pub fn parse(text: &str) -> GuestLine {
        let text = text.trim_end_matches(['\r', '\n']);
        Self::parse_protocol(text).unwrap_or_else(|| GuestLine::Other(text.to_owned()))
    }

    fn parse_protocol(text: &str) -> Option<GuestLine> {
        let rest = text.strip_prefix("FW ")?;
        let (keyword, argument) = rest.split_once(' ').unwrap_or((rest, ""));
        match keyword {
            "main" if argument.is_empty() => Some(GuestLine::Main),
            "ready" if argument.is_empty() => Some(GuestLine::Ready),
            "ops" => argument.parse().ok().map(GuestLine::Ops),
            "result" => serde_json::from_str(argument).ok().filter(Value::is_object).map(GuestLine::Result),
            "error" => Some(GuestLine::Error(argument.to_owned())),
            "guest" if argument.is_empty() => Some(GuestLine::Guest),
            "exit" => match argument.split_once(' ')? {
                ("code", code) => code.parse().ok().map(GuestLine::ExitCode),
                ("signal", signal) => signal.parse().ok().map(GuestLine::ExitSignal),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_of_the_protocol_are_parsed() {
        assert_eq!(GuestLine::parse("FW main\r\n"), GuestLine::Main);
        assert_eq!(GuestLine::parse("FW ready"), GuestLine::Ready);
        assert_eq!(GuestLine::parse("FW ops 12"), GuestLine::Ops(12));
        assert_eq!(GuestLine::parse("FW guest"), GuestLine::Guest);
        assert_eq!(GuestLine::parse("FW exit code 255"), GuestLine::ExitCode(255));
        assert_eq!(GuestLine::parse("FW exit signal 6"), GuestLine::ExitSignal(6));
        assert_eq!(GuestLine::parse("FW error fork: 38"), GuestLine::Error("fork: 38".into()));
        assert_eq!(GuestLine::parse(r#"FW result {"rows":3}"#), GuestLine::Result(json!({"rows": 3})));
    }

    #[test]
    fn anything_else_is_kept_as_it_is() {
        for text in
            ["", "FW", "FW mainly", "FW exit", "FW exit code 256", "FW ops -1", "FW result [1]", "FW result {", "hello"]
        {
            assert_eq!(GuestLine::parse(text), GuestLine::Other(text.to_owned()), "{text}");
        }
    }
}
