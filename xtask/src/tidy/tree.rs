//! The rules over the repository as a whole: what one file says of another.

use std::collections::BTreeSet;

use super::file::{File, Finding};
use super::tables::{LONG_FUNCTIONS, MACHINE_PATHS, PAUSES};

/// A rule over all files.
type Rule = fn(&[File]) -> Vec<Finding>;

/// Every rule.
pub(super) const RULES: &[Rule] =
    &[links_lead_somewhere, docs_name_what_is_there, the_glossary_has_every_noun, one_rust_version, tables_are_in_use];

/// The glossary, which fixes the words.
const GLOSSARY: &str = "docs/glossary.md";

/// The workflow that checks a change.
const WORKFLOW: &str = ".github/workflows/ci.yml";

/// What files a path may end with to be taken for one in a doc comment.
const ENDINGS: &[&str] = &[".rs", ".md", ".toml", ".yml", ".py", ".c", ".h"];

fn links_lead_somewhere(files: &[File]) -> Vec<Finding> {
    let there = places(files);
    let has = |path: &str, anchor: &str| {
        let page = files.iter().find(|f| f.path == path && path.ends_with(".md"));
        anchor.is_empty() || page.is_none_or(|page| anchors(&page.text).any(|found| found == anchor))
    };
    let is_good = |file: &File, target: &str| {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let path = if path.is_empty() { Some(file.path.clone()) } else { place(&there, &file.path, path) };
        path.is_some_and(|path| has(&path, anchor))
    };
    let of_file = |file: &File| -> Vec<Finding> {
        let broken = links(&file.text).into_iter().filter(|(_, target)| !is_good(file, target));
        broken.map(|(at, target)| file.finding(at, format!("the link to `{target}` leads nowhere"))).collect()
    };
    files.iter().filter(|f| f.path.ends_with(".md")).flat_map(of_file).collect()
}

/// The relative targets of Markdown's inline links, outside of fenced code.
fn links(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut fenced, mut start) = (Vec::new(), false, 0);
    for line in text.split_inclusive('\n') {
        fenced ^= line.trim_start().starts_with("```");
        for (at, _) in line.match_indices("](").filter(|_| !fenced) {
            let target = line[at + 2..].split([')', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') {
                found.push((start + at, target));
            }
        }
        start += line.len();
    }
    found
}

/// The anchors of Markdown's headings as GitHub makes them, outside of fenced code.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let mut fenced = false;
    text.lines().filter_map(move |line| {
        fenced ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#').strip_prefix(' ')?;
        let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
        let anchor = || heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
        (line.starts_with('#') && !fenced).then(anchor)
    })
}

fn docs_name_what_is_there(files: &[File]) -> Vec<Finding> {
    let there = places(files);
    let of_file = |file: &File| -> Vec<Finding> {
        let gone = doc_paths(&file.text).into_iter().filter(|(_, path)| place(&there, &file.path, path).is_none());
        gone.map(|(at, path)| file.finding(at, format!("the module doc names `{path}`, which is not there"))).collect()
    };
    files.iter().filter(|f| f.is_rust()).flat_map(of_file).collect()
}

/// The paths between backticks in the module doc that `text` begins with. A bare name is taken for a path only where
/// it is written in capitals, as `README.md` is; others are often those of a specification.
fn doc_paths(text: &str) -> Vec<(usize, &str)> {
    let doc: usize = text.split_inclusive('\n').take_while(|line| line.starts_with("//!")).map(str::len).sum();
    let is_path = |word: &str| {
        let capital = word.strip_suffix(".md").is_some_and(|name| name.bytes().all(|b| b.is_ascii_uppercase()));
        let named = word.contains('/') && !word.starts_with('/') || capital;
        named && ENDINGS.iter().any(|e| word.ends_with(e)) && !word.contains([' ', '*', '<', '{'])
    };
    let mut at = 0;
    let words = text[..doc].split('`').enumerate().filter_map(|(n, word)| {
        let place = at;
        at += word.len() + 1;
        (n % 2 == 1 && is_path(word)).then_some((place, word))
    });
    words.collect()
}

fn the_glossary_has_every_noun(files: &[File]) -> Vec<Finding> {
    let Some(glossary) = files.iter().find(|f| f.path == GLOSSARY) else {
        return vec![Finding::about(
            GLOSSARY,
            "is not there: it fixes the words that options, records and reports use",
        )];
    };
    let text = glossary.text.to_lowercase();
    let product = files.iter().filter(|f| f.path.starts_with("src/"));
    let nouns: BTreeSet<&str> = product.flat_map(|f| nouns(&f.spoken)).collect();
    let missing = nouns.into_iter().filter(|noun| !has_word(&text, noun));
    missing.map(|noun| Finding::about(GLOSSARY, format!("has no `{noun}`, which messages and options name"))).collect()
}

/// What the `named_enum!`s and the `UnknownName`s of a file call what they name.
fn nouns(spoken: &str) -> Vec<&str> {
    let between = |line: &'static str| spoken.match_indices(line).map(move |(at, found)| &spoken[at + found.len()..]);
    let enums = between("pub enum ").filter_map(|rest| rest.lines().next()?.split_once("(\"")?.1.split_once("\")"));
    let fields = between("what: \"").filter_map(|rest| rest.lines().next()?.split_once('"'));
    let is_name = |noun: &&str| noun.chars().all(|c| c.is_ascii_lowercase() || c == ' ');
    let of_fields = if spoken.contains("UnknownName") { Some(fields) } else { None };
    enums.chain(of_fields.into_iter().flatten()).map(|(noun, _)| noun).filter(is_name).collect()
}

/// Whether `text` has `word` with nothing of a word around it; a plural counts.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].trim_start_matches('s').chars().next();
        [before, after].iter().all(|c| c.is_none_or(|c| !c.is_alphanumeric()))
    })
}

fn one_rust_version(files: &[File]) -> Vec<Finding> {
    let value = |path: &str, key: &str| {
        let file = files.iter().find(|f| f.path == path)?;
        let line = file.text.lines().find_map(|line| line.trim_start().strip_prefix(key))?;
        Some(line.trim_start_matches([' ', '=', ':']).trim_matches('"').to_owned())
    };
    let (promised, checked) = (value("Cargo.toml", "rust-version"), value(WORKFLOW, "RUST_VERSION"));
    match (promised, checked) {
        (Some(promised), Some(checked)) if promised == checked => Vec::new(),
        (promised, checked) => {
            let told = |v: Option<String>| v.unwrap_or_else(|| "none".to_owned());
            let (checked, promised) = (told(checked), told(promised));
            vec![Finding::about(WORKFLOW, format!("RUST_VERSION is {checked}, rust-version in Cargo.toml {promised}"))]
        }
    }
}

/// An exception whose file is gone is an exception for the next file of that name.
fn tables_are_in_use(files: &[File]) -> Vec<Finding> {
    let there = places(files);
    let long = LONG_FUNCTIONS.iter().map(|(path, ..)| *path);
    let named = PAUSES.iter().map(|(path, ..)| *path).chain(MACHINE_PATHS.iter().map(|(path, _)| *path)).chain(long);
    let gone = named.filter(|path| !there.contains(*path));
    gone.map(|path| Finding::about(path, "stands in tidy's tables and is not there")).collect()
}

/// Every file and folder.
fn places(files: &[File]) -> BTreeSet<String> {
    let folders = |path: &str| path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>();
    files.iter().flat_map(|f| folders(&f.path).into_iter().chain([f.path.clone()])).collect()
}

/// Where `target`, as written in the file `from`, is: beside that file, or from the project's folder.
fn place(there: &BTreeSet<String>, from: &str, target: &str) -> Option<String> {
    let beside = from.rsplit_once('/').map_or_else(|| target.to_owned(), |(folder, _)| format!("{folder}/{target}"));
    let mut paths = [beside.as_str(), target].into_iter().filter_map(normal);
    paths.find(|path| path.is_empty() || there.contains(path))
}

/// `path` without `.` and `..`; `None` where it leaves the project.
fn normal(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let text = "# Here\n[a](b.md#2-a-part-and-b) [c](../src/) [d](https://x.org/y) [e](#here)\n```\n[f](gone.md)\n# Part\n```\n[g](gone.md)\n[h](b.md#part) [i](#part)\n";
        let at_the_top = File::new("A.md", "[a](docs/b.md) [b](docs/gone.md)\n");
        let files = [
            at_the_top,
            File::new("docs/a.md", text),
            File::new("docs/b.md", "## 2. A `part`, and B\n"),
            File::new("src/lib.rs", ""),
        ];
        let found = told(links_lead_somewhere(&files));
        assert_eq!(found[0], "A.md:1: the link to `docs/gone.md` leads nowhere");
        let gone = [(7, "gone.md"), (8, "b.md#part"), (8, "#part")];
        assert_eq!(found[1..], gone.map(|(line, to)| format!("docs/a.md:{line}: the link to `{to}` leads nowhere")));
    }

    #[test]
    fn a_module_doc_names_files_that_are_there() {
        let doc = "//! See `docs/a.md`, `reap.rs`, `/proc/stat.c`, `src/gone.rs` and\n//! `figures/*.rs` and `config.md`.\n\n// `src/x.rs`\n";
        let files = [File::new("src/a.rs", doc), File::new("docs/a.md", "")];
        assert_eq!(
            told(docs_name_what_is_there(&files)),
            ["src/a.rs:1: the module doc names `src/gone.rs`, which is not there"]
        );
    }

    #[test]
    fn a_noun_without_an_entry_is_found() {
        let source = "named_enum! {\n    pub enum Order (\"ladder order\") { Up = \"up\", }\n}\nUnknownName { what: \"platform\" }";
        let source = File::new("src/a.rs", source);
        let files = [File::new(GLOSSARY, "**Ladder order**: how. Ladders, platforming.\n"), source];
        assert_eq!(
            told(the_glossary_has_every_noun(&files)),
            ["docs/glossary.md:1: has no `platform`, which messages and options name"]
        );
        assert!(told(the_glossary_has_every_noun(&[]))[0].contains("is not there"));
    }

    #[test]
    fn the_promised_rust_version_is_the_checked_one() {
        let files = |checked: &str| {
            let manifest = File::new("Cargo.toml", "[workspace.package]\nrust-version = \"1.95\"\n");
            [manifest, File::new(WORKFLOW, format!("env:\n  RUST_VERSION: \"{checked}\"\n"))]
        };
        assert_eq!(told(one_rust_version(&files("1.95"))), Vec::<String>::new());
        assert!(
            told(one_rust_version(&files("1.90")))[0].contains("RUST_VERSION is 1.90, rust-version in Cargo.toml 1.95")
        );
        assert!(told(one_rust_version(&[]))[0].contains("RUST_VERSION is none"));
    }

    #[test]
    fn an_exception_without_its_file_is_found() {
        let found = told(tables_are_in_use(&[]));
        assert_eq!(found.len(), PAUSES.len() + LONG_FUNCTIONS.len() + MACHINE_PATHS.len());
    }
}
