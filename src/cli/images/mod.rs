//! `cargo xtask images`: builds the guest images, or lists them.

mod mirage;
mod osv;
mod programs;
mod recipe;
mod smoke;
mod source;
mod step;
mod systems;
mod tools;
mod unikraft;

use std::path::PathBuf;

use crate::guest::system::unikernel::{self, Manifest};
use crate::host::folders::Folders;
use crate::model::exit::Exit;
use crate::model::program::Program;
use anyhow::Context as _;
use clap::Parser as _;
use comfy_table::{Table, presets};

use self::source::Origin;
use self::systems::SystemKind;
use crate::cli::exit::BadInput;

/// What builds the guests of virtual machines that take nothing but this host's package manager.
pub(in crate::cli) const GUESTS: &str = "cargo xtask images --platform null,linux";

/// Does what [`GUESTS`] does.
///
/// # Errors
/// When one cannot be built, or does not boot.
pub(in crate::cli) fn build_guests() -> anyhow::Result<Exit> {
    let words = GUESTS.split(' ').skip(2);
    let images = Words::try_parse_from(words).context("read our own words")?.images;
    images.run().map(|()| Exit::Fine)
}

#[derive(Debug, clap::Parser)]
struct Words {
    #[command(flatten)]
    images: Images,
}

/// Which images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum ImageSet {
    /// The static programs and the servers, for every Linux platform
    Programs,
    /// The smallest guest, for virtual machines
    #[value(alias = "qemu:null")]
    Null,
    /// The distribution's kernel with one program each, for virtual machines
    #[value(alias = "qemu:linux")]
    Linux,
    /// A Debian with systemd, for virtual machines; takes root, once
    #[value(alias = "qemu:debian")]
    Debian,
    /// Unikraft with one program each, for QEMU and Firecracker; sources from upstream
    #[value(alias = "qemu:unikraft")]
    Unikraft,
    /// OSv with one program each; a recipe that its authors have not run
    Osv,
    /// MirageOS on Solo5; a recipe that its authors have not run
    Mirage,
}

/// Build the guest images, or list them; `cargo bench` builds what it misses
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo xtask images --list                   what is built, from what and by which compiler\n  \
        cargo xtask images --offline                build with what Cargo has fetched already\n  \
        cargo xtask images --archives               write an archive of each for docker load or podman load, too\n  \
        cargo xtask images --platform null,linux          what boots in virtual machines, with one boot to see it\n  \
        cargo xtask images --platform unikraft --lock     pin upstream's sources, once\n  \
        cargo xtask images --platform unikraft            fetch them and build every image\n  \
        cargo xtask images --platform unikraft --program hello,sqlite --source mirror")]
pub struct Images {
    /// List what is built and build nothing
    #[arg(long, conflicts_with_all = ["force", "offline", "locked", "archives", "lock", "source"])]
    list: bool,
    /// Which images: programs when nothing is said, and everything for --list
    #[arg(long, value_enum, value_delimiter = ',')]
    platform: Vec<ImageSet>,
    /// Only the images of these programs
    #[arg(long, value_delimiter = ',')]
    program: Vec<Program>,
    /// Fetch nothing
    #[arg(long, conflicts_with = "lock")]
    offline: bool,
    /// Take upstream's sources from this folder: repositories, bare or not, and archives, under their names
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Fail unless the lock file pins every source. They are never taken from elsewhere; this says so in scripts
    #[arg(long)]
    locked: bool,
    /// Pin upstream's sources to what upstream has now, and build nothing
    #[arg(long, conflicts_with_all = ["locked", "force", "archives"])]
    lock: bool,
    /// Another lock file than the project's own
    #[arg(long, value_name = "FILE")]
    lock_file: Option<PathBuf>,
    /// Build everything again
    #[arg(long)]
    force: bool,
    /// Write each image as an archive for `docker load` and `podman load`, too. Platforms do not need them
    #[arg(long)]
    archives: bool,
}

/// What is to be built, and how.
#[derive(Debug)]
struct ImageRequest<'a> {
    folders: &'a Folders,
    origin: Origin,
    offline: bool,
    lock_file: Option<PathBuf>,
    locked: bool,
    force: bool,
    /// None: all.
    only: Vec<Program>,
}

impl ImageRequest<'_> {
    /// Those of `all` that were asked for.
    fn programs(&self, all: &[Program]) -> Vec<Program> {
        all.iter().copied().filter(|program| self.only.is_empty() || self.only.contains(program)).collect()
    }
}

impl Images {
    /// Does what the options say.
    /// Runs the command.
    ///
    /// # Errors
    /// Fails with a message for the user; [`crate::cli::exit::of`] gives its exit code.
    pub fn run(self) -> anyhow::Result<()> {
        let folders = Folders::from_env();
        let request = ImageRequest {
            folders: &folders,
            origin: match (&self.source, self.offline) {
                (Some(folder), _) => Origin::Mirror(folder.clone()),
                (None, true) => Origin::Cache,
                (None, false) => Origin::Upstream,
            },
            offline: self.offline,
            lock_file: self.lock_file.clone(),
            locked: self.locked,
            force: self.force,
            only: self.program.clone(),
        };
        self.sets().into_iter().try_for_each(|set| match (self.list, self.lock) {
            (true, _) => list(set, &request),
            (_, true) => relock(set, &request),
            _ => self.build(set, &request),
        })
    }

    fn sets(&self) -> Vec<ImageSet> {
        use clap::ValueEnum;
        match (self.platform.is_empty(), self.list) {
            (false, _) => self.platform.clone(),
            (true, true) => ImageSet::value_variants().to_vec(),
            (true, false) => vec![ImageSet::Programs],
        }
    }

    fn build(&self, set: ImageSet, request: &ImageRequest<'_>) -> anyhow::Result<()> {
        match set {
            ImageSet::Programs => programs::build(request, self.archives),
            ImageSet::Null => show(systems::build(SystemKind::Null, request)?),
            ImageSet::Linux => show(systems::build(SystemKind::Linux, request)?),
            ImageSet::Debian => show(systems::build(SystemKind::Debian, request)?),
            ImageSet::Unikraft => show(unikraft::build(request, &mut say)?),
            ImageSet::Osv => show(osv::OSV.build(request, &mut say)?),
            ImageSet::Mirage => show(mirage::MIRAGE.build(request, &mut say)?),
        }
    }
}

fn list(set: ImageSet, request: &ImageRequest<'_>) -> anyhow::Result<()> {
    match set {
        ImageSet::Programs => programs::list(request.folders),
        ImageSet::Null => show(systems::list(SystemKind::Null, request)),
        ImageSet::Linux => show(systems::list(SystemKind::Linux, request)),
        ImageSet::Debian => show(systems::list(SystemKind::Debian, request)),
        ImageSet::Unikraft => show(unikraft::list(request)),
        ImageSet::Osv => show(osv::OSV.list(request)),
        ImageSet::Mirage => show(mirage::MIRAGE.list(request)),
    }
}

fn relock(set: ImageSet, request: &ImageRequest<'_>) -> anyhow::Result<()> {
    match set {
        ImageSet::Unikraft => unikraft::relock(request, &mut say),
        ImageSet::Osv => osv::OSV.relock(request, &mut say),
        _ => Err(BadInput("--lock pins the sources of --platform unikraft or osv".to_owned()).into()),
    }
}

fn say(step: &str) {
    eprintln!("{step}");
}

/// A built unikernel, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row([String; 5]);

impl Row {
    fn of(set: &str, manifest: &Manifest, state: &str) -> Self {
        let all =
            |of: fn(&unikernel::Variant) -> String| manifest.variants.iter().map(of).collect::<Vec<_>>().join(" ");
        let image = format!("{set}:{}", manifest.program);
        let monitors = all(|variant| variant.monitor.to_string());
        Self([image, monitors, all(|v| short(&v.kernel.sha256)), all(|v| v.kernel.size.to_string()), state.to_owned()])
    }
}

/// What there is of `programs`, by their manifests.
fn built_rows(folders: &Folders, set: &'static str, programs: &[Program]) -> Vec<Row> {
    let row = |&program: &Program| {
        let manifest = unikernel::load(folders, set, program).ok()?;
        let from = manifest.sources.first().map(|source| format!("{} {}", source.name, short(&source.pin)));
        Some(Row::of(set, &manifest, &from.unwrap_or_default()))
    };
    programs.iter().filter_map(row).collect()
}

fn show(rows: Vec<Row>) -> anyhow::Result<()> {
    if !rows.is_empty() {
        let header = ["image", "for", "digest", "size", "state"];
        println!("{}", table(header, rows.into_iter().map(|row| row.0)));
    }
    Ok(())
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
