//! The Docker Engine as the `docker` command shows it, asked without the code that is tested; and what a user has there.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use featherweight::guest::{self, write_archive};
use featherweight::host::folders::Folders;
use featherweight::model::program::Program;
use featherweight::model::run::RunId;

/// Why there is no engine to test with; said once.
pub(crate) fn missing_guests() -> Option<&'static str> {
    static WHY: OnceLock<Option<String>> = OnceLock::new();
    let why = WHY.get_or_init(|| docker(&["info", "--format", "{{.ServerVersion}}"]).err());
    why.as_deref()
}

/// What the command says, or why it says nothing.
pub(crate) fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|e| format!("the docker command does not run: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// The ids of the containers of `run`, whatever their state.
pub(crate) fn containers(run: &RunId) -> Vec<String> {
    listed(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &format!("name={}", run.name())])
}

/// Everything in the engine that carries the name of `run`: containers, networks, images.
pub(crate) fn traces(run: &RunId) -> Vec<String> {
    if missing_guests().is_some() {
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

/// The user's own container, in a network and of an image of their own; removed when dropped.
#[derive(Debug)]
pub(crate) struct User {
    container: String,
    network: String,
    image: String,
    /// All of it as it was at first.
    before: [String; 3],
}

impl User {
    /// Starts it; `None` without an engine, with the reason told. It is labelled as another run's is, to tempt.
    pub(crate) fn new() -> Option<Self> {
        if let Some(why) = missing_guests() {
            eprintln!("no container, network and image of a user stand beside: {why}");
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
        user.before = user.seen();
        assert!(user.before[0].contains("running"), "{:?}", user.before);
        Some(user)
    }

    /// Loads the image; the program in it.
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

    fn seen(&self) -> [String; 3] {
        let life = "{{.Id}} {{.State.Status}} {{.State.Pid}} {{.State.StartedAt}} {{json .NetworkSettings.Networks}}";
        let ask = |what: &[&str]| docker(what).unwrap_or_else(|why| why);
        [
            ask(&["inspect", "--format", life, &self.container]),
            ask(&["network", "inspect", "--format", "{{.Id}} {{json .Containers}} {{json .IPAM}}", &self.network]),
            ask(&["image", "inspect", "--format", "{{.Id}} {{json .RepoTags}}", &self.image]),
        ]
    }

    /// Fails if anything was done to it.
    pub(crate) fn assert_unharmed(&self) {
        assert_eq!(self.seen(), self.before);
    }
}

impl Drop for User {
    fn drop(&mut self) {
        for what in [&["rm", "--force", &self.container][..], &["network", "rm", &self.network], &["rmi", &self.image]]
        {
            if let Err(why) = docker(what) {
                eprintln!("{what:?}: {why}");
            }
        }
    }
}
