//! Images that another system's own tools build: files of ours are put where those want them, commands are run, what
//! came out is kept with a manifest. The recipes themselves are data.

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

/// How one system's images are built.
pub(super) struct Recipe {
    pub(super) name: &'static str,
    pub(super) programs: &'static [Program],
    /// Its repository, in the lock file `NAME/NAME.lock`; `None` for one whose tools are installed.
    pub(super) repository: Option<&'static str>,
    pub(super) tools: &'static [HostTool],
    pub(super) monitors: &'static [Monitor],
    /// The memory of a guest.
    pub(super) mebibytes: u64,
    pub(super) notes: &'static [&'static str],
    pub(super) plan: fn(&Place) -> BuildPlan,
}

/// What a plan is made for.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) program: Program,
    pub(super) monitor: Monitor,
    /// The folder `guest-images`.
    pub(super) guests: PathBuf,
    /// The checkout of the repository; empty where there is none.
    pub(super) checkout: PathBuf,
    /// A folder for what is built, and for logs.
    pub(super) folder: PathBuf,
    pub(super) jobs: usize,
}

/// What is done for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuildPlan {
    /// Templates and where they go, with `@program@` filled in.
    pub(super) files: Vec<(PathBuf, PathBuf)>,
    /// Commands with the names of their logs.
    pub(super) steps: Vec<(&'static str, Step)>,
    pub(super) kernel: PathBuf,
    pub(super) disk: Option<PathBuf>,
}

impl Recipe {
    /// Builds the programs that were asked for, always anew: what these tools take from elsewhere is not known here.
    pub(super) fn build(&self, request: &ImageRequest<'_>, say: &mut dyn FnMut(&str)) -> anyhow::Result<Vec<Row>> {
        tools::check(&[tools::FETCH, self.tools].concat(), &format!("building {} images", self.name))?;
        let pin = self.fetch(request, say)?;
        let built = request.programs(self.programs).into_iter().map(|program| {
            self.image(request, program, pin.as_ref(), say)
                .with_context(|| format!("build {program} for {} (a recipe, see docs/unikernels.md)", self.name))
        });
        built.collect()
    }

    /// What is built, from the manifests.
    pub(super) fn list(&self, request: &ImageRequest<'_>) -> Vec<Row> {
        built_rows(request.folders, self.name, self.programs)
    }

    /// Refreshes the pin.
    pub(super) fn relock(&self, request: &ImageRequest<'_>, say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        tools::check(tools::FETCH, "pinning sources")?;
        let changes = source::relock(&self.lock_file(request), &self.fetcher(request), say)?;
        changes.iter().for_each(|change| say(change));
        Ok(())
    }

    fn lock_file(&self, request: &ImageRequest<'_>) -> PathBuf {
        let own = || request.folders.project.join(format!("guest-images/{0}/{0}.lock", self.name));
        request.lock_file.clone().unwrap_or_else(own)
    }

    fn fetcher(&self, request: &ImageRequest<'_>) -> Fetcher {
        Fetcher { origin: request.origin.clone(), cache: request.folders.images().join(self.name).join("sources") }
    }

    /// The repository's pin and its checkout.
    fn fetch(
        &self,
        request: &ImageRequest<'_>,
        say: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Option<(Source, PathBuf)>> {
        let Some(name) = self.repository else { return Ok(None) };
        let lock = Lock::load(&self.lock_file(request))?;
        let repository = lock.repository(name)?;
        ensure!(
            repository.commit.is_some(),
            "{name} is not pinned yet; `cargo xtask images --platform {} --lock` pins it to what upstream has now",
            self.name
        );
        let wanted = SourceSelection { repositories: vec![repository], archives: Vec::new() };
        let checkout = self.fetcher(request).all(&wanted, say)?.repository(name)?.to_owned();
        Ok(Some((Source { name: name.to_owned(), pin: repository.pin()?.to_owned() }, checkout)))
    }

    fn image(
        &self,
        request: &ImageRequest<'_>,
        program: Program,
        pin: Option<&(Source, PathBuf)>,
        say: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Row> {
        let output = request.folders.images().join(self.name);
        let (to, new) = (output.join(program.name()), output.join("build").join(format!("{program}.new")));
        empty(&new)?;
        let mut variants = Vec::new();
        for &monitor in self.monitors {
            let place = Place {
                program,
                monitor,
                guests: request.folders.project.join("guest-images"),
                checkout: pin.map(|(_, checkout)| checkout.clone()).unwrap_or_default(),
                folder: output.join("build").join(format!("{program}-{monitor}")),
                jobs: std::thread::available_parallelism().map_or(1, usize::from),
            };
            say(&format!("build {program} for {monitor} with {}", self.name));
            variants.push(self.variant(&place, &new)?);
        }
        let mut manifest = Manifest::new(program, Bytes(self.mebibytes << 20), Ready::Line, key(&variants));
        manifest.variants = variants;
        manifest.sources = pin.iter().map(|(source, _)| source.clone()).collect();
        manifest.notes = self.notes.iter().map(|&note| note.to_owned()).collect();
        manifest.save(&new).with_context(|| format!("write the manifest in {}", new.display()))?;
        if to.exists() {
            fs::remove_dir_all(&to).with_context(|| format!("remove {}", to.display()))?;
        }
        fs::rename(&new, &to).with_context(|| format!("write {}", to.display()))?;
        Ok(Row::of(self.name, &manifest, "built"))
    }

    /// Does what is planned, and keeps what came out in `to`.
    fn variant(&self, place: &Place, to: &Path) -> anyhow::Result<Variant> {
        empty(&place.folder)?;
        let plan = (self.plan)(place);
        for (from, file) in &plan.files {
            let text = fs::read_to_string(from).with_context(|| format!("read {}", from.display()))?;
            fs::create_dir_all(file.parent().context("a file in no folder")?)?;
            let text = text.replace("@program@", place.program.name());
            fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
        }
        for (name, step) in plan.steps {
            Step { log: Some(place.folder.join(format!("{name}.log"))), ..step }.run()?;
        }
        let kernel = keep(&plan.kernel, &to.join(format!("kernel-{}", place.monitor)))?;
        let disk = plan.disk.map(|disk| keep(&disk, &to.join(format!("disk-{}", place.monitor)))).transpose()?;
        Ok(Variant { monitor: place.monitor, kernel, disk, config: None })
    }
}

/// What came out decides it: what went in is known to others alone.
fn key(variants: &[Variant]) -> String {
    let all: String = variants.iter().map(|variant| variant.kernel.sha256.as_str()).collect();
    Sha256::digest(all).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keep(from: &Path, to: &Path) -> anyhow::Result<BuiltFile> {
    fs::copy(from, to).with_context(|| format!("the build has ended well, but copy {}", from.display()))?;
    BuiltFile::read(to).with_context(|| format!("read {}", to.display()))
}

fn empty(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::guest::system::osv;
    use crate::host::folders::Folders;

    use super::*;
    use crate::cli::images::source::Origin;

    fn stand_in(place: &Place) -> BuildPlan {
        let file = place.folder.join("text");
        let text = file.display().to_string();
        let copy =
            Step::brief(["cp", &text, &place.folder.join("kernel").display().to_string()], Duration::from_secs(9));
        BuildPlan {
            files: vec![(place.guests.join("osv/usr.manifest"), file.clone())],
            steps: vec![("copy", copy)],
            kernel: place.folder.join("kernel"),
            disk: Some(file),
        }
    }

    fn recipe(plan: fn(&Place) -> BuildPlan) -> Recipe {
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
    fn a_recipe_leaves_an_image_that_can_be_booted() {
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
    fn a_step_that_fails_names_its_log_and_leaves_no_image() {
        fn fails(place: &Place) -> BuildPlan {
            let steps = vec![("break", Step::brief(["ls", "/no-such-folder"], Duration::from_secs(9)))];
            BuildPlan { steps, ..stand_in(place) }
        }
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        let told = format!("{:#}", recipe(fails).build(&request(&folders), &mut |_| ()).unwrap_err());
        assert!(told.contains("hello-qemu/break.log") && told.contains("No such file"), "{told}");
        assert!(osv::system(&folders, Program::Hello).is_err());
    }

    #[test]
    fn what_is_not_pinned_is_told_with_the_cure() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        let pinned = Recipe { repository: Some("osv"), ..recipe(stand_in) };
        let told = pinned.build(&request(&folders), &mut |_| ()).unwrap_err().to_string();
        assert!(told.contains("osv is not pinned yet") && told.contains("--platform osv --lock"), "{told}");
    }
}
