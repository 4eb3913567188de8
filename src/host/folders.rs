//! The folders that Featherweight uses.

use std::env;
use std::path::{Path, PathBuf};

/// The top folders, from which the others follow.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The project: guest sources, fixtures.
    pub project: PathBuf,
    /// Everything that is built or measured: images, runs, the report.
    pub output: PathBuf,
    /// Files that exist only during a run: ledgers, bundles, container states. The path is short, since socket paths are
    /// limited to 108 bytes (`unix(7)`).
    pub state: PathBuf,
    /// The source of guest images.
    pub images: Images,
}

/// Where guest images come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Images {
    /// Built from this project, in the output folder.
    #[default]
    Own,
    /// Prebuilt, in this folder.
    Fixed(PathBuf),
    /// Built in this folder from another revision of this project. Both revisions share what comes from upstream.
    Revision(PathBuf),
}

impl Folders {
    /// The default folders. The variables `CARGO_TARGET_DIR` and `FEATHERWEIGHT_STATE` move output and state.
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

    /// The folder of guest images.
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

    /// The same folders with another project: the sources of `commit`, checked out below the output, and their images.
    pub fn of_revision(&self, commit: &str) -> Self {
        let project = self.output.join("revisions").join(commit);
        let images = Images::Revision(project.join("target/featherweight/images"));
        Self { project, images, ..self.clone() }
    }

    /// The stored runs, one folder each.
    pub fn runs(&self) -> PathBuf {
        self.output.join("runs")
    }

    /// The stored comparisons of two arms, one folder each.
    pub fn comparisons(&self) -> PathBuf {
        self.output.join("ab")
    }

    /// The saved baselines, one folder each.
    pub fn baselines(&self) -> PathBuf {
        self.output.join("baselines")
    }

    /// The history of sessions, one file per machine.
    pub fn history(&self) -> PathBuf {
        self.output.join("history")
    }

    /// The report on the latest run of every experiment.
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
