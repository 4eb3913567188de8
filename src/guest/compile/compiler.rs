//! The host's C compiler: its exact identity, and how it is called.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::digest;
use super::error::{BuildError, first_lines};

/// A C compiler that runs, with everything that influences its output.
#[derive(Debug, Clone)]
pub(in crate::guest) struct Compiler {
    command: Vec<String>,
    /// The first line of `--version`.
    pub(in crate::guest) version: String,
    /// `-dumpmachine`.
    pub(in crate::guest) target: String,
    /// The digest of the static C library; `None` if the compiler does not report its path.
    pub(in crate::guest) libc: Option<String>,
}

/// A compilation job.
#[derive(Debug)]
pub(in crate::guest) struct Compilation<'a> {
    /// The name for messages.
    pub(in crate::guest) name: &'a str,
    /// The folder of the sources. Source names are relative to it, so that the output contains no path of this machine.
    pub(in crate::guest) folder: &'a Path,
    /// All arguments except for the output.
    pub(in crate::guest) arguments: Vec<String>,
    /// The file to write.
    pub(in crate::guest) output: &'a Path,
}

impl Compiler {
    /// Returns the compiler that `CC` names; otherwise the first of cc, gcc and clang that runs.
    pub(in crate::guest) fn find() -> Result<Self, BuildError> {
        let candidates = match env::var("CC") {
            Ok(cc) if !cc.trim().is_empty() => vec![cc],
            _ => ["cc", "gcc", "clang"].map(str::to_owned).to_vec(),
        };
        Self::find_among(&candidates)
    }

    fn find_among(candidates: &[String]) -> Result<Self, BuildError> {
        candidates
            .iter()
            .find_map(|candidate| Self::open(candidate.split_whitespace().map(str::to_owned).collect()))
            .unwrap_or_else(|| Err(BuildError::NoCompiler { tried: candidates.join(", ") }))
    }

    /// Returns `None` if the command does not run.
    fn open(command: Vec<String>) -> Option<Result<Self, BuildError>> {
        let version = query(&command, "--version")?;
        let target = query(&command, "-dumpmachine")?;
        // The compiler prints the bare name if it finds no such file.
        let libc = query(&command, "-print-file-name=libc.a").map(PathBuf::from).filter(|path| path.is_absolute());
        let libc = libc.map(|path| digest::file_digest(&path)).transpose();
        Some(libc.map(|libc| Self { command, version, target, libc }))
    }

    /// Runs a compilation.
    pub(in crate::guest) fn compile(&self, job: &Compilation) -> Result<(), BuildError> {
        let output = command(&self.command)
            .current_dir(job.folder)
            .args(&job.arguments)
            .arg("-o")
            .arg(job.output)
            .output()
            .map_err(|source| BuildError::Run { command: self.command.join(" "), source })?;
        if output.status.success() { Ok(()) } else { Err(self.failure(job, &output)) }
    }

    fn failure(&self, job: &Compilation, output: &Output) -> BuildError {
        let compiler = self.command.join(" ");
        let output = first_lines(&output.stderr);
        match self.libc {
            None => BuildError::NoStaticLibc { compiler, output },
            Some(_) => BuildError::Compile { source_name: job.name.to_owned(), compiler, output },
        }
    }

    /// Adds everything of the compiler that influences its output.
    pub(in crate::guest) fn fields(&self, fields: digest::Fields) -> digest::Fields {
        fields
            .add(self.command.join(" "))
            .add(&self.version)
            .add(&self.target)
            .add(self.libc.as_deref().unwrap_or_default())
    }
}

fn command(arguments: &[String]) -> Command {
    let mut command = Command::new(arguments.first().map_or("", String::as_str));
    command.args(arguments.iter().skip(1)).env("LC_ALL", "C");
    command
}

/// Returns the first line that the compiler prints for `option`; `None` if it does not run or prints nothing.
fn query(arguments: &[String], option: &str) -> Option<String> {
    let output = command(arguments).arg(option).output().ok().filter(|output| output.status.success())?;
    let line = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_about_a_missing_compiler_says_how_to_install_one() {
        let candidates = ["fw-no-such-compiler", "fw-none-either"].map(str::to_owned);
        let message = Compiler::find_among(&candidates).unwrap_err().to_string();
        assert!(message.contains("tried fw-no-such-compiler, fw-none-either"), "{message}");
        assert!(message.contains("apt-get install gcc libc6-dev"), "{message}");
    }

    #[test]
    fn a_failed_compilation_shows_the_compilers_message() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bad.c"), "int main(void) { return nothing; }\n").unwrap();
        let output = folder.path().join("bad");
        let job = |name| Compilation {
            name,
            folder: folder.path(),
            arguments: vec!["-static".into(), "bad.c".into()],
            output: &output,
        };
        let compiler = Compiler::find().unwrap();
        let message = compiler.compile(&job("bad.c")).unwrap_err().to_string();
        assert!(message.contains("failed to compile bad.c") && message.contains("nothing"), "{message}");

        let without_libc = Compiler { libc: None, ..compiler };
        let message = without_libc.compile(&job("bad.c")).unwrap_err().to_string();
        assert!(message.contains("missing static C library") && message.contains("glibc-static"), "{message}");
    }
}
