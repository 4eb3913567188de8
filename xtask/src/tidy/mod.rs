//! `cargo xtask tidy`: the rules of this repository that a program can check.
//!
//! A rule is a pure function over one file, or over all of them; `tables.rs` beside this file has their exceptions.

mod code;
mod file;
mod rust;
mod tables;
mod text;
mod tree;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;
use featherweight::host::folders::Folders;
use featherweight::model::exit::Exit;

use self::file::{File, Finding};

/// Check the repository's own rules: docs, lengths, purity, no shells, no sleeps, links, words
#[derive(Debug, clap::Args)]
#[command(after_help = "Looks at the tracked files, and at new ones that Git does not ignore.\n\n\
                        Exit codes: 0 all is tidy, 4 a rule is broken: file, line and what to do.")]
pub struct Tidy {}

impl Tidy {
    /// Prints what is not tidy.
    ///
    /// # Errors
    /// When the files cannot be listed or read.
    pub fn run(self) -> anyhow::Result<Exit> {
        let files = read(&Folders::from_env().project)?;
        let findings = check(&files);
        findings.iter().for_each(|finding| println!("{finding}"));
        match findings.len() {
            0 => println!("{} files, all tidy", files.len()),
            n => println!("{n} rules broken in {} files", files.len()),
        }
        Ok(if findings.is_empty() { Exit::Fine } else { Exit::Trouble })
    }
}

fn check(files: &[File]) -> Vec<Finding> {
    let of_rust = |file: &File| -> Vec<Finding> { rust::RULES.iter().flat_map(|rule| rule(file)).collect() };
    let of_text = |file: &File| -> Vec<Finding> { text::RULES.iter().flat_map(|rule| rule(file)).collect() };
    let mut findings: Vec<Finding> = files.iter().filter(|file| file.is_rust()).flat_map(of_rust).collect();
    findings.extend(files.iter().flat_map(of_text));
    findings.extend(tree::RULES.iter().flat_map(|rule| rule(files)));
    findings.sort();
    findings
}

/// The text files of the project.
fn read(project: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for path in tracked(project).map_or_else(|| walk(project, project), Ok)? {
        match fs::read(project.join(&path)) {
            // A picture or the like has no rules; a file that is gone from the folder is gone from the next commit.
            Ok(bytes) => files.extend(String::from_utf8(bytes).ok().map(|text| File::new(path, text))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e).with_context(|| format!("read {path}")),
        }
    }
    anyhow::ensure!(!files.is_empty(), "{} has no files", project.display());
    Ok(files)
}

/// What Git tracks, or would; `None` without Git, as in an unpacked archive.
fn tracked(project: &Path) -> Option<Vec<String>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(list).current_dir(project).stdin(Stdio::null()).output().ok()?;
    let paths = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(paths.split_terminator('\0').map(str::to_owned).collect())
}

/// Every file below `folder` but those of builds and of Git.
fn walk(project: &Path, folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.strip_prefix(project).context("a folder holds what it lists")?.to_string_lossy().into_owned();
        match path.is_dir() {
            true if ["target", ".git"].contains(&name.as_str()) => {}
            true => found.extend(walk(project, &path)?),
            false => found.push(name),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_git_the_folder_is_walked() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["src/lib.rs", "target/x.rs", ".github/x.yml"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "//! A file.\n").unwrap();
        }
        let mut found = walk(dir.path(), dir.path()).unwrap();
        found.sort();
        assert_eq!(found, [".github/x.yml", "src/lib.rs"]);
    }

    #[test]
    fn this_repository_is_looked_at_from_its_top() {
        let files = read(&Folders::from_env().project).unwrap();
        assert!(files.iter().any(|f| f.path == "xtask/src/tidy/mod.rs"), "{} files", files.len());
    }
}
