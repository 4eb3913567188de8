//! The folders that Featherweight uses.

use std::env;
use std::path::{Path, PathBuf};

/// Where Featherweight keeps things.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The project: guest sources, fixtures.
    pub project: PathBuf,
    /// What is built and measured: images, runs, the report.
    pub output: PathBuf,
    /// What lives only while runs do: ledgers, bundles, container states. Kept short, since socket paths are
    /// limited to 108 bytes (`unix(7)`).
    pub state: PathBuf,
    /// Where guest images are.
    pub images: Images,
}

/// Where guest images are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Images {
    /// In the output, built from this project.
    #[default]
    Own,
    /// In that folder, taken as they are.
    Fixed(PathBuf),
    /// In that folder, built from another revision of this project. What comes from upstream is shared with this one.
    Revision(PathBuf),
}

impl Folders {
    /// The folders by the environment: `CARGO_TARGET_DIR` moves the output, `FEATHERWEIGHT_STATE` the state.
    pub fn from_env() -> Self {
        let project = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| project.join("target"), |dir| project.join(dir));
        Self {
            project,
            output: target.join("featherweight"),
            state: env::var_os("FEATHERWEIGHT_STATE").map_or_else(default_state, PathBuf::from),
            images: Images::Own,
        }
    }

    /// Where guest images are built.
    pub fn images(&self) -> PathBuf {
        match &self.images {
            Images::Own => self.output.join("images"),
            Images::Fixed(folder) | Images::Revision(folder) => folder.clone(),
        }
    }

    /// The folder of the kernel that all Linux guests share.
    pub fn kernel(&self) -> PathBuf {
        match &self.images {
            Images::Own | Images::Revision(_) => self.output.join("images/linux/kernel"),
            Images::Fixed(folder) => folder.join("linux/kernel"),
        }
    }

    /// The same with the sources of the commit `commit`, checked out below the output, and with images of its own.
    pub fn of_revision(&self, commit: &str) -> Self {
        let project = self.output.join("revisions").join(commit);
        let images = Images::Revision(project.join("target/featherweight/images"));
        Self { project, images, ..self.clone() }
    }

    /// Where runs are stored, one folder each.
    pub fn runs(&self) -> PathBuf {
        self.output.join("runs")
    }

    /// Where comparisons of two arms are stored, one folder each.
    pub fn comparisons(&self) -> PathBuf {
        self.output.join("ab")
    }

    /// Where saved baselines are, one folder each.
    pub fn baselines(&self) -> PathBuf {
        self.output.join("baselines")
    }

    /// Where the history of sessions is kept, a file a machine.
    pub fn history(&self) -> PathBuf {
        self.output.join("history")
    }

    /// The page over the latest run of every experiment.
    pub fn report(&self) -> PathBuf {
        self.output.join("report")
    }
}

fn default_state() -> PathBuf {
    let uid = rustix::process::geteuid().as_raw();
    let run = Path::new("/run");
    if uid == 0 && run.is_dir() {
        return run.join("featherweight");
    }
    match env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) => PathBuf::from(dir).join("featherweight"),
        None => env::temp_dir().join(format!("featherweight-{uid}")),
    }
}
