//! What an image takes from the host and the repository for a server: the binary, its closure, its configuration.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::closure;
use super::digest::{self, Fields};
use super::ensure::make_folder;
use super::error::BuildError;
use crate::guest::manifest::BuiltFile;
use crate::host::tools;
use crate::model::program::Program;
use crate::model::units::Bytes;

/// How long a server may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where servers lie that are not in the `PATH` of ordinary users.
const SYSTEM_FOLDERS: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The folders of an image that hold nothing but a server's parts.
const FOLDERS: &[&str] = &["fw/lib", "fw/server", "etc"];

/// A server as it is known before it is looked for.
#[derive(Debug)]
struct Server {
    /// The file name of its binary.
    binary: &'static str,
    /// Debian's package.
    package: &'static str,
    /// How it is asked for its version.
    version: &'static str,
    /// Its files in `guest-images/servers/<program>`, and where they lie in the image.
    files: &'static [(&'static str, &'static str)],
}

fn known(program: Program) -> Option<Server> {
    match program {
        Program::Nginx => Some(Server {
            binary: "nginx",
            package: "nginx-light",
            version: "-v",
            files: &[
                ("nginx.conf", "fw/server/nginx.conf"),
                ("index.html", "fw/server/html/index.html"),
                // As root it looks up who that is.
                ("passwd", "etc/passwd"),
                ("group", "etc/group"),
            ],
        }),
        Program::Redis => Some(Server {
            binary: "redis-server",
            package: "redis-server",
            version: "--version",
            files: &[("redis.conf", "fw/server/redis.conf")],
        }),
        _ => None,
    }
}

/// Everything of a server's image but the starter.
#[derive(Debug)]
pub(super) struct Parts {
    server: Server,
    binary: PathBuf,
    loader: String,
    files: Vec<Part>,
}

/// One file for an image.
#[derive(Debug)]
struct Part {
    from: PathBuf,
    to: String,
    sha256: String,
    mode: u32,
}

impl Parts {
    /// Finds the server that `program` starts, and all that it needs; `None` for a program that starts none.
    pub(super) fn collect(project: &Path, program: Program) -> Result<Option<Self>, BuildError> {
        let Some(server) = known(program) else { return Ok(None) };
        let binary = find(server.binary).ok_or(BuildError::NoServer {
            program,
            server: server.binary,
            package: server.package,
        })?;
        let closure = closure::of(&binary)?;
        let loader = closure.loader.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut files = vec![
            Part::read(&binary, format!("fw/server/{}", server.binary), 0o555)?,
            Part::read(&closure.loader, format!("fw/lib/{loader}"), 0o555)?,
        ];
        for (name, path) in &closure.libraries {
            files.push(Part::read(path, format!("fw/lib/{name}"), 0o444)?);
        }
        let own = project.join("guest-images/servers").join(program.name());
        for (from, to) in server.files {
            files.push(Part::read(&own.join(from), (*to).to_owned(), 0o444)?);
        }
        Ok(Some(Self { server, binary, loader, files }))
    }

    /// The flag that tells the starter which loader the image has.
    pub(super) fn flag(&self) -> String {
        format!("-DLOADER=\"{}\"", self.loader)
    }

    /// What of the parts decides the image.
    pub(super) fn fields(&self, fields: Fields) -> Fields {
        self.files.iter().fold(fields, |fields, part| fields.add(&part.to).add(&part.sha256))
    }

    /// SHA-256 of the server's own binary.
    pub(super) fn digest(&self) -> String {
        self.files.first().map(|part| part.sha256.clone()).unwrap_or_default()
    }

    /// What the server says about its version.
    pub(super) fn version(&self) -> Option<String> {
        tools::version(&self.binary, &[self.server.version], PATIENCE)
    }

    /// Puts the parts into a root file system, in place of those that were there.
    pub(super) fn install(&self, rootfs: &Path) -> Result<Vec<BuiltFile>, BuildError> {
        for folder in FOLDERS.iter().map(|folder| rootfs.join(folder)) {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(BuildError::file("remove", &folder)(error));
                }
                _ => {}
            }
        }
        self.files.iter().map(|part| part.install(rootfs)).collect()
    }
}

impl Part {
    fn read(from: &Path, to: String, mode: u32) -> Result<Self, BuildError> {
        Ok(Self { from: from.to_owned(), to, sha256: digest::of_file(from)?, mode })
    }

    fn install(&self, rootfs: &Path) -> Result<BuiltFile, BuildError> {
        let path = rootfs.join(&self.to);
        path.parent().map_or(Ok(()), make_folder)?;
        let size = fs::copy(&self.from, &path).map_err(BuildError::file("write", &path))?;
        let mode = Permissions::from_mode(self.mode);
        fs::set_permissions(&path, mode).map_err(BuildError::file("set the mode of", &path))?;
        // What lies there now, not what was read before: a package may have been upgraded meanwhile.
        Ok(BuiltFile { path: self.to.clone(), sha256: digest::of_file(&path)?, size: Bytes(size) })
    }
}

/// A server of this host.
fn find(name: &str) -> Option<PathBuf> {
    let elsewhere = || SYSTEM_FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    tools::find(name).or_else(elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_with_a_port_starts_a_server_and_no_other_does() {
        for &program in Program::ALL {
            assert_eq!(known(program).is_some(), program.port().is_some(), "{program}");
        }
    }

    #[test]
    fn a_missing_server_names_its_cure() {
        let error = BuildError::NoServer { program: Program::Nginx, server: "nginx", package: "nginx-light" };
        let message = error.to_string();
        assert!(message.starts_with("no nginx on this host") && message.contains("`apt-get install nginx-light`"));
        assert!(message.contains("`cargo xtask setup`"), "{message}");
        assert_eq!(find("no-such-server-of-ours"), None);
    }
}
