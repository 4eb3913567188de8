//! The rules for one file of any kind.

use super::file::{File, Finding};
use super::tables::{MACHINE_FOLDERS, MACHINE_PATHS};

/// Every rule.
pub(super) const RULES: &[fn(&File) -> Vec<Finding>] =
    &[puts_nothing_off, names_no_machine, takes_crates_from_crates_io, pins_its_actions];

fn puts_nothing_off(file: &File) -> Vec<Finding> {
    // Put together, so that this file may pass its own rule.
    let marks = [["TO", "DO"], ["FIX", "ME"]].map(|halves| halves.concat());
    marks.iter().flat_map(|mark| file.all(&file.text, mark, &format!("a {mark}: do it, or write an issue"))).collect()
}

fn names_no_machine(file: &File) -> Vec<Finding> {
    if MACHINE_PATHS.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    let absolute = |at: &usize, folder: &str| {
        let before = file.text[..*at].chars().next_back();
        let after = file.text[at + folder.len()..].chars().next();
        before.is_none_or(|c| !c.is_alphanumeric() && !"_-.~}/*)".contains(c))
            && after.is_some_and(char::is_alphanumeric)
    };
    let found = MACHINE_FOLDERS.iter().map(|name| format!("/{name}/")).flat_map(|folder| {
        let places = file.text.match_indices(&folder).map(|(at, _)| at).filter(|at| absolute(at, &folder));
        places.map(|at| file.finding(at, format!("a path of somebody's machine, below {folder}"))).collect::<Vec<_>>()
    });
    found.collect()
}

fn takes_crates_from_crates_io(file: &File) -> Vec<Finding> {
    let keys: &[&str] = match file.path.as_str() {
        ".cargo/config.toml" => &["[source", "[registr", "replace-with"],
        _ => return Vec::new(),
    };
    let message = "a registry of one's own belongs in $CARGO_HOME/config.toml";
    keys.iter().flat_map(|key| file.all(&file.text, key, message)).collect()
}

fn pins_its_actions(file: &File) -> Vec<Finding> {
    if !file.path.starts_with(".github/") {
        return Vec::new();
    }
    let pinned = |action: &str| {
        let name = action.split_whitespace().next().unwrap_or_default();
        let commit = name.rsplit_once('@').map_or("", |(_, commit)| commit);
        name.starts_with("./") || (commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let uses = file.text.match_indices("uses:").map(|(at, key)| (at, file.text[at + key.len()..].lines().next()));
    let loose = uses.filter(|(_, action)| !pinned(action.unwrap_or_default()));
    loose.map(|(at, _)| file.finding(at, "an action that is not pinned by its commit's hash")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let file = File::new(path, text);
        RULES.iter().flat_map(|rule| rule(&file)).map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn work_that_was_put_off_is_found() {
        let put_off = ["FIX", "ME"].concat();
        assert_eq!(
            found("a.md", &format!("x\ny {put_off}")),
            [format!("a.md:2: a {put_off}: do it, or write an issue")]
        );
    }

    #[test]
    fn a_path_of_a_machine_is_found_and_a_relative_one_is_not() {
        let home = ["", "home", "ada", "x"].join("/");
        assert_eq!(found("a.md", &home), ["a.md:1: a path of somebody's machine, below /home/"]);
        let root = ["", "root", ".cargo"].join("/");
        assert_eq!(found("a.md", &root), Vec::<String>::new(), "no name follows");
        assert_eq!(found("a.md", &format!("src{home} https://x.org{home} dir=/tmp")), Vec::<String>::new());
    }

    #[test]
    fn crates_come_from_crates_io() {
        assert_eq!(found(".cargo/config.toml", "[source.crates-io]\n").len(), 1);
        assert_eq!(found(".cargo/config.toml", "[alias]\n").len(), 0);
    }

    #[test]
    fn an_action_is_pinned_by_hash() {
        let path = ".github/workflows/x.yml";
        assert_eq!(found(path, "- uses: a/b@v4 # v4\n").len(), 1);
        assert_eq!(found(path, &format!("- uses: a/b@{} # v4\n- uses: ./local\n", "0f".repeat(20))).len(), 0);
    }
}
