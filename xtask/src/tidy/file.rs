//! A tracked file as the rules see it, and what they find.

use std::fmt;

use super::code::{self, Kind};

/// A text file of the repository.
#[derive(Debug)]
pub(super) struct File {
    /// Its path from the project's folder.
    pub(super) path: String,
    /// As it stands.
    pub(super) text: String,
    /// Rust without comments and literals; empty for other files.
    pub(super) code: String,
    /// Rust without comments but with literals; empty for other files.
    pub(super) spoken: String,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl File {
    /// Takes a file apart.
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let stretches = if path.ends_with(".rs") { code::stretches(&text) } else { Vec::new() };
        let of_rust = |text: String| if path.ends_with(".rs") { text } else { String::new() };
        let comments = stretches.iter().filter(|(_, kind)| *kind == Kind::Comment).map(|(range, _)| range.clone());
        let spoken = of_rust(code::blank(&text, comments));
        let code = of_rust(code::blank(&text, stretches.iter().map(|(range, _)| range.clone())));
        Self { path, text, code, spoken }
    }

    /// Whether it is Rust.
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is for tests.
    pub(super) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let of_tests = ["tests.rs", "fixture.rs", "testing.rs"].contains(&name) || name.ends_with("_tests.rs");
        of_tests || self.path.starts_with("tests/") || self.path.contains("/tests/")
    }

    /// Its code without what is for tests.
    pub(super) fn product(&self) -> String {
        if self.is_test() { String::new() } else { code::blank(&self.code, code::tests(&self.code)) }
    }

    /// The same with literals.
    pub(super) fn spoken_product(&self) -> String {
        if self.is_test() { String::new() } else { code::blank(&self.spoken, code::tests(&self.code)) }
    }

    /// Something found at `offset`.
    pub(super) fn finding(&self, offset: usize, message: impl Into<String>) -> Finding {
        let line = self.text[..offset].matches('\n').count() + 1;
        Finding { path: self.path.clone(), line, message: message.into() }
    }

    /// Something found wherever `pattern` stands in `view`, which has the text's offsets.
    pub(super) fn all(&self, view: &str, pattern: &str, message: &str) -> Vec<Finding> {
        view.match_indices(pattern).map(|(at, _)| self.finding(at, message)).collect()
    }
}

impl Finding {
    /// Something found about a path as a whole.
    pub(super) fn about(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 1, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}
