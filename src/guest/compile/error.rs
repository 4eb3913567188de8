//! Why a guest could not be built; messages include the remedy if there is one.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::program::Program;

/// How many lines of a failed command's output a message contains.
const SHOWN_LINES: usize = 12;

/// Why a guest could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No known compiler runs.
    #[error(
        "no C compiler found (tried {tried})\n\
         help: set CC, or install one: `apt-get install gcc libc6-dev` (Debian), `dnf install gcc glibc-static` (Fedora), \
         `pacman -S gcc` (Arch)"
    )]
    NoCompiler {
        /// The commands, comma-separated.
        tried: String,
    },
    /// The compiler has no static C library to link with.
    #[error(
        "missing static C library for {compiler}\n{output}\n\
         help: install it: `apt-get install libc6-dev` (Debian), `dnf install glibc-static` (Fedora), \
         `pacman -S glibc` (Arch)"
    )]
    NoStaticLibc {
        /// The compiler's command.
        compiler: String,
        /// The first lines of its output.
        output: String,
    },
    /// The compiler rejected a source.
    #[error("failed to compile {source_name} with {compiler}\n{output}")]
    Compile {
        /// The name of the source.
        source_name: String,
        /// The compiler's command.
        compiler: String,
        /// The first lines of its output.
        output: String,
    },
    /// Cargo.lock does not pin SQLite's source.
    #[error("{path}: missing checksum of libsqlite3-sys, the source of SQLite")]
    NotPinned {
        /// The lock file.
        path: PathBuf,
    },
    /// Cargo does not provide SQLite's source.
    #[error(
        "failed to get the source of SQLite from cargo\n{output}\nhelp: run `cargo fetch` once, with network access"
    )]
    NoSqlite {
        /// The first lines of cargo's output.
        output: String,
    },
    /// A server is not installed on this host.
    #[error(
        "missing program `{server}` for the image of {program}; install it: `cargo xtask setup`, \
         `apt-get install {package}` (Debian), `dnf install {program}` (Fedora) or `pacman -S {program}` (Arch)"
    )]
    NoServer {
        /// The program whose image contains the server.
        program: Program,
        /// The server's file name.
        server: &'static str,
        /// Debian's package.
        package: &'static str,
    },
    /// The loader and libraries of a server are unknown.
    #[error("failed to find the libraries of {path}: {reason}")]
    NoClosure {
        /// The server.
        path: PathBuf,
        /// The reason.
        reason: ClosureError,
    },
    /// A folder of images that is used as it is has no such image.
    #[error(
        "{}: no unchanged image of {program}\n\
         help: name a copy of target/featherweight/images, made with `cp -a`",
        .folder.display()
    )]
    NotStored {
        /// The program.
        program: Program,
        /// The folder.
        folder: PathBuf,
    },
    /// A guest system supports other processors than the compiler does.
    #[error("unsupported compiler target {target} for the guest system {system}; expected x86-64")]
    NoTarget {
        /// The guest system.
        system: &'static str,
        /// The compiler's target.
        target: String,
    },
    /// There is no kernel for a guest.
    #[error(
        "no kernel for guests: {reason}\n\
         help: name one: FEATHERWEIGHT_KERNEL=<vmlinuz> and FEATHERWEIGHT_MODULES=<its folder in /lib/modules>"
    )]
    NoKernel {
        /// The reason, with its remedy if there is one.
        reason: String,
    },
    /// A tool is not installed on this host.
    #[error("missing program `{tool}` to {purpose}; install it: `apt-get install {package}`")]
    NoTool {
        /// The tool.
        tool: &'static str,
        /// The purpose of the tool.
        purpose: &'static str,
        /// Debian's package.
        package: &'static str,
    },
    /// A build step needs root.
    #[error(
        "failed to {action}: not root\nhelp: build it once as root: `sudo cargo xtask images --platform qemu:debian`"
    )]
    NeedsRoot {
        /// The step.
        action: &'static str,
    },
    /// apt has no package lists of this host's distribution.
    #[error("no package lists of this host's Debian or Ubuntu\nhelp: fetch them: `apt-get update`")]
    NoPackageLists,
    /// A command failed.
    #[error("`{command}` failed{}{output}", if output.is_empty() { "" } else { "\n" })]
    CommandFailed {
        /// The command.
        command: String,
        /// The first lines of its output.
        output: String,
    },
    /// A command could not be started.
    #[error("failed to run {command}")]
    Run {
        /// The command.
        command: String,
        /// The system's error.
        source: io::Error,
    },
    /// A file or folder could not be used.
    #[error("failed to {action} {path}")]
    File {
        /// A verb such as `read` or `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Why the loader and libraries of a program are unknown.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// The file names no loader.
    #[error("not a dynamic 64-bit program")]
    NotDynamic,
    /// The loader failed.
    #[error("{output}")]
    Loader {
        /// The first lines of its output.
        output: String,
    },
    /// A library was not found, or is named by its path.
    #[error("unsupported line `{line}` in the loader's list")]
    Unresolved {
        /// The line that names the library.
        line: String,
    },
}

impl BuildError {
    /// Wraps an error of a file: `map_err(BuildError::file("read", path))`.
    pub(in crate::guest) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BuildError {
        let path = path.to_owned();
        move |source| BuildError::File { action, path, source }
    }
}

/// Returns the first lines of a command's output, for a message.
pub(in crate::guest) fn first_lines(output: &[u8]) -> String {
    String::from_utf8_lossy(output).lines().take(SHOWN_LINES).collect::<Vec<_>>().join("\n")
}
