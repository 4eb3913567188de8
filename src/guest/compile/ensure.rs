//! Builds the guest programs that are missing or changed.
//!
//! Invariant: a program is replaced atomically, and an image is returned only if its files have the manifest's digests.
//! A lock serializes processes that build at the same time.

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

/// The flags of every program: static, so that the same bytes run everywhere; stripped and without a build id, so that
/// the same sources give the same bytes.
pub(in crate::guest) const FLAGS: &[&str] =
    &["-std=c11", "-O2", "-Wall", "-Wextra", "-static", "-s", "-Wl,--build-id=none"];

/// The empty mount points of a root file system.
const MOUNT_POINTS: &[&str] = &["proc", "sys", "dev", "tmp"];

/// The sources that every program shares.
const SHARED: &[&str] = &["fw.c", "fw.h"];

/// The sources that the servers' starters share.
const SHARED_BY_SERVERS: &[&str] = &["serve.c", "serve.h"];

/// Whether cargo may fetch sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Cargo may fetch sources.
    Allowed,
    /// Only sources on this machine are used.
    Offline,
}

/// Which of the requested programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuild {
    /// Those that are missing or changed.
    Changed,
    /// All of them.
    Everything,
}

/// Options of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildOptions {
    /// Whether cargo may fetch sources.
    pub network: Network,
    /// Which of the requested programs are built.
    pub rebuild: Rebuild,
}

/// Whether a program was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The program was built now.
    Built,
    /// The existing image was up to date.
    UpToDate,
}

/// A program's image, and whether it was built now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The image.
    pub image: Image,
    /// Whether it was built now.
    pub state: State,
}

/// Builds the programs that are missing or changed, and returns the images in the order of `programs`. `progress`
/// receives each step.
///
/// A failure does not keep the other programs from being built.
///
/// # Errors
/// When there is no compiler or static C library, a source does not compile, a server is not installed on this host, or
/// the output folder cannot be written.
pub fn ensure(
    folders: &Folders,
    programs: &[Program],
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Image>, BuildError> {
    let options = BuildOptions { network: Network::Allowed, rebuild: Rebuild::Changed };
    Ok(build(folders, programs, options, progress)?.into_iter().map(|outcome| outcome.image).collect())
}

/// Builds programs like [`ensure`], with options, and reports which were built.
///
/// # Errors
/// As [`ensure`].
pub fn build(
    folders: &Folders,
    programs: &[Program],
    options: BuildOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Outcome>, BuildError> {
    let compiler = Compiler::find()?;
    let output = folders.images().join("programs");
    make_folder(&output)?;
    // runc rejects a root file system whose path contains a symbolic link.
    let output = output.canonicalize().map_err(BuildError::file("find", &folders.images()))?;
    let _lock = lock(&output, progress)?;
    // Without a readable manifest, everything is built again.
    let manifest = Manifest::load(&output).ok().flatten().unwrap_or_else(Manifest::empty);
    let mut builder = Builder { project: &folders.project, output, compiler, options, manifest };
    // Try all programs before returning the first failure.
    let outcomes: Vec<_> = programs.iter().map(|&program| builder.ensure(program, progress)).collect();
    outcomes.into_iter().collect()
}

/// Returns the existing images of `programs`, in this order. Builds and changes nothing.
///
/// # Errors
/// When an image is missing or changed.
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

/// All inputs of a program's build except for the compiler.
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
        self.manifest.insert(built);
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
        let shared_by_servers: &[&str] = if server.is_some() { SHARED_BY_SERVERS } else { &[] };
        let mut fields = Fields::default();
        for name in SHARED.iter().chain(shared_by_servers).copied().chain([own.as_str()]) {
            let path = self.sources().join(name);
            fields = fields.add(name).add(fs::read(&path).map_err(BuildError::file("read", &path))?);
        }
        Ok(sqlite.into_iter().fold(fields, |fields, pin| fields.add(&pin.checksum)).finish())
    }

    /// Returns the manifest's entry if the image was built from this recipe and is unchanged.
    fn up_to_date(&self, recipe: &Recipe, rootfs: &Path) -> Option<BuiltProgram> {
        let built = self.manifest.find(recipe.program).filter(|built| built.key == recipe.key)?;
        let is_reusable = self.options.rebuild == Rebuild::Changed
            && MOUNT_POINTS.iter().all(|name| rootfs.join(name).is_dir())
            && is_intact(built, rootfs);
        is_reusable.then(|| built.clone())
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
        let name = format!("{program}.c");
        self.compiler.compile(&Compilation { name: &name, folder: &self.sources(), arguments, output: &new })?;
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

/// Whether the files in `rootfs` have the recorded digests.
fn is_intact(built: &BuiltProgram, rootfs: &Path) -> bool {
    match &built.server {
        None => has_digest(&built.image(rootfs.to_owned()).binary(), &built.sha256),
        Some(server) => server.files.iter().all(|file| has_digest(&rootfs.join(&file.path), &file.sha256)),
    }
}

fn has_digest(path: &Path, digest: &str) -> bool {
    digest::file_digest(path).is_ok_and(|found| found == digest)
}

/// Installs a server next to its starter. Returns the digest and the size of all files, and the manifest's entry.
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

/// Moves a new binary into its root file system and creates missing folders. Everyone may read and execute the binary;
/// the folders stay writable for their owner, who could not remove them otherwise.
fn install(new: &Path, rootfs: &Path, program: Program) -> Result<BuiltFile, BuildError> {
    for name in MOUNT_POINTS.iter().chain(&["fw", ".", ".."]) {
        make_folder(&rootfs.join(name))?;
    }
    let sha256 = digest::file_digest(new)?;
    fs::set_permissions(new, Permissions::from_mode(0o555)).map_err(BuildError::file("set the mode of", new))?;
    let size = fs::metadata(new).map_err(BuildError::file("read", new))?.len();
    let path = format!("fw/{program}");
    fs::rename(new, rootfs.join(&path)).map_err(BuildError::file("write", &rootfs.join(&path)))?;
    Ok(BuiltFile { path, sha256, size: Bytes(size) })
}

/// Creates a folder and its parents, readable for everyone regardless of the umask.
pub(in crate::guest) fn make_folder(path: &Path) -> Result<(), BuildError> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .map_err(BuildError::file("create", path))
}

/// Locks a folder, after waiting for other processes that build in it. Closing the file releases the lock, even after a
/// crash.
pub(in crate::guest) fn lock(output: &Path, progress: &mut dyn FnMut(&str)) -> Result<File, BuildError> {
    let path = output.join(".lock");
    let file = File::create(&path).map_err(BuildError::file("create", &path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => progress("wait for another process that builds guests"),
        Err(TryLockError::Error(source)) => return Err(BuildError::File { action: "lock", path, source }),
    }
    file.lock().map_err(BuildError::file("lock", &path))?;
    Ok(file)
}
