//! A tracked file as the rules see it, and the findings that rules report.

use std::fmt;

use super::code::{self, SpanKind};

/// A rule for one file.
pub(super) type FileRule = fn(&File) -> Vec<Finding>;

/// A rule for all files together.
pub(super) type TreeRule = fn(&[File]) -> Vec<Finding>;

/// A text file of the repository.
#[derive(Debug)]
pub(super) struct File {
    /// The path from the project's folder.
    pub(super) path: String,
    /// The whole text.
    pub(super) text: String,
    /// Rust source with comments and literals blanked out; empty for other files.
    pub(super) code: String,
    /// Rust source with comments blanked out; empty for other files.
    pub(super) code_with_literals: String,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl File {
    /// Splits a file into the views that rules read.
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        if !is_rust(&path) {
            return Self { path, text, code: String::new(), code_with_literals: String::new() };
        }
        let spans = code::spans(&text);
        let comments = spans.iter().filter(|(_, kind)| *kind == SpanKind::Comment);
        let code_with_literals = code::blank(&text, comments.map(|(range, _)| range.clone()));
        let code = code::blank(&text, spans.iter().map(|(range, _)| range.clone()));
        Self { path, text, code, code_with_literals }
    }

    /// Whether the file holds Rust source.
    pub(super) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    /// Whether the whole file is test code.
    pub(super) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let has_test_name = ["tests.rs", "fixture.rs", "testing.rs"].contains(&name) || name.ends_with("_tests.rs");
        has_test_name || self.path.starts_with("tests/") || self.path.contains("/tests/")
    }

    /// The code outside of tests.
    pub(super) fn product(&self) -> String {
        self.without_tests(&self.code)
    }

    /// The code outside of tests, with literals.
    pub(super) fn product_with_literals(&self) -> String {
        self.without_tests(&self.code_with_literals)
    }

    fn without_tests(&self, view: &str) -> String {
        if self.is_test() { String::new() } else { code::blank(view, code::test_items(&self.code)) }
    }

    /// A finding at `offset` of the text.
    pub(super) fn finding(&self, offset: usize, message: impl Into<String>) -> Finding {
        let line = self.text[..offset].matches('\n').count() + 1;
        Finding { path: self.path.clone(), line, message: message.into() }
    }

    /// A finding for each occurrence of `pattern` in `view`, which shares the text's offsets.
    pub(super) fn all(&self, view: &str, pattern: &str, message: &str) -> Vec<Finding> {
        view.match_indices(pattern).map(|(at, _)| self.finding(at, message)).collect()
    }
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

impl Finding {
    /// A finding about a path as a whole.
    pub(super) fn about(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 1, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_file_has_views_without_comments_literals_and_tests() {
        let file = File::new("src/x.rs", "a(\"b\"); // c\n#[cfg(test)]\nmod tests { d() }\n");
        assert_eq!(file.code.split_whitespace().collect::<String>(), "a();#[cfg(test)]modtests{d()}");
        assert_eq!(file.product_with_literals().trim(), "a(\"b\");");
        assert_eq!(file.product().split_whitespace().collect::<String>(), "a();");
    }

    #[test]
    fn a_test_file_has_no_product_code() {
        assert_eq!(File::new("src/x/tests.rs", "fn a() {}").product(), "");
        assert_eq!(File::new("src/x/tests/y.rs", "fn a() {}").product(), "");
    }

    #[test]
    fn a_finding_names_its_path_and_line() {
        let file = File::new("docs/a.md", "one\ntwo\n");
        assert_eq!(file.finding(4, "wrong").to_string(), "docs/a.md:2: wrong");
    }
}
