//! The whole recipe against a stand-in for upstream: a mirror with repositories and an archive of the test's own, whose
//! build has Unikraft's interface and gives out a kernel of ours.

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

/// Upstream's interface: configures by copying what is asked for, and builds the file `kernel` of its repository under
/// the name that a configuration asks for, if the C library's archive lies where it would be downloaded to.
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
    /// A mirror with a Unikraft whose configuration drops the lines that match `drop`.
    fn new(drop: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let project = Folders::from_env();
        let folders = Folders { output: dir.path().join("out"), state: dir.path().join("state"), ..project };
        let kernel = dir.path().join("mirror/unikraft/kernel");
        fs::create_dir_all(kernel.parent().unwrap()).unwrap();
        let null = null(&folders, &mut |_| ()).expect("the smallest guest is built");
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

    /// Commits the repositories and pins them, with the archive's content as it is pinned.
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
        // The host of a test need not have what upstream's real build calls.
        let lock = Lock::load(&lock_file(&request)).map_err(|error| format!("{error:#}"))?;
        let mut said = Vec::new();
        Builder::new(&request, &lock, fetcher(&request))
            .and_then(|builder| builder.all(&request.programs(PROGRAMS), &mut |step| said.push(step.to_owned())))
            .map_err(|error| format!("{error:#}"))?;
        Ok(said)
    }

    fn walk(&self) -> Result<Vec<String>, String> {
        self.build(Origin::Mirror(self.mirror()))
    }
}

#[test]
fn the_whole_recipe_gives_images_that_boot() {
    let stand_in = StandIn::new("");
    let said = stand_in.walk().unwrap();
    let steps: Vec<&str> = said.iter().map(|step| step.split(" at ").next().unwrap()).collect();
    let expected = [
        "fetch lib-musl",
        "fetch unikraft",
        "configure hello for qemu",
        "build hello for qemu",
        "configure hello for firecracker",
        "build hello for firecracker",
        "boot hello",
    ];
    assert_eq!(steps[..7], expected, "{said:?}");
    match said.get(7) {
        // The step before has seen its first line.
        None => {}
        Some(why) => eprintln!("skipped: {why}"),
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
fn what_is_built_is_built_again_only_when_something_of_it_has_changed() {
    let stand_in = StandIn::new("");
    stand_in.walk().unwrap();
    assert_eq!(stand_in.build(Origin::Cache).unwrap(), Vec::<String>::new());
    // A kernel that is not the one that was built.
    let kernel = images::system(&stand_in.folders, Program::Hello, Monitor::Firecracker).unwrap().kernel;
    fs::write(&kernel, "another").unwrap();
    // What the first build left in a checkout is no obstacle, and no network is needed for this.
    assert!(stand_in.build(Origin::Cache).unwrap().contains(&"build hello for qemu".to_owned()));
    stand_in.lock(&MAKEFILE.replace("@drop@", "^#"), "abc");
    let said = stand_in.walk().unwrap();
    assert!(said.iter().any(|step| step.starts_with("fetch unikraft at ")), "{said:?}");
}

#[test]
fn a_dropped_symbol_is_told() {
    let told = StandIn::new("LIBPOSIX_TIME").walk().unwrap_err();
    assert!(told.contains("kconfig has dropped what hello for qemu needs"), "{told}");
    assert!(told.contains("     CONFIG_LIBPOSIX_TIME=y") && told.contains("hello-qemu/hello/.config"), "{told}");
}

#[test]
fn a_build_that_fails_names_its_log() {
    let stand_in = StandIn::new("");
    stand_in.lock("all:\n\ttrue\ndefconfig:\n\tcp $(UK_DEFCONFIG) $(C)\n", "abc");
    let told = stand_in.walk().unwrap_err();
    assert!(told.contains("there is no ") && told.contains("hello_qemu-x86_64"), "{told}");
    stand_in.lock("all:\n\techo here; exit 3\ndefconfig:\n\tcp $(UK_DEFCONFIG) $(C)\n", "abc");
    let told = stand_in.walk().unwrap_err();
    assert!(told.contains("hello-qemu/build.log") && told.contains("     here"), "{told}");
    assert!(images::system(&stand_in.folders, Program::Hello, Monitor::Qemu).is_err());
}

#[test]
fn a_wrong_archive_and_a_moved_commit_are_told() {
    let stand_in = StandIn::new("");
    fs::write(stand_in.mirror().join("musl-1.2.3.tar.gz"), "another").unwrap();
    let told = stand_in.walk().unwrap_err();
    assert!(told.contains("musl-1.2.3.tar.gz (https://") && told.contains("the lock file says "), "{told}");
    let text = fs::read_to_string(stand_in.lock_file()).unwrap();
    let lock = Lock::load(&stand_in.lock_file()).unwrap();
    let commit = lock.repository("unikraft").unwrap().pin().unwrap();
    fs::write(stand_in.lock_file(), text.replace(commit, &"7".repeat(40))).unwrap();
    let told = stand_in.walk().unwrap_err();
    assert!(told.contains("unikraft (https://") && told.contains("it has no commit 7777"), "{told}");
}

#[test]
fn pins_that_do_not_belong_together_are_told() {
    let stand_in = StandIn::new("");
    let text = fs::read_to_string(stand_in.lock_file()).unwrap();
    fs::write(stand_in.lock_file(), text.replace("musl-1.2.3.tar.gz", "musl-1.2.5.tar.gz")).unwrap();
    fs::copy(stand_in.mirror().join("musl-1.2.3.tar.gz"), stand_in.mirror().join("musl-1.2.5.tar.gz")).unwrap();
    let told = stand_in.walk().unwrap_err();
    assert!(told.contains("lib-musl as it is pinned builds https://no-such-host.invalid/musl-1.2.3.tar.gz"), "{told}");
}

#[test]
fn without_network_everything_that_is_missing_is_named_with_the_way_without_it() {
    let stand_in = StandIn::new("");
    for origin in [Origin::Upstream, Origin::Cache] {
        let told = stand_in.build(origin).unwrap_err();
        for name in ["unikraft (https://", "lib-musl (https://", "musl-1.2.3.tar.gz (https://"] {
            assert!(told.contains(name), "{name}: {told}");
        }
        assert!(told.contains("--source DIR") && told.contains("--offline"), "{told}");
    }
}

#[test]
fn what_nobody_has_pinned_is_refused_before_anything_else() {
    let folders = Folders::from_env();
    let lock = Lock::load(&folders.project.join("guest-images/unikraft/unikraft.lock")).unwrap();
    let free = lock.repositories.iter().filter(|repository| repository.commit.is_none());
    let Some(free) = free.map(|repository| repository.name.clone()).next() else {
        eprintln!("skipped: the project's lock file has every pin");
        return;
    };
    let told = refuse_unpinned(&lock, PROGRAMS).unwrap_err().to_string();
    assert!(told.starts_with("not pinned yet: ") && told.contains(&free) && told.contains("--lock"), "{told}");
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
