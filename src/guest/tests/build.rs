//! Tests of the build: only changed programs are built, and the same sources give the same bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::guest::{BuildError, BuildOptions, Network, Rebuild, State, build, ensure, load_manifest};
use crate::host::folders::{Folders, Images};
use crate::model::program::Program;

/// Copies the guest sources to a temporary project with an output folder.
fn checkout() -> (TempDir, Folders) {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    for folder in ["programs", "servers/nginx", "servers/redis"] {
        let copies = project.join("guest-images").join(folder);
        fs::create_dir_all(&copies).unwrap();
        for file in fs::read_dir(Folders::from_env().project.join("guest-images").join(folder)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), copies.join(file.file_name())).unwrap();
        }
    }
    let (output, state) = (folder.path().join("output"), folder.path().join("state"));
    let folders = Folders { project, output, state, images: Images::Own };
    (folder, folders)
}

fn built(folders: &Folders, programs: &[Program]) -> Vec<Program> {
    let options = BuildOptions { network: Network::Offline, rebuild: Rebuild::Changed };
    let outcomes = build(folders, programs, options, &mut |_| ()).unwrap();
    outcomes.into_iter().filter(|o| o.state == State::Built).map(|o| o.image.program).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn two_checkouts_give_the_same_bytes() {
    let programs = [Program::Hello, Program::Probe];
    let (_one, one) = checkout();
    let (_other, other) = checkout();
    let digests = |folders| ensure(folders, &programs, &mut |_| ()).unwrap().into_iter().map(|i| i.digest);
    assert!(digests(&one).eq(digests(&other)));
}

#[test]
fn only_changed_programs_are_built_again() {
    let (_folder, folders) = checkout();
    let programs = [Program::Hello, Program::Stat];
    assert_eq!(built(&folders, &programs), programs);
    assert_eq!(built(&folders, &programs), []);

    let source = folders.project.join("guest-images/programs/stat.c");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text + "\n/* changed */\n").unwrap();
    assert_eq!(built(&folders, &programs), [Program::Stat]);

    let shared = folders.project.join("guest-images/programs/fw.h");
    let text = fs::read_to_string(&shared).unwrap();
    fs::write(&shared, text + "\n").unwrap();
    assert_eq!(built(&folders, &programs), programs);
}

#[test]
fn a_changed_image_is_built_again() {
    let (_folder, folders) = checkout();
    let programs = [Program::Hello];
    let image = ensure(&folders, &programs, &mut |_| ()).unwrap().remove(0);
    fs::remove_file(image.binary()).unwrap();
    fs::write(image.binary(), "not a program").unwrap();
    assert_eq!(built(&folders, &programs), programs);
    fs::remove_dir(image.rootfs.join("proc")).unwrap();
    assert_eq!(built(&folders, &programs), programs);
    fs::write(folders.images().join("programs/manifest.json"), "{}").unwrap();
    assert!(load_manifest(&folders).is_err());
    assert_eq!(built(&folders, &programs), programs);
    assert_eq!(ensure(&folders, &programs, &mut |_| ()).unwrap(), [image]);
}

#[test]
fn an_image_is_a_root_file_system_that_everyone_may_read() {
    let (_folder, folders) = checkout();
    assert_eq!(load_manifest(&folders).unwrap(), None);
    // Folders as a strict umask creates them.
    let strict = folders.images().join("programs/hello/rootfs");
    fs::create_dir_all(&strict).unwrap();
    for folder in [&strict, strict.parent().unwrap()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let image = ensure(&folders, &[Program::Hello], &mut |_| ()).unwrap().remove(0);
    assert!(image.rootfs.is_absolute());
    assert_eq!(mode(&image.binary()), 0o555);
    for name in ["..", "", "fw", "proc", "sys", "dev", "tmp"] {
        assert_eq!(mode(&image.rootfs.join(name)), 0o755, "{name}");
    }
    let manifest = load_manifest(&folders).unwrap().unwrap();
    let entry = manifest.find(Program::Hello).unwrap();
    assert_eq!((&entry.sha256, entry.size), (&image.digest, image.size));
    assert_eq!(image.size.0, fs::metadata(image.binary()).unwrap().len());
    assert_eq!(entry.sqlite, None);
}

#[test]
fn processes_that_build_at_once_do_not_disturb_each_other() {
    let (_folder, folders) = checkout();
    let digests: Vec<_> = std::thread::scope(|scope| {
        let build = || ensure(&folders, &[Program::Hello], &mut |_| ()).unwrap().remove(0).digest;
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(build)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

#[test]
fn a_server_with_a_changed_file_is_built_again() {
    let (_folder, folders) = checkout();
    let programs = [Program::Nginx];
    let image = match ensure(&folders, &programs, &mut |_| ()) {
        Err(missing @ BuildError::NoServer { .. }) => return println!("skipped: {missing}"),
        built => built.unwrap().remove(0),
    };
    assert_eq!(built(&folders, &programs), []);
    for path in ["fw/lib/libc.so.6", "fw/server/nginx.conf", "fw/nginx"].map(|path| image.rootfs.join(path)) {
        fs::remove_file(&path).unwrap();
        fs::write(&path, "changed").unwrap();
        assert_eq!(built(&folders, &programs), programs, "{}", path.display());
    }
    assert_eq!(ensure(&folders, &programs, &mut |_| ()).unwrap(), [image]);

    let page = folders.project.join("guest-images/servers/nginx/index.html");
    fs::write(page, "another page").unwrap();
    assert_eq!(built(&folders, &programs), programs);
}
