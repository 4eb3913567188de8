//! A server's files in an image: the binary and its libraries from the host, the configuration from the repository.

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

/// The time limit for a server to print its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

/// Folders of servers that are not in the `PATH` of ordinary users.
const SYSTEM_FOLDERS: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The folders of an image that contain only a server's files.
const SERVER_FOLDERS: &[&str] = &["fw/lib", "fw/server", "etc"];

/// The description of a server.
#[derive(Debug)]
struct Server {
    /// The file name of the binary.
    binary: &'static str,
    /// Debian's package.
    package: &'static str,
    /// The option that prints the version.
    version_option: &'static str,
    /// Pairs of a file in `guest-images/servers/<program>` and its path in the image.
    files: &'static [(&'static str, &'static str)],
}

fn describe(program: Program) -> Option<Server> {
    match program {
        Program::Nginx => Some(Server {
            binary: "nginx",
            package: "nginx-light",
            version_option: "-v",
            files: &[
                ("nginx.conf", "fw/server/nginx.conf"),
                ("index.html", "fw/server/html/index.html"),
                // Started as root, Nginx looks up that user.
                ("passwd", "etc/passwd"),
                ("group", "etc/group"),
            ],
        }),
        Program::Redis => Some(Server {
            binary: "redis-server",
            package: "redis-server",
            version_option: "--version",
            files: &[("redis.conf", "fw/server/redis.conf")],
        }),
        _ => None,
    }
}

/// All files of a server's image except for the starter.
#[derive(Debug)]
pub(super) struct Parts {
    server: Server,
    binary: PathBuf,
    loader: String,
    files: Vec<Part>,
}

/// A file for an image.
#[derive(Debug)]
struct Part {
    from: PathBuf,
    to: String,
    sha256: String,
    mode: u32,
}

impl Parts {
    /// Finds the server that `program` starts and all its files; `None` for a program that starts no server.
    pub(super) fn collect(project: &Path, program: Program) -> Result<Option<Self>, BuildError> {
        let Some(server) = describe(program) else { return Ok(None) };
        let binary = find(server.binary).ok_or(BuildError::NoServer {
            program,
            server: server.binary,
            package: server.package,
        })?;
        let closure = closure::resolve(&binary)?;
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

    /// Returns the compiler flag that names the image's loader for the starter.
    pub(super) fn flag(&self) -> String {
        format!("-DLOADER=\"{}\"", self.loader)
    }

    /// Adds the path and digest of every file.
    pub(super) fn fields(&self, fields: Fields) -> Fields {
        self.files.iter().fold(fields, |fields, part| fields.add(&part.to).add(&part.sha256))
    }

    /// Returns the SHA-256 of the server's binary.
    pub(super) fn digest(&self) -> String {
        self.files.first().map(|part| part.sha256.clone()).unwrap_or_default()
    }

    /// Returns the version that the server prints.
    pub(super) fn version(&self) -> Option<String> {
        tools::version(&self.binary, &[self.server.version_option], VERSION_TIMEOUT)
    }

    /// Replaces the server's files in a root file system.
    pub(super) fn install(&self, rootfs: &Path) -> Result<Vec<BuiltFile>, BuildError> {
        for folder in SERVER_FOLDERS.iter().map(|folder| rootfs.join(folder)) {
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
        Ok(Self { from: from.to_owned(), to, sha256: digest::file_digest(from)?, mode })
    }

    fn install(&self, rootfs: &Path) -> Result<BuiltFile, BuildError> {
        let path = rootfs.join(&self.to);
        path.parent().map_or(Ok(()), make_folder)?;
        let size = fs::copy(&self.from, &path).map_err(BuildError::file("write", &path))?;
        let mode = Permissions::from_mode(self.mode);
        fs::set_permissions(&path, mode).map_err(BuildError::file("set the mode of", &path))?;
        // Digest the copy: an upgrade of the package may have replaced the original meanwhile.
        Ok(BuiltFile { path: self.to.clone(), sha256: digest::file_digest(&path)?, size: Bytes(size) })
    }
}

/// Finds a server on this host.
fn find(name: &str) -> Option<PathBuf> {
    let in_system_folders =
        || SYSTEM_FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    tools::find(name).or_else(in_system_folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_with_a_port_starts_a_server_and_no_other_does() {
        for &program in Program::ALL {
            assert_eq!(describe(program).is_some(), program.port().is_some(), "{program}");
        }
    }

    #[test]
    fn the_error_about_a_missing_server_says_how_to_install_it() {
        let error = BuildError::NoServer { program: Program::Nginx, server: "nginx", package: "nginx-light" };
        let message = error.to_string();
        assert!(message.starts_with("missing program `nginx`") && message.contains("`apt-get install nginx-light`"));
        assert!(message.contains("`cargo xtask setup`"), "{message}");
        assert_eq!(find("no-such-server-of-ours"), None);
    }
}
