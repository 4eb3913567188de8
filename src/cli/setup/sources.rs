//! Derives a source list of Debian's backports for apt from the host's own lists.
//!
//! Mirror, keyring and components are those of the host's main suite; see sources.list(5). apt installs packages of
//! backports only on request, because the suite itself has a low priority.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of apt's lists.
pub(super) const FOLDER: &str = "/etc/apt";

/// The name of setup's list, without the ending, which depends on the format.
const NAME: &str = "sources.list.d/featherweight-backports";

/// Names of an installed system's suite other than the code name.
const ALIASES: &[&str] = &["stable", "oldstable"];

/// A source list that setup may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceList {
    /// The path of the list.
    pub(super) path: String,
    /// The suite that the list adds.
    pub(super) suite: String,
    /// The content.
    pub(super) text: String,
}

/// A source of packages, in one of apt's two formats.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// `deb [options] uri suite component...`
    Line { options: String, uri: String, suite: String, components: String },
    /// Fields in order; values include continuation lines.
    Stanza(Vec<(String, String)>),
}

/// Returns the list that adds `suite`, such as `bookworm-backports`; `None` if apt's lists have it already or do not
/// name the suite that it belongs to. `lists` are pairs of name and text.
pub(super) fn missing(lists: &[(String, String)], suite: &str) -> Option<SourceList> {
    let codename = suite.strip_suffix("-backports")?;
    let sources: Vec<Source> = lists.iter().flat_map(|(name, text)| parse(name, text)).collect();
    let is_base = |source: &&Source| source.names(|found| found == codename || ALIASES.contains(&found));
    let is_backports = |found: &str| {
        let base = found.strip_suffix("-backports");
        base.is_some_and(|base| base == codename || ALIASES.contains(&base))
    };
    if sources.iter().any(|source| source.names(is_backports)) {
        return None;
    }
    sources.iter().find(is_base).map(|source| source.with_suite(suite))
}

/// Returns the paths of apt's lists below `folder`, and of the folder for more lists, even if they do not exist.
pub(super) fn paths(folder: &Path) -> Vec<PathBuf> {
    let parts = folder.join("sources.list.d");
    let inside = fs::read_dir(&parts).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = inside.chain([folder.join("sources.list"), parts.clone()]).collect();
    paths.sort();
    paths
}

/// Reads apt's lists as pairs of name and text. Skips unreadable lists.
pub(super) fn read(folder: &Path) -> Vec<(String, String)> {
    let text = |path: &PathBuf| Some((path.file_name()?.to_str()?.to_owned(), fs::read_to_string(path).ok()?));
    paths(folder).iter().filter_map(text).collect()
}

/// Returns the sources of binary packages in a list. apt ignores files with other endings.
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
    let mut fields = rest.split_whitespace().map(str::to_owned);
    let (uri, suite) = (fields.next()?, fields.next()?);
    Some(Source::Line { options, uri, suite, components: fields.collect::<Vec<_>>().join(" ") })
}

fn stanzas(text: &str) -> Vec<Source> {
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let stanzas = lines.split(|line| line.trim().is_empty()).map(|lines| Source::Stanza(fields(lines)));
    stanzas.filter(Source::is_enabled).collect()
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
    fn names(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Line { suite, .. } => matches(suite),
            Self::Stanza(_) => self.field("Suites").is_some_and(|suites| suites.split_whitespace().any(matches)),
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        let Self::Stanza(fields) = self else { return None };
        fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn is_enabled(&self) -> bool {
        let is_disabled = self.field("Enabled").is_some_and(|value| ["no", "false", "0"].contains(&value));
        !is_disabled && self.field("Types").is_some_and(|types| types.split_whitespace().any(|kind| kind == "deb"))
    }

    /// Returns a list of another suite from the same mirror.
    fn with_suite(&self, other: &str) -> SourceList {
        let (ending, source) = match self {
            Self::Line { options, uri, components, .. } => {
                ("list", format!("deb {options}{uri} {other} {components}\n"))
            }
            Self::Stanza(fields) => ("sources", fields.iter().map(|field| field_for_suite(field, other)).collect()),
        };
        let note = "# Written by Featherweight's setup, with the mirror of the system's own list. \
             You can remove it at any time.\n";
        SourceList {
            path: format!("{FOLDER}/{NAME}.{ending}"),
            suite: other.to_owned(),
            text: format!("{note}{source}"),
        }
    }
}

fn field_for_suite((name, value): &(String, String), suite: &str) -> String {
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
    #[case::present("b.list", "deb http://m bookworm main\ndeb http://m bookworm-backports main")]
    #[case::present_by_alias("b.list", "deb http://m stable main\ndeb http://m stable-backports main")]
    #[case::present_in_a_stanza("b.sources", "Types: deb\nURIs: http://m\nSuites: bookworm bookworm-backports")]
    #[case::another_system("b.list", "deb http://m noble main")]
    #[case::sources_only("b.list", "deb-src http://m bookworm main")]
    #[case::disabled("b.sources", "Types: deb\nURIs: http://m\nSuites: bookworm\nEnabled: no")]
    #[case::commented("b.list", "# deb http://m bookworm main")]
    #[case::not_read_by_apt("b.list.off", "deb http://m bookworm main")]
    #[case::incomplete_line("b.list", "deb [arch=amd64 http://m bookworm main")]
    #[case::nothing("b.list", "")]
    fn no_list_is_added(#[case] name: &str, #[case] text: &str) {
        assert_eq!(missing_in(name, text), None);
    }

    #[test]
    fn a_written_list_counts_as_present() {
        let first = missing_in("debian.sources", STANZAS).unwrap();
        let lists = [("debian.sources", STANZAS), ("featherweight-backports.sources", first.text.as_str())];
        assert_eq!(missing(&lists.map(|(name, text)| (name.to_owned(), text.to_owned())), SUITE), None);
    }

    #[test]
    fn lists_are_read_from_both_folders() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).is_empty());
        fs::create_dir(dir.path().join("sources.list.d")).unwrap();
        fs::write(dir.path().join("sources.list.d/a.sources"), "a").unwrap();
        fs::write(dir.path().join("sources.list"), "b").unwrap();
        let expected = [("sources.list", "b"), ("a.sources", "a")];
        assert_eq!(read(dir.path()), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }
}
