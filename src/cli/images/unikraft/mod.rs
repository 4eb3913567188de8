//! `cargo xtask images --platform unikraft`: builds the guest programs as Unikraft images from upstream's sources.
//!
//! `guest-images/unikraft/unikraft.lock` pins the sources, which are fetched to the user's machine.
//! `docs/unikernels.md` lists what was tested.

mod build;
mod config;
mod make;
mod render;
#[cfg(test)]
mod tests;
mod tree;

use std::path::PathBuf;

use crate::guest::system::unikraft::{NAME, PROGRAMS};
use crate::model::program::Program;
use anyhow::{Context, ensure};

use self::build::Builder;
use super::source::{self, Fetcher, Lock};
use super::tools::{self, HostTool, tool};
use super::{ImageRequest, Row};

/// The tools that upstream's build calls. It requires `wget` even if it downloads nothing.
const TOOLS: &[HostTool] = &[
    tool("make"),
    tool("gcc"),
    HostTool { name: "ld", debian: "binutils", fedora: "binutils" },
    tool("flex"),
    tool("bison"),
    tool("m4"),
    tool("python3"),
    tool("wget"),
    tool("unzip"),
    tool("patch"),
];

/// Builds the requested programs that are missing or changed.
pub(super) fn build(request: &ImageRequest<'_>, progress: &mut dyn FnMut(&str)) -> anyhow::Result<Vec<Row>> {
    let lock = Lock::load(&lock_file(request))?;
    let programs = request.programs(PROGRAMS);
    let checked = if request.locked { PROGRAMS } else { programs.as_slice() };
    reject_unpinned(&lock, checked)?;
    tools::check(&[tools::FETCH, TOOLS].concat(), "building Unikraft images")?;
    Builder::new(request, &lock, fetcher(request))?.build(&programs, progress)
}

/// Updates the pins.
pub(super) fn relock(request: &ImageRequest<'_>, progress: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    tools::check(tools::FETCH, "pinning sources")?;
    let path = lock_file(request);
    let changes = source::relock(&path, &fetcher(request), progress)?;
    changes.iter().for_each(|change| progress(change));
    progress(&format!("changed {} pins in {}", changes.len(), path.display()));
    Ok(())
}

/// Lists the built images.
pub(super) fn list(request: &ImageRequest<'_>) -> Vec<Row> {
    super::built_rows(request.folders, NAME, PROGRAMS)
}

/// Returns the repositories of a program's image.
fn repositories(program: Program) -> Vec<&'static str> {
    ["unikraft"].iter().chain(tree::libraries(program)).copied().collect()
}

fn reject_unpinned(lock: &Lock, programs: &[Program]) -> anyhow::Result<()> {
    let mut names: Vec<_> = programs.iter().flat_map(|&program| repositories(program)).collect();
    names.sort_unstable();
    names.dedup();
    names.iter().try_for_each(|name| lock.repository(name).map(drop))?;
    let unpinned = lock.unpinned(&names);
    ensure!(
        unpinned.is_empty(),
        "unpinned sources: {}; no commits are known to build together with the pinned sources\n\
         help: pin upstream's current versions, with network: `cargo xtask images --platform {NAME} --lock`",
        unpinned.join(", ")
    );
    Ok(())
}

fn fetcher(request: &ImageRequest<'_>) -> Fetcher {
    Fetcher { origin: request.origin.clone(), cache: request.folders.images().join(NAME).join("sources") }
}

fn lock_file(request: &ImageRequest<'_>) -> PathBuf {
    let own = || request.folders.project.join("guest-images/unikraft/unikraft.lock");
    request.lock_file.clone().unwrap_or_else(own)
}

/// Returns the number of jobs for `make`.
fn jobs() -> anyhow::Result<usize> {
    Ok(std::thread::available_parallelism().context("failed to count the processors")?.get())
}
