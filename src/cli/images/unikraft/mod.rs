//! `cargo xtask images --platform unikraft`: the guests as Unikraft images, from upstream's sources.
//!
//! Sources are pinned by `guest-images/unikraft/unikraft.lock` and fetched to the user's machine; `docs/unikernels.md`
//! tells what was run and what was not.

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

/// What upstream's build calls, beside what fetches. `wget` is never called for what is pinned, but looked for.
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

/// Builds what is missing or changed of the programs that were asked for.
pub(super) fn build(request: &ImageRequest<'_>, say: &mut dyn FnMut(&str)) -> anyhow::Result<Vec<Row>> {
    let lock = Lock::load(&lock_file(request))?;
    let programs = request.programs(PROGRAMS);
    let asked = if request.locked { PROGRAMS } else { programs.as_slice() };
    refuse_unpinned(&lock, asked)?;
    tools::check(&[tools::FETCH, TOOLS].concat(), "building Unikraft images")?;
    Builder::new(request, &lock, fetcher(request))?.all(&programs, say)
}

/// Refreshes the pins.
pub(super) fn relock(request: &ImageRequest<'_>, say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    tools::check(tools::FETCH, "pinning sources")?;
    let path = lock_file(request);
    let changes = source::relock(&path, &fetcher(request), say)?;
    changes.iter().for_each(|change| say(change));
    say(&format!("{} pins changed in {}", changes.len(), path.display()));
    Ok(())
}

/// What is built, from the manifests.
pub(super) fn list(request: &ImageRequest<'_>) -> Vec<Row> {
    super::built_rows(request.folders, NAME, PROGRAMS)
}

/// The repositories of a program's image.
fn repositories(program: Program) -> Vec<&'static str> {
    ["unikraft"].iter().chain(tree::libraries(program)).copied().collect()
}

fn refuse_unpinned(lock: &Lock, programs: &[Program]) -> anyhow::Result<()> {
    let mut names: Vec<_> = programs.iter().flat_map(|&program| repositories(program)).collect();
    names.sort_unstable();
    names.dedup();
    names.iter().try_for_each(|name| lock.repository(name).map(drop))?;
    let unresolved = lock.unresolved(&names);
    ensure!(
        unresolved.is_empty(),
        "not pinned yet: {}. Nobody is known to have built these together with the rest, so this project names no commit; \
         `cargo xtask images --platform {NAME} --lock` pins them to what upstream has now, with the network once",
        unresolved.join(", ")
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

/// How many jobs `make` may run.
fn jobs() -> anyhow::Result<usize> {
    Ok(std::thread::available_parallelism().context("count the processors")?.get())
}
