//! `cargo xtask tidy`: the rules of this repository that a program can check.
//!
//! A rule is a pure function over one file or over all files. `xtask/src/tidy/tables.rs` lists limits and exceptions.

mod code;
mod docs;
mod english;
mod file;
mod layout;
mod names;
mod paths;
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

/// Check the repository's own rules: imports, lengths, names, English, docs, links, purity, shells, sleeps
#[derive(Debug, clap::Args)]
#[command(after_help = "Checks the files that Git tracks and new files that Git does not ignore.\n\n\
                        Exit codes: 0 no rule is broken, 4 a rule is broken (prints file, line and what is expected).")]
pub struct Tidy {}

impl Tidy {
    /// Prints every broken rule.
    ///
    /// # Errors
    /// If the files cannot be listed or read.
    pub fn run(self) -> anyhow::Result<Exit> {
        let files = read(&Folders::from_env().project)?;
        let findings = check(&files);
        findings.iter().for_each(|finding| println!("{finding}"));
        println!("{} files checked, {} rules broken", files.len(), findings.len());
        Ok(if findings.is_empty() { Exit::Fine } else { Exit::Failure })
    }
}

/// Applies every rule.
fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let text_rules = text::RULES.iter().chain(english::RULES);
        findings.extend(text_rules.flat_map(|rule| rule(file)));
        if file.is_rust() {
            let rust_rules = rust::RULES.iter().chain(layout::FILE_RULES).chain(names::RULES);
            findings.extend(rust_rules.flat_map(|rule| rule(file)));
        }
    }
    let tree_rules = tree::RULES.iter().chain(layout::TREE_RULES).chain(docs::RULES);
    findings.extend(tree_rules.flat_map(|rule| rule(files)));
    findings.sort();
    findings
}

/// The text files of the project.
fn read(project: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for path in tracked(project).map_or_else(|| walk(project, project), Ok)? {
        match fs::read(project.join(&path)) {
            // No rule applies to binary files, and a deleted file is not part of the next commit.
            Ok(bytes) => files.extend(String::from_utf8(bytes).ok().map(|text| File::new(path, text))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e).with_context(|| format!("failed to read {path}")),
        }
    }
    anyhow::ensure!(!files.is_empty(), "{}: no files; expected the folder of the project", project.display());
    Ok(files)
}

/// The files that Git tracks or would add; `None` without Git, as in an unpacked archive.
fn tracked(project: &Path) -> Option<Vec<String>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(list).current_dir(project).stdin(Stdio::null()).output().ok()?;
    let paths = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(paths.split_terminator('\0').map(str::to_owned).collect())
}

/// Every file below `folder` except for those of builds and of Git.
fn walk(project: &Path, folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.strip_prefix(project).context("a folder contains its entries")?.to_string_lossy().into_owned();
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
    fn findings_of_all_rules_are_sorted_by_place() {
        // Joined from parts, so that this file passes its own rules.
        let source = ["//! A module.\nuse crate::cli::Exit;\n// Bes", "ide it.\nfn lacks() {}\n"].concat();
        let files = [File::new("src/host/x.rs", source), File::new("src/host/a.rs", "")];
        let findings: Vec<String> = check(&files).iter().map(ToString::to_string).collect();
        let of_sources: Vec<&str> = findings
            .iter()
            .filter_map(|finding| finding.strip_prefix("src/host/")?.split_once(": "))
            .map(|(at, _)| at)
            .collect();
        assert_eq!(of_sources, ["a.rs:1", "x.rs:2", "x.rs:3", "x.rs:4"], "{findings:#?}");
    }

    #[test]
    fn the_files_of_this_repository_are_read() {
        let files = read(&Folders::from_env().project).unwrap();
        assert!(files.iter().any(|f| f.path == "xtask/src/tidy/mod.rs"), "{} files", files.len());
    }
}
