//! The rules for one Rust file.

use super::code::{functions, words};
use super::file::{File, FileRule, Finding};
use super::tables::{CLOCKS, CONFINED, EXPERIMENTS, FILE_LINES, FUNCTION_LINES, IMPURE_MODULES, PAUSES, PURE, SHELLS};

/// Every rule.
pub(super) const RULES: &[FileRule] = &[
    starts_with_module_doc,
    is_short,
    has_short_functions,
    is_pure,
    confines_crates,
    starts_no_shell,
    sleeps_only_where_listed,
    hides_nothing,
    asks_for_capabilities,
];

fn starts_with_module_doc(file: &File) -> Vec<Finding> {
    if file.text.starts_with("//!") {
        return Vec::new();
    }
    vec![file.finding(0, "missing module documentation; expected `//!` and the purpose of the file on the first line")]
}

fn is_short(file: &File) -> Vec<Finding> {
    let lines = file.text.lines().count();
    if lines <= FILE_LINES {
        return Vec::new();
    }
    vec![file.finding(0, format!("{lines} lines in one file; expected at most {FILE_LINES}: split it by concept"))]
}

fn has_short_functions(file: &File) -> Vec<Finding> {
    let long = functions(&file.code).into_iter().filter(|function| function.lines > FUNCTION_LINES);
    let findings = long.map(|function| {
        let (name, lines) = (function.name, function.lines);
        file.finding(function.offset, format!("`{name}` has {lines} lines; expected at most {FUNCTION_LINES}"))
    });
    findings.collect()
}

fn is_pure(file: &File) -> Vec<Finding> {
    if !PURE.iter().any(|module| file.path.starts_with(module)) {
        return Vec::new();
    }
    let product = file.product();
    let impure = words(&product).filter(|&(at, word)| CLOCKS.contains(&word) || is_impure_module(&product, at, word));
    let findings = impure.map(|(at, word)| {
        file.finding(at, format!("a pure module uses `{word}`; expected no files, processes, environment or clocks"))
    });
    findings.collect()
}

/// Whether the `word` at `at` is a module of the standard library that does I/O.
fn is_impure_module(code: &str, at: usize, word: &str) -> bool {
    let is_path = code[at + word.len()..].starts_with("::") || code[..at].ends_with("std::");
    is_path && IMPURE_MODULES.contains(&word)
}

fn confines_crates(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, word) in words(&file.code) {
        let Some((name, allowed)) = CONFINED.iter().find(|(name, _)| *name == word) else { continue };
        let is_path = file.code[at + word.len()..].starts_with("::") || file.code[..at].ends_with("use ");
        if is_path && !allowed.iter().any(|prefix| file.path.starts_with(prefix)) {
            findings.push(
                file.finding(at, format!("`{name}` is not allowed here; expected only in {}", allowed.join(", "))),
            );
        }
    }
    findings
}

fn starts_no_shell(file: &File) -> Vec<Finding> {
    let message = "starts a shell; expected the program itself with a list of arguments";
    let patterns = SHELLS.iter().map(|shell| format!("Command::new(\"{shell}\")"));
    patterns.flat_map(|pattern| file.all(&file.code_with_literals, &pattern, message)).collect()
}

fn sleeps_only_where_listed(file: &File) -> Vec<Finding> {
    let places = |call: &'static str| file.code.match_indices(call).map(|(at, _)| at);
    let calls: Vec<usize> = places("thread::sleep").chain(places(".pause(")).collect();
    let listed = PAUSES.iter().find(|(path, ..)| *path == file.path).map_or(0, |(_, times, _)| *times);
    let count = calls.len();
    if count > listed {
        let message = format!("sleeps: {count}, listed: {listed}; expected to wait for an event with a deadline");
        return vec![file.finding(calls[0], message)];
    }
    if count < listed {
        return vec![file.finding(0, format!("sleeps: {count}, listed: {listed}; expected {count} in PAUSES of tidy"))];
    }
    Vec::new()
}

/// Reports lints and tests that are switched off silently.
fn hides_nothing(file: &File) -> Vec<Finding> {
    let attributes = [
        ("#[ignore", "`#[ignore]` hides a test; expected it to print why it skips"),
        ("should_panic", "`should_panic` accepts any panic; expected an assertion on the error"),
        ("[allow(", "`allow` hides a lint; expected `#[expect(.., reason = \"..\")]`"),
    ];
    attributes.iter().flat_map(|(pattern, message)| file.all(&file.code, pattern, message)).collect()
}

fn asks_for_capabilities(file: &File) -> Vec<Finding> {
    if !file.path.starts_with(EXPERIMENTS) {
        return Vec::new();
    }
    let names = featherweight::platform::registry::ENTRIES.iter().map(|entry| format!("\"{}\"", entry.family));
    let comparisons = [".id() ==", ".id() !="].map(str::to_owned);
    let message = "an experiment names a platform; expected it to ask for a capability";
    let product = file.product_with_literals();
    names.chain(comparisons).flat_map(|pattern| file.all(&product, &pattern, message)).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The findings in a file with a module doc and `code`.
    fn findings(path: &str, code: &str) -> Vec<String> {
        let file = File::new(path, format!("//! A module.\n{code}"));
        RULES.iter().flat_map(|rule| rule(&file)).map(|finding| finding.to_string()).collect()
    }

    fn assert_finding(path: &str, code: &str, expected: &str) {
        let findings = findings(path, code);
        assert!(findings.len() == 1 && findings[0].contains(expected), "{path}: {code}\n{findings:?}");
    }

    fn assert_clean(path: &str, code: &str) {
        assert_eq!(findings(path, code), Vec::<String>::new(), "{path}: {code}");
    }

    #[test]
    fn a_file_starts_with_its_module_doc() {
        let file = File::new("src/x.rs", "use std::fs;\n");
        let finding = starts_with_module_doc(&file)[0].to_string();
        assert!(finding.starts_with("src/x.rs:1: missing module documentation; expected `//!`"), "{finding}");
    }

    #[test]
    fn long_files_are_found() {
        assert_clean("src/x.rs", &"// line\n".repeat(FILE_LINES - 1));
        for path in ["src/x.rs", "tests/x.rs", "xtask/src/x.rs", "benches/x.rs", "fuzz/fuzz_targets/x.rs"] {
            assert_finding(path, &"// line\n".repeat(FILE_LINES), "401 lines in one file; expected at most 400");
        }
    }

    #[rstest]
    #[case::free("fn f() {\n", "}\n")]
    #[case::method("impl T { pub(crate) async fn f<'a>(&self,\n) -> [u8; 4] {\n", "} }\n")]
    #[case::test("#[cfg(test)]\nmod tests {\n    #[test]\n    fn f() {\n", "    }\n}\n")]
    #[case::nested("fn g() { fn f() {\n", "} }\n")]
    fn long_functions_are_found(#[case] open: &str, #[case] close: &str) {
        let first_line = open[open.find("fn f").unwrap()..].matches('\n').count() + 1;
        let body = |lines: usize| "a();\n".repeat(lines - first_line);
        assert_clean("src/x.rs", &format!("{open}{}{close}", body(FUNCTION_LINES)));
        let findings = findings("src/x.rs", &format!("{open}{}{close}", body(FUNCTION_LINES + 1)));
        assert!(findings.iter().any(|f| f.contains("`f` has 61 lines; expected at most 60")), "{findings:?}");
    }

    #[rstest]
    #[case("use std::fs;")]
    #[case("let x = env::var(y);")]
    #[case("use std::time::Instant;")]
    #[case("use std::{thread::Builder};")]
    fn a_pure_module_does_no_io(#[case] code: &str) {
        assert_finding("src/stats/x.rs", code, "a pure module uses");
        assert_clean("src/host/x.rs", code);
    }

    #[rstest]
    #[case("/// See `std::fs`.\nlet process = 1; let s = \"fs::read\";")]
    #[case("#[cfg(test)]\nmod tests { use std::fs; }")]
    fn a_pure_module_may_mention_io_and_test_with_it(#[case] code: &str) {
        assert_clean("src/stats/x.rs", code);
    }

    #[rstest]
    #[case(
        "src/host/x.rs",
        "use libcontainer::x;",
        "`libcontainer` is not allowed here; expected only in src/platform/"
    )]
    #[case("examples/crowd.rs", "use libcontainer::x;", "`libcontainer` is not allowed")]
    #[case("src/platform/qemu/mod.rs", "let x = tokio::spawn(y);", "`tokio` is not allowed")]
    #[case("src/platform/docker/x.rs", "use bollard::{x};", "`bollard` is not allowed")]
    #[case("src/compare/x.rs", "use anyhow::Context;", "expected only in src/cli/, xtask/, tests/")]
    #[case("src/store/x.rs", "fn f() -> anyhow::Result<()> {}", "`anyhow` is not allowed")]
    fn a_confined_crate_is_found_elsewhere(#[case] path: &str, #[case] code: &str, #[case] expected: &str) {
        assert_finding(path, code, expected);
    }

    #[rstest]
    #[case("src/platform/youki/x.rs", "use libcontainer::x;")]
    #[case("examples/bare_loop.rs", "use libcontainer::x;")]
    #[case("src/platform/engine_api/x.rs", "use bollard::x;\nuse tokio::y;")]
    #[case("src/cli/x.rs", "use anyhow::Context;")]
    #[case("tests/x.rs", "use anyhow::Context;")]
    #[case("src/host/x.rs", "let libcontainer = \"libcontainer::x\"; // tokio::spawn")]
    fn a_confined_crate_is_allowed_in_its_place(#[case] path: &str, #[case] code: &str) {
        assert_clean(path, code);
    }

    #[test]
    fn a_shell_is_found_in_code_and_not_in_comments() {
        assert_finding("tests/x.rs", "Command::new(\"bash\")", "starts a shell");
        assert_clean("src/x.rs", "// Command::new(\"sh\")\nCommand::new(\"sha256sum\")");
    }

    #[test]
    fn sleeps_are_allowed_only_as_often_as_listed() {
        let &(path, listed, _) = PAUSES.first().unwrap();
        assert_finding("src/store/x.rs", "thread::sleep(x);", "sleeps: 1, listed: 0; expected to wait");
        assert_clean(path, &"clock.pause(x);".repeat(listed));
        assert_finding(path, &"clock.pause(x);".repeat(listed + 1), &format!("listed: {listed}; expected to wait"));
        assert_finding(path, "", "expected 0 in PAUSES");
    }

    #[rstest]
    #[case("#[ignore = \"slow\"]\nfn f() {}", "`#[ignore]` hides a test")]
    #[case("#[should_panic]\nfn f() {}", "`should_panic` accepts any panic")]
    #[case("#![allow(dead_code)]", "expected `#[expect")]
    fn nothing_is_hidden(#[case] code: &str, #[case] expected: &str) {
        assert_finding("src/x.rs", code, expected);
        assert_clean("src/x.rs", "#[expect(dead_code, reason = \"#[allow(x)] would hide it\")]\nfn f() {}");
    }

    #[rstest]
    #[case("if stage.platform.id() == other {}")]
    #[case("let fast = name != \"youki\";")]
    fn an_experiment_asks_for_capabilities(#[case] code: &str) {
        assert_finding(&format!("{EXPERIMENTS}x.rs"), code, "expected it to ask for a capability");
        assert_clean("src/measure/session/x.rs", code);
        assert_clean(&format!("{EXPERIMENTS}x.rs"), "#[cfg(test)]\nmod tests { const P: &str = \"fake\"; }");
    }
}
