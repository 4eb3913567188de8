//! The Docker Engine through the `docker` command, which is independent of the tested code, and objects of a user in it.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use featherweight::guest::{self, write_archive};
use featherweight::host::folders::Folders;
use featherweight::model::program::Program;
use featherweight::model::run::RunId;

/// Why there is no engine to test with; `None` if there is one.
pub(crate) fn unavailable() -> Option<&'static str> {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    let reason = REASON.get_or_init(|| docker(&["info", "--format", "{{.ServerVersion}}"]).err());
    reason.as_deref()
}

/// The output of the command, or its error messages.
pub(crate) fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|e| format!("failed to run docker: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// The ids of the containers of `run` in any state.
pub(crate) fn containers(run: &RunId) -> Vec<String> {
    listed(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &format!("name={}", run.name())])
}

/// All containers, networks and images in the engine whose names contain that of `run`.
pub(crate) fn traces(run: &RunId) -> Vec<String> {
    if unavailable().is_some() {
        return Vec::new();
    }
    let name = run.name();
    let containers = listed(&["ps", "--all", "--format", "container {{.Names}} {{.Status}}"]);
    let networks = listed(&["network", "ls", "--format", "network {{.Name}}"]);
    let images = listed(&["images", "--format", "image {{.Repository}}:{{.Tag}}"]);
    let all = containers.into_iter().chain(networks).chain(images);
    all.filter(|line| line.contains(&name)).collect()
}

fn listed(arguments: &[&str]) -> Vec<String> {
    docker(arguments).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// A container of a user with a network and an image of its own; removed on drop.
#[derive(Debug)]
pub(crate) struct User {
    container: String,
    network: String,
    image: String,
    /// The initial state of all three.
    before: [String; 3],
}

impl User {
    /// Starts the container. It has the label of another run, which must not mislead the harness. Prints the reason and
    /// returns `None` without an engine.
    pub(crate) fn new() -> Option<Self> {
        if let Some(reason) = unavailable() {
            eprintln!("the engine has no container, network and image of a user: {reason}");
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let tag = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let [container, network, image] =
            ["shop-database-", "shop-network-", "shop/database:"].map(|name| format!("{name}{tag}"));
        let mut user = Self { container, network, image, before: Default::default() };
        let program = user.load();
        docker(&["network", "create", &user.network]).expect("a network of the user");
        let (name, label) = (user.container.as_str(), "featherweight.run=20010101-000000-0000");
        let options = ["run", "--detach", "--name", name, "--network", &user.network, "--label", label];
        docker(&[&options[..], &["--pull=never", &user.image, &program]].concat()).expect("a container of the user");
        user.before = user.state();
        assert!(user.before[0].contains("running"), "{:?}", user.before);
        Some(user)
    }

    /// Loads the image and returns the path of the program in it.
    fn load(&self) -> String {
        let images = guest::ensure(&Folders::from_env(), &[Program::Sleep], &mut |_| {}).expect("a guest is built");
        let mut archive = Vec::new();
        write_archive(&images[0], &self.image, &[("owner", &self.image)], &mut archive).expect("an archive");
        let mut command = Command::new("docker");
        let load = command.args(["load", "--quiet"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut load = load.expect("docker load starts");
        load.stdin.take().expect("a pipe").write_all(&archive).expect("it takes the archive");
        assert!(load.wait().expect("waited").success());
        images[0].guest_path()
    }

    fn state(&self) -> [String; 3] {
        let format = "{{.Id}} {{.State.Status}} {{.State.Pid}} {{.State.StartedAt}} {{json .NetworkSettings.Networks}}";
        let inspect = |arguments: &[&str]| docker(arguments).unwrap_or_else(|error| error);
        [
            inspect(&["inspect", "--format", format, &self.container]),
            inspect(&["network", "inspect", "--format", "{{.Id}} {{json .Containers}} {{json .IPAM}}", &self.network]),
            inspect(&["image", "inspect", "--format", "{{.Id}} {{json .RepoTags}}", &self.image]),
        ]
    }

    /// Asserts that nothing has changed.
    pub(crate) fn assert_unharmed(&self) {
        assert_eq!(self.state(), self.before);
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let removals =
            [&["rm", "--force", &self.container][..], &["network", "rm", &self.network], &["rmi", &self.image]];
        for arguments in removals {
            if let Err(error) = docker(arguments) {
                eprintln!("{arguments:?}: {error}");
            }
        }
    }
}
