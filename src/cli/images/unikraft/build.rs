//! Builds the images of several programs, one after the other: fetches the sources, runs `make`, copies the kernels,
//! and boots each image once.
//!
//! Invariant: the manifest is written last, so an image with a manifest is complete.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::guest::system::unikernel::{self, BuiltFile, Manifest, Monitor, Source, Variant};
use crate::guest::system::unikraft::{self, MONITORS, NAME};
use crate::host::tools;
use crate::model::program::Program;
use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use super::make::Make;
use super::tree::{self, Tree};
use super::{config, jobs, repositories};
use crate::cli::images::source::{Fetcher, Lock, SourceSelection, Sources, archive_addresses};
use crate::cli::images::{ImageRequest, Row, smoke};

/// The time limit for a tool to print its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

/// The tools whose versions influence an image.
const TOOLCHAIN: &[&str] = &["gcc", "ld", "make"];

/// Builds images that share sources and tools.
pub(super) struct Builder<'a> {
    request: &'a ImageRequest<'a>,
    lock: &'a Lock,
    fetcher: Fetcher,
    output: PathBuf,
    toolchain: Vec<String>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(request: &'a ImageRequest<'a>, lock: &'a Lock, fetcher: Fetcher) -> anyhow::Result<Self> {
        let output = request.folders.images().join(NAME);
        fs::create_dir_all(&output).with_context(|| format!("failed to create {}", output.display()))?;
        let version = |name: &&str| tools::version(&tools::find(name)?, &["--version"], VERSION_TIMEOUT);
        let toolchain = TOOLCHAIN.iter().filter_map(version).collect();
        Ok(Self { request, lock, fetcher, output, toolchain })
    }

    /// Builds the images that are missing or changed, after fetching all sources. Tries all programs before it fails.
    pub(super) fn build(&self, programs: &[Program], progress: &mut dyn FnMut(&str)) -> anyhow::Result<Vec<Row>> {
        let _lock = self.lock_output(progress)?;
        let mut stale = Vec::new();
        for &program in programs {
            let key = self.key(program)?;
            if self.request.force || !self.is_built(program, &key) {
                stale.push((program, key));
            }
        }
        let sources = self.fetch(&stale, progress)?;
        let mut failures = Vec::new();
        for (program, key) in &stale {
            if let Err(error) = self.image(*program, key.clone(), &sources, progress) {
                failures.push(format!("build {program} for {NAME}: {error:#}"));
            }
        }
        ensure!(failures.is_empty(), "{}", failures.join("\n"));
        let row = |&program: &Program| {
            let state = if stale.iter().any(|(built, _)| *built == program) { "built" } else { "up to date" };
            let manifest = unikernel::load(self.request.folders, NAME, program)?;
            Ok(Row::new(NAME, &manifest, state))
        };
        programs.iter().map(row).collect()
    }

    /// Locks the output folder, after waiting for other processes that build. Closing the file releases the lock, even
    /// after a crash.
    fn lock_output(&self, progress: &mut dyn FnMut(&str)) -> anyhow::Result<File> {
        let path = self.output.join(".lock");
        let file = File::create(&path).with_context(|| format!("failed to create {}", path.display()))?;
        if file.try_lock().is_err() {
            progress("wait for another process that builds these images");
            file.lock().with_context(|| format!("failed to lock {}", path.display()))?;
        }
        Ok(file)
    }

    fn guests(&self) -> PathBuf {
        self.request.folders.project.join("guest-images")
    }

    /// Returns the SHA-256 of all inputs of an image.
    fn key(&self, program: Program) -> anyhow::Result<String> {
        let mut sha = Sha256::new();
        let mut add = |field: &[u8]| {
            sha.update((field.len() as u64).to_le_bytes());
            sha.update(field);
        };
        self.sources_of(program)?.iter().for_each(|source| add(format!("{} {}", source.name, source.pin).as_bytes()));
        self.toolchain.iter().for_each(|version| add(version.as_bytes()));
        for &monitor in MONITORS {
            let tree = Tree::new(&self.guests(), program, monitor)?;
            tree.files.iter().for_each(|(name, content)| {
                add(name.as_bytes());
                add(content);
            });
        }
        Ok(sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn is_built(&self, program: Program, key: &str) -> bool {
        let folder = self.output.join(program.name());
        let is_complete = |manifest: &Manifest| {
            let monitors: Vec<Monitor> = manifest.variants.iter().map(|variant| variant.monitor).collect();
            manifest.key == key && monitors == MONITORS && manifest.variants.iter().all(|v| v.check(&folder).is_ok())
        };
        unikernel::load(self.request.folders, NAME, program).is_ok_and(|manifest| is_complete(&manifest))
    }

    fn sources_of(&self, program: Program) -> anyhow::Result<Vec<Source>> {
        let names = repositories(program);
        let repository = |name: &&str| -> anyhow::Result<Source> {
            Ok(Source { name: (*name).to_owned(), pin: self.lock.repository(name)?.pin()?.to_owned() })
        };
        let mut sources: Vec<Source> = names.iter().map(repository).collect::<anyhow::Result<_>>()?;
        for archive in self.lock.archives_of(&names) {
            sources.push(Source { name: archive.file().to_owned(), pin: archive.pin()?.to_owned() });
        }
        Ok(sources)
    }

    fn fetch(&self, stale: &[(Program, String)], progress: &mut dyn FnMut(&str)) -> anyhow::Result<Sources> {
        let mut names: Vec<_> = stale.iter().flat_map(|(program, _)| repositories(*program)).collect();
        names.sort_unstable();
        names.dedup();
        let repositories = names.iter().map(|name| self.lock.repository(name)).collect::<anyhow::Result<_>>()?;
        let selection = SourceSelection { repositories, archives: self.lock.archives_of(&names) };
        let sources = self.fetcher.fetch(&selection, progress)?;
        selection.archives.iter().try_for_each(|archive| {
            let makefile = sources.repository(&archive.of)?.join("Makefile.uk");
            let text =
                fs::read_to_string(&makefile).with_context(|| format!("failed to read {}", makefile.display()))?;
            let requested = archive_addresses(&text);
            let is_requested = requested.iter().any(|url| url.rsplit('/').next() == Some(archive.file()));
            ensure!(
                is_requested,
                "the pinned commit of {} builds {}; expected {} from the lock file",
                archive.of,
                if requested.is_empty() { "no archive".to_owned() } else { requested.join(" or ") },
                archive.file()
            );
            Ok(())
        })?;
        Ok(sources)
    }

    /// Builds every variant of one program, and boots the variant for QEMU.
    fn image(
        &self,
        program: Program,
        key: String,
        sources: &Sources,
        progress: &mut dyn FnMut(&str),
    ) -> anyhow::Result<()> {
        let mut built = Vec::new();
        for &monitor in MONITORS {
            built.push((monitor, self.variant(program, monitor, sources, progress)?));
        }
        let folder = self.output.join(program.name());
        // Remove the old image first: its manifest does not describe the new files.
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("failed to remove {}", folder.display()));
            }
            _ => fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?,
        }
        let mut manifest = Manifest::new(program, unikraft::memory(program), unikraft::ready(program), key);
        for (monitor, (make, kernel)) in built {
            manifest.variants.push(keep(&folder, monitor, &make, &kernel)?);
        }
        self.smoke(program, &manifest, &folder, progress)?;
        manifest.sources = self.sources_of(program)?;
        manifest.toolchain = self.toolchain.clone();
        manifest.notes = unikraft::notes(program).iter().map(|&note| note.to_owned()).collect();
        manifest.save(&folder).with_context(|| format!("failed to write the manifest in {}", folder.display()))
    }

    fn variant(
        &self,
        program: Program,
        monitor: Monitor,
        sources: &Sources,
        progress: &mut dyn FnMut(&str),
    ) -> anyhow::Result<(Make, PathBuf)> {
        let folder = self.output.join("build").join(format!("{program}-{monitor}"));
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
        }
        let checkout = |name: &&str| sources.repository(name).map(Path::to_owned);
        let make = Make {
            program,
            monitor,
            unikraft: checkout(&"unikraft")?,
            libraries: tree::libraries(program).iter().map(checkout).collect::<anyhow::Result<_>>()?,
            folder,
        };
        Tree::new(&self.guests(), program, monitor)?.write(&make.app())?;
        self.copy_archives(&make, sources)?;
        let kernel = make.run(&config::requested(program, monitor), jobs()?, progress)?;
        Ok((make, kernel))
    }

    /// Copies the archives to the folders where the build looks before it downloads.
    fn copy_archives(&self, make: &Make, sources: &Sources) -> anyhow::Result<()> {
        for archive in self.lock.archives_of(&repositories(make.program)) {
            let folder = make.out().join(&archive.folder);
            fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
            let from = sources.archives.get(archive.file()).context("an archive was not fetched")?;
            fs::copy(from, folder.join(archive.file()))
                .with_context(|| format!("failed to copy {}", from.display()))?;
        }
        Ok(())
    }

    fn smoke(
        &self,
        program: Program,
        manifest: &Manifest,
        folder: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> anyhow::Result<()> {
        let variant = manifest.variants.iter().find(|variant| variant.monitor == Monitor::Qemu);
        let system = variant.context("missing variant for QEMU")?.system(folder, manifest.memory);
        let line = unikraft::command_line(program, Monitor::Qemu, &["deadline=60".to_owned()], None);
        progress(&format!("boot {program}"));
        match smoke::boot(&system, &line, &folder.join("smoke.log"))? {
            smoke::Outcome::Booted => {}
            smoke::Outcome::Skipped(why) => progress(&format!("skipped the boot of {program}: {why}")),
        }
        Ok(())
    }
}

/// Copies the kernel and the configuration to the image's folder, and removes the objects.
fn keep(folder: &Path, monitor: Monitor, make: &Make, kernel: &Path) -> anyhow::Result<Variant> {
    let (to, config) = (folder.join(format!("kernel-{monitor}")), folder.join(format!("config-{monitor}")));
    fs::copy(kernel, &to).with_context(|| format!("failed to copy {}", kernel.display()))?;
    fs::copy(make.config(), &config).with_context(|| format!("failed to copy {}", make.config().display()))?;
    let file = |path: &Path| BuiltFile::read(path).with_context(|| format!("failed to read {}", path.display()));
    let variant = Variant { monitor, kernel: file(&to)?, disk: None, config: Some(file(&config)?.sha256) };
    // The objects of all builds would occupy gigabytes; the logs stay.
    fs::remove_dir_all(make.out()).with_context(|| format!("failed to remove {}", make.out().display()))?;
    Ok(variant)
}
