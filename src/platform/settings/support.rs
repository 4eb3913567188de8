//! Which settings a platform supports, and why it rejects the others. Pure.

use super::{Key, Settings};
use crate::model::platform::{PlatformId, Unavailable};
use crate::platform::inject::Inject;
use crate::platform::registry;

/// A setting as platforms support it: every kind of `inject=` is one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// `runtime=`
    Runtime,
    /// `qemu=`
    Qemu,
    /// `images=`
    Images,
    /// `guests=`
    Guests,
    /// `append=`
    Append,
    /// `inject=busy:…`
    Busy,
    /// `inject=quota:…`
    Quota,
    /// `inject=delay:…`
    Delay,
}

/// A setting that a platform does not support.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{platform} does not support {setting}: {}", refusal.reason)]
pub struct UnsupportedSetting {
    platform: PlatformId,
    setting: String,
    refusal: Refusal,
}

/// Why a platform rejects a setting, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::platform) struct Refusal {
    reason: &'static str,
    help: String,
}

impl Settings {
    /// Checks that nothing but `supported` is set.
    ///
    /// # Errors
    /// Names the first unsupported setting.
    pub(in crate::platform) fn only(
        &self,
        platform: &PlatformId,
        supported: &[SettingKind],
    ) -> Result<(), UnsupportedSetting> {
        self.check_each(platform, |kind| kind.among(supported))
    }

    /// Checks every given setting with `check`.
    ///
    /// # Errors
    /// Names the first setting that `check` refuses.
    pub(in crate::platform) fn check_each(
        &self,
        platform: &PlatformId,
        check: impl Fn(SettingKind) -> Result<(), Refusal>,
    ) -> Result<(), UnsupportedSetting> {
        for (key, value) in self.given() {
            check(self.kind(key)).map_err(|refusal| UnsupportedSetting {
                platform: platform.clone(),
                setting: format!("{key}={value}"),
                refusal,
            })?;
        }
        Ok(())
    }

    fn kind(&self, key: Key) -> SettingKind {
        match key {
            Key::Runtime => SettingKind::Runtime,
            Key::Qemu => SettingKind::Qemu,
            Key::Images => SettingKind::Images,
            Key::Guests => SettingKind::Guests,
            Key::Append => SettingKind::Append,
            Key::Inject => match self.inject {
                Some(Inject::Quota(_)) => SettingKind::Quota,
                Some(Inject::Delay(_)) => SettingKind::Delay,
                Some(Inject::Busy(_)) | None => SettingKind::Busy,
            },
        }
    }
}

impl SettingKind {
    /// Every kind.
    pub const ALL: &'static [Self] =
        &[Self::Runtime, Self::Qemu, Self::Images, Self::Guests, Self::Append, Self::Busy, Self::Quota, Self::Delay];

    /// Refuses this setting for the usual reason unless it is among `supported`.
    pub(in crate::platform) fn among(self, supported: &[Self]) -> Result<(), Refusal> {
        if supported.contains(&self) { Ok(()) } else { Err(self.refusal()) }
    }

    /// The usual reason why a platform does not support it.
    pub(in crate::platform) fn refusal(self) -> Refusal {
        let supporters: Vec<&str> = registry::supporters(self).map(|entry| entry.form).collect();
        let help = format!("remove {}, or choose a platform that supports it: {}", self.text(), supporters.join(", "));
        Refusal { reason: self.usual_reason(), help }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Runtime => "runtime=",
            Self::Qemu => "qemu=",
            Self::Images => "images=",
            Self::Guests => "guests=",
            Self::Append => "append=",
            Self::Busy => "inject=busy",
            Self::Quota => "inject=quota",
            Self::Delay => "inject=delay",
        }
    }

    fn usual_reason(self) -> &'static str {
        match self {
            Self::Runtime => "no OCI runtime creates its instances",
            Self::Qemu => "it does not use QEMU",
            Self::Images | Self::Guests => "it does not use the guest images of this project",
            Self::Append => "it does not boot a Linux kernel of its own",
            Self::Busy => "its guest programs have no busy work",
            Self::Quota => "the CPU time of its instances cannot be limited",
            Self::Delay => "its instances have no port in the run's network",
        }
    }
}

impl Refusal {
    /// A platform's own reason, and what to do instead.
    pub(in crate::platform) fn new(reason: &'static str, help: &str) -> Self {
        Self { reason, help: help.to_owned() }
    }

    /// The same reason with a better alternative.
    pub(in crate::platform) fn choose(self, help: &str) -> Self {
        Self { help: help.to_owned(), ..self }
    }

    /// The guests of a revision are unikernels.
    pub(in crate::platform) fn unikernel() -> Self {
        Self::new(
            "unikernels are not built for a revision",
            "build them in a checkout of that revision with cargo xtask images, and name its images: images=DIR",
        )
    }

    /// `append=` without a Linux kernel in the guest.
    pub(in crate::platform) fn no_linux() -> Self {
        let help = "remove append=, or choose qemu:linux, qemu:debian or firecracker:linux";
        SettingKind::Append.refusal().choose(help)
    }
}

impl From<UnsupportedSetting> for Unavailable {
    fn from(error: UnsupportedSetting) -> Self {
        Unavailable { reason: error.to_string(), cure: error.refusal.help }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;
    use crate::host::interrupt::Interrupt;
    use crate::host::ledger::Ledger;
    use crate::model::run::RunId;
    use crate::platform::arm::Arm;
    use crate::platform::{Context, reap_engines};

    /// Whether the platform of `arm` supports its settings; or why not, and the help.
    fn checked(arm: &str) -> Result<(), String> {
        let arm: Arm = arm.parse().expect("an arm");
        let state = tempfile::tempdir().expect("a temporary folder");
        let ledger = Ledger::open(state.path(), &RunId::generate(), reap_engines).expect("a ledger opens");
        let context = Context::new(Arc::new(ledger), Interrupt::new().expect("an eventfd"));
        let platform = registry::open(&arm.platform, &context.with_settings(&arm.settings)).expect("it is made");
        platform.supports(&arm.settings).map_err(|error| Unavailable::from(error).to_string())
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
    fn these_settings_are_supported(#[case] arm: &str) {
        assert_eq!(checked(arm), Ok(()));
    }

    #[rstest]
    #[case("docker:runc,runtime=/x", "docker:runc does not support runtime=/x: the Docker Engine", "daemon.json")]
    #[case("docker-cli,runtime=/x", "the Docker Engine accepts", "oci:NAME")]
    #[case("youki,runtime=/x", "built into this program", "oci:youki")]
    #[case(
        "native,runtime=/x",
        "no OCI runtime",
        "remove runtime=, or choose a platform that supports it: oci:RUNTIME"
    )]
    #[case("youki,qemu=/x", "does not use QEMU", "qemu:")]
    #[case("firecracker:linux,qemu=/x", "does not use QEMU", "remove qemu=")]
    #[case("qemu:null,append=quiet", "does not boot a Linux kernel", "qemu:linux")]
    #[case("qemu:unikraft,append=quiet", "does not boot a Linux kernel", "remove append=")]
    #[case("firecracker:unikraft,append=quiet", "does not boot a Linux kernel", "firecracker:linux")]
    #[case("docker,append=quiet", "does not boot a Linux kernel", "qemu:")]
    #[case("qemu:unikraft,guests=main", "unikernels are not built", "images=DIR")]
    #[case("solo5:mirage-spt,guests=main", "unikernels are not built", "images=DIR")]
    #[case("qemu:debian-kvm,guests=main", "as root", "images=DIR")]
    #[case("fake,images=/x", "does not use the guest images", "native")]
    #[case("fake,inject=quota:50%", "CPU time", "native")]
    #[case("qemu:null,inject=busy:1ms", "no busy work", "qemu:linux")]
    #[case("solo5:mirage,inject=busy:1ms", "no busy work", "inject=busy")]
    #[case("native,inject=delay:1ms", "loopback", "youki")]
    #[case("docker,inject=delay:1ms", "the Docker daemon", "podman")]
    #[case("qemu:null,inject=delay:1ms", "no port", "qemu:linux")]
    fn these_settings_are_rejected_with_help(#[case] arm: &str, #[case] reason: &str, #[case] help: &str) {
        let why = checked(arm).expect_err("rejected");
        assert!(why.contains(reason) && why.contains(help), "{why}");
    }

    #[test]
    fn the_registry_lists_what_its_platforms_support() {
        let value = |kind: SettingKind| match kind {
            SettingKind::Append => "append=quiet",
            SettingKind::Busy => "inject=busy:1ms",
            SettingKind::Quota => "inject=quota:50%",
            SettingKind::Delay => "inject=delay:1ms",
            SettingKind::Runtime => "runtime=/x",
            SettingKind::Qemu => "qemu=/x",
            SettingKind::Images => "images=/x",
            SettingKind::Guests => "guests=main",
        };
        for entry in registry::ENTRIES {
            for &kind in SettingKind::ALL {
                let supports = |name: &str| checked(&format!("{name},{}", value(kind))).is_ok();
                let is_supported = entry.variants.iter().any(|variant| supports(variant.name));
                assert_eq!(is_supported, entry.settings.contains(&kind), "{} {kind:?}", entry.family);
            }
        }
    }
}
