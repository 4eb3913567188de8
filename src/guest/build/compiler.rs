//! The host's C compiler: which one it is, exactly, and how it is called.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::digest;
use super::error::{BuildError, first_lines};

/// A C compiler that runs, and what decides the bytes it makes.
#[derive(Debug, Clone)]
pub(in crate::guest) struct Compiler {
    command: Vec<String>,
    /// The first line of `--version`.
    pub(in crate::guest) version: String,
    /// `-dumpmachine`.
    pub(in crate::guest) target: String,
    /// The digest of the static C library that it links; `None` when it does not say where that is.
    pub(in crate::guest) libc: Option<String>,
}

/// What to compile.
#[derive(Debug)]
pub(in crate::guest) struct Compilation<'a> {
    /// What a message calls it.
    pub(in crate::guest) what: &'a str,
    /// Where the sources are. Their names are relative to it, so that no path of this machine gets into the result.
    pub(in crate::guest) folder: &'a Path,
    /// Everything but the output, in order.
    pub(in crate::guest) arguments: Vec<String>,
    /// What to write.
    pub(in crate::guest) output: &'a Path,
}

impl Compiler {
    /// The compiler that `CC` names, else the first of cc, gcc and clang that runs.
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

    /// `None` when the command does not run.
    fn open(command: Vec<String>) -> Option<Result<Self, BuildError>> {
        let version = answer(&command, "--version")?;
        let target = answer(&command, "-dumpmachine")?;
        // A bare name comes back when there is no such file.
        let libc = answer(&command, "-print-file-name=libc.a").map(PathBuf::from).filter(|path| path.is_absolute());
        let libc = libc.map(|path| digest::of_file(&path)).transpose();
        Some(libc.map(|libc| Self { command, version, target, libc }))
    }

    /// Runs a compilation to its end.
    pub(in crate::guest) fn compile(&self, job: &Compilation) -> Result<(), BuildError> {
        let output = command(&self.command)
            .current_dir(job.folder)
            .args(&job.arguments)
            .arg("-o")
            .arg(job.output)
            .output()
            .map_err(|source| BuildError::Run { command: self.command.join(" "), source })?;
        if output.status.success() { Ok(()) } else { Err(self.refusal(job, &output)) }
    }

    fn refusal(&self, job: &Compilation, output: &Output) -> BuildError {
        let compiler = self.command.join(" ");
        let output = first_lines(&output.stderr);
        match self.libc {
            None => BuildError::NoStaticLibc { compiler, output },
            Some(_) => BuildError::Compile { what: job.what.to_owned(), compiler, output },
        }
    }

    /// What of the compiler decides the result.
    pub(in crate::guest) fn fields(&self, fields: digest::Fields) -> digest::Fields {
        fields
            .add(self.command.join(" "))
            .add(&self.version)
            .add(&self.target)
            .add(self.libc.as_deref().unwrap_or_default())
    }
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.iter().skip(1)).env("LC_ALL", "C");
    command
}

/// The first line that the compiler answers to one option; `None` when it does not run or answers nothing.
fn answer(words: &[String], option: &str) -> Option<String> {
    let output = command(words).arg(option).output().ok().filter(|output| output.status.success())?;
    let line = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_compiler_the_message_names_the_cure() {
        let candidates = ["fw-no-such-compiler", "fw-none-either"].map(str::to_owned);
        let message = Compiler::find_among(&candidates).unwrap_err().to_string();
        assert!(message.contains("tried fw-no-such-compiler, fw-none-either"), "{message}");
        assert!(message.contains("apt-get install gcc libc6-dev"), "{message}");
    }

    #[test]
    fn a_refused_source_shows_what_the_compiler_said() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bad.c"), "int main(void) { return nothing; }\n").unwrap();
        let output = folder.path().join("bad");
        let job = |what| Compilation {
            what,
            folder: folder.path(),
            arguments: vec!["-static".into(), "bad.c".into()],
            output: &output,
        };
        let compiler = Compiler::find().unwrap();
        let message = compiler.compile(&job("bad.c")).unwrap_err().to_string();
        assert!(message.contains("cannot compile bad.c") && message.contains("nothing"), "{message}");

        let without_libc = Compiler { libc: None, ..compiler };
        let message = without_libc.compile(&job("bad.c")).unwrap_err().to_string();
        assert!(message.contains("no static C library") && message.contains("glibc-static"), "{message}");
    }
}
