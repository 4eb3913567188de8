//! The list that lets apt have packages of Debian's suite of backports, made from the host's own lists.
//!
//! Mirror, keyring and components are whatever the host uses for the suite that it was installed from; see
//! sources.list(5). Packages of such a suite are never taken unless they are asked for by name: it says so itself.

use std::fs;
use std::path::{Path, PathBuf};

/// Where apt looks for its lists.
pub(super) const FOLDER: &str = "/etc/apt";

/// What the list of setup's own is called, without the ending, which tells apt its form.
const NAME: &str = "sources.list.d/featherweight-backports";

/// How lists name the suite of an installed system besides by its code name.
const ALIASES: &[&str] = &["stable", "oldstable"];

/// A list of sources that setup may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceList {
    /// Where.
    pub(super) path: String,
    /// The suite that it adds.
    pub(super) suite: String,
    /// All that stands in it.
    pub(super) text: String,
}

/// One source of packages, in either of apt's two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// `deb [options] uri suite component...`
    Line { options: String, uri: String, suite: String, components: String },
    /// Fields in order, values with their further lines.
    Stanza(Vec<(String, String)>),
}

/// The list that adds `suite` (`bookworm-backports`), where apt's lists, by name and text, do not have it and one of
/// them names the suite that it belongs to.
pub(super) fn missing(lists: &[(String, String)], suite: &str) -> Option<SourceList> {
    let codename = suite.strip_suffix("-backports")?;
    let sources: Vec<Source> = lists.iter().flat_map(|(name, text)| parse(name, text)).collect();
    let own = |source: &&Source| source.names(|found| found == codename || ALIASES.contains(&found));
    let known = |found: &str| {
        let base = found.strip_suffix("-backports");
        base.is_some_and(|base| base == codename || ALIASES.contains(&base))
    };
    if sources.iter().any(|source| source.names(known)) {
        return None;
    }
    sources.iter().find(own).map(|source| source.list_of(suite))
}

/// Apt's lists below `folder` and the folder that holds further ones, whether they are there or not.
pub(super) fn paths(folder: &Path) -> Vec<PathBuf> {
    let parts = folder.join("sources.list.d");
    let inside = fs::read_dir(&parts).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = inside.chain([folder.join("sources.list"), parts.clone()]).collect();
    paths.sort();
    paths
}

/// Apt's lists by name and text; those that cannot be read are left out.
pub(super) fn read(folder: &Path) -> Vec<(String, String)> {
    let text = |path: &PathBuf| Some((path.file_name()?.to_str()?.to_owned(), fs::read_to_string(path).ok()?));
    paths(folder).iter().filter_map(text).collect()
}

/// The sources of binary packages that a list names; apt reads no other endings.
fn parse(name: &str, text: &str) -> Vec<Source> {
    match name.rsplit_once('.') {
        Some((_, "list")) => text.lines().filter_map(line).collect(),
        Some((_, "sources")) => stanzas(text),
        _ => Vec::new(),
    }
}

fn line(text: &str) -> Option<Source> {
    let text = text.split('#').next()?.trim();
    let rest = text.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t']))?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inside) => inside.split_once(']').map(|(options, rest)| (format!("[{options}] "), rest))?,
        None => (String::new(), rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let (uri, suite) = (words.next()?, words.next()?);
    Some(Source::Line { options, uri, suite, components: words.collect::<Vec<_>>().join(" ") })
}

fn stanzas(text: &str) -> Vec<Source> {
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let stanzas = lines.split(|line| line.trim().is_empty()).map(|lines| Source::Stanza(fields(lines)));
    stanzas.filter(Source::is_in_use).collect()
}

fn fields(lines: &[&str]) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.starts_with([' ', '\t']), line.split_once(':'), fields.last_mut()) {
            (true, _, Some((_, value))) => value.push_str(&format!("\n{line}")),
            (false, Some((name, value)), _) => fields.push((name.trim().to_owned(), value.trim().to_owned())),
            _ => {}
        }
    }
    fields
}

impl Source {
    fn names(&self, wanted: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Line { suite, .. } => wanted(suite),
            Self::Stanza(_) => self.field("Suites").is_some_and(|suites| suites.split_whitespace().any(wanted)),
        }
    }

    fn field(&self, wanted: &str) -> Option<&str> {
        let Self::Stanza(fields) = self else { return None };
        fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    }

    fn is_in_use(&self) -> bool {
        let off = self.field("Enabled").is_some_and(|value| ["no", "false", "0"].contains(&value));
        !off && self.field("Types").is_some_and(|types| types.split_whitespace().any(|kind| kind == "deb"))
    }

    /// The list that has `other` from the same place.
    fn list_of(&self, other: &str) -> SourceList {
        let (ending, source) = match self {
            Self::Line { options, uri, components, .. } => {
                ("list", format!("deb {options}{uri} {other} {components}\n"))
            }
            Self::Stanza(fields) => ("sources", fields.iter().map(|field| renamed(field, other)).collect()),
        };
        let note = "# Written by Featherweight's setup, from the list beside it. It can be removed at any time.\n";
        SourceList {
            path: format!("{FOLDER}/{NAME}.{ending}"),
            suite: other.to_owned(),
            text: format!("{note}{source}"),
        }
    }
}

fn renamed((name, value): &(String, String), suite: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "suites" => format!("{name}: {suite}\n"),
        "types" => format!("{name}: deb\n"),
        _ => format!("{name}: {value}\n"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SUITE: &str = "bookworm-backports";

    const STANZAS: &str = "# of an image\nTypes: deb deb-src\n# another time\nURIs: http://mirror.example/debian\n\
         Suites: bookworm bookworm-updates\nComponents: main\nSigned-By:\n -----BEGIN\n .\n -----END\n\n\
         Types: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\nComponents: main\n";

    fn missing_in(name: &str, text: &str) -> Option<SourceList> {
        missing(&[(name.to_owned(), text.to_owned())], SUITE)
    }

    #[test]
    fn a_stanza_is_kept_with_its_key_and_another_suite() {
        let list = missing_in("debian.sources", STANZAS).unwrap();
        assert_eq!(list.path, "/etc/apt/sources.list.d/featherweight-backports.sources");
        let (note, source) = list.text.split_once('\n').unwrap();
        assert!(note.starts_with("# "));
        let expected = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\n\
             Components: main\nSigned-By: \n -----BEGIN\n .\n -----END\n";
        assert_eq!(source, expected);
    }

    #[rstest]
    #[case::plain("deb http://m.example/debian bookworm main contrib", "deb http://m.example/debian S main contrib")]
    #[case::options(
        "deb\t[ arch=amd64 signed-by=/k.gpg ]  http://m.example/debian  bookworm main # mine",
        "deb [ arch=amd64 signed-by=/k.gpg ] http://m.example/debian S main"
    )]
    #[case::by_alias("deb http://m.example/debian stable main", "deb http://m.example/debian S main")]
    #[case::after_another("deb http://o.example x main\ndeb file:/d bookworm main", "deb file:/d S main")]
    fn a_line_is_kept_with_its_options_and_another_suite(#[case] text: &str, #[case] expected: &str) {
        let list = missing_in("sources.list", text).unwrap();
        assert_eq!(list.path, "/etc/apt/sources.list.d/featherweight-backports.list");
        assert_eq!(list.text.lines().nth(1).unwrap(), expected.replace('S', SUITE));
        assert_eq!(list.text.lines().count(), 2);
    }

    #[rstest]
    #[case::there("b.list", "deb http://m bookworm main\ndeb http://m bookworm-backports main")]
    #[case::there_by_alias("b.list", "deb http://m stable main\ndeb http://m stable-backports main")]
    #[case::there_in_a_stanza("b.sources", "Types: deb\nURIs: http://m\nSuites: bookworm bookworm-backports")]
    #[case::of_another_system("b.list", "deb http://m noble main")]
    #[case::sources_only("b.list", "deb-src http://m bookworm main")]
    #[case::out_of_use("b.sources", "Types: deb\nURIs: http://m\nSuites: bookworm\nEnabled: no")]
    #[case::commented("b.list", "# deb http://m bookworm main")]
    #[case::not_read_by_apt("b.list.off", "deb http://m bookworm main")]
    #[case::half_a_line("b.list", "deb [arch=amd64 http://m bookworm main")]
    #[case::nothing("b.list", "")]
    fn there_is_nothing_to_add(#[case] name: &str, #[case] text: &str) {
        assert_eq!(missing_in(name, text), None);
    }

    #[test]
    fn the_list_that_was_written_counts_as_there() {
        let first = missing_in("debian.sources", STANZAS).unwrap();
        let lists = [("debian.sources", STANZAS), ("featherweight-backports.sources", first.text.as_str())];
        assert_eq!(missing(&lists.map(|(name, text)| (name.to_owned(), text.to_owned())), SUITE), None);
    }

    #[test]
    fn lists_are_read_from_both_places() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).is_empty());
        fs::create_dir(dir.path().join("sources.list.d")).unwrap();
        fs::write(dir.path().join("sources.list.d/a.sources"), "a").unwrap();
        fs::write(dir.path().join("sources.list"), "b").unwrap();
        let expected = [("sources.list", "b"), ("a.sources", "a")];
        assert_eq!(read(dir.path()), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }
}
