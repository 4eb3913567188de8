//! The recipe of OSv images: a position-independent Linux program on a disk that OSv's own build creates. Pure.
//!
//! The recipe follows upstream's documentation and has not been run; see `docs/unikernels.md`.

use std::time::Duration;

use crate::guest::system::osv::{NAME, PROGRAMS};
use crate::guest::system::unikernel::Monitor;

use super::recipe::{BuildContext, BuildPlan, Recipe};
use super::step::Step;
use super::tools::{HostTool, tool};

/// The time limit of each step: one step compiles the whole kernel.
const BUILD: Duration = Duration::from_secs(2 * 60 * 60);

const TOOLS: &[HostTool] = &[
    tool("make"),
    tool("gcc"),
    HostTool { name: "g++", debian: "g++", fedora: "gcc-c++" },
    tool("python3"),
    HostTool { name: "qemu-img", debian: "qemu-utils", fedora: "qemu-img" },
];

/// The recipe.
pub(super) const OSV: Recipe = Recipe {
    name: NAME,
    programs: PROGRAMS,
    repository: Some("osv"),
    tools: TOOLS,
    monitors: &[Monitor::Qemu],
    mebibytes: 64,
    notes: &["OSv runs the same source as Linux, with its own C library; fork returns ENOSYS"],
    plan,
};

fn plan(context: &BuildContext) -> BuildPlan {
    let (osv, program) = (&context.checkout, context.program);
    let app = osv.join("modules/fw");
    let template = |name: &str| (context.guests.join("osv").join(name), app.join(name));
    let binary = app.join(program.name()).display().to_string();
    let source = format!("{program}.c");
    let compile = ["gcc", "-std=c11", "-O2", "-fPIE", "-pie", "-o", &binary, &source, "fw.c"];
    let jobs = format!("-j{}", context.jobs);
    let disk = context.folder.join("disk.raw");
    let image = osv.join("build/last/usr.img");
    let convert = ["qemu-img", "convert", "-O", "raw", &image.display().to_string(), &disk.display().to_string()];
    let step = |command: &[&str], folder: &std::path::Path| Step {
        folder: Some(folder.to_owned()),
        ..Step::brief(command.iter().copied(), BUILD)
    };
    BuildPlan {
        files: ["module.py", "usr.manifest", "Makefile"].into_iter().map(template).collect(),
        steps: vec![
            // The pinned commit pins the submodules.
            ("submodules", step(&["git", "submodule", "update", "--init", "--recursive", "--depth", "1"], osv)),
            ("compile", step(&compile, &context.guests.join("programs"))),
            ("build", step(&["./scripts/build", &jobs, "fs=rofs", "image=fw"], osv)),
            ("convert", step(&convert, &context.folder)),
        ],
        kernel: osv.join("build/release/loader.elf"),
        disk: Some(disk),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::program::Program;

    use super::*;

    #[test]
    fn osv_is_built_by_its_own_scripts() {
        let context = BuildContext {
            program: Program::Prime,
            monitor: Monitor::Qemu,
            guests: "/g".into(),
            checkout: "/s/osv".into(),
            folder: "/b".into(),
            jobs: 4,
        };
        let plan = plan(&context);
        let steps: Vec<String> =
            plan.steps.iter().map(|(name, step)| format!("{name}: {}", step.command.join(" "))).collect();
        assert_eq!(
            steps,
            [
                "submodules: git submodule update --init --recursive --depth 1",
                "compile: gcc -std=c11 -O2 -fPIE -pie -o /s/osv/modules/fw/prime prime.c fw.c",
                "build: ./scripts/build -j4 fs=rofs image=fw",
                "convert: qemu-img convert -O raw /s/osv/build/last/usr.img /b/disk.raw",
            ]
        );
        assert_eq!(plan.files[0].1, std::path::Path::new("/s/osv/modules/fw/module.py"));
    }
}
