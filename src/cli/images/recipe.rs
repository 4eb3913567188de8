//! Builds images with another system's own tools: writes this project's files where the tools expect them, runs
//! commands, and keeps the output with a manifest. The recipes themselves are data.

use std::fs;
use std::path::{Path, PathBuf};

use crate::guest::system::unikernel::{BuiltFile, Manifest, Monitor, Ready, Source, Variant};
use crate::model::program::Program;
use crate::model::units::Bytes;
use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use super::source::{self, Fetcher, Lock, SourceSelection};
use super::step::Step;
use super::tools::{self, HostTool};
use super::{ImageRequest, Row, built_rows};

/// The build recipe of a system's images.
pub(super) struct Recipe {
    pub(super) name: &'static str,
    pub(super) programs: &'static [Program],
    /// The repository in the lock file `NAME/NAME.lock`; `None` if the system's tools are installed on the host.
    pub(super) repository: Option<&'static str>,
    pub(super) tools: &'static [HostTool],
    pub(super) monitors: &'static [Monitor],
    /// The memory of a guest.
    pub(super) mebibytes: u64,
    pub(super) notes: &'static [&'static str],
    pub(super) plan: fn(&BuildContext) -> BuildPlan,
}

/// The inputs of a plan.
#[derive(Debug, Clone)]
pub(super) struct BuildContext {
    pub(super) program: Program,
    pub(super) monitor: Monitor,
    /// The folder `guest-images`.
    pub(super) guests: PathBuf,
    /// The checkout of the repository; empty if there is none.
    pub(super) checkout: PathBuf,
    /// The folder of the build and its logs.
    pub(super) folder: PathBuf,
    pub(super) jobs: usize,
}

/// The build of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuildPlan {
    /// Pairs of a template, in which `@program@` is replaced, and its target.
    pub(super) files: Vec<(PathBuf, PathBuf)>,
    /// Names of the logs, and commands.
    pub(super) steps: Vec<(&'static str, Step)>,
    pub(super) kernel: PathBuf,
    pub(super) disk: Option<PathBuf>,
}

impl Recipe {
    /// Builds the requested programs. It never skips one: the inputs that the tools fetch themselves are unknown here.
    pub(super) fn build(&self, request: &ImageRequest<'_>, progress: &mut dyn FnMut(&str)) -> anyhow::Result<Vec<Row>> {
        tools::check(&[tools::FETCH, self.tools].concat(), &format!("building {} images", self.name))?;
        let pin = self.fetch(request, progress)?;
        let built = request.programs(self.programs).into_iter().map(|program| {
            self.image(request, program, pin.as_ref(), progress).with_context(|| {
                format!("failed to build {program} for {} by an untested recipe (see docs/unikernels.md)", self.name)
            })
        });
        built.collect()
    }

    /// Lists the built images.
    pub(super) fn list(&self, request: &ImageRequest<'_>) -> Vec<Row> {
        built_rows(request.folders, self.name, self.programs)
    }

    /// Updates the pins.
    pub(super) fn relock(&self, request: &ImageRequest<'_>, progress: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        tools::check(tools::FETCH, "pinning sources")?;
        let changes = source::relock(&self.lock_file(request), &self.fetcher(request), progress)?;
        changes.iter().for_each(|change| progress(change));
        Ok(())
    }

    fn lock_file(&self, request: &ImageRequest<'_>) -> PathBuf {
        let own = || request.folders.project.join(format!("guest-images/{0}/{0}.lock", self.name));
        request.lock_file.clone().unwrap_or_else(own)
    }

    fn fetcher(&self, request: &ImageRequest<'_>) -> Fetcher {
        Fetcher { origin: request.origin.clone(), cache: request.folders.images().join(self.name).join("sources") }
    }

    /// Fetches the repository, and returns its pin and its checkout.
    fn fetch(
        &self,
        request: &ImageRequest<'_>,
        progress: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Option<(Source, PathBuf)>> {
        let Some(name) = self.repository else { return Ok(None) };
        let lock = Lock::load(&self.lock_file(request))?;
        let repository = lock.repository(name)?;
        ensure!(
            repository.commit.is_some(),
            "{name} is not pinned\n\
             help: pin it to upstream's current commit: `cargo xtask images --platform {} --lock`",
            self.name
        );
        let selection = SourceSelection { repositories: vec![repository], archives: Vec::new() };
        let checkout = self.fetcher(request).fetch(&selection, progress)?.repository(name)?.to_owned();
        Ok(Some((Source { name: name.to_owned(), pin: repository.pin()?.to_owned() }, checkout)))
    }

    fn image(
        &self,
        request: &ImageRequest<'_>,
        program: Program,
        pin: Option<&(Source, PathBuf)>,
        progress: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Row> {
        let output = request.folders.images().join(self.name);
        let (image, new) = (output.join(program.name()), output.join("build").join(format!("{program}.new")));
        create_empty(&new)?;
        let mut variants = Vec::new();
        for &monitor in self.monitors {
            let context = BuildContext {
                program,
                monitor,
                guests: request.folders.project.join("guest-images"),
                checkout: pin.map(|(_, checkout)| checkout.clone()).unwrap_or_default(),
                folder: output.join("build").join(format!("{program}-{monitor}")),
                jobs: std::thread::available_parallelism().map_or(1, usize::from),
            };
            progress(&format!("build {program} for {monitor} with {}", self.name));
            variants.push(self.variant(&context, &new)?);
        }
        let mut manifest = Manifest::new(program, Bytes(self.mebibytes << 20), Ready::Line, key(&variants));
        manifest.variants = variants;
        manifest.sources = pin.iter().map(|(source, _)| source.clone()).collect();
        manifest.notes = self.notes.iter().map(|&note| note.to_owned()).collect();
        manifest.save(&new).with_context(|| format!("failed to write the manifest in {}", new.display()))?;
        if image.exists() {
            fs::remove_dir_all(&image).with_context(|| format!("failed to remove {}", image.display()))?;
        }
        fs::rename(&new, &image).with_context(|| format!("failed to write {}", image.display()))?;
        Ok(Row::new(self.name, &manifest, "built"))
    }

    /// Carries out the plan, and copies the built files to `to`.
    fn variant(&self, context: &BuildContext, to: &Path) -> anyhow::Result<Variant> {
        create_empty(&context.folder)?;
        let plan = (self.plan)(context);
        for (from, file) in &plan.files {
            let text = fs::read_to_string(from).with_context(|| format!("failed to read {}", from.display()))?;
            fs::create_dir_all(file.parent().context("a file in no folder")?)?;
            let text = text.replace("@program@", context.program.name());
            fs::write(file, text).with_context(|| format!("failed to write {}", file.display()))?;
        }
        for (name, step) in plan.steps {
            Step { log: Some(context.folder.join(format!("{name}.log"))), ..step }.run()?;
        }
        let kernel = keep(&plan.kernel, &to.join(format!("kernel-{}", context.monitor)))?;
        let disk = plan.disk.map(|disk| keep(&disk, &to.join(format!("disk-{}", context.monitor)))).transpose()?;
        Ok(Variant { monitor: context.monitor, kernel, disk, config: None })
    }
}

/// Digests the output, because the inputs that the tools fetch are unknown.
fn key(variants: &[Variant]) -> String {
    let all: String = variants.iter().map(|variant| variant.kernel.sha256.as_str()).collect();
    Sha256::digest(all).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keep(from: &Path, to: &Path) -> anyhow::Result<BuiltFile> {
    fs::copy(from, to).with_context(|| format!("failed to copy {} after a successful build", from.display()))?;
    BuiltFile::read(to).with_context(|| format!("failed to read {}", to.display()))
}

fn create_empty(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::guest::system::osv;
    use crate::host::folders::Folders;

    use super::*;
    use crate::cli::images::source::Origin;

    fn stand_in(context: &BuildContext) -> BuildPlan {
        let file = context.folder.join("text");
        let text = file.display().to_string();
        let copy =
            Step::brief(["cp", &text, &context.folder.join("kernel").display().to_string()], Duration::from_secs(9));
        BuildPlan {
            files: vec![(context.guests.join("osv/usr.manifest"), file.clone())],
            steps: vec![("copy", copy)],
            kernel: context.folder.join("kernel"),
            disk: Some(file),
        }
    }

    fn recipe(plan: fn(&BuildContext) -> BuildPlan) -> Recipe {
        let (monitors, programs): (_, &[Program]) = (&[Monitor::Qemu], &[Program::Hello]);
        Recipe {
            name: "osv",
            programs,
            repository: None,
            tools: &[],
            monitors,
            mebibytes: 64,
            notes: &["a note"],
            plan,
        }
    }

    fn request(folders: &Folders) -> ImageRequest<'_> {
        ImageRequest {
            folders,
            origin: Origin::Cache,
            offline: true,
            lock_file: None,
            locked: false,
            force: false,
            only: Vec::new(),
        }
    }

    fn folders(dir: &Path) -> Folders {
        Folders { output: dir.join("out"), state: dir.join("state"), ..Folders::from_env() }
    }

    #[test]
    fn a_recipe_builds_an_image_that_can_be_booted() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        let rows = recipe(stand_in).build(&request(&folders), &mut |_| ()).unwrap();
        assert_eq!(rows.len(), 1);
        let system = osv::system(&folders, Program::Hello).unwrap();
        assert_eq!(fs::read_to_string(&system.kernel).unwrap(), "/fw/hello: ${MODULE_DIR}/hello\n");
        assert!(system.disk.is_some() && system.memory == Bytes(64 << 20));
        assert_eq!(recipe(stand_in).list(&request(&folders)).len(), 1);
    }

    #[test]
    fn a_failed_step_names_its_log_and_leaves_no_image() {
        fn fails(context: &BuildContext) -> BuildPlan {
            let steps = vec![("break", Step::brief(["ls", "/no-such-folder"], Duration::from_secs(9)))];
            BuildPlan { steps, ..stand_in(context) }
        }
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        let message = format!("{:#}", recipe(fails).build(&request(&folders), &mut |_| ()).unwrap_err());
        assert!(message.contains("hello-qemu/break.log") && message.contains("No such file"), "{message}");
        assert!(osv::system(&folders, Program::Hello).is_err());
    }

    #[test]
    fn the_error_about_a_missing_pin_says_how_to_pin() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        let pinned = Recipe { repository: Some("osv"), ..recipe(stand_in) };
        let message = pinned.build(&request(&folders), &mut |_| ()).unwrap_err().to_string();
        assert!(message.contains("osv is not pinned") && message.contains("--platform osv --lock"), "{message}");
    }
}
