//! Starts the real bench targets as a user does, in temporary folders.
//!
//! Invariant: no test touches the runs, the report or the noise history of the project itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use featherweight::host::folders::Folders;
use featherweight::model::record::Experiment;
use featherweight::model::run::RUN_VARIABLE;
use featherweight::store::{StoredRun, list_runs, read_run};
use serde_json::Value;

/// The folders of one test.
#[derive(Debug)]
pub(crate) struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    /// Empty folders that share the guest images of the project.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be created");
        let desk = Self { dir };
        std::fs::create_dir_all(desk.output()).expect("a folder can be created");
        let images = Folders::from_env().images();
        std::fs::create_dir_all(&images).expect("the images' folder can be created");
        std::os::unix::fs::symlink(&images, desk.output().join("images")).expect("a link can be created");
        desk
    }

    /// The command of the target as `cargo bench` starts it.
    pub(crate) fn command(&self, experiment: Experiment, arguments: &str) -> Command {
        let mut command = self.bare_command(experiment, arguments);
        command.arg("--bench");
        command
    }

    /// The command of the target as `cargo test` starts it.
    pub(crate) fn bare_command(&self, experiment: Experiment, arguments: &str) -> Command {
        let mut command = Command::new(target(experiment));
        command.args(arguments.split_whitespace());
        command.env("CARGO_TARGET_DIR", self.path("target")).env("FEATHERWEIGHT_STATE", self.state());
        command.env_remove(RUN_VARIABLE).env_remove("NO_COLOR");
        command
    }

    /// The path of `name` in the test's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The folder that stands for `target/featherweight`.
    pub(crate) fn output(&self) -> PathBuf {
        self.path("target/featherweight")
    }

    /// The folder of the ledgers.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The folders of the runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        list_runs(&self.output().join("runs"))
    }

    /// The only run.
    pub(crate) fn run(&self) -> StoredRun {
        match self.runs().as_slice() {
            [one] => read_run(one).expect("the run is readable"),
            other => panic!("expected one run, found {other:?}"),
        }
    }
}

/// The entries of a folder; none if it is missing.
pub(crate) fn entries(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()).collect()
}

/// The path of a bench target, built in the profile of this test. Cargo sets no variable with it, so its build output is
/// read.
fn target(experiment: Experiment) -> &'static Path {
    static TARGETS: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    let targets = TARGETS.get_or_init(|| build(&["test", "--workspace", "--benches", "--no-run"]));
    targets.get(experiment.name()).unwrap_or_else(|| panic!("no target {experiment} in {targets:?}"))
}

/// Runs cargo with `arguments`; returns the built executables by the names of their targets.
pub(crate) fn build(arguments: &[&str]) -> BTreeMap<String, PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).arg("--message-format=json-render-diagnostics");
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.output().expect("cargo starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = built.stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let target = |message: Value| {
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    };
    messages.filter_map(target).collect()
}
