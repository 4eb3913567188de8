//! Why a guest program could not be built; every message names the cure it knows.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::program::Program;

/// Why a guest program could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// None of the compilers that were tried runs.
    #[error(
        "no C compiler (tried {tried}); install one: `apt-get install gcc libc6-dev` (Debian), \
         `dnf install gcc glibc-static` (Fedora), `pacman -S gcc` (Arch), or set CC"
    )]
    NoCompiler {
        /// The commands, comma-separated.
        tried: String,
    },
    /// The compiler has no static C library, or none at all, to link with.
    #[error(
        "{compiler} has no static C library; install it: `apt-get install libc6-dev` (Debian), \
         `dnf install glibc-static` (Fedora), `pacman -S glibc` (Arch)\n{output}"
    )]
    NoStaticLibc {
        /// The compiler's command.
        compiler: String,
        /// The first lines that it printed.
        output: String,
    },
    /// The compiler refused a source.
    #[error("{compiler} cannot compile {what}\n{output}")]
    Compile {
        /// The source.
        what: String,
        /// The compiler's command.
        compiler: String,
        /// The first lines that it printed.
        output: String,
    },
    /// Cargo.lock does not pin SQLite's source.
    #[error("{path} does not pin libsqlite3-sys with a checksum, so SQLite's source is not known")]
    NotPinned {
        /// The lock file.
        path: PathBuf,
    },
    /// Cargo did not tell where SQLite's source is.
    #[error("cargo cannot provide SQLite's source; with the network once: `cargo fetch`\n{output}")]
    NoSqlite {
        /// The first lines that cargo printed.
        output: String,
    },
    /// A server is not installed on this host.
    #[error(
        "no {server} on this host for the image of {program}; install it: `apt-get install {package}` (Debian), \
         `dnf install {program}` (Fedora), `pacman -S {program}` (Arch), or `cargo xtask setup`"
    )]
    NoServer {
        /// The program whose image needs it.
        program: Program,
        /// The server's file name.
        server: &'static str,
        /// Debian's package.
        package: &'static str,
    },
    /// A server cannot be put in an image with its libraries.
    #[error("{path} cannot be put in an image: {reason}")]
    NoClosure {
        /// The server.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A folder of images that is taken as it is does not have it.
    #[error("{} has no {program} that is as it was built; name a folder that was target/featherweight/images, copied with cp -a", .folder.display())]
    NotStored {
        /// The program.
        program: Program,
        /// The folder.
        folder: PathBuf,
    },
    /// A guest system is for another processor than this host's.
    #[error("the guest system {system} is for x86-64 alone, and the compiler of this host makes programs for {target}")]
    NoTarget {
        /// The guest system.
        system: &'static str,
        /// What the compiler compiles for.
        target: String,
    },
    /// There is no kernel for a guest.
    #[error(
        "no kernel for a guest: {reason}\nuse another one: FEATHERWEIGHT_KERNEL=<vmlinuz> and \
         FEATHERWEIGHT_MODULES=<its folder in /lib/modules>"
    )]
    NoKernel {
        /// Why, and the cure that is known.
        reason: String,
    },
    /// A tool of the host's is missing.
    #[error("no {tool} on this host to {purpose}; install it: `apt-get install {package}`")]
    NoTool {
        /// The tool.
        tool: &'static str,
        /// What it is needed for.
        purpose: &'static str,
        /// Debian's package.
        package: &'static str,
    },
    /// Something is only made as root.
    #[error("{what} takes root; build it once as root: `sudo cargo xtask images --platform qemu:debian`")]
    NeedsRoot {
        /// What was to be done.
        what: &'static str,
    },
    /// A command failed.
    #[error("{command} failed{}{output}", if output.is_empty() { "" } else { "\n" })]
    Refused {
        /// The command.
        command: String,
        /// What it printed first.
        output: String,
    },
    /// A command could not be started.
    #[error("run {command}")]
    Run {
        /// The command.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder could not be used.
    #[error("{action} {path}")]
    File {
        /// What was to be done: `read`, `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl BuildError {
    /// Makes the error of a file: `map_err(BuildError::file("read", path))`.
    pub(in crate::guest) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BuildError {
        let path = path.to_owned();
        move |source| BuildError::File { action, path, source }
    }
}

/// The first lines of what a command printed: enough to see what is wrong.
pub(in crate::guest) fn first_lines(output: &[u8]) -> String {
    String::from_utf8_lossy(output).lines().take(12).collect::<Vec<_>>().join("\n")
}
