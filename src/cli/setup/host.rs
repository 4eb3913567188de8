//! What setup finds on the host. It changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::host::cgroup::Hierarchies;
use crate::host::tools;
use anyhow::Context;

use super::packages::{Distribution, Family, Package, Tool};
use super::plan::{CRUN_V1, Findings, Init, Lists, Presence, Privilege};
use super::{command, engine, execute, gvisor, runtimes, sources};

/// Programs of the system administrator, which an ordinary user's `PATH` leaves out.
const SYSTEM_FOLDERS: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Asking a package manager reads its lists, which the first time takes seconds.
const ASK: Duration = Duration::from_secs(120);

/// Older lists name packages that the mirrors have replaced.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// Looks for `tools` and all that the plan depends on.
///
/// # Errors
/// When the system's own files cannot be read.
pub(super) fn look(tools: &[&'static Tool]) -> anyhow::Result<Findings> {
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let distribution = Distribution::from_os_release(&os_release);
    let tools: Vec<_> = tools.iter().map(|tool| (*tool, presence(tool))).collect();
    let missing: Vec<_> =
        tools.iter().filter(|(_, there)| *there == Presence::Missing).map(|(tool, _)| *tool).collect();
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
        daemon_json: read_if_there(Path::new(runtimes::FILE))?,
        cgroups: Hierarchies::read(Path::new("/")).context("read the control groups")?.mode(),
        crun_v1: crun_v1()?,
        compiler: there(find("cc").is_some()),
    })
}

/// The program of that name, in `PATH` or where system programs are.
pub(in crate::cli) fn find(name: &str) -> Option<PathBuf> {
    let elsewhere = || SYSTEM_FOLDERS.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file());
    tools::find(name).or_else(elsewhere)
}

fn presence(tool: &Tool) -> Presence {
    there(tool.programs.iter().all(|(program, _)| find(program).is_some()))
}

fn there(is_there: bool) -> Presence {
    if is_there { Presence::There } else { Presence::Missing }
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

/// Whether what `apt-get update` fetched is there, recent, and of the sources that are named now; the others keep their
/// lists themselves.
fn lists(folder: &Path, sources: &Path, family: Option<Family>) -> Lists {
    if family != Some(Family::Debian) {
        return Lists::Fresh;
    }
    let entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    let fetched = entries.iter().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"));
    // A file keeps the time of the server; the folder and its place for downloads change with every update.
    let newest = |paths: &[PathBuf]| paths.iter().filter_map(|path| path.metadata().ok()?.modified().ok()).max();
    let fetched_at = newest(&[folder.to_owned(), folder.join("partial")]);
    let named_at = newest(&sources::paths(sources));
    let recent = fetched_at
        .is_some_and(|at| Some(at) >= named_at && SystemTime::now().duration_since(at).is_ok_and(|age| age < FRESH));
    if fetched && recent { Lists::Fresh } else { Lists::Stale }
}

/// gVisor tells only where it is installed, and only root may start it.
fn gvisor(tools: &[(&'static Tool, Presence)], privilege: Privilege) -> Option<Result<Vec<String>, String>> {
    let installed = tools.iter().any(|(tool, state)| tool.name == "runsc" && *state == Presence::There);
    let configured = || {
        let text = read_if_there(Path::new(runtimes::FILE)).ok().flatten();
        runtimes::configured(text.as_deref()).is_ok_and(|named| named.iter().any(|name| name == "runsc"))
    };
    (installed && privilege == Privilege::Root && !configured()).then(gvisor::probe)
}

fn crun_v1() -> anyhow::Result<Presence> {
    let source = read_if_there(&Path::new(CRUN_V1).with_extension("c"))?;
    let expected = find("crun").map(|crun| execute::crun_v1_source(&crun));
    Ok(there(Path::new(CRUN_V1).is_file() && source.is_some() && source == expected))
}

/// The text of a file, or nothing where there is none.
///
/// # Errors
/// When it is there and cannot be read.
pub(super) fn read_if_there(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("read {}", path.display())),
    }
}

/// The packages of the missing tools, or why they cannot be had. Nothing is known of a system without a known package
/// manager.
fn packages(
    missing: &[&'static Tool],
    distribution: &Distribution,
    lists: Lists,
) -> BTreeMap<&'static str, Result<Vec<Package>, String>> {
    let Some(family) = distribution.family else { return BTreeMap::new() };
    let found = |tool: &&'static Tool| {
        let packages = resolve(tool, family, distribution.backports.as_deref());
        // Stale lists cannot tell what there is: the first names stand in the plan, and it is asked again afterwards.
        let known =
            if lists == Lists::Stale { packages.or_else(|_| Ok(tool.first_packages(family, None))) } else { packages };
        (tool.name, known)
    };
    missing.iter().map(found).collect()
}

/// The packages of a tool as the package manager has them now.
///
/// # Errors
/// Why they cannot be had.
pub(super) fn resolve(tool: &Tool, family: Family, backports: Option<&str>) -> Result<Vec<Package>, String> {
    if tool.packages(family).is_empty() {
        return Err("this system has no package of it".to_owned());
    }
    let one = |alternatives: &&[&str]| {
        // The default suite first: the other is for what that does not have.
        let suites = std::iter::once(None).chain(backports.map(Some));
        let candidates = suites.flat_map(|suite| alternatives.iter().map(move |name| package(name, suite)));
        first_to_be_had(family, candidates)
    };
    let mut packages: Vec<_> = tool.packages(family).iter().map(one).collect::<Result<_, _>>()?;
    packages.dedup();
    Ok(packages)
}

fn package(name: &str, suite: Option<&str>) -> Package {
    Package { name: name.to_owned(), suite: suite.map(str::to_owned) }
}

fn first_to_be_had(family: Family, candidates: impl Iterator<Item = Package>) -> Result<Package, String> {
    let mut refused = Vec::new();
    for candidate in candidates {
        match can_be_had(family, &candidate) {
            Ok(()) => return Ok(candidate),
            Err(why) => refused.push(format!("{candidate}: {why}")),
        }
    }
    Err(format!("the package manager refuses {}", refused.join("; ")))
}

fn can_be_had(family: Family, package: &Package) -> Result<(), String> {
    match command::run(&family.ask(package), ASK) {
        Ok(answer) if answer.trim().is_empty() => Err("no such package".to_owned()),
        Ok(_) => Ok(()),
        Err(e) => Err(command::last_line(&format!("{e:#}")).trim_start_matches("E: ").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::packages::TOOLS;
    use super::*;

    #[test]
    fn lists_are_fresh_when_they_are_there_and_were_fetched_lately() {
        let dir = tempfile::tempdir().unwrap();
        let (debian, sources) = (Some(Family::Debian), tempfile::tempdir().unwrap());
        let lists = |family| lists(dir.path(), sources.path(), family);
        assert_eq!(lists(debian), Lists::Stale, "nothing was fetched");
        fs::write(dir.path().join("mirror_main_binary-amd64_Packages.lz4"), "").unwrap();
        assert_eq!(lists(debian), Lists::Fresh);
        let list = fs::File::create(sources.path().join("sources.list")).unwrap();
        list.set_modified(SystemTime::now() + FRESH).unwrap();
        assert_eq!(lists(debian), Lists::Stale, "of other sources");
        fs::remove_file(sources.path().join("sources.list")).unwrap();
        fs::File::open(dir.path()).unwrap().set_modified(SystemTime::now() - 2 * FRESH).unwrap();
        assert_eq!(lists(debian), Lists::Stale, "two days ago");
        assert_eq!(lists(Some(Family::Arch)), Lists::Fresh, "it keeps its lists itself");
    }

    #[test]
    fn a_tool_that_the_distribution_does_not_have_cannot_be_had() {
        let runsc = TOOLS.iter().find(|tool| tool.name == "runsc").unwrap();
        assert!(resolve(runsc, Family::Arch, None).is_err());
    }

    #[test]
    fn looking_at_this_host_finds_the_compiler_that_built_the_tests() {
        let cc = TOOLS.iter().find(|tool| tool.name == "cc").unwrap();
        let found = look(&[cc]).unwrap();
        assert_eq!(found.tools, [(cc, Presence::There)]);
        assert!(found.packages.is_empty(), "nothing is missing");
    }
}
