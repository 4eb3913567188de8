//! The rules for one file of any kind.

use super::file::{File, FileRule, Finding};
use super::tables::{MACHINE_FOLDERS, MACHINE_PATHS};

/// Every rule.
pub(super) const RULES: &[FileRule] =
    &[postpones_nothing, names_no_machine, takes_crates_from_crates_io, pins_its_actions];

fn postpones_nothing(file: &File) -> Vec<Finding> {
    // Joined from halves, so that this file passes its own rule.
    let marks = [["TO", "DO"], ["FIX", "ME"]].map(|halves| halves.concat());
    let findings = |mark: &String| file.all(&file.text, mark, &format!("a {mark}; expected the work or an issue"));
    marks.iter().flat_map(findings).collect()
}

fn names_no_machine(file: &File) -> Vec<Finding> {
    if MACHINE_PATHS.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for folder in MACHINE_FOLDERS.iter().map(|name| format!("/{name}/")) {
        let places = file.text.match_indices(&folder).map(|(at, _)| at);
        let message = || format!("an absolute path below {folder}; expected a path that exists on every machine");
        findings.extend(places.filter(|&at| is_absolute(file, at, &folder)).map(|at| file.finding(at, message())));
    }
    findings
}

/// Whether the `folder` at `at` starts an absolute path to something below it.
fn is_absolute(file: &File, at: usize, folder: &str) -> bool {
    let before = file.text[..at].chars().next_back();
    let after = file.text[at + folder.len()..].chars().next();
    before.is_none_or(|c| !c.is_alphanumeric() && !"_-.~}/*)".contains(c)) && after.is_some_and(char::is_alphanumeric)
}

fn takes_crates_from_crates_io(file: &File) -> Vec<Finding> {
    if file.path != ".cargo/config.toml" {
        return Vec::new();
    }
    let message = "configures a registry; expected it in $CARGO_HOME/config.toml";
    ["[source", "[registr", "replace-with"].iter().flat_map(|key| file.all(&file.text, key, message)).collect()
}

fn pins_its_actions(file: &File) -> Vec<Finding> {
    if !file.path.starts_with(".github/") {
        return Vec::new();
    }
    let uses = file.text.match_indices("uses:");
    let unpinned = uses.filter(|(at, key)| !is_pinned(file.text[at + key.len()..].lines().next().unwrap_or_default()));
    unpinned.map(|(at, _)| file.finding(at, "an action without a pinned version; expected its commit's hash")).collect()
}

/// Whether `action` is local or ends with the hash of a commit.
fn is_pinned(action: &str) -> bool {
    let name = action.split_whitespace().next().unwrap_or_default();
    let commit = name.rsplit_once('@').map_or("", |(_, commit)| commit);
    name.starts_with("./") || (commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let file = File::new(path, text);
        RULES.iter().flat_map(|rule| rule(&file)).map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn postponed_work_is_found() {
        let mark = ["FIX", "ME"].concat();
        assert_eq!(
            findings("a.md", &format!("x\ny {mark}")),
            [format!("a.md:2: a {mark}; expected the work or an issue")]
        );
    }

    #[test]
    fn a_path_of_a_machine_is_found_and_a_relative_one_is_not() {
        let home = ["", "home", "ada", "x"].join("/");
        let found = findings("a.md", &home);
        assert!(found.len() == 1 && found[0].starts_with("a.md:1: an absolute path below /home/"), "{found:?}");
        let root = ["", "root", ".cargo"].join("/");
        assert_eq!(findings("a.md", &root), Vec::<String>::new(), "no name follows");
        assert_eq!(findings("a.md", &format!("src{home} https://x.org{home} dir=/tmp")), Vec::<String>::new());
    }

    #[test]
    fn crates_come_from_crates_io() {
        assert_eq!(findings(".cargo/config.toml", "[source.crates-io]\n").len(), 1);
        assert_eq!(findings(".cargo/config.toml", "[alias]\n").len(), 0);
    }

    #[test]
    fn an_action_is_pinned_by_hash() {
        let path = ".github/workflows/x.yml";
        assert_eq!(findings(path, "- uses: a/b@v4 # v4\n").len(), 1);
        assert_eq!(findings(path, &format!("- uses: a/b@{} # v4\n- uses: ./local\n", "0f".repeat(20))).len(), 0);
    }
}
