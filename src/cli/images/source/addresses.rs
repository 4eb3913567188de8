//! Finds the archives that a library's build would download: the addresses in its `Makefile.uk`. Pure.
//!
//! This parser understands only assignments and expands variables that were assigned before. It ignores conditions, so the
//! result contains the sources of every branch.

use std::collections::BTreeMap;

/// The file extensions of archive URLs.
const ENDINGS: &[&str] = &[".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip"];

/// Returns the addresses of archives that `makefile` assigns to variables.
pub(in crate::cli::images) fn archive_addresses(makefile: &str) -> Vec<String> {
    let mut variables = BTreeMap::new();
    let mut found = Vec::new();
    for (name, value) in makefile.lines().filter_map(assignment) {
        let value = expand(value, &variables);
        let is_archive = ENDINGS.iter().any(|ending| value.ends_with(ending));
        if is_archive && value.contains("://") && !found.contains(&value) {
            found.push(value.clone());
        }
        variables.insert(name.to_owned(), value);
    }
    found
}

/// Parses `NAME = value`, with any of make's assignment operators.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim_end_matches([':', '?', '+']).trim();
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    is_name.then(|| (name, value.trim()))
}

fn expand(value: &str, variables: &BTreeMap<String, String>) -> String {
    variables.iter().fold(value.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded() {
        let makefile = "# NO_URL = http://x.org/a.zip\n\
                        LIBA_VERSION=8.6.1\nLIBA_URL=https://x.org/$(LIBA_VERSION).zip\n\
                        $(eval $(call fetch,liba,$(LIBA_URL)))\nLIBA_SUBDIR := a-$(LIBA_VERSION)\n";
        assert_eq!(archive_addresses(makefile), ["https://x.org/8.6.1.zip"]);
    }

    #[test]
    fn conditions_are_ignored() {
        let makefile = "ifeq ($(CONFIG_NEW),y)\nBRANCH=new\nURL=https://x.org/$(BRANCH).zip\nelse\n\
                        BRANCH=old\nURL=https://x.org/$(BRANCH).tar.gz\nendif\n";
        assert_eq!(archive_addresses(makefile), ["https://x.org/new.zip", "https://x.org/old.tar.gz"]);
    }
}
