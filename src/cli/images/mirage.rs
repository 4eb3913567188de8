//! The recipe of MirageOS images: small unikernels in OCaml, built by the `mirage` command for Solo5's monitors and for
//! QEMU. Pure.
//!
//! Written from upstream's documentation and not run by its authors; `docs/unikernels.md`.

use std::time::Duration;

use crate::guest::system::mirage::{NAME, PROGRAMS};
use crate::guest::system::unikernel::Monitor;

use super::recipe::{BuildPlan, Place, Recipe};
use super::step::Step;
use super::tools::{HostTool, tool};

/// It fetches and compiles the libraries.
const BUILD: Duration = Duration::from_secs(60 * 60);

const TOOLS: &[HostTool] = &[tool("make"), tool("gcc"), tool("opam"), tool("mirage")];

/// The recipe. Which libraries it takes is opam's business: nothing of it is pinned here.
pub(super) const MIRAGE: Recipe = Recipe {
    name: NAME,
    programs: PROGRAMS,
    repository: None,
    tools: TOOLS,
    monitors: &[Monitor::Solo5Hvt, Monitor::Solo5Spt, Monitor::Qemu],
    mebibytes: 32,
    notes: &["programs in OCaml with the same lines, not the C ones; their libraries are pinned by nobody but opam"],
    plan,
};

fn plan(place: &Place) -> BuildPlan {
    let program = place.program;
    let template =
        |name: &str| (place.guests.join("mirage").join(program.name()).join(name), place.folder.join("app").join(name));
    let target = match place.monitor {
        Monitor::Solo5Hvt => "hvt",
        Monitor::Solo5Spt => "spt",
        Monitor::Qemu | Monitor::Firecracker => "virtio",
    };
    let step = |command: &[&str]| Step {
        folder: Some(place.folder.join("app")),
        ..Step::brief(["opam", "exec", "--"].iter().chain(command).copied(), BUILD)
    };
    BuildPlan {
        files: ["config.ml", "unikernel.ml"].into_iter().map(template).collect(),
        steps: vec![
            ("configure", step(&["mirage", "configure", "-t", target])),
            ("depends", step(&["make", "depends"])),
            ("build", step(&["mirage", "build"])),
        ],
        kernel: place.folder.join("app/dist").join(format!("{program}.{target}")),
        disk: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::program::Program;

    use super::*;

    #[test]
    fn mirage_is_built_for_each_monitor() {
        let of = |monitor| {
            plan(&Place {
                program: Program::Hello,
                monitor,
                guests: "/g".into(),
                checkout: "/none".into(),
                folder: "/b".into(),
                jobs: 4,
            })
        };
        let (hvt, virtio) = (of(Monitor::Solo5Hvt), of(Monitor::Qemu));
        assert_eq!(hvt.steps[0].1.command.join(" "), "opam exec -- mirage configure -t hvt");
        assert_eq!(hvt.kernel, std::path::Path::new("/b/app/dist/hello.hvt"));
        assert_eq!(virtio.kernel, std::path::Path::new("/b/app/dist/hello.virtio"));
        assert_eq!(hvt.files[0], ("/g/mirage/hello/config.ml".into(), "/b/app/config.ml".into()));
    }
}
