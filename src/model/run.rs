//! The identity of a run, and the names of everything that it makes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The environment variable with the run's id. Every process of a run has it, so that they can be found after a crash.
pub const RUN_VARIABLE: &str = "FEATHERWEIGHT_RUN";

/// The prefix of the names of everything that a run makes on the host.
pub const NAME_PREFIX: &str = "fw-";

/// The id of a run: its start in UTC and four hexadecimal digits, such as `20261121-084514-3f9a`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// A text that is not a run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid run id `{0}`; expected an id such as 20261121-084514-3f9a")]
pub struct ParseRunIdError(String);

impl RunId {
    /// Creates an id for a run that starts now.
    pub fn generate() -> Self {
        let now = jiff::Timestamp::now();
        let salt = (now.as_nanosecond() as u64 / 1000) ^ u64::from(std::process::id()).rotate_left(7);
        Self(format!("{}-{:04x}", now.strftime("%Y%m%d-%H%M%S"), salt & 0xffff))
    }

    /// The time since the start of the run; zero if that is invalid or in the future.
    pub fn age(&self) -> Duration {
        let start = jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", &self.0[..15]);
        let start = start.and_then(|start| start.to_zoned(jiff::tz::TimeZone::UTC));
        let age = start.map(|start| jiff::Timestamp::now().duration_since(start.timestamp()));
        age.ok().and_then(|age| Duration::try_from(age).ok()).unwrap_or_default()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of everything that the run makes on the host: `fw-<id>`.
    pub fn name(&self) -> String {
        format!("{NAME_PREFIX}{}", self.0)
    }
}

impl FromStr for RunId {
    type Err = ParseRunIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let salt_is_hex = text.get(16..).is_some_and(|s| s.len() == 4 && s.chars().all(|c| c.is_ascii_hexdigit()));
        match shape.get(..16) {
            Some("00000000-000000-") if salt_is_hex => Ok(Self(text.to_owned())),
            _ => Err(ParseRunIdError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = ParseRunIdError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_id_can_be_parsed() {
        let id = RunId::generate();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert!(id.name().starts_with("fw-2"));
    }

    #[test]
    fn an_id_contains_the_start_of_its_run() {
        assert!(RunId::generate().age() < Duration::from_secs(60));
        let old: RunId = "20200101-000000-0001".parse().expect("an id");
        assert!(old.age() > Duration::from_secs(86_400 * 365));
        let odd: RunId = "20209999-000000-0001".parse().expect("an id");
        assert_eq!(odd.age(), Duration::ZERO, "there is no such day");
    }

    #[test]
    fn other_names_are_not_ids() {
        for text in ["", "last", "20261121-084514-xyz1", "20261121-084514-3f9", "../../etc", "20261121-084514-3f9a/x"] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
