//! `cargo xtask images`: builds or lists the guest images.

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

use crate::guest::system::unikernel::{self, Manifest, Variant};
use crate::host::folders::Folders;
use crate::model::exit::Exit;
use crate::model::program::Program;
use anyhow::Context as _;
use clap::Parser as _;
use comfy_table::{Table, presets};

use self::source::Origin;
use self::systems::SystemKind;
use crate::cli::exit::BadInput;

/// The command that builds the guests of virtual machines that need only this host's package manager.
pub(in crate::cli) const GUESTS: &str = "cargo xtask images --platform null,linux";

/// Runs [`GUESTS`].
///
/// # Errors
/// When an image cannot be built or does not boot.
pub(in crate::cli) fn build_guests() -> anyhow::Result<Exit> {
    let arguments = GUESTS.split(' ').skip(2);
    let images = CommandLine::try_parse_from(arguments).context("failed to parse the built-in arguments")?.images;
    images.run().map(|()| Exit::Fine)
}

#[derive(Debug, clap::Parser)]
struct CommandLine {
    #[command(flatten)]
    images: Images,
}

/// A set of images.
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
    /// A Debian with systemd, for virtual machines; needs root once
    #[value(alias = "qemu:debian")]
    Debian,
    /// Unikraft with one program each, for QEMU and Firecracker; built from upstream's sources
    #[value(alias = "qemu:unikraft")]
    Unikraft,
    /// OSv with one program each; an untested recipe
    Osv,
    /// MirageOS on Solo5; an untested recipe
    Mirage,
}

/// Build or list the guest images; `cargo bench` builds missing guests itself
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo xtask images --list                         list the images with their sources and compilers\n  \
        cargo xtask images --offline                      build with the sources that Cargo has already\n  \
        cargo xtask images --archives                     also write archives for docker load and podman load\n  \
        cargo xtask images --platform null,linux          build the guests of virtual machines and boot each once\n  \
        cargo xtask images --platform unikraft --lock     pin upstream's sources, once\n  \
        cargo xtask images --platform unikraft            fetch the sources and build every image\n  \
        cargo xtask images --platform unikraft --program hello,sqlite --source mirror")]
pub struct Images {
    /// List the built images and build nothing
    #[arg(long, conflicts_with_all = ["force", "offline", "locked", "archives", "lock", "source"])]
    list: bool,
    /// The sets of images to build or list [default: programs; with --list: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    platform: Vec<ImageSet>,
    /// Build only the images of these programs
    #[arg(long, value_delimiter = ',')]
    program: Vec<Program>,
    /// Fetch nothing
    #[arg(long, conflicts_with = "lock")]
    offline: bool,
    /// Use sources from this folder: repositories, bare or not, and archives, under their upstream names
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Fail unless the lock file pins every source of all images
    #[arg(long)]
    locked: bool,
    /// Pin upstream's sources to their current versions and build nothing
    #[arg(long, conflicts_with_all = ["locked", "force", "archives"])]
    lock: bool,
    /// Use another lock file
    #[arg(long, value_name = "FILE")]
    lock_file: Option<PathBuf>,
    /// Rebuild images that are up to date
    #[arg(long)]
    force: bool,
    /// Also write each image as an archive for `docker load` and `podman load`; platforms do not need these
    #[arg(long)]
    archives: bool,
}

/// A request to build or list images.
#[derive(Debug)]
struct ImageRequest<'a> {
    folders: &'a Folders,
    origin: Origin,
    offline: bool,
    lock_file: Option<PathBuf>,
    locked: bool,
    force: bool,
    /// The requested programs; all if empty.
    only: Vec<Program>,
}

impl ImageRequest<'_> {
    /// Returns the requested programs among `all`.
    fn programs(&self, all: &[Program]) -> Vec<Program> {
        all.iter().copied().filter(|program| self.only.is_empty() || self.only.contains(program)).collect()
    }
}

impl Images {
    /// Runs the command.
    ///
    /// # Errors
    /// Fails with a message for the user; [`crate::cli::exit::code`] gives its exit code.
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
            ImageSet::Unikraft => show(unikraft::build(request, &mut print_step)?),
            ImageSet::Osv => show(osv::OSV.build(request, &mut print_step)?),
            ImageSet::Mirage => show(mirage::MIRAGE.build(request, &mut print_step)?),
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
        ImageSet::Unikraft => unikraft::relock(request, &mut print_step),
        ImageSet::Osv => osv::OSV.relock(request, &mut print_step),
        _ => Err(BadInput("--lock: no sources to pin; expected --platform unikraft or osv".to_owned()).into()),
    }
}

fn print_step(step: &str) {
    eprintln!("{step}");
}

/// A row in the table of images.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row([String; 5]);

impl Row {
    fn new(set: &str, manifest: &Manifest, state: &str) -> Self {
        let join = |column: fn(&Variant) -> String| manifest.variants.iter().map(column).collect::<Vec<_>>().join(" ");
        let image = format!("{set}:{}", manifest.program);
        let monitors = join(|variant| variant.monitor.to_string());
        let digests = join(|variant| short(&variant.kernel.sha256));
        let sizes = join(|variant| variant.kernel.size.to_string());
        Self([image, monitors, digests, sizes, state.to_owned()])
    }
}

/// Returns the rows of the built images of `programs`.
fn built_rows(folders: &Folders, set: &'static str, programs: &[Program]) -> Vec<Row> {
    let row = |&program: &Program| {
        let manifest = unikernel::load(folders, set, program).ok()?;
        let source = manifest.sources.first().map(|source| format!("{} {}", source.name, short(&source.pin)));
        Some(Row::new(set, &manifest, &source.unwrap_or_default()))
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

/// Shortens a digest for tables.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    table
}
