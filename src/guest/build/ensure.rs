//! Builds what is missing or changed, and nothing else.
//!
//! Invariant: a program is only ever replaced whole, and only what has the digest that the manifest says is given
//! out. A lock makes processes that build at once wait for each other.

use std::fs::{self, File, Permissions, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::compiler::{Compilation, Compiler};
use super::digest::{self, Fields};
use super::error::BuildError;
use super::server::Parts;
use super::sqlite::Pin;
use crate::guest::image::Image;
use crate::guest::manifest::{BuiltFile, BuiltProgram, BuiltServer, Manifest};
use crate::host::folders::Folders;
use crate::model::program::Program;
use crate::model::units::Bytes;

/// The flags of every program. Static, so that the same bytes run everywhere; stripped and without a build id, so
/// that the same sources give the same bytes.
pub(in crate::guest) const FLAGS: &[&str] =
    &["-std=c11", "-O2", "-Wall", "-Wextra", "-static", "-s", "-Wl,--build-id=none"];

/// The empty mount points of a root file system.
const MOUNT_POINTS: &[&str] = &["proc", "sys", "dev", "tmp"];

/// What every program is compiled with.
const SHARED: &[&str] = &["fw.c", "fw.h"];

/// What a server's starter is compiled with, too.
const SHARED_BY_SERVERS: &[&str] = &["serve.c", "serve.h"];

/// Whether cargo may fetch a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// It may.
    Allowed,
    /// Only what is on this machine is used.
    Offline,
}

/// What is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuild {
    /// What is missing or changed.
    Changed,
    /// Everything that was asked for.
    Everything,
}

/// How to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildOptions {
    /// Whether cargo may fetch a source.
    pub network: Network,
    /// What is built.
    pub rebuild: Rebuild,
}

/// What became of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was built now.
    Built,
    /// It was there.
    UpToDate,
}

/// A program's image and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The image.
    pub image: Image,
    /// What became of it.
    pub state: State,
}

/// Builds what of `programs` is missing or changed and returns their images, in the order asked for. `progress`
/// hears what is being done.
///
/// Fails when there is no compiler or static C library, when a source does not compile, when a server is not installed
/// on this host, and when the output folder cannot be written. What can be built is built all the same.
pub fn ensure(
    folders: &Folders,
    programs: &[Program],
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Image>, BuildError> {
    let options = BuildOptions { network: Network::Allowed, rebuild: Rebuild::Changed };
    Ok(build(folders, programs, options, progress)?.into_iter().map(|outcome| outcome.image).collect())
}

/// As [`ensure`], with options, and says what was built. Fails as it does.
pub fn build(
    folders: &Folders,
    programs: &[Program],
    options: BuildOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Outcome>, BuildError> {
    let compiler = Compiler::find()?;
    let output = folders.images().join("programs");
    make_folder(&output)?;
    // runc takes no root that is reached over a link.
    let output = output.canonicalize().map_err(BuildError::file("find", &folders.images()))?;
    let _lock = lock(&output, progress)?;
    // A manifest that cannot be read vouches for nothing.
    let manifest = Manifest::load(&output).ok().flatten().unwrap_or_else(Manifest::empty);
    let mut builder = Builder { project: &folders.project, output, compiler, options, manifest };
    // Each is tried before the first failure is told.
    let outcomes: Vec<_> = programs.iter().map(|&program| builder.ensure(program, progress)).collect();
    outcomes.into_iter().collect()
}

/// The images of `programs` as they were built before, in the order asked for. Builds and changes nothing.
///
/// Fails when one is not there, or is not what was built.
pub fn stored(folders: &Folders, programs: &[Program]) -> Result<Vec<Image>, BuildError> {
    let folder = folders.images().join("programs");
    let folder = folder.canonicalize().map_err(BuildError::file("find", &folder))?;
    let manifest = Manifest::load(&folder).ok().flatten().unwrap_or_else(Manifest::empty);
    let find = |&program: &Program| {
        let rootfs = folder.join(program.name()).join("rootfs");
        let built = manifest.find(program).filter(|built| is_intact(built, &rootfs));
        built.map(|built| built.image(rootfs)).ok_or_else(|| BuildError::NotStored { program, folder: folder.clone() })
    };
    programs.iter().map(find).collect()
}

struct Builder<'a> {
    project: &'a Path,
    output: PathBuf,
    compiler: Compiler,
    options: BuildOptions,
    manifest: Manifest,
}

/// What decides a program's bytes, beside the compiler.
struct Recipe {
    program: Program,
    source: String,
    flags: Vec<String>,
    sqlite: Option<Pin>,
    server: Option<Parts>,
    key: String,
}

impl Builder<'_> {
    fn ensure(&mut self, program: Program, progress: &mut dyn FnMut(&str)) -> Result<Outcome, BuildError> {
        let recipe = self.recipe(program)?;
        let rootfs = self.output.join(program.name()).join("rootfs");
        if let Some(built) = self.up_to_date(&recipe, &rootfs) {
            return Ok(Outcome { image: built.image(rootfs), state: State::UpToDate });
        }
        let built = self.build(recipe, &rootfs, progress)?;
        let image = built.image(rootfs);
        self.manifest.put(built);
        self.manifest.save(&self.output).map_err(BuildError::file("write", &self.output.join("manifest.json")))?;
        Ok(Outcome { image, state: State::Built })
    }

    fn sources(&self) -> PathBuf {
        self.project.join("guest-images/programs")
    }

    fn recipe(&self, program: Program) -> Result<Recipe, BuildError> {
        let sqlite = (program == Program::Sqlite).then(|| Pin::read(self.project)).transpose()?;
        let server = Parts::collect(self.project, program)?;
        let all = FLAGS.iter().copied().chain(sqlite.iter().flat_map(Pin::flags)).map(str::to_owned);
        let flags: Vec<String> = all.chain(server.iter().map(Parts::flag)).collect();
        let source = self.source_digest(program, sqlite.as_ref(), server.as_ref())?;
        let fields = flags.iter().fold(Fields::default().add(&source), Fields::add);
        let fields = server.iter().fold(fields, |fields, parts| parts.fields(fields));
        let key = self.compiler.fields(fields).finish();
        Ok(Recipe { program, source, flags, sqlite, server, key })
    }

    fn source_digest(
        &self,
        program: Program,
        sqlite: Option<&Pin>,
        server: Option<&Parts>,
    ) -> Result<String, BuildError> {
        let own = format!("{program}.c");
        let of_servers = server.iter().flat_map(|_| SHARED_BY_SERVERS);
        let mut fields = Fields::default();
        for name in SHARED.iter().chain(of_servers).copied().chain([own.as_str()]) {
            let path = self.sources().join(name);
            fields = fields.add(name).add(fs::read(&path).map_err(BuildError::file("read", &path))?);
        }
        Ok(sqlite.into_iter().fold(fields, |fields, pin| fields.add(&pin.checksum)).finish())
    }

    /// The program as the manifest has it, if it was built from this recipe and is still what was built.
    fn up_to_date(&self, recipe: &Recipe, rootfs: &Path) -> Option<BuiltProgram> {
        let built = self.manifest.find(recipe.program).filter(|built| built.key == recipe.key)?;
        let wanted = self.options.rebuild == Rebuild::Everything;
        let whole = MOUNT_POINTS.iter().all(|name| rootfs.join(name).is_dir());
        (!wanted && whole && is_intact(built, rootfs)).then(|| built.clone())
    }

    fn build(&self, recipe: Recipe, rootfs: &Path, progress: &mut dyn FnMut(&str)) -> Result<BuiltProgram, BuildError> {
        let program = recipe.program;
        let objects = self.output.join("objects");
        make_folder(&objects)?;
        let sqlite = recipe
            .sqlite
            .as_ref()
            .map(|pin| pin.compile(self.project, &objects, &self.compiler, self.options.network, &mut *progress));
        let sqlite = sqlite.transpose()?;
        progress(&format!("build {program}"));
        let mut arguments: Vec<String> = FLAGS.iter().copied().map(str::to_owned).collect();
        arguments.push(format!("-ffile-prefix-map={}=.", self.sources().display()));
        arguments.extend([format!("{program}.c"), "fw.c".into()]);
        if let Some(sqlite) = &sqlite {
            arguments.extend([format!("-I{}", sqlite.headers.display()), sqlite.object.display().to_string()]);
        }
        if let Some(parts) = &recipe.server {
            arguments.extend([parts.flag(), "serve.c".into()]);
        }
        let new = objects.join(program.name());
        let what = format!("{program}.c");
        self.compiler.compile(&Compilation { what: &what, folder: &self.sources(), arguments, output: &new })?;
        let starter = install(&new, rootfs, program)?;
        let (sha256, size, server) = match &recipe.server {
            None => (starter.sha256, starter.size, None),
            Some(parts) => add_server(parts, rootfs, starter)?,
        };
        Ok(BuiltProgram {
            program,
            sha256,
            size,
            key: recipe.key,
            source: recipe.source,
            compiler: self.compiler.version.clone(),
            target: self.compiler.target.clone(),
            libc: self.compiler.libc.clone(),
            flags: recipe.flags,
            sqlite: sqlite.map(|sqlite| sqlite.version),
            server,
        })
    }
}

/// Whether what lies in `rootfs` is what was built.
fn is_intact(built: &BuiltProgram, rootfs: &Path) -> bool {
    let same = |path: &Path, digest: &str| digest::of_file(path).is_ok_and(|found| found == digest);
    match &built.server {
        None => same(&built.image(rootfs.to_owned()).binary(), &built.sha256),
        Some(server) => server.files.iter().all(|file| same(&rootfs.join(&file.path), &file.sha256)),
    }
}

/// Puts a server beside its starter: the digest and the size of all files, and what the manifest says of them.
fn add_server(
    parts: &Parts,
    rootfs: &Path,
    starter: BuiltFile,
) -> Result<(String, Bytes, Option<BuiltServer>), BuildError> {
    let mut files = vec![starter];
    files.extend(parts.install(rootfs)?);
    let fields = files.iter().fold(Fields::default(), |fields, file| fields.add(&file.path).add(&file.sha256));
    let size = Bytes(files.iter().map(|file| file.size.0).sum());
    Ok((fields.finish(), size, Some(BuiltServer { version: parts.version(), sha256: parts.digest(), files })))
}

/// Puts a new binary into its root file system, whose folders are made if they are missing. Anybody may read and
/// run it; the folders stay writable by their owner, who could not remove them otherwise.
fn install(new: &Path, rootfs: &Path, program: Program) -> Result<BuiltFile, BuildError> {
    for name in MOUNT_POINTS.iter().chain(&["fw", ".", ".."]) {
        make_folder(&rootfs.join(name))?;
    }
    let sha256 = digest::of_file(new)?;
    fs::set_permissions(new, Permissions::from_mode(0o555)).map_err(BuildError::file("set the mode of", new))?;
    let size = fs::metadata(new).map_err(BuildError::file("read", new))?.len();
    let path = format!("fw/{program}");
    fs::rename(new, rootfs.join(&path)).map_err(BuildError::file("write", &rootfs.join(&path)))?;
    Ok(BuiltFile { path, sha256, size: Bytes(size) })
}

/// Makes a folder and what leads to it, readable by anybody whatever the umask is.
pub(in crate::guest) fn make_folder(path: &Path) -> Result<(), BuildError> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .map_err(BuildError::file("make", path))
}

/// Waits until no other process builds here. Released when the file is closed, also by a crash.
pub(in crate::guest) fn lock(output: &Path, progress: &mut dyn FnMut(&str)) -> Result<File, BuildError> {
    let path = output.join(".lock");
    let file = File::create(&path).map_err(BuildError::file("make", &path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => progress("wait for another process that builds the guests"),
        Err(TryLockError::Error(source)) => return Err(BuildError::File { action: "lock", path, source }),
    }
    file.lock().map_err(BuildError::file("lock", &path))?;
    Ok(file)
}
