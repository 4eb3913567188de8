//! Inspects the host, without changing anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cli::program_output;
use crate::host::cgroup::Hierarchies;
use crate::host::tools;
use anyhow::Context;

use super::packages::{Distribution, Family, Package, Tool};
use super::plan::{CRUN_V1, Findings, Init, Lists, Presence, Privilege};
use super::{command, engine, execute, gvisor, runtimes, sources};

/// Folders of administration programs, which are not in the `PATH` of ordinary users.
const SYSTEM_FOLDERS: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The time limit of a query. A package manager's first query takes seconds.
const QUERY: Duration = Duration::from_secs(120);

/// The maximum age of package lists. Older ones name packages that mirrors have replaced.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// Looks for `tools` and everything else that the plan depends on.
///
/// # Errors
/// When system files cannot be read.
pub(super) fn inspect(tools: &[&'static Tool]) -> anyhow::Result<Findings> {
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let distribution = Distribution::from_os_release(&os_release);
    let tools: Vec<_> = tools.iter().map(|tool| (*tool, presence(tool))).collect();
    let missing: Vec<_> =
        tools.iter().filter(|(_, presence)| *presence == Presence::Missing).map(|(tool, _)| *tool).collect();
    let lists = lists(Path::new("/var/lib/apt/lists"), Path::new(sources::FOLDER), distribution.family);
    let privilege = privilege();
    let sources = sources::read(Path::new(sources::FOLDER));
    Ok(Findings {
        backports: distribution.backports.as_deref().and_then(|suite| sources::missing(&sources, suite)),
        packages: packages(&missing, &distribution, lists),
        distribution,
        privilege,
        init: init(),
        gvisor: gvisor(&tools, privilege),
        tools,
        lists,
        engine: engine::find(),
        daemon_json: read_if_exists(Path::new(runtimes::FILE))?,
        cgroups: Hierarchies::read(Path::new("/")).context("failed to read the control groups")?.mode(),
        crun_v1: crun_v1()?,
        compiler: Presence::new(find("cc").is_some()),
    })
}

/// Finds a program in `PATH` or in the system folders.
pub(in crate::cli) fn find(name: &str) -> Option<PathBuf> {
    let in_system_folders = || SYSTEM_FOLDERS.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file());
    tools::find(name).or_else(in_system_folders)
}

fn presence(tool: &Tool) -> Presence {
    Presence::new(tool.programs.iter().all(|(program, _)| find(program).is_some()))
}

fn privilege() -> Privilege {
    match (rustix::process::geteuid().is_root(), tools::find("sudo")) {
        (true, _) => Privilege::Root,
        (false, Some(_)) => Privilege::Sudo,
        (false, None) => Privilege::Ordinary,
    }
}

/// See sd_booted(3).
fn init() -> Init {
    if Path::new("/run/systemd/system").is_dir() { Init::Systemd } else { Init::Other }
}

/// Whether apt's package lists exist, are recent, and are newer than its source lists. Other package managers update
/// their lists themselves.
fn lists(folder: &Path, sources: &Path, family: Option<Family>) -> Lists {
    if family != Some(Family::Debian) {
        return Lists::Fresh;
    }
    let entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    let is_fetched = entries.iter().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"));
    // Files have the server's times, but every update changes the folder and its download folder.
    let newest = |paths: &[PathBuf]| paths.iter().filter_map(|path| path.metadata().ok()?.modified().ok()).max();
    let fetched_at = newest(&[folder.to_owned(), folder.join("partial")]);
    let sources_changed_at = newest(&sources::paths(sources));
    let is_recent = fetched_at.is_some_and(|at| {
        Some(at) >= sources_changed_at && SystemTime::now().duration_since(at).is_ok_and(|age| age < MAX_AGE)
    });
    if is_fetched && is_recent { Lists::Fresh } else { Lists::Stale }
}

/// Probes gVisor if it is installed and not configured yet. Only root may start it.
fn gvisor(tools: &[(&'static Tool, Presence)], privilege: Privilege) -> Option<Result<Vec<String>, String>> {
    let installed = tools.iter().any(|(tool, state)| tool.name == "runsc" && *state == Presence::Installed);
    let is_configured = || {
        let text = read_if_exists(Path::new(runtimes::FILE)).ok().flatten();
        runtimes::configured(text.as_deref()).is_ok_and(|named| named.iter().any(|name| name == "runsc"))
    };
    (installed && privilege == Privilege::Root && !is_configured()).then(gvisor::probe)
}

fn crun_v1() -> anyhow::Result<Presence> {
    let source = read_if_exists(&Path::new(CRUN_V1).with_extension("c"))?;
    let expected = find("crun").map(|crun| execute::crun_v1_source(&crun));
    Ok(Presence::new(Path::new(CRUN_V1).is_file() && source.is_some() && source == expected))
}

/// Reads a file; `None` if it does not exist.
///
/// # Errors
/// When the file exists and cannot be read.
pub(super) fn read_if_exists(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("failed to read {}", path.display())),
    }
}

/// Returns the packages of the missing tools, or why they are unavailable. Returns nothing on an unknown distribution.
fn packages(
    missing: &[&'static Tool],
    distribution: &Distribution,
    lists: Lists,
) -> BTreeMap<&'static str, Result<Vec<Package>, String>> {
    let Some(family) = distribution.family else { return BTreeMap::new() };
    let packages_of = |tool: &&'static Tool| {
        let packages = resolve(tool, family, distribution.backports.as_deref());
        // Stale lists do not show what is available: plan the first names, and query again after the update.
        let planned =
            if lists == Lists::Stale { packages.or_else(|_| Ok(tool.first_packages(family, None))) } else { packages };
        (tool.name, planned)
    };
    missing.iter().map(packages_of).collect()
}

/// Returns the currently available packages of a tool.
///
/// # Errors
/// The reason why they are unavailable.
pub(super) fn resolve(tool: &Tool, family: Family, backports: Option<&str>) -> Result<Vec<Package>, String> {
    if tool.packages(family).is_empty() {
        return Err("no package in this distribution".to_owned());
    }
    let choose = |alternatives: &&[&str]| {
        // Prefer the default suite.
        let suites = std::iter::once(None).chain(backports.map(Some));
        let candidates = suites.flat_map(|suite| alternatives.iter().map(move |name| package(name, suite)));
        first_available(family, candidates)
    };
    let mut packages: Vec<_> = tool.packages(family).iter().map(choose).collect::<Result<_, _>>()?;
    packages.dedup();
    Ok(packages)
}

fn package(name: &str, suite: Option<&str>) -> Package {
    Package { name: name.to_owned(), suite: suite.map(str::to_owned) }
}

fn first_available(family: Family, candidates: impl Iterator<Item = Package>) -> Result<Package, String> {
    let mut failures = Vec::new();
    for candidate in candidates {
        match check_available(family, &candidate) {
            Ok(()) => return Ok(candidate),
            Err(why) => failures.push(format!("{candidate}: {why}")),
        }
    }
    Err(format!("unavailable packages: {}", failures.join("; ")))
}

fn check_available(family: Family, package: &Package) -> Result<(), String> {
    match command::run(&family.query(package), QUERY) {
        Ok(output) if output.trim().is_empty() => Err("no such package".to_owned()),
        Ok(_) => Ok(()),
        Err(e) => Err(program_output::last_line(&format!("{e:#}")).trim_start_matches("E: ").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::packages::TOOLS;
    use super::*;

    #[test]
    fn lists_are_fresh_if_they_exist_and_are_recent() {
        let dir = tempfile::tempdir().unwrap();
        let (debian, sources) = (Some(Family::Debian), tempfile::tempdir().unwrap());
        let lists = |family| lists(dir.path(), sources.path(), family);
        assert_eq!(lists(debian), Lists::Stale, "nothing was fetched");
        fs::write(dir.path().join("mirror_main_binary-amd64_Packages.lz4"), "").unwrap();
        assert_eq!(lists(debian), Lists::Fresh);
        let list = fs::File::create(sources.path().join("sources.list")).unwrap();
        list.set_modified(SystemTime::now() + MAX_AGE).unwrap();
        assert_eq!(lists(debian), Lists::Stale, "the sources have changed");
        fs::remove_file(sources.path().join("sources.list")).unwrap();
        fs::File::open(dir.path()).unwrap().set_modified(SystemTime::now() - 2 * MAX_AGE).unwrap();
        assert_eq!(lists(debian), Lists::Stale, "two days ago");
        assert_eq!(lists(Some(Family::Arch)), Lists::Fresh, "pacman updates its lists itself");
    }

    #[test]
    fn a_tool_without_a_package_is_unavailable() {
        let runsc = TOOLS.iter().find(|tool| tool.name == "runsc").unwrap();
        assert!(resolve(runsc, Family::Arch, None).is_err());
    }

    #[test]
    fn inspecting_this_host_finds_the_compiler() {
        let cc = TOOLS.iter().find(|tool| tool.name == "cc").unwrap();
        let found = inspect(&[cc]).unwrap();
        assert_eq!(found.tools, [(cc, Presence::Installed)]);
        assert!(found.packages.is_empty(), "nothing is missing");
    }
}
