//! The entries, in the order in which doctor and the README list them.

use super::{Entry, Isolation, LaunchEstimate, Need, Pace, Variant};
use crate::platform::bwrap::{self, Bwrap};
use crate::platform::docker::{Docker, Start};
use crate::platform::fake::FakePlatform;
use crate::platform::firecracker::{self, Firecracker};
use crate::platform::native::Native;
use crate::platform::oci::Oci;
use crate::platform::podman::Podman;
use crate::platform::qemu::{self, Qemu};
use crate::platform::solo5::{self, Solo5};
use crate::platform::tools::{Packages, Tool, ToolSelection};
use crate::platform::youki::Youki;
use crate::platform::{ResourceCost, docker, fake, native, oci, podman, tools, youki};

/// Every platform of this version.
pub const ENTRIES: &[Entry] = &[
    Entry {
        family: "native",
        form: "native",
        isolation: Isolation::Process,
        needs: &[],
        description: "a plain process",
        variants: &[Variant::default("native").smoke()],
        tools: &[],
        flavor_tools: &[],
        settings: native::SETTINGS,
        cost: ResourceCost::PROCESS,
        estimate: LaunchEstimate::PROCESS,
        accepts: is_absent,
        open: |context, _| Some(Box::new(Native::new(context.clone()))),
    },
    Entry {
        family: "youki",
        form: "youki",
        isolation: Isolation::Container,
        needs: &[Need::Root],
        description: "a container made in-process by youki's libcontainer",
        variants: &[Variant::default("youki").smoke()],
        tools: &[],
        flavor_tools: &[],
        settings: youki::SETTINGS,
        cost: ResourceCost::PROCESS,
        estimate: LaunchEstimate::PROCESS,
        accepts: is_absent,
        open: |context, _| Some(Box::new(Youki::new(context.clone()))),
    },
    Entry {
        family: "oci",
        form: "oci:RUNTIME",
        isolation: Isolation::Container,
        needs: &[Need::Root, Need::Program("the runtime")],
        description: "a container made by an OCI runtime's own program: runc, crun, runsc, or any other in `PATH`",
        variants: &[Variant::default("oci:runc").smoke(), Variant::tested("oci:crun"), Variant::tested("oci:runsc")],
        tools: &[],
        flavor_tools: RUNTIMES,
        settings: oci::SETTINGS,
        cost: ResourceCost::PROCESS,
        estimate: LaunchEstimate::millis(40, 20, 40, 20),
        accepts: |flavor| flavor.is_some_and(is_runtime),
        open: |context, runtime| Some(Box::new(Oci::new(context.clone(), runtime?))),
    },
    Entry {
        family: "docker",
        form: "docker[:RUNTIME]",
        isolation: Isolation::Container,
        needs: &[Need::Program("Docker")],
        description: "a container of the Docker Engine, started through its API",
        variants: &[
            Variant::default("docker").smoke(),
            Variant::default("docker:crun"),
            Variant::default("docker:runsc"),
        ],
        tools: &[tools::DOCKER],
        flavor_tools: RUNTIMES,
        settings: docker::SETTINGS,
        cost: docker::COST,
        estimate: LaunchEstimate::ENGINE,
        accepts: |flavor| flavor.is_none_or(is_runtime),
        open: |context, runtime| Some(Box::new(Docker::new(context, Start::Api, runtime))),
    },
    Entry {
        family: "docker-cli",
        form: "docker-cli[:RUNTIME]",
        isolation: Isolation::Container,
        needs: &[Need::Program("Docker")],
        description: "the same, started by the command `docker run --rm`",
        variants: &[Variant::default("docker-cli")],
        tools: &[tools::DOCKER],
        flavor_tools: RUNTIMES,
        settings: docker::SETTINGS,
        cost: docker::COST,
        estimate: LaunchEstimate::millis(700, 120, 110, 50),
        accepts: |flavor| flavor.is_none_or(is_runtime),
        open: |context, runtime| Some(Box::new(Docker::new(context, Start::Command, runtime))),
    },
    Entry {
        family: "podman",
        form: "podman[:RUNTIME]",
        isolation: Isolation::Container,
        needs: &[Need::Root, Need::Program("Podman")],
        description: "a container of Podman, through the socket of a service that belongs to the run",
        variants: &[Variant::default("podman").smoke(), Variant::tested("podman:runc")],
        tools: &[tools::PODMAN],
        flavor_tools: RUNTIMES,
        settings: podman::SETTINGS,
        cost: ResourceCost { tasks: 3, ..ResourceCost::PROCESS },
        estimate: LaunchEstimate::ENGINE,
        accepts: |flavor| flavor.is_none_or(is_runtime),
        open: |context, runtime| Some(Box::new(Podman::new(context, runtime))),
    },
    Entry {
        family: "bwrap",
        form: "bwrap",
        isolation: Isolation::Container,
        needs: &[Need::Program("bubblewrap")],
        description: "a sandbox of bubblewrap, which Flatpak uses: namespaces, a read-only root and no daemon",
        variants: &[Variant::listed("bwrap").smoke()],
        tools: &[Tool {
            name: "bwrap",
            programs: &[("bwrap", "--version")],
            packages: Packages::same(&[&["bubblewrap"]]),
            service: None,
            home: "https://github.com/containers/bubblewrap",
            wanted: ToolSelection::Always,
        }],
        flavor_tools: &[],
        settings: bwrap::SETTINGS,
        cost: bwrap::COST,
        estimate: LaunchEstimate::millis(20, 10, 20, 10),
        accepts: is_absent,
        open: |context, _| Some(Box::new(Bwrap::new(context.clone()))),
    },
    Entry {
        family: "qemu",
        form: "qemu:null|linux|debian|unikraft|osv|mirage[-MACHINE][-smpN][-kvm|-tcg]",
        isolation: Isolation::VirtualMachine,
        needs: &[Need::Program("QEMU")],
        description: "a virtual machine by QEMU, with a guest system and optionally a machine (`q35`, `pc` or \
                      `microvm`), a number of CPUs and an accelerator",
        // Emulation says nothing about hardware and is slow, so it is measured only if the user names it.
        variants: &[
            Variant::default("qemu:null-kvm").same_guest(),
            Variant::default("qemu:linux-kvm").pace(Pace::Slow).same_guest(),
            Variant::listed("qemu:null").smoke(),
            Variant::listed("qemu:linux").pace(Pace::Slow).smoke(),
            Variant::listed("qemu:debian").pace(Pace::Glacial),
            Variant::listed("qemu:unikraft").pace(Pace::Slow),
            Variant::tested("qemu:null-q35").same_guest(),
            Variant::tested("qemu:null-pc-smp2").same_guest(),
        ],
        tools: &[tools::QEMU],
        flavor_tools: &[("debian", tools::MMDEBSTRAP), ("debian", tools::E2FSPROGS), ("unikraft", tools::UNIKRAFT)],
        settings: qemu::SETTINGS,
        cost: qemu::COST,
        estimate: LaunchEstimate::ENGINE,
        accepts: |flavor| flavor.is_some_and(|text| qemu::Flavor::parse(text).is_some()),
        open: |context, flavor| {
            let name = flavor?;
            Some(Box::new(Qemu::new(context.clone(), name, qemu::Flavor::parse(name)?)))
        },
    },
    Entry {
        family: "firecracker",
        form: "firecracker:linux|unikraft[-smpN]",
        isolation: Isolation::VirtualMachine,
        needs: &[Need::Kvm, Need::Program("Firecracker")],
        description: "a virtual machine by Firecracker, with a guest system and optionally a number of CPUs",
        variants: &[
            Variant::default("firecracker:linux").pace(Pace::Slow),
            Variant::tested("firecracker:unikraft").pace(Pace::Slow),
        ],
        tools: &[],
        flavor_tools: &[],
        settings: firecracker::SETTINGS,
        cost: firecracker::COST,
        estimate: LaunchEstimate::ENGINE,
        accepts: |flavor| flavor.is_some_and(|text| firecracker::Flavor::parse(text).is_some()),
        open: |context, flavor| Some(Box::new(Firecracker::new(context.clone(), firecracker::Flavor::parse(flavor?)?))),
    },
    Entry {
        family: "solo5",
        form: "solo5:mirage[-spt]",
        isolation: Isolation::Unikernel,
        needs: &[Need::Program("Solo5"), Need::Program("KVM without `-spt`")],
        description: "a MirageOS unikernel on Solo5's own monitors: `mirage` uses KVM, `mirage-spt` only seccomp",
        variants: &[Variant::listed("solo5:mirage"), Variant::listed("solo5:mirage-spt")],
        tools: &[],
        flavor_tools: &[],
        settings: solo5::SETTINGS,
        cost: solo5::COST,
        estimate: LaunchEstimate::ENGINE,
        accepts: |flavor| flavor.is_some_and(|text| solo5::monitor(text).is_some()),
        open: |context, flavor| {
            let name = flavor?;
            Some(Box::new(Solo5::new(context.clone(), name, solo5::monitor(name)?)))
        },
    },
    Entry {
        family: "fake",
        form: "fake",
        isolation: Isolation::None,
        needs: &[],
        description: "a simulation in virtual time; it tests the harness and measures nothing",
        variants: &[Variant::listed("fake")],
        tools: &[],
        flavor_tools: &[],
        settings: fake::SETTINGS,
        cost: ResourceCost::PROCESS,
        estimate: LaunchEstimate::PROCESS,
        accepts: is_absent,
        open: |context, _| Some(Box::new(FakePlatform::new(context))),
    },
];

/// The runtimes that setup can install, by their names.
const RUNTIMES: &[(&str, Tool)] = &[("crun", tools::CRUN), ("runc", tools::RUNC), ("runsc", tools::RUNSC)];

fn is_absent(flavor: Option<&str>) -> bool {
    flavor.is_none()
}

/// Names of runtimes become names of folders and containers: letters, digits, `-`, `_` and `.`, as engines accept them.
pub(super) fn is_runtime(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fits)
}
