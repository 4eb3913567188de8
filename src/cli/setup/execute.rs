//! Carries out the steps of a plan.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::packages::{Family, Package, Tool};
use super::plan::{CRUN_V1, Findings, Init, Step};
use super::runtimes::{self, BACKUP, FILE, Runtime};
use super::sources::SourceList;
use super::{command, daemon, gvisor, host};

/// The time limit for updating package lists of tens of megabytes.
const REFRESH: Duration = Duration::from_secs(5 * 60);

/// The time limit for installing all tools, a few hundred megabytes.
const INSTALL: Duration = Duration::from_secs(30 * 60);

/// The time limit of other commands.
const BRIEF: Duration = Duration::from_secs(90);

/// The source of crun's launcher for hosts with hybrid control groups.
const CRUN_V1_SOURCE: &str = include_str!("crun_v1.c");

/// The program that decides whether Debian's packages may start a service; see invoke-rc.d(8).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Forbids every start: exit status 101 means "forbidden by policy". The comment identifies the file as setup's.
const POLICY_TEXT: &str = "#!/bin/sh\n# Put here by Featherweight's setup while it installs packages.\nexit 101\n";

/// Carries out one step. Returns notes for the user.
///
/// # Errors
/// When the step fails. Later steps may still succeed.
pub(super) fn step(step: &Step, findings: &Findings, state: &Path) -> anyhow::Result<Vec<String>> {
    let no_notes = |()| Vec::new();
    match step {
        Step::Refresh { command } => command::run(command, REFRESH).map(|_| Vec::new()),
        Step::AddSuite { list, tools, refresh, .. } => add_suite(list, tools, refresh),
        Step::Install { family, tools, .. } => install(*family, tools, findings),
        Step::BuildCrunV1 => build_crun_v1(Path::new(CRUN_V1)).map(no_notes),
        Step::Configure { runtimes } => configure(runtimes, Path::new(FILE), Path::new(BACKUP)),
        Step::Start(Init::Systemd) => systemctl("start", "docker").map(no_notes),
        Step::Start(Init::Other) => daemon::start(state).map(|message| message.lines().map(str::to_owned).collect()),
        Step::Reload(init) => reload(*init).map(no_notes),
    }
}

/// Adds the suite if a tool is unavailable without it. Removes the suite again if it does not offer the tool either.
fn add_suite(list: &SourceList, tools: &[&'static Tool], refresh: &[String]) -> anyhow::Result<Vec<String>> {
    let is_available = |tool: &Tool, suite| host::resolve(tool, Family::Debian, suite).is_ok();
    let unavailable: Vec<_> = tools.iter().filter(|tool| !is_available(tool, None)).collect();
    if unavailable.is_empty() {
        return Ok(vec![format!("not needed: all packages are available without {}", list.suite)]);
    }
    let path = Path::new(&list.path);
    replace(path, &list.text).with_context(|| format!("failed to write {}", list.path))?;
    let fetched = command::run(refresh, REFRESH);
    if fetched.is_ok() && unavailable.iter().any(|tool| is_available(tool, Some(&list.suite))) {
        return Ok(vec![format!("undo {} with: rm {} && {}", list.suite, list.path, refresh.join(" "))]);
    }
    fs::remove_file(path).with_context(|| format!("failed to remove {}", list.path))?;
    let refreshed = command::run(refresh, REFRESH);
    fetched.and(refreshed)?;
    Ok(vec![format!("removed {} again: it does not have the packages either", list.suite)])
}

/// Installs the packages that are available now. The lists may be newer than the plan.
fn install(family: Family, tools: &[&'static Tool], findings: &Findings) -> anyhow::Result<Vec<String>> {
    let backports = findings.distribution.backports.as_deref();
    let (mut packages, mut notes): (Vec<Package>, _) = (Vec::new(), Vec::new());
    let mut available = Vec::new();
    for tool in tools {
        match host::resolve(tool, family, backports) {
            Ok(found) => {
                available.push(*tool);
                packages.extend(found.into_iter().filter(|p| !packages.contains(p)).collect::<Vec<_>>());
            }
            Err(why) => notes.push(format!("{}: {why}; see {}", tool.name, tool.home)),
        }
    }
    let new = new_services(&available, |service| has_service(service, findings.init));
    let no_starts = (family == Family::Debian).then(|| NoStarts::begin(Path::new(POLICY))).transpose()?;
    let installed = family.install(&packages).iter().try_for_each(|command| command::run(command, INSTALL).map(drop));
    drop(no_starts);
    installed?;
    if family == Family::Debian {
        new.into_iter().try_for_each(|service| disable(service, findings.init))?;
    }
    Ok(notes)
}

/// Returns the services of `tools` that do not exist yet. An existing service may be the user's own.
fn new_services(tools: &[&'static Tool], exists: impl Fn(&str) -> bool) -> Vec<&'static str> {
    tools.iter().filter_map(|tool| tool.service).filter(|service| !exists(service)).collect()
}

/// Whether the host has that service.
fn has_service(service: &str, init: Init) -> bool {
    match init {
        Init::Systemd => run(&["systemctl", "cat", service]).is_ok(),
        Init::Other => Path::new("/etc/init.d").join(service).exists(),
    }
}

/// Disables a service, so that it does not start with the host.
fn disable(service: &str, init: Init) -> anyhow::Result<()> {
    match init {
        Init::Systemd => run(&["systemctl", "disable", "--now", service]),
        Init::Other if host::find("update-rc.d").is_some() => run(&["update-rc.d", service, "disable"]),
        Init::Other => Ok(()),
    }
}

/// Keeps Debian's packages from starting services until it is dropped. An existing policy of the host is not changed.
struct NoStarts(Option<PathBuf>);

impl NoStarts {
    fn begin(path: &Path) -> anyhow::Result<Self> {
        let is_replaceable = match host::read_if_exists(path)? {
            None => true,
            // A killed setup may have left its policy.
            Some(text) => text == POLICY_TEXT,
        };
        if !is_replaceable {
            return Ok(Self(None));
        }
        fs::write(path, POLICY_TEXT).with_context(|| format!("failed to write {}", path.display()))?;
        let guard = Self(Some(path.to_owned()));
        fs::set_permissions(path, Permissions::from_mode(0o755))?;
        Ok(guard)
    }
}

impl Drop for NoStarts {
    fn drop(&mut self) {
        if let Some(Err(e)) = self.0.as_deref().map(fs::remove_file) {
            err!("warning: failed to remove {POLICY}: {e}; until it is removed, packages do not start services");
        }
    }
}

/// Returns the launcher's source for the crun at that path.
pub(super) fn crun_v1_source(crun: &Path) -> String {
    format!("#define CRUN \"{}\"\n{CRUN_V1_SOURCE}", crun.display())
}

/// Builds the launcher. Its source stays next to it, to detect later whether it is up to date.
fn build_crun_v1(program: &Path) -> anyhow::Result<()> {
    let crun = host::find("crun").context("crun is not installed")?;
    let cc = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let source = program.with_extension("c");
    let folder = program.parent().context("a program in no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    fs::write(&source, crun_v1_source(&crun)).with_context(|| format!("failed to write {}", source.display()))?;
    let (source, program) = (source.display().to_string(), program.display().to_string());
    run(&[&cc, "-O2", "-Wall", "-static", "-o", &program, &source])
}

/// Adds the runtimes that work on this host to Docker's file, after a backup of the original.
fn configure(names: &[&'static str], file: &Path, backup: &Path) -> anyhow::Result<Vec<String>> {
    let (mut runtimes, mut notes) = (Vec::new(), Vec::new());
    for name in names {
        match runtime(name) {
            Ok(runtime) => runtimes.push(runtime),
            Err(why) => notes.push(format!("{name} as a runtime of Docker: {why}")),
        }
    }
    let old = host::read_if_exists(file)?;
    let new = runtimes::merged(old.as_deref(), &runtimes).map_err(anyhow::Error::msg)?;
    if runtimes.is_empty() {
        return Ok(notes);
    }
    if old.is_some() && !backup.exists() {
        fs::copy(file, backup).with_context(|| format!("failed to copy {} to {}", file.display(), backup.display()))?;
    }
    replace(file, &new).with_context(|| format!("failed to write {}", file.display()))?;
    Ok(notes)
}

fn runtime(name: &'static str) -> Result<Runtime, String> {
    let program = host::find(name).ok_or("not installed")?.display().to_string();
    match name {
        "runsc" => Ok(Runtime { name, path: program, arguments: gvisor::probe()? }),
        _ if Path::new(CRUN_V1).is_file() => Ok(Runtime { name, path: CRUN_V1.to_owned(), arguments: Vec::new() }),
        _ => Ok(Runtime { name, path: program, arguments: Vec::new() }),
    }
}

/// Replaces a file atomically and keeps its permissions.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let folder = file.parent().ok_or_else(|| io::Error::other("a file in no folder"))?;
    fs::create_dir_all(folder)?;
    let mode = fs::metadata(file).map_or(0o644, |old| old.permissions().mode());
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(Permissions::from_mode(mode))?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    Ok(())
}

fn reload(init: Init) -> anyhow::Result<()> {
    let text = host::read_if_exists(Path::new(FILE))?;
    let named = runtimes::configured(text.as_deref()).map_err(anyhow::Error::msg)?;
    match init {
        Init::Systemd => systemctl("reload", "docker").and_then(|()| daemon::await_runtimes(&named)),
        Init::Other => daemon::reload(&named),
    }
}

fn systemctl(verb: &str, service: &str) -> anyhow::Result<()> {
    run(&["systemctl", verb, service])
}

fn run(command: &[&str]) -> anyhow::Result<()> {
    command::run(&command.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>(), BRIEF).map(drop)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::cli::setup::packages::TOOLS;

    #[rstest]
    #[case::no_service(&[], &["redis-server", "nginx"])]
    #[case::one_of_them(&["nginx"], &["redis-server"])]
    #[case::both(&["nginx", "redis-server"], &[])]
    #[case::another(&["apache2"], &["redis-server", "nginx"])]
    fn existing_services_are_not_new(#[case] existing: &[&str], #[case] expected: &[&str]) {
        let tools: Vec<&Tool> = TOOLS.iter().collect();
        assert_eq!(new_services(&tools, |service| existing.contains(&service)), expected);
    }

    #[test]
    fn services_do_not_start_while_packages_are_installed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy-rc.d");
        let guard = NoStarts::begin(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
        std::mem::forget(guard);
        drop(NoStarts::begin(&path).unwrap());
        assert!(!path.exists(), "a policy that a killed setup left is removed");
    }

    #[test]
    fn a_policy_of_the_host_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy-rc.d");
        fs::write(&path, "exit 0\n").unwrap();
        drop(NoStarts::begin(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "exit 0\n");
    }

    #[test]
    fn dockers_file_is_replaced_and_keeps_its_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("docker/daemon.json");
        replace(&file, "{}").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        replace(&file, "{\"a\": 1}").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_runtime_that_is_not_installed_is_noted_and_the_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (file, backup) = (dir.path().join("daemon.json"), dir.path().join("backup"));
        fs::write(&file, "{}").unwrap();
        let notes = configure(&["no-such-runtime"], &file, &backup).unwrap();
        assert_eq!(notes, ["no-such-runtime as a runtime of Docker: not installed"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
        assert!(!backup.exists());
    }

    #[test]
    fn dockers_original_file_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (file, backup) = (dir.path().join("daemon.json"), dir.path().join("backup"));
        for old in [r#"{"debug": true}"#, r#"{"debug": false}"#] {
            fs::write(&file, old).unwrap();
            // `cc` exists on every host that runs tests, and Docker does not read this file.
            configure(&["cc"], &file, &backup).unwrap();
        }
        assert_eq!(fs::read_to_string(&backup).unwrap(), r#"{"debug": true}"#);
        let new = fs::read_to_string(&file).unwrap();
        assert!(new.contains("\"debug\": false") && new.contains("\"cc\""), "{new}");
    }

    #[test]
    fn the_launcher_of_crun_compiles_without_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let (source, program) = (dir.path().join("crun-v1.c"), dir.path().join("crun-v1"));
        fs::write(&source, crun_v1_source(Path::new("/usr/bin/crun"))).unwrap();
        let [source, program] = [source, program].map(|path| path.display().to_string());
        run(&["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", &program, &source]).unwrap();
    }
}
