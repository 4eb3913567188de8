//! Builds and lists the guest programs and servers, which every Linux platform uses.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::guest::{
    BuildError, BuildOptions, BuiltProgram, Image, Network, Outcome, Rebuild, State, build as build_guests,
    load_manifest, write_archive,
};
use crate::host::folders::Folders;
use crate::model::program::Program;
use anyhow::Context;

use super::{ImageRequest, short, table};

/// Builds the requested programs. A server that is not installed is skipped with a message.
pub(super) fn build(request: &ImageRequest<'_>, archives: bool) -> anyhow::Result<()> {
    let lock = request.folders.project.join("Cargo.lock");
    anyhow::ensure!(!request.locked || lock.is_file(), "--locked: missing {}", lock.display());
    let (mut rows, mut images) = (Vec::new(), Vec::new());
    for program in request.programs(Program::ALL) {
        match build_guests(request.folders, &[program], options(request), &mut |step| eprintln!("{step}")) {
            Ok(outcomes) => {
                rows.extend(outcomes.iter().map(outcome_row));
                images.extend(outcomes.into_iter().map(|outcome| outcome.image));
            }
            Err(missing @ BuildError::NoServer { .. }) => eprintln!("skipped {program}: {missing}"),
            Err(error) => return Err(error).with_context(|| format!("failed to build the guest program {program}")),
        }
    }
    println!("{}", table(["program", "digest", "size", "state"], rows.into_iter()));
    if archives {
        images.iter().try_for_each(|image| write_archive_to(&request.folders.images().join("archives"), image))?;
    }
    Ok(())
}

fn options(request: &ImageRequest<'_>) -> BuildOptions {
    BuildOptions {
        network: if request.offline { Network::Offline } else { Network::Allowed },
        rebuild: if request.force { Rebuild::Everything } else { Rebuild::Changed },
    }
}

/// Writes the archive of `image` to `dir` atomically, and prints the command that loads it.
fn write_archive_to(dir: &Path, image: &Image) -> anyhow::Result<()> {
    let path = dir.join(format!("{}.tar", image.program));
    let part = path.with_extension("part");
    let reference = format!("featherweight/{}:{}", image.program, short(&image.digest));
    let write = || {
        fs::create_dir_all(dir)?;
        let mut out = BufWriter::new(File::create(&part)?);
        write_archive(image, &reference, &[], &mut out)?;
        out.flush()?;
        fs::rename(&part, &path)
    };
    write().with_context(|| format!("failed to write {}", path.display()))?;
    println!("docker load -i {}    # {reference}", path.display());
    Ok(())
}

/// Lists the built programs.
pub(super) fn list(folders: &Folders) -> anyhow::Result<()> {
    match load_manifest(folders)? {
        None => println!("no images yet; build them with `cargo xtask images`"),
        Some(manifest) => {
            let header = ["program", "digest", "size", "target", "compiler", "version"];
            println!("{}", table(header, manifest.programs.iter().map(built_row)));
        }
    }
    Ok(())
}

fn outcome_row(outcome: &Outcome) -> [String; 4] {
    let state = match outcome.state {
        State::Built => "built",
        State::UpToDate => "up to date",
    };
    let image = &outcome.image;
    [image.program.to_string(), short(&image.digest), image.size.to_string(), state.to_owned()]
}

fn built_row(built: &BuiltProgram) -> [String; 6] {
    let server = built.server.as_ref().and_then(|server| server.version.clone());
    let version = built.sqlite.as_ref().map(|version| format!("SQLite {version}")).or(server).unwrap_or_default();
    let (program, size) = (built.program.to_string(), built.size.to_string());
    [program, short(&built.sha256), size, built.target.clone(), built.compiler.clone(), version]
}

#[cfg(test)]
mod tests {
    use crate::model::units::Bytes;

    use super::*;

    #[test]
    fn an_archive_does_not_depend_on_the_time() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let rootfs = dir.path().join("rootfs");
        fs::create_dir_all(rootfs.join("fw")).expect("a folder is created");
        fs::write(rootfs.join("fw/hello"), "a program").expect("written");
        let image = Image { program: Program::Hello, rootfs, digest: "0123456789abcdef".repeat(4), size: Bytes(9) };
        let written = ["first", "second"].map(|folder| {
            write_archive_to(&dir.path().join(folder), &image).expect("written");
            fs::read(dir.path().join(folder).join("hello.tar")).expect("read")
        });
        assert_eq!(written[0], written[1]);
        let reference = b"featherweight/hello:0123456789ab";
        assert!(written[0].windows(reference.len()).any(|part| part == reference));
    }
}
