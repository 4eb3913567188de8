//! Recordings: one metric of one case, trial after trial, as gzipped CSV after a header with its facts.
//!
//! Invariant: reading never panics, whatever the bytes; a recording has only finite values above zero.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// The first line, before the schema's number.
const MAGIC: &str = "# featherweight recording ";
/// The schema that this version writes, and the newest one that it reads.
const SCHEMA: u32 = 1;
/// The columns.
const COLUMNS: &str = "order,block,arm,value";
/// The largest unpacked recording in bytes.
const LARGEST: u64 = 64 << 20;

/// One metric of one case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    /// Facts about the recording by name: `case`, `metric`, `unit`, `kernel`, `command`.
    pub facts: BTreeMap<String, String>,
    /// The successful trials in the order of measurement.
    pub trials: Vec<Recorded>,
}

/// One trial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recorded {
    /// Its index in the order of measurement, with failed trials counted.
    pub order: u64,
    /// The number of its block. Numbers rise and are unique.
    pub block: u32,
    /// Whether it belongs to arm B.
    pub is_b: bool,
    /// The value in the unit of the facts.
    pub value: f64,
}

/// Bytes that are not a recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// They cannot be unpacked.
    #[error("not a complete gzip file: {0}")]
    Packed(String),
    /// They unpack to more than the largest recording.
    #[error("unpacks to more than {} MiB", LARGEST >> 20)]
    Large,
    /// The first line is wrong.
    #[error("invalid first line; expected `{MAGIC}{SCHEMA}`")]
    Foreign,
    /// A newer version wrote it.
    #[error("has schema {0}; this version reads up to {SCHEMA}\nhelp: use a newer version")]
    Newer(u32),
    /// A line is invalid.
    #[error("line {line}: {reason}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// The error.
        reason: String,
    },
    /// There is no trial.
    #[error("has no trials")]
    Empty,
}

impl Recording {
    /// Reads a gzipped recording.
    ///
    /// # Errors
    /// When the bytes are not a valid recording.
    pub fn unpack(bytes: &[u8]) -> Result<Recording, RecordingError> {
        let mut text = Vec::new();
        let limited = MultiGzDecoder::new(bytes).take(LARGEST + 1).read_to_end(&mut text);
        limited.map_err(|e| RecordingError::Packed(e.to_string()))?;
        if text.len() as u64 > LARGEST {
            return Err(RecordingError::Large);
        }
        Self::parse(&String::from_utf8_lossy(&text))
    }

    /// Reads the text of a recording.
    ///
    /// # Errors
    /// As [`Recording::unpack`].
    pub fn parse(text: &str) -> Result<Recording, RecordingError> {
        let mut lines = text.lines().enumerate();
        let schema = lines.next().and_then(|(_, first)| first.strip_prefix(MAGIC)).ok_or(RecordingError::Foreign)?;
        match schema.trim().parse() {
            Ok(SCHEMA) => {}
            Ok(newer) if newer > SCHEMA => return Err(RecordingError::Newer(newer)),
            _ => return Err(RecordingError::Foreign),
        }
        let mut recording = Recording::default();
        let mut has_columns = false;
        for (i, line) in lines {
            let wrong = |reason: String| RecordingError::Line { line: i + 1, reason };
            match line.strip_prefix('#') {
                Some(fact) => recording.facts.extend(named(fact)),
                None if !has_columns && line == COLUMNS => has_columns = true,
                None if !has_columns => return Err(wrong(format!("expected `{COLUMNS}`"))),
                None => recording.trials.push(trial(line).map_err(wrong)?),
            }
        }
        if recording.trials.is_empty() { Err(RecordingError::Empty) } else { Ok(recording) }
    }

    /// The recording as text.
    pub fn text(&self) -> String {
        let mut text = format!("{MAGIC}{SCHEMA}\n");
        for (name, value) in &self.facts {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# {}: {}", one_line(name).replace(':', " "), one_line(value));
        }
        text.push_str(COLUMNS);
        text.push('\n');
        for t in &self.trials {
            let _ = writeln!(text, "{},{},{},{}", t.order, t.block, if t.is_b { 'b' } else { 'a' }, t.value);
        }
        text
    }

    /// The recording, gzipped; the same recording gives the same bytes.
    ///
    /// # Errors
    /// None in practice, since a `Vec` accepts all bytes.
    pub fn packed(&self) -> std::io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(self.text().as_bytes())?;
        encoder.finish()
    }

    /// A fact by its name.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.get(name).map(String::as_str)
    }

    /// Whether it has a second arm.
    pub fn has_two_arms(&self) -> bool {
        self.trials.iter().any(|trial| trial.is_b)
    }

    /// The values of one arm in the order of measurement.
    pub fn values(&self, is_b: bool) -> Vec<f64> {
        self.trials.iter().filter(|trial| trial.is_b == is_b).map(|trial| trial.value).collect()
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn named(fact: &str) -> Option<(String, String)> {
    let (name, value) = fact.split_once(": ")?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

fn trial(line: &str) -> Result<Recorded, String> {
    let fields: Vec<&str> = line.split(',').collect();
    let [order, block, arm, value] = fields[..] else {
        return Err(format!("{} fields; expected the 4 of `{COLUMNS}`", fields.len()));
    };
    let value: f64 = value.parse().map_err(|e| format!("value `{value}`: {e}"))?;
    if !(value.is_finite() && value > 0.0) {
        return Err(format!("value `{value}` is not above zero"));
    }
    Ok(Recorded {
        order: order.parse().map_err(|e| format!("order `{order}`: {e}"))?,
        block: block.parse().map_err(|e| format!("block `{block}`: {e}"))?,
        is_b: match arm {
            "a" => false,
            "b" => true,
            other => return Err(format!("unknown arm `{other}`; expected a or b")),
        },
        value,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn recording() -> Recording {
        let trial =
            |order: u64| Recorded { order, block: order as u32 / 4, is_b: order % 2 == 1, value: 7e6 + order as f64 };
        let facts = [("case", "boot youki hello"), ("command", "ab --set a:b\n--record 9"), ("unit", "ns")];
        Recording {
            facts: facts.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            trials: (0..10).map(trial).collect(),
        }
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let recording = recording();
        let again = Recording::unpack(&recording.packed().unwrap()).unwrap();
        assert_eq!(again.trials, recording.trials);
        assert_eq!(again.fact("command"), Some("ab --set a:b --record 9"));
        assert_eq!((again.values(true).len(), again.has_two_arms(), again.fact("kernel")), (5, true, None));
    }

    #[test]
    fn a_block_that_lacks_a_run_is_left_out() {
        // Ten trials make blocks of 2 and 2, 2 and 2, and one of 1 and 1.
        assert_eq!(
            recording().blocks().iter().map(|pair| (pair.a.len(), pair.b.len())).collect::<Vec<_>>(),
            [(2, 2); 2]
        );
        assert!(Recording::default().blocks().is_empty());
    }

    #[rstest]
    #[case("", "invalid first line")]
    #[case("order,block,arm,value\n0,0,a,1\n", "invalid first line")]
    #[case("# featherweight recording x\n", "invalid first line")]
    #[case("# featherweight recording 2\n", "has schema 2")]
    #[case("# featherweight recording 1\n", "has no trials")]
    #[case("# featherweight recording 1\n0,0,a,1\n", "line 2: expected `order,block,arm,value`")]
    #[case("# featherweight recording 1\norder,block,arm,value\n0,0,a\n", "line 3: 3 fields")]
    #[case("# featherweight recording 1\norder,block,arm,value\n0,0,c,1\n", "arm `c`")]
    #[case("# featherweight recording 1\norder,block,arm,value\n0,0,a,NaN\n", "not above zero")]
    #[case("# featherweight recording 1\norder,block,arm,value\n0,0,a,0\n", "not above zero")]
    #[case("# featherweight recording 1\norder,block,arm,value\n-1,0,a,5\n", "order `-1`")]
    fn invalid_recordings_are_errors(#[case] text: &str, #[case] expected: &str) {
        let error = Recording::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn torn_and_foreign_files_are_errors() {
        let packed = recording().packed().unwrap();
        for end in [0, 1, packed.len() / 2, packed.len() - 1] {
            assert!(matches!(
                Recording::unpack(&packed[..end]),
                Err(RecordingError::Packed(_) | RecordingError::Foreign)
            ));
        }
        assert!(matches!(Recording::unpack(b"no gzip"), Err(RecordingError::Packed(_))));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(# featherweight recording 1\n)?(# a: b\n)?(order,block,arm,value\n)?[0-9ab,.\n-]{0,60}") {
            if let Ok(recording) = Recording::parse(&text) {
                prop_assert!(recording.trials.iter().all(|t| t.value > 0.0));
                prop_assert_eq!(Recording::parse(&recording.text()), Ok(recording));
            }
        }
    }
}
