//! Which archives a library's build would download: the addresses in its `Makefile.uk`. Pure.
//!
//! Just enough of make: assignments in their order, with what was assigned before filled in. Branches are not told
//! apart, so that every choice of sources is among the answers.

use std::collections::BTreeMap;

/// How an archive's address ends.
const ENDINGS: &[&str] = &[".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip"];

/// The addresses of archives that `makefile` assigns to its variables.
pub(in crate::cli::images) fn addresses(makefile: &str) -> Vec<String> {
    let mut known = BTreeMap::new();
    let mut found = Vec::new();
    for (name, value) in makefile.lines().filter_map(assignment) {
        let value = filled_in(value, &known);
        let is_archive = ENDINGS.iter().any(|ending| value.ends_with(ending));
        if is_archive && value.contains("://") && !found.contains(&value) {
            found.push(value.clone());
        }
        known.insert(name.to_owned(), value);
    }
    found
}

/// `NAME = value`, with any of make's ways to assign.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim_end_matches([':', '?', '+']).trim();
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    is_name.then(|| (name, value.trim()))
}

fn filled_in(value: &str, known: &BTreeMap<String, String>) -> String {
    known.iter().fold(value.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_put_together_from_variables() {
        let makefile = "# NO_URL = http://x.org/a.zip\n\
                        LIBA_VERSION=8.6.1\nLIBA_URL=https://x.org/$(LIBA_VERSION).zip\n\
                        $(eval $(call fetch,liba,$(LIBA_URL)))\nLIBA_SUBDIR := a-$(LIBA_VERSION)\n";
        assert_eq!(addresses(makefile), ["https://x.org/8.6.1.zip"]);
    }

    #[test]
    fn every_choice_of_sources_is_there() {
        let makefile = "ifeq ($(CONFIG_NEW),y)\nBRANCH=new\nURL=https://x.org/$(BRANCH).zip\nelse\n\
                        BRANCH=old\nURL=https://x.org/$(BRANCH).tar.gz\nendif\n";
        assert_eq!(addresses(makefile), ["https://x.org/new.zip", "https://x.org/old.tar.gz"]);
    }
}
