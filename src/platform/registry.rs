//! The platforms of this version: one line each.

use std::str::FromStr;

use super::{Context, Error, Platform, PlatformFacts, PlatformId, Unavailable, fake, native, youki};
use crate::names::UnknownName;

/// How a platform is made. Making it changes nothing on the host.
type Open = fn(&Context) -> Result<Box<dyn Platform>, Error>;

/// A platform of the registry.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for `--help` and `doctor`.
    pub about: &'static str,
    /// Whether it is measured when the user names none.
    pub default: bool,
    open: Open,
}

/// Every platform of this version.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "native",
        about: "a plain process",
        default: true,
        open: |c| Ok(Box::new(native::Native::new(c.clone()))),
    },
    Entry {
        name: "youki",
        about: "a container made in-process by youki's libcontainer; needs root",
        default: true,
        open: |c| Ok(Box::new(youki::Youki::new(c.clone()))),
    },
    Entry {
        name: "fake",
        about: "a simulation in virtual time: proves the harness, measures nothing",
        default: false,
        open: |c| Ok(Box::new(fake::FakePlatform::new(c))),
    },
];

/// The platforms that are measured when the user names none.
pub fn defaults() -> Vec<PlatformId> {
    ENTRIES.iter().filter(|e| e.default).map(|e| PlatformId::new(e.name)).collect()
}

/// Makes the platform of that name for a run.
///
/// # Errors
/// When the platform cannot even be made here.
pub fn open(id: &PlatformId, context: &Context) -> Result<Box<dyn Platform>, Error> {
    let entry = ENTRIES.iter().find(|e| e.name == id.as_str());
    let unknown = || Error::Fatal(format!("`{id}` is no platform of this version"));
    (entry.ok_or_else(unknown)?.open)(context)
}

/// Asks every platform whether it can run here. Changes nothing on the host.
pub fn survey(context: &Context) -> Vec<(&'static Entry, Result<PlatformFacts, Unavailable>)> {
    let ask = |entry: &Entry| match (entry.open)(context) {
        Ok(platform) => platform.check(),
        Err(Error::Unavailable(why)) => Err(why),
        Err(other) => Err(Unavailable { reason: other.to_string(), cure: "this is a fault: report it".to_owned() }),
    };
    ENTRIES.iter().map(|entry| (entry, ask(entry))).collect()
}

impl FromStr for PlatformId {
    type Err = UnknownName;

    /// Accepts the names of the registry only.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match ENTRIES.iter().any(|e| e.name == text) {
            true => Ok(PlatformId::new(text)),
            false => Err(UnknownName {
                given: text.to_owned(),
                what: "platform",
                accepted: ENTRIES.iter().map(|e| e.name).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_platform_is_refused_with_the_accepted_ones() {
        let error = "xen".parse::<PlatformId>().unwrap_err().to_string();
        assert_eq!(error, "`xen` is no platform; accepted: native, youki, fake");
    }
}
