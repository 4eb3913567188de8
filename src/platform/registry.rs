//! The platforms of this version: one line each.

use std::str::FromStr;

use super::configured::ConfiguredPlatform;
use super::docker::{Docker, Start};
use super::firecracker::{self, Firecracker};
use super::qemu::{Flavour, Qemu};
use super::solo5::{self, Solo5};
use super::{Context, Error, Platform, fake, native, oci, podman, youki};
use crate::model::names::UnknownName;
use crate::model::platform::{PlatformFacts, PlatformId, Unavailable};

/// How a platform is made, with the runtime that its name carries. Making it changes nothing on the host.
type Open = fn(&Context, Option<&str>) -> Result<Box<dyn Platform>, Error>;

/// A platform of the registry, or a family of them that differ in their runtime.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its name on the command line, before the colon of a family's.
    pub name: &'static str,
    /// Whether a runtime is named after a colon: `docker:crun`.
    pub runtime: Runtime,
    /// What it is, for `--help` and `doctor`.
    pub about: &'static str,
    /// The names that are measured when the user names none.
    pub defaults: &'static [&'static str],
    /// Names that are asked about as well, and measured only when they are named.
    pub others: &'static [&'static str],
    open: Open,
}

/// Whether a platform's name carries a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// Never: `native`.
    None,
    /// It may: `docker`, `docker:crun`.
    Optional,
    /// Always: `oci:runc`.
    Required,
    /// Always, and not a runtime but a guest system with what its machine is like: `qemu:linux-q35`.
    Flavour,
    /// Always, and a guest system, too, in the one machine that there is: `firecracker:linux`.
    Microvm,
    /// Always, and the one guest system that there is, with which monitor of Solo5's: `solo5:mirage-spt`.
    Solo5,
}

/// Every platform of this version.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "native",
        runtime: Runtime::None,
        about: "a plain process",
        defaults: &["native"],
        others: &[],
        open: |c, _| Ok(Box::new(native::Native::new(c.clone()))),
    },
    Entry {
        name: "youki",
        runtime: Runtime::None,
        about: "a container made in-process by youki's libcontainer; needs root",
        defaults: &["youki"],
        others: &[],
        open: |c, _| Ok(Box::new(youki::Youki::new(c.clone()))),
    },
    Entry {
        name: "oci",
        runtime: Runtime::Required,
        about: "a container by an OCI runtime's own program: runc, crun, runsc, any in PATH; needs root",
        defaults: &["oci:runc"],
        others: &[],
        open: |c, runtime| Ok(Box::new(oci::Oci::new(c.clone(), runtime.unwrap_or_default()))),
    },
    Entry {
        name: "docker",
        runtime: Runtime::Optional,
        about: "a container of the Docker Engine, started by its API",
        defaults: &["docker", "docker:crun", "docker:runsc"],
        others: &[],
        open: |c, runtime| Ok(Box::new(Docker::new(c, Start::Api, runtime))),
    },
    Entry {
        name: "docker-cli",
        runtime: Runtime::Optional,
        about: "the same, started by the command docker run --rm",
        defaults: &["docker-cli"],
        others: &[],
        open: |c, runtime| Ok(Box::new(Docker::new(c, Start::Command, runtime))),
    },
    Entry {
        name: "podman",
        runtime: Runtime::Optional,
        about: "a container of Podman, over the socket of a service of the run's own; needs root",
        defaults: &["podman"],
        others: &[],
        open: |c, runtime| Ok(Box::new(podman::Podman::new(c, runtime))),
    },
    Entry {
        name: "qemu",
        runtime: Runtime::Flavour,
        about: "a virtual machine by QEMU: null, linux, debian, unikraft, osv or mirage in it, then maybe -q35, -pc or -microvm, -smpN, \
                -kvm or -tcg",
        // Emulation says nothing about hardware and takes its time: it has to be asked for.
        defaults: &["qemu:null-kvm", "qemu:linux-kvm"],
        others: &["qemu:null", "qemu:linux", "qemu:debian", "qemu:unikraft"],
        open: |c, flavour| {
            let name = flavour.unwrap_or_default();
            let flavour = Flavour::parse(name).ok_or_else(|| Error::Fatal(format!("`{name}` is no guest system")))?;
            Ok(Box::new(Qemu::new(c.clone(), name, flavour)))
        },
    },
    Entry {
        name: "firecracker",
        runtime: Runtime::Microvm,
        about: "a virtual machine by Firecracker: linux or unikraft in it, then maybe -smpN; needs KVM",
        defaults: &["firecracker:linux"],
        others: &[],
        open: |c, flavour| {
            let name = flavour.unwrap_or_default();
            let flavour = firecracker::Flavour::parse(name);
            let flavour = flavour.ok_or_else(|| Error::Fatal(format!("`{name}` is no guest system")))?;
            Ok(Box::new(Firecracker::new(c.clone(), flavour)))
        },
    },
    Entry {
        name: "solo5",
        runtime: Runtime::Solo5,
        about: "a MirageOS unikernel under Solo5's own monitors: mirage with KVM, mirage-spt with seccomp and no machine",
        defaults: &[],
        others: &["solo5:mirage", "solo5:mirage-spt"],
        open: |c, flavour| {
            let name = flavour.unwrap_or_default();
            let monitor = solo5::monitor(name).ok_or_else(|| Error::Fatal(format!("`{name}` is no guest system")))?;
            Ok(Box::new(Solo5::new(c.clone(), name, monitor)))
        },
    },
    Entry {
        name: "fake",
        runtime: Runtime::None,
        about: "a simulation in virtual time: proves the harness, measures nothing",
        defaults: &[],
        others: &[],
        open: |c, _| Ok(Box::new(fake::FakePlatform::new(c))),
    },
];

/// The platforms that are measured when the user names none.
pub fn defaults() -> Vec<PlatformId> {
    ENTRIES.iter().flat_map(|entry| entry.defaults).map(|&name| PlatformId::new(name)).collect()
}

/// Makes the platform of that name for a run.
///
/// # Errors
/// When the platform cannot even be made here.
pub fn open(id: &PlatformId, context: &Context) -> Result<Box<dyn Platform>, Error> {
    let (entry, runtime) = find(id.as_str()).map_err(|e| Error::Fatal(e.to_string()))?;
    let platform = (entry.open)(context, runtime)?;
    Ok(if context.settings.is_plain() { platform } else { Box::new(ConfiguredPlatform::new(platform, context)) })
}

/// Asks every platform, and of a family those that are usual, whether it can run here. Changes nothing on
/// the host.
pub fn survey(context: &Context) -> Vec<(PlatformId, &'static Entry, Result<PlatformFacts, Unavailable>)> {
    let ask = |id: &PlatformId| match open(id, context) {
        Ok(platform) => platform.check(),
        Err(Error::Unavailable(why)) => Err(why),
        Err(other) => Err(Unavailable { reason: other.to_string(), cure: "this is a fault: report it".to_owned() }),
    };
    let names = |entry: &'static Entry| match (entry.defaults, entry.others) {
        ([], []) => vec![PlatformId::new(entry.name)],
        (defaults, others) => defaults.iter().chain(others).map(|&name| PlatformId::new(name)).collect(),
    };
    let all = ENTRIES.iter().flat_map(|entry| names(entry).into_iter().map(move |id| (id, entry)));
    all.map(|(id, entry)| (id.clone(), entry, ask(&id))).collect()
}

/// The names that the command line accepts.
pub fn accepted() -> String {
    ENTRIES.iter().map(Entry::form).collect::<Vec<_>>().join(", ")
}

impl Entry {
    /// Its name as the user writes it: `native`, `docker[:RUNTIME]`, `oci:RUNTIME`.
    pub fn form(&self) -> String {
        match self.runtime {
            Runtime::None => self.name.to_owned(),
            Runtime::Optional => format!("{}[:RUNTIME]", self.name),
            Runtime::Required => format!("{}:RUNTIME", self.name),
            Runtime::Flavour => {
                format!("{}:null|linux|debian|unikraft|osv|mirage[-MACHINE][-smpN][-kvm|-tcg]", self.name)
            }
            Runtime::Microvm => format!("{}:linux|unikraft[-smpN]", self.name),
            Runtime::Solo5 => format!("{}:mirage[-spt]", self.name),
        }
    }
}

/// The entry of a name, and the runtime in it.
fn find(name: &str) -> Result<(&'static Entry, Option<&str>), UnknownName> {
    let (family, runtime) = name.split_once(':').map_or((name, None), |(family, runtime)| (family, Some(runtime)));
    let fits = |entry: &&Entry| match (entry.runtime, runtime) {
        (Runtime::None | Runtime::Optional, None) => true,
        (Runtime::Optional | Runtime::Required, Some(runtime)) => is_runtime(runtime),
        (Runtime::Flavour, Some(flavour)) => Flavour::parse(flavour).is_some(),
        (Runtime::Microvm, Some(flavour)) => firecracker::Flavour::parse(flavour).is_some(),
        (Runtime::Solo5, Some(flavour)) => solo5::monitor(flavour).is_some(),
        _ => false,
    };
    let entry = ENTRIES.iter().filter(|entry| entry.name == family).find(fits);
    let unknown = || UnknownName { given: name.to_owned(), what: "platform", accepted: accepted() };
    entry.map(|entry| (entry, runtime)).ok_or_else(unknown)
}

/// Names of runtimes become names of folders and containers: letters, digits, `-`, `_` and `.`, as engines accept them.
fn is_runtime(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fits)
}

impl FromStr for PlatformId {
    type Err = UnknownName;

    /// Accepts the names of the registry only.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        find(text).map(|_| PlatformId::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_platform_is_refused_with_the_accepted_ones() {
        let error = "xen".parse::<PlatformId>().unwrap_err().to_string();
        assert_eq!(error, format!("unknown platform `xen` (known: {})", accepted()));
    }

    #[test]
    fn every_name_that_is_asked_about_is_accepted() {
        let names = ENTRIES.iter().flat_map(|entry| entry.defaults.iter().chain(entry.others));
        names.for_each(|name| drop(name.parse::<PlatformId>().unwrap()));
    }

    #[test]
    fn a_runtime_is_taken_only_where_there_is_one() {
        assert!("native:crun".parse::<PlatformId>().is_err());
        assert!("qemu:windows".parse::<PlatformId>().is_err() && "qemu".parse::<PlatformId>().is_err());
        assert!("qemu:linux-q35-smp2".parse::<PlatformId>().is_ok());
        assert!("firecracker:linux-q35".parse::<PlatformId>().is_err() && "firecracker".parse::<PlatformId>().is_err());
        assert!("firecracker:linux-smp2".parse::<PlatformId>().is_ok());
        assert!("solo5:mirage-spt".parse::<PlatformId>().is_ok() && "solo5".parse::<PlatformId>().is_err());
        assert!(!is_runtime("../x") && !is_runtime("") && is_runtime("io.containerd.runc.v2"));
    }
}
