//! `cargo xtask images`: builds the guest images, or lists them.

use anyhow::Context;
use comfy_table::{Table, presets};
use featherweight::guest::{
    BuildError, BuildOptions, BuiltProgram, Network, Outcome, Program, Rebuild, State, build, load_manifest,
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
        cargo xtask images --offline   build with what Cargo has fetched already")]
pub(crate) struct Images {
    /// List what is built and build nothing
    #[arg(long, conflicts_with_all = ["force", "offline", "locked"])]
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
        let mut rows = Vec::new();
        for &program in Program::ALL {
            match build(folders, &[program], self.options(), &mut |step| eprintln!("{step}")) {
                Ok(outcomes) => rows.extend(outcomes.iter().map(outcome_row)),
                Err(missing @ BuildError::NoServer { .. }) => eprintln!("{program} is left out: {missing}"),
                Err(error) => return Err(error).with_context(|| format!("build the guest program {program}")),
            }
        }
        println!("{}", table(["program", "digest", "size", "state"], rows.into_iter()));
        Ok(())
    }

    fn options(&self) -> BuildOptions {
        BuildOptions {
            network: if self.offline { Network::Offline } else { Network::Allowed },
            rebuild: if self.force { Rebuild::Everything } else { Rebuild::Changed },
        }
    }
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
