//! Why the question of a change point has no arms.

use super::Entry;
use crate::platform::arm::ArmError;

/// Why no two arms answer a question.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswerable {
    #[error("`ab` does not search for the smallest memory")]
    MinimumMemory,
    #[error("`ab` cannot measure the case `{0}`")]
    Case(String),
    #[error(transparent)]
    Arm(#[from] ArmError),
    #[error(
        "{name} was {before} and is {after}: install both versions and name the programs, as in --a \
         {platform},runtime=PATH --b {platform}"
    )]
    Version { name: String, before: String, after: String, platform: String },
    #[error("the kernel differs, which both arms share: boot the earlier kernel and run the benchmark again")]
    Kernel,
    #[error("the host's microcode or settings differ, which both arms share: check the host")]
    HostFacts,
    #[error("the guests differ, and the revisions that they were built from are unknown")]
    UnknownRevisions,
    #[error("only the harness differs, which both arms share: check what changed in it")]
    Harness,
    #[error("no recorded fact differs: check the host")]
    NoDifference,
}

impl Unanswerable {
    pub(super) fn new(before: &Entry, after: &Entry, guests_differ: bool) -> Self {
        let other_version = |(name, a): (&String, &String)| {
            let b = after.versions.get(name).filter(|b| *b != a)?;
            let (name, before, after_version) = (name.clone(), a.clone(), b.clone());
            Some(Self::Version { name, before, after: after_version, platform: after.platform.clone() })
        };
        if let Some(version) = before.versions.iter().find_map(other_version) {
            return version;
        }
        if before.kernel != after.kernel {
            return Self::Kernel;
        }
        if before.facts_differ(after) {
            return Self::HostFacts;
        }
        if guests_differ {
            return Self::UnknownRevisions;
        }
        match before.revision != after.revision || before.version != after.version {
            true => Self::Harness,
            false => Self::NoDifference,
        }
    }
}
