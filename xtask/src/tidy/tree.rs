//! The rules for all files together: names that one file takes from another.

use std::collections::BTreeSet;

use super::file::{File, Finding, TreeRule};
use super::paths::{normalize, places, resolve};
use super::tables::{CONFINED, EXPERIMENTS, MACHINE_PATHS, PAUSES, PURE};

/// Every rule.
pub(super) const RULES: &[TreeRule] =
    &[module_docs_name_existing_files, glossary_defines_every_noun, one_rust_version, listed_paths_exist];

/// The glossary, which defines the terms.
const GLOSSARY: &str = "docs/glossary.md";

/// The workflow that checks a change.
const WORKFLOW: &str = ".github/workflows/ci.yml";

/// The tables that rules read.
const TABLES: &str = "xtask/src/tidy/tables.rs";

/// The extensions of the paths that are checked in module docs.
const ENDINGS: &[&str] = &[".rs", ".md", ".toml", ".yml", ".py", ".c", ".h"];

fn module_docs_name_existing_files(files: &[File]) -> Vec<Finding> {
    let places = places(files);
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let candidates = |path: &str| [resolve(&file.path, path), normalize(path)].into_iter().flatten();
        for (at, path) in doc_paths(&file.text) {
            if !candidates(path).any(|path| places.contains(&path)) {
                findings.push(
                    file.finding(at, format!("no file `{path}`; expected the module doc to name existing files")),
                );
            }
        }
    }
    findings
}

/// The paths in backticks in the module doc at the start of `text`.
fn doc_paths(text: &str) -> Vec<(usize, &str)> {
    let doc: usize = text.split_inclusive('\n').take_while(|line| line.starts_with("//!")).map(str::len).sum();
    let (mut found, mut at) = (Vec::new(), 0);
    for (n, word) in text[..doc].split('`').enumerate() {
        if n % 2 == 1 && is_path(word) {
            found.push((at, word));
        }
        at += word.len() + 1;
    }
    found
}

/// Whether `word` is a path of this repository. Of bare names only those in capitals count, such as `README.md`,
/// because others often belong to a specification.
fn is_path(word: &str) -> bool {
    let is_capital = word.strip_suffix(".md").is_some_and(|name| name.bytes().all(|b| b.is_ascii_uppercase()));
    let is_relative = word.contains('/') && !word.starts_with('/');
    let is_literal = !word.contains([' ', '*', '<', '{']);
    (is_relative || is_capital) && is_literal && ENDINGS.iter().any(|ending| word.ends_with(ending))
}

fn glossary_defines_every_noun(files: &[File]) -> Vec<Finding> {
    let Some(glossary) = files.iter().find(|file| file.path == GLOSSARY) else {
        return vec![Finding::about(GLOSSARY, "missing file; expected the terms of options, records and reports")];
    };
    let text = glossary.text.to_lowercase();
    let library = files.iter().filter(|file| file.path.starts_with("src/"));
    let nouns: BTreeSet<&str> = library.flat_map(|file| nouns(&file.code_with_literals)).collect();
    let missing = nouns.into_iter().filter(|noun| !has_word(&text, noun));
    missing.map(|noun| Finding::about(GLOSSARY, format!("missing term `{noun}`; expected a definition"))).collect()
}

/// The nouns that `named_enum!` and `UnknownName` print for the values of a file.
fn nouns(code: &str) -> Vec<&str> {
    let lines_after = |pattern: &'static str| {
        code.match_indices(pattern).filter_map(|(at, found)| code[at + found.len()..].lines().next())
    };
    let enums = lines_after("pub enum ").filter_map(|line| line.split_once("(\"")?.1.split_once("\")"));
    let fields = lines_after("what: \"").filter_map(|line| line.split_once('"'));
    let fields = fields.filter(|_| code.contains("UnknownName"));
    let is_noun = |noun: &&str| noun.chars().all(|c| c.is_ascii_lowercase() || c == ' ');
    enums.chain(fields).map(|(noun, _)| noun).filter(is_noun).collect()
}

/// Whether `text` contains `word` as a whole word, singular or plural.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].trim_start_matches('s').chars().next();
        [before, after].iter().all(|c| c.is_none_or(|c| !c.is_alphanumeric()))
    })
}

fn one_rust_version(files: &[File]) -> Vec<Finding> {
    let promised = value(files, "Cargo.toml", "rust-version");
    let checked = value(files, WORKFLOW, "RUST_VERSION");
    if promised.is_some() && promised == checked {
        return Vec::new();
    }
    let [promised, checked] = [promised, checked].map(|version| version.unwrap_or("missing"));
    let message = format!("RUST_VERSION is {checked}; expected rust-version of Cargo.toml, which is {promised}");
    vec![Finding::about(WORKFLOW, message)]
}

/// The value of the first line of the file `path` that starts with `key`.
fn value<'a>(files: &'a [File], path: &str, key: &str) -> Option<&'a str> {
    let file = files.iter().find(|file| file.path == path)?;
    let value = file.text.lines().find_map(|line| line.trim_start().strip_prefix(key))?;
    Some(value.trim_start_matches([' ', '=', ':']).trim_matches('"'))
}

/// Reports listed paths that are gone: a limit of a moved file no longer applies, and a new file could use its exception.
fn listed_paths_exist(files: &[File]) -> Vec<Finding> {
    let places = places(files);
    let gone = listed_paths().into_iter().filter(|path| !places.contains(path.trim_end_matches('/')));
    gone.map(|path| Finding::about(TABLES, format!("no file or folder `{path}`; expected its current path"))).collect()
}

/// Every path in the tables of tidy.
fn listed_paths() -> BTreeSet<&'static str> {
    let pauses = PAUSES.iter().map(|(path, ..)| path);
    let machine_paths = MACHINE_PATHS.iter().map(|(path, _)| path);
    let confined = CONFINED.iter().flat_map(|(_, allowed)| *allowed);
    PURE.iter().chain(pauses).chain(machine_paths).chain(confined).chain([&EXPERIMENTS]).copied().collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn messages(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_module_doc_names_existing_files() {
        let doc = "//! See `docs/a.md`, `reap.rs`, `/proc/stat.c`, `src/gone.rs` and\n//! `figures/*.rs` and `config.md`.\n\n// `src/x.rs`\n";
        let files = [File::new("src/a.rs", doc), File::new("docs/a.md", "")];
        assert_eq!(
            messages(module_docs_name_existing_files(&files)),
            ["src/a.rs:1: no file `src/gone.rs`; expected the module doc to name existing files"]
        );
    }

    #[test]
    fn a_noun_without_a_definition_is_found() {
        let source = "named_enum! {\n    pub enum Order (\"ladder order\") { Up = \"up\", }\n}\nUnknownName { what: \"platform\" }";
        let source = File::new("src/a.rs", source);
        let files = [File::new(GLOSSARY, "**Ladder order**: how. Ladders, platforming.\n"), source];
        assert_eq!(
            messages(glossary_defines_every_noun(&files)),
            ["docs/glossary.md:1: missing term `platform`; expected a definition"]
        );
        assert!(messages(glossary_defines_every_noun(&[]))[0].contains("missing file"));
    }

    #[rstest]
    #[case::same("1.95", "")]
    #[case::other("1.90", "RUST_VERSION is 1.90; expected rust-version of Cargo.toml, which is 1.95")]
    fn the_promised_rust_version_is_checked(#[case] checked: &str, #[case] expected: &str) {
        let manifest = File::new("Cargo.toml", "[workspace.package]\nrust-version = \"1.95\"\n");
        let workflow = File::new(WORKFLOW, format!("env:\n  RUST_VERSION: \"{checked}\"\n"));
        let found = messages(one_rust_version(&[manifest, workflow]));
        assert!(found.is_empty() == expected.is_empty() && found.iter().all(|f| f.contains(expected)), "{found:?}");
        assert!(messages(one_rust_version(&[]))[0].contains("RUST_VERSION is missing"));
    }

    #[test]
    fn listed_paths_that_are_gone_are_found() {
        assert_eq!(listed_paths_exist(&[]).len(), listed_paths().len());
        let files: Vec<File> =
            listed_paths().iter().map(|path| File::new(format!("{path}/x").replace("//", "/"), "")).collect();
        assert_eq!(messages(listed_paths_exist(&files)), Vec::<String>::new());
    }
}
