//! The recipe of MirageOS images: small unikernels in OCaml, built by the `mirage` command for Solo5's monitors and
//! QEMU. Pure.
//!
//! The recipe follows upstream's documentation and has not been run; see `docs/unikernels.md`.

use std::time::Duration;

use crate::guest::system::mirage::{NAME, PROGRAMS};
use crate::guest::system::unikernel::Monitor;

use super::recipe::{BuildContext, BuildPlan, Recipe};
use super::step::Step;
use super::tools::{HostTool, tool};

/// The time limit of each step: one step fetches and compiles the libraries.
const BUILD: Duration = Duration::from_secs(60 * 60);

const TOOLS: &[HostTool] = &[tool("make"), tool("gcc"), tool("opam"), tool("mirage")];

/// The recipe. opam chooses the libraries; this project does not pin them.
pub(super) const MIRAGE: Recipe = Recipe {
    name: NAME,
    programs: PROGRAMS,
    repository: None,
    tools: TOOLS,
    monitors: &[Monitor::Solo5Hvt, Monitor::Solo5Spt, Monitor::Qemu],
    mebibytes: 32,
    notes: &["OCaml programs that print the lines of the C programs; opam chooses the libraries, which are not pinned"],
    plan,
};

fn plan(context: &BuildContext) -> BuildPlan {
    let program = context.program;
    let template = |name: &str| {
        (context.guests.join("mirage").join(program.name()).join(name), context.folder.join("app").join(name))
    };
    let target = match context.monitor {
        Monitor::Solo5Hvt => "hvt",
        Monitor::Solo5Spt => "spt",
        Monitor::Qemu | Monitor::Firecracker => "virtio",
    };
    let step = |command: &[&str]| Step {
        folder: Some(context.folder.join("app")),
        ..Step::brief(["opam", "exec", "--"].iter().chain(command).copied(), BUILD)
    };
    BuildPlan {
        files: ["config.ml", "unikernel.ml"].into_iter().map(template).collect(),
        steps: vec![
            ("configure", step(&["mirage", "configure", "-t", target])),
            ("depends", step(&["make", "depends"])),
            ("build", step(&["mirage", "build"])),
        ],
        kernel: context.folder.join("app/dist").join(format!("{program}.{target}")),
        disk: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::program::Program;

    use super::*;

    #[test]
    fn mirage_is_built_for_each_monitor() {
        let plan_for = |monitor| {
            plan(&BuildContext {
                program: Program::Hello,
                monitor,
                guests: "/g".into(),
                checkout: "/none".into(),
                folder: "/b".into(),
                jobs: 4,
            })
        };
        let (hvt, virtio) = (plan_for(Monitor::Solo5Hvt), plan_for(Monitor::Qemu));
        assert_eq!(hvt.steps[0].1.command.join(" "), "opam exec -- mirage configure -t hvt");
        assert_eq!(hvt.kernel, std::path::Path::new("/b/app/dist/hello.hvt"));
        assert_eq!(virtio.kernel, std::path::Path::new("/b/app/dist/hello.virtio"));
        assert_eq!(hvt.files[0], ("/g/mirage/hello/config.ml".into(), "/b/app/config.ml".into()));
    }
}
