//! `cargo xtask images`: builds the guest images, or lists them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use comfy_table::{Table, presets};
use featherweight::guest::{
    BuildError, BuildOptions, BuiltProgram, Image, Network, Outcome, Program, Rebuild, State, build, load_manifest,
    write_archive,
};
use featherweight::run::Folders;

/// Which images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ImageSet {
    /// The static programs and the servers, for every Linux platform
    Programs,
}

/// Build the guest images, or list them; `cargo bench` builds what it misses
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo xtask images --list      what is built, from what and by which compiler\n  \
        cargo xtask images --offline   build with what Cargo has fetched already\n  \
        cargo xtask images --archives  write an archive of each for docker load or podman load, too")]
pub(crate) struct Images {
    /// List what is built and build nothing
    #[arg(long, conflicts_with_all = ["force", "offline", "locked", "archives"])]
    list: bool,
    /// Which images
    #[arg(long, value_enum, value_delimiter = ',', default_value = "programs")]
    platform: Vec<ImageSet>,
    /// Fetch nothing
    #[arg(long)]
    offline: bool,
    /// Fail unless Cargo.lock pins the sources. They are never taken from elsewhere; this says so in scripts
    #[arg(long)]
    locked: bool,
    /// Build everything again
    #[arg(long)]
    force: bool,
    /// Write each image as an archive for `docker load` and `podman load`, too. Platforms do not need them
    #[arg(long)]
    archives: bool,
}

impl Images {
    /// Does what the options say.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let folders = Folders::from_env();
        if self.list { list(&folders) } else { self.platform.iter().try_for_each(|&set| self.build(set, &folders)) }
    }

    fn build(&self, set: ImageSet, folders: &Folders) -> anyhow::Result<()> {
        let lock = folders.project.join("Cargo.lock");
        anyhow::ensure!(!self.locked || lock.is_file(), "--locked, but there is no {}", lock.display());
        match set {
            ImageSet::Programs => self.build_programs(folders),
        }
    }

    /// A server that is not installed here is left out, with the cure.
    fn build_programs(&self, folders: &Folders) -> anyhow::Result<()> {
        let (mut rows, mut images) = (Vec::new(), Vec::new());
        for &program in Program::ALL {
            match build(folders, &[program], self.options(), &mut |step| eprintln!("{step}")) {
                Ok(outcomes) => {
                    rows.extend(outcomes.iter().map(outcome_row));
                    images.extend(outcomes.into_iter().map(|outcome| outcome.image));
                }
                Err(missing @ BuildError::NoServer { .. }) => eprintln!("{program} is left out: {missing}"),
                Err(error) => return Err(error).with_context(|| format!("build the guest program {program}")),
            }
        }
        println!("{}", table(["program", "digest", "size", "state"], rows.into_iter()));
        if self.archives {
            images.iter().try_for_each(|image| write_to(&folders.images().join("archives"), image))?;
        }
        Ok(())
    }

    fn options(&self) -> BuildOptions {
        BuildOptions {
            network: if self.offline { Network::Offline } else { Network::Allowed },
            rebuild: if self.force { Rebuild::Everything } else { Rebuild::Changed },
        }
    }
}

/// Writes the archive of `image` into `dir`, whole or not at all, and says how it is loaded.
fn write_to(dir: &Path, image: &Image) -> anyhow::Result<()> {
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
    write().with_context(|| format!("write {}", path.display()))?;
    println!("docker load -i {}    # {reference}", path.display());
    Ok(())
}

fn list(folders: &Folders) -> anyhow::Result<()> {
    match load_manifest(folders)? {
        None => println!("no images yet; `cargo xtask images` builds them"),
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

/// Enough of a digest to tell images apart by eye.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    table
}

#[cfg(test)]
mod tests {
    use featherweight::units::Bytes;

    use super::*;

    #[test]
    fn an_archive_is_the_same_whenever_it_is_written() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let rootfs = dir.path().join("rootfs");
        fs::create_dir_all(rootfs.join("fw")).expect("a folder is made");
        fs::write(rootfs.join("fw/hello"), "a program").expect("written");
        let image = Image { program: Program::Hello, rootfs, digest: "0123456789abcdef".repeat(4), size: Bytes(9) };
        let written = ["first", "second"].map(|folder| {
            write_to(&dir.path().join(folder), &image).expect("written");
            fs::read(dir.path().join(folder).join("hello.tar")).expect("read")
        });
        assert_eq!(written[0], written[1]);
        let reference = b"featherweight/hello:0123456789ab";
        assert!(written[0].windows(reference.len()).any(|part| part == reference));
    }
}
