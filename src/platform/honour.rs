//! Which settings a platform honours, and why it cannot honour the others. Pure.

use super::inject::Inject;
use super::{Key, Settings};
use crate::model::platform::{PlatformId, Unavailable};

/// What is refused: the reason and the cure.
type Refusal = (&'static str, &'static str);

/// Whether the platform `id` honours all that is set.
///
/// # Errors
/// Names the first setting that it cannot honour, with the reason and the cure.
pub(super) fn check(id: &PlatformId, settings: &Settings) -> Result<(), Unavailable> {
    let (family, flavour) = id.as_str().split_once(':').unwrap_or((id.as_str(), ""));
    let guest = flavour.split('-').next().unwrap_or_default();
    if settings.images.is_some() && settings.guests.is_some() {
        let reason = "images= and guests= both say where the guests come from".to_owned();
        return Err(Unavailable { reason, cure: "take one of them away".to_owned() });
    }
    let refused = settings.given().find_map(|(key, value)| {
        let (reason, cure) = refusal(key, family, guest, settings)?;
        let reason = format!("{id} cannot have {key}={value}: {reason}");
        Some(Unavailable { reason, cure: cure.to_owned() })
    });
    refused.map_or(Ok(()), Err)
}

fn refusal(key: Key, family: &str, guest: &str, settings: &Settings) -> Option<Refusal> {
    match key {
        Key::Runtime => runtime(family),
        Key::Qemu if family == "qemu" => None,
        Key::Qemu => Some(("it has no QEMU", "take qemu= away, or measure qemu:linux")),
        Key::Append => append(family, guest),
        Key::Images if family == "fake" => Some(NO_GUESTS),
        Key::Images => None,
        Key::Guests => guests(family, guest),
        Key::Inject => settings.inject.and_then(|inject| injection(inject, family, guest)),
    }
}

/// What is simulated has no guests.
const NO_GUESTS: Refusal = ("it is a simulation without guests", "measure a platform that runs them");

fn runtime(family: &str) -> Option<Refusal> {
    match family {
        "oci" | "podman" => None,
        "docker" | "docker-cli" => Some((
            "the Docker Engine takes runtimes only by the names in its daemon's configuration",
            "add the program as NAME to \"runtimes\" in /etc/docker/daemon.json, restart dockerd and measure docker:NAME; or \
             measure oci:NAME or podman, which take it as it is",
        )),
        "youki" => {
            Some(("its runtime is built into this program", "measure oci:youki with the path of youki's own program"))
        }
        _ => Some(("no OCI runtime makes its instances", "take runtime= away, or measure oci:runc or podman")),
    }
}

fn append(family: &str, guest: &str) -> Option<Refusal> {
    match (family, guest) {
        ("qemu", "linux" | "debian") | ("firecracker", "linux") => None,
        _ => Some((
            "no Linux of its own boots in it",
            "take append= away, or measure qemu:linux, qemu:debian or firecracker:linux",
        )),
    }
}

fn guests(family: &str, guest: &str) -> Option<Refusal> {
    match (family, guest) {
        ("fake", _) => Some(NO_GUESTS),
        (_, "unikraft" | "osv" | "mirage") => Some((
            "unikernels are not built on the way",
            "build them in a checkout of that revision with cargo xtask images, and name its folder of images: images=DIR",
        )),
        ("qemu", "debian") => Some((
            "its disk is made as root and takes minutes",
            "make it in a checkout of that revision with cargo xtask images, and name its folder of images: images=DIR; or \
             measure qemu:linux",
        )),
        _ => None,
    }
}

fn injection(inject: Inject, family: &str, guest: &str) -> Option<Refusal> {
    match (inject, family, guest) {
        (Inject::Busy(_), "solo5", _) | (Inject::Busy(_), "qemu", "null" | "mirage") => Some((
            "its guests are programs of their own, which do no busy work",
            "inject a quota, or measure qemu:linux",
        )),
        (Inject::Busy(_), ..) => None,
        (_, "fake", _) => Some(("a simulation has neither a CPU nor a network", "inject busy work")),
        (Inject::Quota(_), ..) => None,
        (Inject::Delay(_), "native", _) => {
            Some(("its instances are on the host's own loopback", "inject busy work or a quota, or measure youki"))
        }
        (Inject::Delay(_), "docker" | "docker-cli", _) => Some((
            "its networks are the Docker daemon's and not the run's",
            "inject busy work or a quota, or measure oci:runc or podman",
        )),
        (Inject::Delay(_), "solo5", _) | (Inject::Delay(_), "qemu", "null" | "osv" | "mirage") => {
            Some(("it has no network", "inject a quota, or measure qemu:linux"))
        }
        (Inject::Delay(_), ..) => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::platform::arm::Arm;

    fn checked(arm: &str) -> Result<(), String> {
        let arm: Arm = arm.parse().expect("an arm");
        check(&arm.platform, &arm.settings).map_err(|why| why.to_string())
    }

    #[rstest]
    #[case("docker:crun")]
    #[case("oci:crun,runtime=/x")]
    #[case("podman,runtime=/x")]
    #[case("podman:crun,runtime=/x,inject=delay:100us")]
    #[case("qemu:linux-q35-tcg,qemu=/x,append=mitigations=off,guests=main")]
    #[case("qemu:debian,append=a b,images=/x")]
    #[case("qemu:null,guests=main,inject=quota:50%")]
    #[case("firecracker:linux-smp2,append=quiet,inject=delay:1ms")]
    #[case("firecracker:unikraft,images=/x,inject=busy:1ms")]
    #[case("qemu:osv,inject=busy:1ms")]
    #[case("native,guests=main,inject=busy:5%")]
    #[case("docker-cli,images=/x,inject=quota:95%")]
    #[case("youki,inject=delay:1ms")]
    #[case("fake,inject=busy:5%")]
    fn these_are_honoured(#[case] arm: &str) {
        assert_eq!(checked(arm), Ok(()));
    }

    #[rstest]
    #[case("docker:runc,runtime=/x", "docker:runc cannot have runtime=/x: the Docker Engine takes", "daemon.json")]
    #[case("docker-cli,runtime=/x", "the Docker Engine takes", "oci:NAME")]
    #[case("youki,runtime=/x", "built into this program", "oci:youki")]
    #[case("native,runtime=/x", "no OCI runtime", "take runtime= away")]
    #[case("youki,qemu=/x", "it has no QEMU", "qemu:linux")]
    #[case("firecracker:linux,qemu=/x", "it has no QEMU", "take qemu= away")]
    #[case("qemu:null,append=quiet", "no Linux of its own", "qemu:linux")]
    #[case("qemu:unikraft,append=quiet", "no Linux of its own", "take append= away")]
    #[case("firecracker:unikraft,append=quiet", "no Linux of its own", "firecracker:linux")]
    #[case("docker,append=quiet", "no Linux of its own", "qemu:linux")]
    #[case("qemu:unikraft,guests=main", "unikernels are not built", "images=DIR")]
    #[case("solo5:mirage-spt,guests=main", "unikernels are not built", "images=DIR")]
    #[case("qemu:debian-kvm,guests=main", "as root", "images=DIR")]
    #[case("native,guests=main,images=/x", "images= and guests= both", "take one of them away")]
    #[case("fake,images=/x", "a simulation", "measure a platform")]
    #[case("fake,inject=quota:50%", "neither a CPU nor a network", "busy work")]
    #[case("qemu:null,inject=busy:1ms", "programs of their own", "qemu:linux")]
    #[case("solo5:mirage,inject=busy:1ms", "programs of their own", "quota")]
    #[case("native,inject=delay:1ms", "own loopback", "youki")]
    #[case("docker,inject=delay:1ms", "the Docker daemon's", "podman")]
    #[case("qemu:null,inject=delay:1ms", "no network", "qemu:linux")]
    fn these_are_refused_with_the_cure(#[case] arm: &str, #[case] reason: &str, #[case] cure: &str) {
        let why = checked(arm).expect_err("refused");
        assert!(why.contains(reason) && why.contains(cure), "{why}");
    }
}
