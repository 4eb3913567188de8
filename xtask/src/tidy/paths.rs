//! Paths of the repository, relative to its folder.

use std::collections::BTreeSet;

use super::file::File;

/// The paths of all files and folders.
pub(super) fn places(files: &[File]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files {
        found.extend(file.path.match_indices('/').map(|(at, _)| file.path[..at].to_owned()));
        found.insert(file.path.clone());
    }
    found
}

/// The path that `target` has from the project's folder when the file `from` names it.
/// Returns `None` if the path leaves the project.
pub(super) fn resolve(from: &str, target: &str) -> Option<String> {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    normalize(&format!("{folder}/{target}"))
}

/// Returns `path` without `.` and `..`, or `None` if it leaves the project.
pub(super) fn normalize(path: &str) -> Option<String> {
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
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("README.md", "docs/a.md", Some("docs/a.md"))]
    #[case("docs/a.md", "../src/", Some("src"))]
    #[case("docs/a.md", "./b.md", Some("docs/b.md"))]
    #[case("docs/a.md", "..", Some(""))]
    #[case("docs/a.md", "../../x", None)]
    fn a_path_is_resolved_from_the_folder_of_its_file(
        #[case] from: &str,
        #[case] target: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(resolve(from, target).as_deref(), expected);
    }

    #[test]
    fn folders_are_places_too() {
        let found = places(&[File::new("src/host/mod.rs", "")]);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["src", "src/host", "src/host/mod.rs"]);
    }
}
