//! Where an engine listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::Error;

/// The variable with which users choose their engine, as for the `docker` command.
const VARIABLE: &str = "DOCKER_HOST";

/// Where the engine listens by default.
const DEFAULT: &str = "/var/run/docker.sock";

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix socket of this host.
    Unix(PathBuf),
    /// A host and port, without encryption.
    Tcp(String),
}

impl Address {
    /// The address in `DOCKER_HOST`, else this host's default.
    ///
    /// # Errors
    /// The variable holds an invalid address.
    pub fn from_env() -> Result<Self, Error> {
        match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => text.parse(),
            _ => Ok(Address::Unix(PathBuf::from(DEFAULT))),
        }
    }

    /// Whether the engine runs on this host.
    pub fn is_local(&self) -> bool {
        matches!(self, Address::Unix(_))
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unix = text.strip_prefix("unix://").filter(|path| path.starts_with('/'));
        let tcp = text.strip_prefix("tcp://").or_else(|| text.strip_prefix("http://"));
        match (unix, tcp.map(|host| host.trim_end_matches('/')).filter(|host| !host.is_empty())) {
            (Some(path), _) => Ok(Address::Unix(PathBuf::from(path))),
            (_, Some(host)) => Ok(Address::Tcp(host.to_owned())),
            _ => Err(Error::Address { given: text.to_owned() }),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp(host) => write!(f, "tcp://{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::socket("unix:///run/docker.sock", "unix:///run/docker.sock")]
    #[case::remote("tcp://10.0.0.7:2375", "tcp://10.0.0.7:2375")]
    #[case::with_a_slash("tcp://remote:2375/", "tcp://remote:2375")]
    #[case::web("http://remote:2375", "tcp://remote:2375")]
    fn addresses_are_read(#[case] given: &str, #[case] shown: &str) {
        let address: Address = given.parse().expect("an address");
        assert_eq!(address.to_string(), shown);
        assert_eq!(address.to_string().parse::<Address>().expect("it reads back"), address);
    }

    #[rstest]
    fn other_addresses_are_refused_with_the_accepted_ones(
        #[values("ssh://user@remote", "unix://docker.sock", "tcp://", "remote:2375")] given: &str,
    ) {
        let error = given.parse::<Address>().expect_err("refused").to_string();
        assert!(error.contains(given) && error.contains("unix:///"), "{error}");
    }
}
