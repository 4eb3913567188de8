//! Phrases that comments, messages and docs avoid, each with the plain words for it.
//!
//! Code spans, fenced code, links and URLs are not checked, nor is a string without a space, which is a key.

use std::ops::Range;

use super::code::{SpanKind, blank, spans, words};
use super::file::{File, FileRule, Finding};
use super::tables::EXAMPLE;

/// Every rule.
pub(super) const RULES: &[FileRule] = &[avoids_phrases];

/// Phrases with their replacements; `*` stands for any word.
const PHRASES: &[(&str, &str)] = &[
    ("are taken for", "\"are mistaken for\" or \"count as\""),
    ("at the least", "\"at least\""),
    ("at the most", "\"at most\""),
    ("be taken for", "\"be mistaken for\" or \"count as\""),
    ("beside", "\"next to\" or \"with\""),
    ("found out", "\"detected\""),
    ("go on with", "\"continue\""),
    ("goes on with", "\"continues\""),
    ("goes without", "\"has no\" or \"needs no\""),
    ("gone on with", "\"continued\""),
    ("is no *", "\"not a\", \"unknown\" or \"invalid\""),
    ("is taken for", "\"is mistaken for\" or \"counts as\""),
    ("nobody knows", "\"unknown\""),
    ("not one good", "\"no successful\""),
    ("of which", "\"whose\" or a second sentence"),
    ("passed over", "\"skipped\" or \"ignored\""),
    ("stand alone", "\"cannot be combined\" or \"be self-contained\""),
    ("stands alone", "\"cannot be combined\" or \"is self-contained\""),
    ("tells nobody", "\"does not report\""),
    ("without a word", "\"without reporting\""),
];

/// Plain phrases that share words with one of the above.
const PLAIN_PHRASES: &[&str] = &[
    "all of which",
    "at the least significant",
    "at the most recent",
    "both of which",
    "each of which",
    "is no different",
    "is no longer",
    "is no more",
    "most of which",
    "none of which",
    "one of which",
    "passed over a",
    "passed over the",
    "some of which",
    "taken for each",
    "taken for every",
    "there is no *",
];

/// Starts of British words with the American ones.
const BRITISH: &[(&str, &str)] = &[
    ("artefact", "artifact"),
    ("behaviour", "behavior"),
    ("centre", "center"),
    ("colour", "color"),
    ("honour", "honor"),
    ("licence", "license"),
    ("neighbour", "neighbor"),
];

/// The checked pages outside of `docs/`.
const PAGES: &[&str] = &["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"];

/// This file, which has to spell out what others avoid.
const TABLE: &str = "xtask/src/tidy/english.rs";

/// A passage that people read, at an offset of its file.
#[derive(Debug)]
struct Passage {
    offset: usize,
    text: String,
}

fn avoids_phrases(file: &File) -> Vec<Finding> {
    let passages = match file.path.as_str() {
        TABLE => Vec::new(),
        _ if file.is_rust() => rust_passages(&file.text),
        path if is_checked_page(path) => passages(&file.text, 0),
        _ => Vec::new(),
    };
    passages.iter().flat_map(|passage| phrases(file, passage).into_iter().chain(spellings(file, passage))).collect()
}

fn is_checked_page(path: &str) -> bool {
    let is_in_book = path.starts_with("docs/") && path.ends_with(".md") && !path.starts_with(EXAMPLE);
    is_in_book || PAGES.contains(&path)
}

fn phrases(file: &File, passage: &Passage) -> Vec<Finding> {
    let words: Vec<(usize, &str)> = words(&passage.text).collect();
    let occurrences = |phrase: &str| occurrences(&passage.text, &words, phrase);
    let plain: Vec<Range<usize>> = PLAIN_PHRASES.iter().flat_map(|phrase| occurrences(phrase)).collect();
    let is_plain = |found: &Range<usize>| plain.iter().any(|plain| plain.start < found.end && found.start < plain.end);
    let mut findings = Vec::new();
    for (phrase, instead) in PHRASES {
        for found in occurrences(phrase).into_iter().filter(|found| !is_plain(found)) {
            let text: Vec<&str> = passage.text[found.clone()].split_whitespace().collect();
            let message = format!("avoid \"{}\"; expected {instead}", text.join(" "));
            findings.push(file.finding(passage.offset + found.start, message));
        }
    }
    findings
}

fn spellings(file: &File, passage: &Passage) -> Vec<Finding> {
    let british = words(&passage.text).filter_map(|(at, word)| {
        let lower = word.to_lowercase();
        let (_, american) = BRITISH.iter().find(|(british, _)| lower.starts_with(british))?;
        let message = format!("British spelling \"{word}\"; expected \"{american}\"");
        Some(file.finding(passage.offset + at, message))
    });
    british.collect()
}

/// Where `phrase` occurs in `text`, whose `words` have only spaces between them there.
fn occurrences(text: &str, words: &[(usize, &str)], phrase: &str) -> Vec<Range<usize>> {
    let pattern: Vec<&str> = phrase.split(' ').collect();
    let matches = |found: &&[(usize, &str)]| {
        let same = found.iter().zip(&pattern).all(|((_, word), p)| *p == "*" || word.eq_ignore_ascii_case(p));
        let spaced = found.windows(2).all(|pair| text[pair[0].0 + pair[0].1.len()..pair[1].0].trim().is_empty());
        same && spaced
    };
    let range = |found: &[(usize, &str)]| {
        let (last, word) = found[found.len() - 1];
        found[0].0..last + word.len()
    };
    words.windows(pattern.len()).filter(matches).map(range).collect()
}

/// The comments and literals of Rust source.
fn rust_passages(source: &str) -> Vec<Passage> {
    let spans = spans(source);
    let mut comments = blank(source, std::iter::once(0..source.len()));
    let mut found = Vec::new();
    for (range, kind) in spans {
        let text = &source[range.clone()];
        match kind {
            SpanKind::Comment => {
                let marker = text.len() - text.trim_start_matches(['/', '!', '*']).len();
                comments.replace_range(range.start + marker..range.end, &text[marker..]);
            }
            SpanKind::Literal if text.contains(' ') => found.extend(passages(&without_escapes(text), range.start)),
            SpanKind::Literal => {}
        }
    }
    found.extend(passages(&comments, 0));
    found
}

/// Returns a literal with spaces for its escape sequences.
fn without_escapes(literal: &str) -> String {
    let mut escaped = false;
    let mut replace = |c: char| {
        let replaced = escaped || c == '\\';
        escaped = c == '\\' && !escaped;
        if replaced { " ".repeat(c.len_utf8()) } else { c.to_string() }
    };
    literal.chars().map(&mut replace).collect()
}

/// The paragraphs of Markdown `text` at `offset` of its file, without code and links.
fn passages(text: &str, offset: usize) -> Vec<Passage> {
    let (mut found, mut start, mut fenced) = (Vec::new(), offset, false);
    let mut paragraph = Passage { offset, text: String::new() };
    for line in text.split_inclusive('\n') {
        let is_fence = line.trim_start().starts_with("```");
        if is_fence || fenced || line.trim().is_empty() {
            fenced ^= is_fence;
            let next = Passage { offset: start + line.len(), text: String::new() };
            found.push(std::mem::replace(&mut paragraph, next));
        } else {
            paragraph.text.push_str(line);
        }
        start += line.len();
    }
    found.push(paragraph);
    for passage in &mut found {
        passage.text = without_code_and_links(&passage.text);
    }
    found
}

/// Returns `text` with spaces between backticks, in the targets of links and in URLs.
fn without_code_and_links(text: &str) -> String {
    let text = blank(text, code_spans(text));
    let end = |from: usize, stops: &[char]| text[from..].find(stops).map_or(text.len(), |n| from + n);
    let targets = text.match_indices("](").map(|(at, _)| at + 2..end(at + 2, &[')']));
    let urls = text.match_indices("://").map(|(at, _)| at + 3..end(at + 3, &[' ', '\n', ')', '>', '"']));
    blank(&text, targets.chain(urls))
}

/// What is between a run of backticks and the next run of the same length.
fn code_spans(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(start) = text[at..].find('`').map(|n| at + n) {
        let ticks = text[start..].bytes().take_while(|b| *b == b'`').count();
        let open = start + ticks;
        at = open;
        if let Some(close) = closing_run(text, open, ticks) {
            found.push(open..close);
            at = close + ticks;
        }
    }
    found
}

/// The start of the first run of exactly `ticks` backticks from `from` on.
fn closing_run(text: &str, from: usize, ticks: usize) -> Option<usize> {
    let mut at = from;
    while let Some(start) = text[at..].find('`').map(|n| at + n) {
        let length = text[start..].bytes().take_while(|b| *b == b'`').count();
        if length == ticks {
            return Some(start);
        }
        at = start + length;
    }
    None
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        avoids_phrases(&File::new(path, text)).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_finding_states_the_phrase_and_plain_words() {
        assert_eq!(
            messages("docs/a.md", "# A\n\nTwo at the\nmost.\n"),
            ["docs/a.md:3: avoid \"at the most\"; expected \"at most\""]
        );
        assert_eq!(
            messages("src/x.rs", "fn f() {}\n// Behaviours of a guest.\n"),
            ["src/x.rs:2: British spelling \"Behaviours\"; expected \"behavior\""]
        );
    }

    #[rstest]
    #[case::comment("// Two at the most.")]
    #[case::doc("/// Two at\n/// the most.\nfn f() {}")]
    #[case::indented_doc("    //! Two at the\n    //! most.")]
    #[case::block("/* Two at the most. */")]
    #[case::message("fail(\"`x` is no platform\")")]
    #[case::placeholder("format!(\"{x} is no platform\")")]
    #[case::continued("let x = \"two at \\\n    the most\";")]
    #[case::escaped("let x = \"\\\"two\\\" at the\\nmost\";")]
    #[case::raw("let x = r#\"a \"b\" stands alone\"#;")]
    #[case::capital("// Beside it.")]
    #[case::stem("/// Colours of a figure.")]
    fn comments_and_messages_are_checked(#[case] source: &str) {
        assert_eq!(messages("src/x.rs", source).len(), 1, "{source}");
    }

    #[rstest]
    #[case::code("fn colour(behaviour: u8) { at.the.most(); }")]
    #[case::code_span("/// `at the most` and `colour`, ``a ` beside``.")]
    #[case::broken_code_span("/// As `at\n/// the most` says.")]
    #[case::around_a_code_span("// At `x` the most.")]
    #[case::fence("/// ```\n/// // beside it\n/// ```")]
    #[case::url("// See https://example.org/colour/beside.")]
    #[case::key("#[serde(rename = \"neighbours\")]\nlet x = json[\"colour\"];")]
    #[case::sentences("// At the. Most")]
    #[case::two_comments("// Two at the\n\n// most")]
    #[case::two_literals("f(\"two at the\", \"most of it\")")]
    #[case::plain("// There is no file. It is no longer here. Look at the most recent run. The answer is no.")]
    #[case::plain_which(
        "// Two runs, each of which has a sample that is taken for each\n// pass and passed over a socket."
    )]
    #[case::other_words("// Besides, a stand-alone colorful neighborhood.")]
    fn code_and_plain_words_are_not_findings(#[case] source: &str) {
        assert_eq!(messages("src/x.rs", source), Vec::<String>::new(), "{source}");
    }

    #[rstest]
    #[case("docs/a.md", 1)]
    #[case("docs/generated/b.md", 1)]
    #[case("README.md", 1)]
    #[case("CHANGELOG.md", 0)]
    #[case("docs/example/README.md", 0)]
    #[case("fixtures/runs/x.md", 0)]
    fn pages_are_checked(#[case] path: &str, #[case] count: usize) {
        let text = "# A page\n\nIts [colour](colour.md#colour) is `colour`.\n\n```\nbeside\n```\n";
        assert_eq!(messages(path, text).len(), count, "{path}");
    }

    #[test]
    fn the_tables_are_sorted() {
        assert!(PHRASES.is_sorted() && PLAIN_PHRASES.is_sorted() && BRITISH.is_sorted());
    }
}
