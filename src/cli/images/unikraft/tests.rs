//! Tests of the whole recipe against a stand-in for upstream: a mirror with the test's repositories and archive, whose
//! build has Unikraft's interface and produces the guest system `null`.

use std::fs;
use std::path::PathBuf;

use crate::guest::system::unikernel::Monitor;
use crate::guest::system::{null, unikraft as images};
use crate::host::folders::Folders;
use crate::model::program::Program;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;
use crate::cli::images::ImageRequest;
use crate::cli::images::source::Origin;
use crate::cli::images::source::testing::repository;

/// A makefile with upstream's interface. It configures by copying the requested symbols, and builds by copying the file
/// `kernel` of its repository, if the C library's archive is in the folder of downloads.
const MAKEFILE: &str = "\
.PHONY: all defconfig
name := $(shell sed -n 's/^CONFIG_UK_NAME=\"\\(.*\\)\"$$/\\1/p' $(C) 2>/dev/null)
monitor := $(if $(shell grep -s FIRECRACKER $(C)),fc,qemu)
all:
\ttest -s $(O)/libmusl/musl-1.2.3.tar.gz || wget https://no-such-host.invalid/musl-1.2.3.tar.gz
\t$(CC) -std=c11 -fsyntax-only -I$(A) -include $(A)/unikraft.h $(A)/fw.c $(A)/unikraft.c $(A)/$(name).c
\tcp kernel $(O)/$(name)_$(monitor)-x86_64
\ttouch left-by-a-build
defconfig:
\tgrep -v '@drop@' $(UK_DEFCONFIG) > $(C)
";

struct StandIn {
    dir: tempfile::TempDir,
    folders: Folders,
}

impl StandIn {
    /// Creates a mirror with a Unikraft whose configuration drops the lines that match `drop`.
    fn new(drop: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let project = Folders::from_env();
        let folders = Folders { output: dir.path().join("out"), state: dir.path().join("state"), ..project };
        let kernel = dir.path().join("mirror/unikraft/kernel");
        fs::create_dir_all(kernel.parent().unwrap()).unwrap();
        let null = null(&folders, &mut |_| ()).expect("the guest system null is built");
        fs::copy(null.kernel, kernel).unwrap();
        let stand_in = Self { dir, folders };
        let makefile = MAKEFILE.replace("@drop@", if drop.is_empty() { "nothing at all" } else { drop });
        stand_in.lock(&makefile, "abc");
        stand_in
    }

    fn mirror(&self) -> PathBuf {
        self.dir.path().join("mirror")
    }

    fn lock_file(&self) -> PathBuf {
        self.dir.path().join("test.lock")
    }

    /// Commits the repositories, and pins them and the archive.
    fn lock(&self, makefile: &str, archive: &str) {
        let unikraft = repository(&self.mirror(), "unikraft", &[("Makefile", makefile)]);
        let musl = "LIBMUSL_VERSION=1.2.3\nURL=https://no-such-host.invalid/musl-$(LIBMUSL_VERSION).tar.gz\n";
        let musl = repository(&self.mirror(), "lib-musl", &[("Makefile.uk", musl)]);
        fs::write(self.mirror().join("musl-1.2.3.tar.gz"), archive).unwrap();
        let sha256: String = Sha256::digest(archive).iter().map(|byte| format!("{byte:02x}")).collect();
        let lock = json!({
            "schema": 1,
            "repositories": [
                {"name": "unikraft", "url": unikraft.url, "commit": unikraft.commit},
                {"name": "lib-musl", "url": musl.url, "commit": musl.commit},
            ],
            "archives": [{"of": "lib-musl", "folder": "libmusl", "sha256": sha256,
                          "url": "https://no-such-host.invalid/musl-1.2.3.tar.gz"}],
        });
        fs::write(self.lock_file(), lock.to_string()).unwrap();
    }

    /// Builds `hello` and returns the steps, or the error's text.
    fn build(&self, origin: Origin) -> Result<Vec<String>, String> {
        let request = ImageRequest {
            folders: &self.folders,
            origin,
            offline: false,
            lock_file: Some(self.lock_file()),
            locked: false,
            force: false,
            only: vec![Program::Hello],
        };
        // Do not check for the tools of upstream's real build: a test's host need not have them.
        let lock = Lock::load(&lock_file(&request)).map_err(|error| format!("{error:#}"))?;
        let mut steps = Vec::new();
        Builder::new(&request, &lock, fetcher(&request))
            .and_then(|builder| builder.build(&request.programs(PROGRAMS), &mut |step| steps.push(step.to_owned())))
            .map_err(|error| format!("{error:#}"))?;
        Ok(steps)
    }

    fn build_from_mirror(&self) -> Result<Vec<String>, String> {
        self.build(Origin::Mirror(self.mirror()))
    }
}

#[test]
fn the_whole_recipe_builds_images_that_boot() {
    let stand_in = StandIn::new("");
    let lines = stand_in.build_from_mirror().unwrap();
    let steps: Vec<&str> = lines.iter().map(|step| step.split(" at ").next().unwrap()).collect();
    let expected = [
        "fetch lib-musl",
        "fetch unikraft",
        "configure hello for qemu",
        "build hello for qemu",
        "configure hello for firecracker",
        "build hello for firecracker",
        "boot hello",
    ];
    assert_eq!(steps[..7], expected, "{lines:?}");
    if let Some(skipped) = lines.get(7) {
        eprintln!("{skipped}");
    }
    for monitor in [Monitor::Qemu, Monitor::Firecracker] {
        let system = images::system(&stand_in.folders, Program::Hello, monitor).unwrap();
        assert!(system.kernel.ends_with(format!("unikraft/hello/kernel-{monitor}")), "{:?}", system.kernel);
        assert_eq!(system.memory, images::memory(Program::Hello));
    }
    let manifest = images::manifest(&stand_in.folders, Program::Hello).unwrap();
    let names: Vec<&str> = manifest.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["unikraft", "lib-musl", "musl-1.2.3.tar.gz"]);
    assert!(manifest.variants.iter().all(|variant| variant.config.is_some()) && !manifest.toolchain.is_empty());
}

#[test]
fn an_image_is_built_again_only_after_a_change() {
    let stand_in = StandIn::new("");
    stand_in.build_from_mirror().unwrap();
    assert_eq!(stand_in.build(Origin::Cache).unwrap(), Vec::<String>::new());
    // Change the kernel.
    let kernel = images::system(&stand_in.folders, Program::Hello, Monitor::Firecracker).unwrap().kernel;
    fs::write(&kernel, "another").unwrap();
    // Files that the first build left in a checkout do not matter, and this needs no network.
    assert!(stand_in.build(Origin::Cache).unwrap().contains(&"build hello for qemu".to_owned()));
    stand_in.lock(&MAKEFILE.replace("@drop@", "^#"), "abc");
    let steps = stand_in.build_from_mirror().unwrap();
    assert!(steps.iter().any(|step| step.starts_with("fetch unikraft at ")), "{steps:?}");
}

#[test]
fn a_dropped_symbol_is_reported() {
    let message = StandIn::new("LIBPOSIX_TIME").build_from_mirror().unwrap_err();
    assert!(message.contains("kconfig has dropped symbols of hello for qemu"), "{message}");
    assert!(
        message.contains("     CONFIG_LIBPOSIX_TIME=y") && message.contains("hello-qemu/hello/.config"),
        "{message}"
    );
}

#[test]
fn a_failed_build_names_its_log() {
    let stand_in = StandIn::new("");
    stand_in.lock("all:\n\ttrue\ndefconfig:\n\tcp $(UK_DEFCONFIG) $(C)\n", "abc");
    let message = stand_in.build_from_mirror().unwrap_err();
    assert!(message.contains("make succeeded without creating ") && message.contains("hello_qemu-x86_64"), "{message}");
    stand_in.lock("all:\n\techo here; exit 3\ndefconfig:\n\tcp $(UK_DEFCONFIG) $(C)\n", "abc");
    let message = stand_in.build_from_mirror().unwrap_err();
    assert!(message.contains("hello-qemu/build.log") && message.contains("     here"), "{message}");
    assert!(images::system(&stand_in.folders, Program::Hello, Monitor::Qemu).is_err());
}

#[test]
fn a_wrong_archive_and_a_missing_commit_are_reported() {
    let stand_in = StandIn::new("");
    fs::write(stand_in.mirror().join("musl-1.2.3.tar.gz"), "another").unwrap();
    let message = stand_in.build_from_mirror().unwrap_err();
    assert!(message.contains("musl-1.2.3.tar.gz (https://") && message.contains("from the lock file"), "{message}");
    let text = fs::read_to_string(stand_in.lock_file()).unwrap();
    let lock = Lock::load(&stand_in.lock_file()).unwrap();
    let commit = lock.repository("unikraft").unwrap().pin().unwrap();
    fs::write(stand_in.lock_file(), text.replace(commit, &"7".repeat(40))).unwrap();
    let message = stand_in.build_from_mirror().unwrap_err();
    assert!(message.contains("unikraft (https://") && message.contains("missing commit 7777"), "{message}");
}

#[test]
fn inconsistent_pins_are_reported() {
    let stand_in = StandIn::new("");
    let text = fs::read_to_string(stand_in.lock_file()).unwrap();
    fs::write(stand_in.lock_file(), text.replace("musl-1.2.3.tar.gz", "musl-1.2.5.tar.gz")).unwrap();
    fs::copy(stand_in.mirror().join("musl-1.2.3.tar.gz"), stand_in.mirror().join("musl-1.2.5.tar.gz")).unwrap();
    let message = stand_in.build_from_mirror().unwrap_err();
    assert!(
        message.contains("the pinned commit of lib-musl builds https://no-such-host.invalid/musl-1.2.3.tar.gz"),
        "{message}"
    );
}

#[test]
fn an_error_without_network_names_every_missing_source_and_explains_how_to_work_offline() {
    let stand_in = StandIn::new("");
    for origin in [Origin::Upstream, Origin::Cache] {
        let message = stand_in.build(origin).unwrap_err();
        for name in ["unikraft (https://", "lib-musl (https://", "musl-1.2.3.tar.gz (https://"] {
            assert!(message.contains(name), "{name}: {message}");
        }
        assert!(message.contains("--source DIR") && message.contains("--offline"), "{message}");
    }
}

#[test]
fn unpinned_sources_are_rejected_first() {
    let folders = Folders::from_env();
    let lock = Lock::load(&folders.project.join("guest-images/unikraft/unikraft.lock")).unwrap();
    let unpinned = lock.repositories.iter().filter(|repository| repository.commit.is_none());
    let Some(name) = unpinned.map(|repository| repository.name.clone()).next() else {
        eprintln!("skipped: the project's lock file has every pin");
        return;
    };
    let message = reject_unpinned(&lock, PROGRAMS).unwrap_err().to_string();
    assert!(
        message.starts_with("unpinned sources: ") && message.contains(&name) && message.contains("--lock"),
        "{message}"
    );
}

#[test]
fn every_program_has_its_repositories_in_the_lock() {
    let project = Folders::from_env().project;
    let lock = Lock::load(&project.join("guest-images/unikraft/unikraft.lock")).unwrap();
    for &program in PROGRAMS {
        for name in repositories(program) {
            assert!(lock.repository(name).is_ok(), "{program}: {name}");
        }
        assert!(!lock.archives_of(&repositories(program)).is_empty());
    }
}
