//! A run's identity and the folders it uses.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The environment variable that every process of a run carries, so that a crashed run's processes can be told
/// from everybody else's.
pub const RUN_VARIABLE: &str = "FEATHERWEIGHT_RUN";

/// The prefix of the name of everything a run makes on the host.
pub const NAME_PREFIX: &str = "fw-";

/// Names one run: the UTC second it began and four hexadecimal digits, `20261121-084514-3f9a`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// A text that is no run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no run id; one looks like 20261121-084514-3f9a")]
pub struct ParseRunIdError(String);

impl RunId {
    /// A new id for a run that begins now.
    pub fn generate() -> Self {
        let now = jiff::Timestamp::now();
        let salt = (now.as_nanosecond() as u64 / 1000) ^ u64::from(std::process::id()).rotate_left(7);
        Self(format!("{}-{:04x}", now.strftime("%Y%m%d-%H%M%S"), salt & 0xffff))
    }

    /// How long ago the run began; nothing where the clock has been set back since.
    pub fn age(&self) -> Duration {
        let began = jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", &self.0[..15]);
        let began = began.and_then(|began| began.to_zoned(jiff::tz::TimeZone::UTC));
        let age = began.map(|began| jiff::Timestamp::now().duration_since(began.timestamp()));
        age.ok().and_then(|age| Duration::try_from(age).ok()).unwrap_or_default()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of what the run makes on the host: `fw-<id>`.
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
    fn a_generated_id_reads_back() {
        let id = RunId::generate();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert!(id.name().starts_with("fw-2"));
    }

    #[test]
    fn an_id_tells_when_its_run_began() {
        assert!(RunId::generate().age() < Duration::from_secs(60));
        let old: RunId = "20200101-000000-0001".parse().expect("an id");
        assert!(old.age() > Duration::from_secs(86_400 * 365));
        let odd: RunId = "20209999-000000-0001".parse().expect("an id");
        assert_eq!(odd.age(), Duration::ZERO, "there is no such day");
    }

    #[test]
    fn foreign_names_are_no_ids() {
        for text in ["", "last", "20261121-084514-xyz1", "20261121-084514-3f9", "../../etc", "20261121-084514-3f9a/x"] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
