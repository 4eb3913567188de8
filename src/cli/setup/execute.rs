//! The steps of a plan, done one after the other.

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

/// The lists are tens of megabytes.
const REFRESH: Duration = Duration::from_secs(5 * 60);

/// All tools together are some hundred megabytes.
const INSTALL: Duration = Duration::from_secs(30 * 60);

/// What only asks or tells another program.
const BRIEF: Duration = Duration::from_secs(90);

/// The program that starts crun where control groups are hybrid.
const CRUN_V1_SOURCE: &str = include_str!("crun_v1.c");

/// Where Debian's packages ask whether they may start a service; see invoke-rc.d(8).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Forbids every start: 101 is "forbidden by policy". The mark tells the file from somebody else's.
const POLICY_TEXT: &str = "#!/bin/sh\n# Put here by Featherweight's setup while it installs packages.\nexit 101\n";

/// Does one step. Returns what the user should know about it, if anything.
///
/// # Errors
/// What failed; the steps after it may still make sense.
pub(super) fn step(step: &Step, findings: &Findings, state: &Path) -> anyhow::Result<Vec<String>> {
    let nothing = |()| Vec::new();
    match step {
        Step::Refresh { command } => command::run(command, REFRESH).map(|_| Vec::new()),
        Step::AddSuite { list, tools, refresh, .. } => add_suite(list, tools, refresh),
        Step::Install { family, tools, .. } => install(*family, tools, findings),
        Step::BuildCrunV1 => build_crun_v1(Path::new(CRUN_V1)).map(nothing),
        Step::Configure { runtimes } => configure(runtimes, Path::new(FILE), Path::new(BACKUP)),
        Step::Start(Init::Systemd) => systemctl("start", "docker").map(nothing),
        Step::Start(Init::Other) => daemon::start(state).map(|told| told.lines().map(str::to_owned).collect()),
        Step::Reload(init) => reload(*init).map(nothing),
    }
}

/// Adds the suite where a tool is refused without it, and takes it back where it has none of them.
fn add_suite(list: &SourceList, tools: &[&'static Tool], refresh: &[String]) -> anyhow::Result<Vec<String>> {
    let had = |tool: &Tool, suite| host::resolve(tool, Family::Debian, suite).is_ok();
    let refused: Vec<_> = tools.iter().filter(|tool| !had(tool, None)).collect();
    if refused.is_empty() {
        return Ok(vec![format!("not needed: nothing is refused without {}", list.suite)]);
    }
    let path = Path::new(&list.path);
    replace(path, &list.text).with_context(|| format!("write {}", list.path))?;
    let fetched = command::run(refresh, REFRESH);
    if fetched.is_ok() && refused.iter().any(|tool| had(tool, Some(&list.suite))) {
        return Ok(vec![format!("take {} back with: rm {} && {}", list.suite, list.path, refresh.join(" "))]);
    }
    fs::remove_file(path).with_context(|| format!("remove {}", list.path))?;
    let refreshed = command::run(refresh, REFRESH);
    fetched.and(refreshed)?;
    Ok(vec![format!("{} has none of them, and was taken back", list.suite)])
}

/// Installs what can be had now: the lists may be newer than the plan.
fn install(family: Family, tools: &[&'static Tool], findings: &Findings) -> anyhow::Result<Vec<String>> {
    let backports = findings.distribution.backports.as_deref();
    let (mut packages, mut notes): (Vec<Package>, _) = (Vec::new(), Vec::new());
    let mut had = Vec::new();
    for tool in tools {
        match host::resolve(tool, family, backports) {
            Ok(found) => {
                had.push(*tool);
                packages.extend(found.into_iter().filter(|p| !packages.contains(p)).collect::<Vec<_>>());
            }
            Err(why) => notes.push(format!("{} cannot be had: {why}; {}", tool.name, tool.home)),
        }
    }
    let new = new_services(&had, |service| has_service(service, findings.init));
    let quiet = (family == Family::Debian).then(|| NoStarts::begin(Path::new(POLICY))).transpose()?;
    let done = family.install(&packages).iter().try_for_each(|command| command::run(command, INSTALL).map(drop));
    drop(quiet);
    done?;
    if family == Family::Debian {
        new.into_iter().try_for_each(|service| disable(service, findings.init))?;
    }
    Ok(notes)
}

/// The services that come with `tools` and are not `there`: one that is may be the user's own, and stays as it is.
fn new_services(tools: &[&'static Tool], there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    tools.iter().filter_map(|tool| tool.service).filter(|service| !there(service)).collect()
}

/// Whether the host knows that service, whoever made it.
fn has_service(service: &str, init: Init) -> bool {
    match init {
        Init::Systemd => run(&["systemctl", "cat", service]).is_ok(),
        Init::Other => Path::new("/etc/init.d").join(service).exists(),
    }
}

/// A service that was not there before does not start with the host, either.
fn disable(service: &str, init: Init) -> anyhow::Result<()> {
    match init {
        Init::Systemd => run(&["systemctl", "disable", "--now", service]),
        Init::Other if host::find("update-rc.d").is_some() => run(&["update-rc.d", service, "disable"]),
        Init::Other => Ok(()),
    }
}

/// While it lives Debian's packages start no service. A policy of the host's own stays as it is.
struct NoStarts(Option<PathBuf>);

impl NoStarts {
    fn begin(path: &Path) -> anyhow::Result<Self> {
        let ours = match host::read_if_there(path)? {
            None => true,
            // A setup that was killed left it.
            Some(text) => text == POLICY_TEXT,
        };
        if !ours {
            return Ok(Self(None));
        }
        fs::write(path, POLICY_TEXT).with_context(|| format!("write {}", path.display()))?;
        let guard = Self(Some(path.to_owned()));
        fs::set_permissions(path, Permissions::from_mode(0o755))?;
        Ok(guard)
    }
}

impl Drop for NoStarts {
    fn drop(&mut self) {
        if let Some(Err(e)) = self.0.as_deref().map(fs::remove_file) {
            err!("warning: remove {POLICY}: {e}; until it is removed, packages start no services");
        }
    }
}

/// The program's source for the crun at that path.
pub(super) fn crun_v1_source(crun: &Path) -> String {
    format!("#define CRUN \"{}\"\n{CRUN_V1_SOURCE}", crun.display())
}

/// The source stays beside the program: it tells what that was built from.
fn build_crun_v1(program: &Path) -> anyhow::Result<()> {
    let crun = host::find("crun").context("crun is not installed")?;
    let cc = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let source = program.with_extension("c");
    let folder = program.parent().context("a program in no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    fs::write(&source, crun_v1_source(&crun)).with_context(|| format!("write {}", source.display()))?;
    let (source, program) = (source.display().to_string(), program.display().to_string());
    run(&[&cc, "-O2", "-Wall", "-static", "-o", &program, &source])
}

/// Adds the runtimes that work here to Docker's file, whose first state is kept.
fn configure(names: &[&'static str], file: &Path, backup: &Path) -> anyhow::Result<Vec<String>> {
    let (mut wanted, mut notes) = (Vec::new(), Vec::new());
    for name in names {
        match runtime(name) {
            Ok(runtime) => wanted.push(runtime),
            Err(why) => notes.push(format!("{name} as a runtime of Docker's: {why}")),
        }
    }
    let old = host::read_if_there(file)?;
    let new = runtimes::merged(old.as_deref(), &wanted).map_err(anyhow::Error::msg)?;
    if wanted.is_empty() {
        return Ok(notes);
    }
    if old.is_some() && !backup.exists() {
        fs::copy(file, backup).with_context(|| format!("copy {} to {}", file.display(), backup.display()))?;
    }
    replace(file, &new).with_context(|| format!("write {}", file.display()))?;
    Ok(notes)
}

fn runtime(name: &'static str) -> Result<Runtime, String> {
    let program = host::find(name).ok_or("it is not installed")?.display().to_string();
    match name {
        "runsc" => Ok(Runtime { name, path: program, arguments: gvisor::probe()? }),
        _ if Path::new(CRUN_V1).is_file() => Ok(Runtime { name, path: CRUN_V1.to_owned(), arguments: Vec::new() }),
        _ => Ok(Runtime { name, path: program, arguments: Vec::new() }),
    }
}

/// Docker never sees half a file, and the rights of the old one stay.
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
    let text = host::read_if_there(Path::new(FILE))?;
    let named = runtimes::configured(text.as_deref()).map_err(anyhow::Error::msg)?;
    match init {
        Init::Systemd => systemctl("reload", "docker").and_then(|()| daemon::await_runtimes(&named)),
        Init::Other => daemon::reload(&named),
    }
}

fn systemctl(verb: &str, service: &str) -> anyhow::Result<()> {
    run(&["systemctl", verb, service])
}

fn run(words: &[&str]) -> anyhow::Result<()> {
    command::run(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>(), BRIEF).map(drop)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::cli::setup::packages::TOOLS;

    #[rstest]
    #[case::none_was_there(&[], &["redis-server", "nginx"])]
    #[case::one_was_there(&["nginx"], &["redis-server"])]
    #[case::both_were_there(&["nginx", "redis-server"], &[])]
    #[case::another_was_there(&["apache2"], &["redis-server", "nginx"])]
    fn services_that_were_there_before_are_left_alone(#[case] there: &[&str], #[case] expected: &[&str]) {
        let tools: Vec<&Tool> = TOOLS.iter().collect();
        assert_eq!(new_services(&tools, |service| there.contains(&service)), expected);
    }

    #[test]
    fn services_are_kept_from_starting_while_packages_are_installed_and_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy-rc.d");
        let guard = NoStarts::begin(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
        std::mem::forget(guard);
        drop(NoStarts::begin(&path).unwrap());
        assert!(!path.exists(), "one that a killed setup left is removed, too");
    }

    #[test]
    fn a_policy_of_the_hosts_own_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy-rc.d");
        fs::write(&path, "exit 0\n").unwrap();
        drop(NoStarts::begin(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "exit 0\n");
    }

    #[test]
    fn dockers_file_is_replaced_whole_and_keeps_its_rights() {
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
    fn a_runtime_that_is_not_installed_is_told_and_the_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (file, backup) = (dir.path().join("daemon.json"), dir.path().join("backup"));
        fs::write(&file, "{}").unwrap();
        let notes = configure(&["no-such-runtime"], &file, &backup).unwrap();
        assert_eq!(notes, ["no-such-runtime as a runtime of Docker's: it is not installed"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
        assert!(!backup.exists());
    }

    #[test]
    fn the_first_state_of_dockers_file_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (file, backup) = (dir.path().join("daemon.json"), dir.path().join("backup"));
        for old in [r#"{"debug": true}"#, r#"{"debug": false}"#] {
            fs::write(&file, old).unwrap();
            // Every host that runs tests has it, and Docker is not asked.
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
