//! The service's own files and configuration, so that it uses nothing of the user's.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::process::{Resource, getrlimit};
use serde_json::json;

use super::Programs;
use crate::host::ledger::Ledger;
use crate::model::run::RUN_VARIABLE;

/// The containers' limits of open files and processes. A lower limit of this process applies instead.
const ULIMITS: [(&str, Resource, u64); 2] = [("nofile", Resource::Nofile, 20_000), ("nproc", Resource::Nproc, 30_000)];

/// Podman's usual state folders. The service has its own mounts there (see `process`), which end with it. Podman limits
/// the first path to 50 characters.
const RUN_ROOT: &str = "/run/containers";
const TMP_DIR: &str = "/run/libpod";

/// How to start a service.
#[derive(Debug)]
pub(super) struct Settings {
    /// Its folder.
    pub(super) dir: PathBuf,
    /// Its program.
    pub(super) program: PathBuf,
    /// A mount that it does not see.
    pub(super) hidden: Option<PathBuf>,
    runtime: (String, PathBuf),
    run: String,
}

impl Settings {
    /// The settings of the service `name`. Writes nothing yet.
    pub(super) fn new(ledger: &Ledger, name: &str, programs: &Programs, hidden: Option<PathBuf>) -> Self {
        // The paths of sockets must be short (`unix(7)`), and the folder has the run's name already.
        let number = name.rsplit('-').next().unwrap_or(name);
        let dir = ledger.dir().join(format!("podman-{number}"));
        let runtime = (programs.runtime_name.clone(), programs.runtime.clone());
        Self { dir, program: programs.podman.clone(), hidden, runtime, run: ledger.run().to_string() }
    }

    /// Its socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.dir.join("podman.sock")
    }

    /// Its output.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("service.log")
    }

    /// Its arguments.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let storage = ["--root".into(), self.dir.join("storage").into_os_string()];
        let states = ["--runroot", RUN_ROOT, "--tmpdir", TMP_DIR].map(OsString::from);
        let service = ["system".into(), "service".into(), "--time=0".into()];
        let address = format!("unix://{}", self.socket().display()).into();
        storage.into_iter().chain(states).chain(service).chain([address]).collect()
    }

    /// Its whole environment.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
            ("HOME", self.dir.clone().into_os_string()),
            ("TMPDIR", self.dir.join("files").into_os_string()),
            ("CONTAINERS_CONF", self.conf().into_os_string()),
            (RUN_VARIABLE, self.run.clone().into()),
        ]
    }

    fn conf(&self) -> PathBuf {
        self.dir.join("containers.conf")
    }

    /// Writes its files.
    pub(super) fn write(&self) -> io::Result<()> {
        let policies = self.dir.join(".config/containers");
        for dir in [policies.clone(), self.dir.join("files")] {
            fs::create_dir_all(dir)?;
        }
        // The harness assembles the images, so they have no signature.
        let anything = json!({"default": [{"type": "insecureAcceptAnything"}]});
        fs::write(policies.join("policy.json"), anything.to_string())?;
        fs::write(self.conf(), self.containers_conf())
    }

    /// The text of `containers.conf(5)`. JSON's strings and lists are valid TOML.
    fn containers_conf(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        // A container's monitor gets only this environment. The marker identifies it after a crash.
        let monitor_environment = [format!("PATH={path}"), format!("{RUN_VARIABLE}={}", self.run)];
        let (name, program) = &self.runtime;
        // Shared-memory locks and the usual networks would be the user's.
        format!(
            "[containers]\ndefault_ulimits = {}\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nlock_type = \"file\"\n\
             runtime = {}\nconmon_env_vars = {}\n\
             [engine.runtimes]\n{} = {}\n\
             [network]\nnetwork_config_dir = {}\n",
            json!(ULIMITS.map(ulimit)),
            json!(name),
            json!(monitor_environment),
            json!(name),
            json!([program]),
            json!(self.dir.join("networks")),
        )
    }
}

fn ulimit((name, resource, max): (&str, Resource, u64)) -> String {
    let max = getrlimit(resource).maximum.map_or(max, |own| own.min(max));
    format!("{name}={max}:{max}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::run::RunId;

    #[test]
    fn all_files_of_the_service_are_in_the_runs_folder() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let ledger =
            Ledger::open(state.path(), &RunId::generate(), crate::platform::reap_engines).expect("a ledger opens");
        let programs =
            Programs { podman: "/bin/podman".into(), runtime_name: "runc".into(), runtime: "/sbin/runc".into() };
        let settings = Settings::new(&ledger, &ledger.instance_name(), &programs, None);
        settings.write().expect("written");
        let within = ledger.dir().display().to_string();
        let arguments = settings.arguments().into_iter().map(|it| it.to_string_lossy().into_owned());
        let paths: Vec<_> = arguments.filter(|it| it.contains('/') && it != RUN_ROOT && it != TMP_DIR).collect();
        assert_eq!(paths.len(), 2);
        assert!(paths.iter().all(|it| it.trim_start_matches("unix://").starts_with(&within)), "{paths:?}");
        let conf = fs::read_to_string(settings.conf()).expect("read");
        assert!(conf.contains("runtime = \"runc\"") && conf.contains("\"runc\" = [\"/sbin/runc\"]"), "{conf}");
        assert!(conf.contains(&format!("{RUN_VARIABLE}={}", ledger.run())), "{conf}");
    }
}
