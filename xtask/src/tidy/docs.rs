//! The rules for the documentation: short pages, one table of contents, links that hold.

use std::collections::{BTreeMap, BTreeSet};

use super::file::{File, Finding, TreeRule};
use super::paths::{places, resolve};
use super::tables::{EXAMPLE, PAGE_LINES, README_LINES};

/// Every rule.
pub(super) const RULES: &[TreeRule] = &[links_hold, pages_are_short, pages_are_in_the_summary];

/// The table of contents of the book.
const SUMMARY: &str = "docs/SUMMARY.md";

/// The comment that marks a generated page on one of its first lines.
const GENERATED: &str = "<!-- generated page -->";

/// The number of lines that may hold the mark.
const HEAD_LINES: usize = 5;

fn links_hold(files: &[File]) -> Vec<Finding> {
    let places = places(files);
    let pages: BTreeMap<&str, &File> = pages(files).map(|file| (file.path.as_str(), file)).collect();
    let mut findings = Vec::new();
    for file in pages.values() {
        for (at, target) in links(&file.text) {
            if let Some(missing) = missing(&places, &pages, file, target) {
                findings.push(file.finding(at, format!("broken link `{target}`; {missing}")));
            }
        }
    }
    findings
}

/// What is missing for the link from `file` to `target`.
fn missing(places: &BTreeSet<String>, pages: &BTreeMap<&str, &File>, file: &File, target: &str) -> Option<String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() { Some(file.path.clone()) } else { linked_path(&file.path, path) };
    let Some(path) = path.filter(|path| path.is_empty() || places.contains(path)) else {
        return Some("expected a file or folder of the repository".to_owned());
    };
    let page = pages.get(path.as_str()).filter(|_| !anchor.is_empty())?;
    (!anchors(&page.text).contains(anchor)).then(|| format!("expected the anchor of a heading in {path}"))
}

/// The path that a link from the file `from` to `target` leads to; links start at the folder of their page.
fn linked_path(from: &str, target: &str) -> Option<String> {
    resolve(from, target).filter(|_| !target.starts_with('/'))
}

fn pages(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.path.ends_with(".md"))
}

/// The lines of Markdown outside of fenced code with their offsets.
fn lines(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut fenced, mut start) = (Vec::new(), false, 0);
    for line in text.split_inclusive('\n') {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        if !fenced && !is_fence {
            found.push((start, line));
        }
        start += line.len();
    }
    found
}

/// The relative targets of inline links, reference definitions and HTML attributes, outside of fenced code.
fn links(text: &str) -> Vec<(usize, &str)> {
    const OPENINGS: &[(&str, &[char])] =
        &[("](", &[')', ' ']), ("]: ", &[' ', '\n']), ("href=\"", &['"']), ("src=\"", &['"'])];
    let mut found = Vec::new();
    for (start, line) in lines(text) {
        for (opening, stops) in OPENINGS {
            let is_definition = line.starts_with('[');
            for (at, _) in line.match_indices(opening).filter(|_| *opening != "]: " || is_definition) {
                let target = line[at + opening.len()..].split(*stops).next().unwrap_or_default().trim();
                if !target.is_empty() && !target.contains(':') {
                    found.push((start + at, target));
                }
            }
        }
    }
    found
}

/// The anchors of a page: those that GitHub derives from headings, and those of HTML.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (_, line) in lines(text) {
        if let Some(heading) = line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')) {
            let anchor = anchor(heading.trim());
            let before = times.entry(anchor.clone()).or_default();
            found.insert(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
            *before += 1;
        }
        for opening in ["id=\"", "name=\""] {
            let values = line.match_indices(opening).filter_map(|(at, _)| line[at + opening.len()..].split('"').next());
            found.extend(values.map(str::to_owned));
        }
    }
    found
}

/// The anchor that GitHub gives to `heading`.
fn anchor(heading: &str) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    heading.to_lowercase().chars().filter(is_kept).collect::<String>().replace(' ', "-")
}

fn pages_are_short(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in pages(files) {
        let limit = match file.path.as_str() {
            "README.md" => README_LINES,
            path if path.starts_with("docs/") && !path.starts_with(EXAMPLE) => PAGE_LINES,
            _ => continue,
        };
        let lines = file.text.lines().count();
        let is_generated = file.text.lines().take(HEAD_LINES).any(|line| line.trim() == GENERATED);
        if lines > limit && (!is_generated || limit == README_LINES) {
            findings.push(Finding::about(&file.path, format!("{lines} lines in one page; expected at most {limit}")));
        }
    }
    findings
}

fn pages_are_in_the_summary(files: &[File]) -> Vec<Finding> {
    let Some(summary) = files.iter().find(|file| file.path == SUMMARY) else {
        return vec![Finding::about(SUMMARY, "missing file; expected the table of contents of docs/")];
    };
    let targets = links(&summary.text).into_iter().map(|(_, target)| target.split('#').next().unwrap_or_default());
    let listed: BTreeSet<String> = targets.filter_map(|target| linked_path(SUMMARY, target)).collect();
    let is_page = |file: &&File| file.path.starts_with("docs/") && !file.path.starts_with(EXAMPLE);
    let unlisted = pages(files).filter(is_page).filter(|file| file.path != SUMMARY && !listed.contains(&file.path));
    unlisted
        .map(|file| Finding::about(&file.path, format!("page without an entry; expected a link in {SUMMARY}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn messages(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| finding.to_string()).collect()
    }

    /// The findings for links of a page with `text` next to one other page and the library.
    fn broken(path: &str, text: &str) -> Vec<String> {
        let other = "## 2. A `part`, and B\n\n## Twice\n\n## Twice\n\n<a id=\"own\"></a>\n";
        let files = [File::new(path, text), File::new("docs/b.md", other), File::new("src/lib.rs", "")];
        messages(links_hold(&files))
    }

    #[rstest]
    #[case::page("docs/a.md", "[x](b.md)")]
    #[case::heading("docs/a.md", "[x](b.md#2-a-part-and-b)")]
    #[case::second_heading("docs/a.md", "[x](b.md#twice-1)")]
    #[case::html_anchor("docs/a.md", "[x](b.md#own)")]
    #[case::folder("docs/a.md", "[x](../src/)")]
    #[case::root("docs/a.md", "[x](..)")]
    #[case::own_heading("docs/a.md", "# Here\n[x](#here)")]
    #[case::from_the_top("README.md", "[x](docs/b.md) ![y](docs/b.md \"title\")")]
    #[case::url("docs/a.md", "[x](https://example.org/gone.md) <img src=\"https://example.org/x.svg\">")]
    #[case::fence("docs/a.md", "```\n[x](gone.md)\n```\n")]
    fn links_that_hold_are_accepted(#[case] path: &str, #[case] text: &str) {
        assert_eq!(broken(path, text), Vec::<String>::new());
    }

    #[rstest]
    #[case::page("docs/a.md", "[x](gone.md)", "`gone.md`; expected a file or folder")]
    #[case::from_the_top("docs/a.md", "[x](docs/b.md)", "`docs/b.md`; expected a file or folder")]
    #[case::absolute("docs/a.md", "[x](/docs/b.md)", "`/docs/b.md`; expected a file or folder")]
    #[case::outside("README.md", "[x](../gone.md)", "`../gone.md`; expected a file or folder")]
    #[case::heading("docs/a.md", "[x](b.md#part)", "`b.md#part`; expected the anchor of a heading in docs/b.md")]
    #[case::repeated("docs/a.md", "[x](b.md#twice-2)", "expected the anchor")]
    #[case::own_heading("docs/a.md", "```\n# Part\n```\n[x](#part)", "expected the anchor of a heading in docs/a.md")]
    #[case::reference("docs/a.md", "[x]: gone.md", "`gone.md`")]
    #[case::image("README.md", "<img src=\"docs/gone.svg\">", "`docs/gone.svg`")]
    fn broken_links_are_found(#[case] path: &str, #[case] text: &str, #[case] expected: &str) {
        let found = broken(path, text);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }

    #[test]
    fn a_broken_link_has_its_line() {
        let found = broken("docs/a.md", "# A\n\n[x](gone.md)\n");
        assert_eq!(found, ["docs/a.md:3: broken link `gone.md`; expected a file or folder of the repository"]);
    }

    #[rstest]
    #[case::readme("README.md", "", README_LINES, true)]
    #[case::page("docs/a.md", "", PAGE_LINES, true)]
    #[case::generated("docs/a.md", "# A\n\n<!-- generated page -->\n", PAGE_LINES, false)]
    #[case::generated_readme("README.md", "<!-- generated page -->\n", README_LINES, true)]
    #[case::late_mark("docs/a.md", "\n\n\n\n\n<!-- generated page -->\n", PAGE_LINES, true)]
    #[case::example("docs/example/README.md", "", PAGE_LINES, false)]
    #[case::elsewhere("CHANGELOG.md", "", PAGE_LINES, false)]
    fn long_pages_are_found(#[case] path: &str, #[case] head: &str, #[case] limit: usize, #[case] is_limited: bool) {
        let page = |lines: usize| [File::new(path, format!("{head}{}", "x\n".repeat(lines - head.lines().count())))];
        assert_eq!(messages(pages_are_short(&page(limit))), Vec::<String>::new());
        let found = messages(pages_are_short(&page(limit + 1)));
        let expected = format!("{path}:1: {} lines in one page; expected at most {limit}", limit + 1);
        assert_eq!(found, if is_limited { vec![expected] } else { Vec::new() });
    }

    #[test]
    fn a_page_without_an_entry_in_the_summary_is_found() {
        let summary = File::new(SUMMARY, "# Summary\n\n[Start](README.md)\n\n- [A](a.md)\n  - [B](tables/b.md#top)\n");
        let paths = ["docs/README.md", "docs/a.md", "docs/tables/b.md", "docs/c.md", "docs/example/README.md", "d.md"];
        let files: Vec<File> = paths.iter().map(|path| File::new(*path, "")).chain([summary]).collect();
        assert_eq!(
            messages(pages_are_in_the_summary(&files)),
            ["docs/c.md:1: page without an entry; expected a link in docs/SUMMARY.md"]
        );
        assert_eq!(
            messages(pages_are_in_the_summary(&files[..1])),
            ["docs/SUMMARY.md:1: missing file; expected the table of contents of docs/"]
        );
    }
}
