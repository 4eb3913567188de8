//! The rules for one Rust file.

use super::code::{functions, words};
use super::file::{File, Finding};
use super::tables::{
    CLOCKS, CONFINED, FILE_LINES, FUNCTION_LINES, IMPURE_MODULES, LONG_FUNCTIONS, PAUSES, PURE, SHELLS,
};

/// Every rule.
pub(super) const RULES: &[fn(&File) -> Vec<Finding>] = &[
    begins_with_its_doc,
    is_short,
    has_short_functions,
    is_pure,
    keeps_crates_behind_their_door,
    starts_no_shell,
    pauses_where_it_may,
    hides_nothing,
    asks_for_capabilities,
];

fn begins_with_its_doc(file: &File) -> Vec<Finding> {
    match file.text.starts_with("//!") {
        true => Vec::new(),
        false => vec![file.finding(0, "begins without a module doc: `//!`, what it is for")],
    }
}

fn is_short(file: &File) -> Vec<Finding> {
    let lines = file.text.lines().count();
    let long = lines > FILE_LINES;
    long.then(|| file.finding(0, format!("{lines} lines, {FILE_LINES} at the most: split it by concept")))
        .into_iter()
        .collect()
}

fn has_short_functions(file: &File) -> Vec<Finding> {
    let budget = |name| {
        let allowed =
            LONG_FUNCTIONS.iter().find(|(path, function, ..)| (*path, *function) == (file.path.as_str(), name));
        allowed.map_or(FUNCTION_LINES, |(_, _, lines, _)| *lines)
    };
    let found = functions(&file.code).into_iter().filter(|f| f.lines > budget(f.name));
    found
        .map(|f| file.finding(f.offset, format!("`{}` has {} lines, {} at the most", f.name, f.lines, budget(f.name))))
        .collect()
}

fn is_pure(file: &File) -> Vec<Finding> {
    if !PURE.iter().any(|module| file.path.starts_with(module)) {
        return Vec::new();
    }
    let product = file.product();
    let of_std = |at: usize, word: &str| {
        IMPURE_MODULES.contains(&word)
            && (product[at + word.len()..].starts_with("::") || product[..at].ends_with("std::"))
    };
    let impure = words(&product).filter(|&(at, word)| CLOCKS.contains(&word) || of_std(at, word));
    impure.map(|(at, word)| file.finding(at, format!("a pure module names `{word}`"))).collect()
}

fn keeps_crates_behind_their_door(file: &File) -> Vec<Finding> {
    let shut =
        |name: &str| CONFINED.iter().find(|(c, doors)| *c == name && !doors.iter().any(|d| file.path.starts_with(d)));
    let named = words(&file.code).filter_map(|(at, word)| {
        let (name, doors) = shut(word)?;
        let is_path = file.code[at + word.len()..].starts_with("::") || file.code[..at].ends_with("use ");
        is_path.then(|| file.finding(at, format!("`{name}` stays in {}", doors.join(", "))))
    });
    named.collect()
}

fn starts_no_shell(file: &File) -> Vec<Finding> {
    let message = "a shell: pass the arguments as a list to the program itself";
    SHELLS.iter().flat_map(|shell| file.all(&file.spoken, &format!("Command::new(\"{shell}\")"), message)).collect()
}

fn pauses_where_it_may(file: &File) -> Vec<Finding> {
    let pauses: Vec<usize> = ["thread::sleep", ".pause("]
        .iter()
        .flat_map(|pause| file.code.match_indices(pause).map(|(at, _)| at))
        .collect();
    let allowed = PAUSES.iter().find(|(path, ..)| *path == file.path).map_or(0, |(_, times, _)| *times);
    match pauses.len() {
        n if n > allowed => {
            let message =
                format!("lets time pass {n} times, {allowed} in tidy's table: wait for an event with a deadline");
            vec![file.finding(pauses[0], message)]
        }
        n if n < allowed => {
            vec![file.finding(0, format!("lets time pass {n} times: lower tidy's table from {allowed}"))]
        }
        _ => Vec::new(),
    }
}

/// Nothing is switched off or put off in silence.
fn hides_nothing(file: &File) -> Vec<Finding> {
    let silent = [
        ("#[ignore", "an ignored test: let it say why it skips, or remove it"),
        ("should_panic", "`should_panic`: assert on the error"),
        ("[allow(", "`allow`: use `#[expect(.., reason = \"..\")]`"),
    ];
    let never = silent.iter().flat_map(|(pattern, message)| file.all(&file.code, pattern, message));
    never.collect()
}

fn asks_for_capabilities(file: &File) -> Vec<Finding> {
    if !file.path.starts_with("src/experiment") {
        return Vec::new();
    }
    let message = "an experiment tells platforms apart by name: ask for a capability";
    let named = featherweight::platform::registry::ENTRIES.iter().map(|entry| format!("\"{}\"", entry.name));
    let compared = [".id() ==", ".id() !="].map(str::to_owned);
    named.chain(compared).flat_map(|pattern| file.all(&file.spoken_product(), &pattern, message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rules say of a file with a module doc and `code`.
    fn found(path: &str, code: &str) -> Vec<String> {
        let file = File::new(path, format!("//! A module.\n{code}"));
        RULES.iter().flat_map(|rule| rule(&file)).map(|finding| finding.to_string()).collect()
    }

    fn assert_found(path: &str, code: &str, expected: &str) {
        let found = found(path, code);
        assert!(found.len() == 1 && found[0].contains(expected), "{path}: {code}\n{found:?}");
    }

    fn assert_clean(path: &str, code: &str) {
        assert_eq!(found(path, code), Vec::<String>::new(), "{path}: {code}");
    }

    #[test]
    fn a_file_begins_with_its_doc() {
        let file = File::new("src/x.rs", "use std::fs;\n");
        assert_eq!(
            begins_with_its_doc(&file)[0].to_string(),
            "src/x.rs:1: begins without a module doc: `//!`, what it is for"
        );
    }

    #[test]
    fn long_files_and_functions_are_found() {
        assert_found("src/x.rs", &"// line\n".repeat(FILE_LINES), "401 lines");
        assert_found("src/x.rs", &format!("fn f() {{\n{}}}\n", "a();\n".repeat(59)), "`f` has 61 lines");
        assert_clean("src/x.rs", &format!("fn f() {{\n{}}}\n", "a();\n".repeat(58)));
    }

    #[test]
    fn a_pure_module_touches_nothing() {
        for code in ["use std::fs;", "let x = env::var(y);", "use std::time::Instant;", "use std::{thread::Builder};"] {
            assert_found("src/plan/x.rs", code, "a pure module names");
            assert_clean("src/engine/x.rs", code);
        }
        assert_clean("src/plan/x.rs", "/// See `std::fs`.\nlet process = 1; let s = \"fs::read\";");
        assert_clean("src/stats/x.rs", "#[cfg(test)]\nmod tests { use std::fs; }");
    }

    #[test]
    fn a_confined_crate_stays_behind_its_door() {
        assert_found("src/engine/x.rs", "use libcontainer::x;", "`libcontainer` stays in src/platform/youki/");
        assert_found("src/platform/qemu.rs", "let x = tokio::spawn(y);", "`tokio` stays");
        assert_clean("src/platform/youki/x.rs", "use libcontainer::x;");
        assert_clean("src/docker/x.rs", "use bollard::x;");
        assert_clean("src/host/x.rs", "let libcontainer = \"libcontainer::x\";");
    }

    #[test]
    fn a_shell_is_found_in_code_and_not_in_comments() {
        assert_found("tests/x.rs", "Command::new(\"bash\")", "a shell");
        assert_clean("src/x.rs", "// Command::new(\"sh\")\nCommand::new(\"sha256sum\")");
    }

    #[test]
    fn time_passes_only_where_the_table_says() {
        assert_found("src/engine/x.rs", "thread::sleep(x);", "1 times, 0 in tidy's table");
        assert_found("src/clock.rs", "clock.pause(x); clock.pause(y);", "2 times, 1 in tidy's table");
        assert_found("src/clock.rs", "", "lower tidy's table from 1");
    }

    #[test]
    fn nothing_is_hidden() {
        assert_found("tests/x.rs", "#[ignore = \"slow\"]\nfn f() {}", "an ignored test");
        assert_found("tests/x.rs", "#[should_panic]\nfn f() {}", "should_panic");
        assert_found("src/x.rs", "#![allow(dead_code)]", "use `#[expect");
        assert_clean("src/x.rs", "#[expect(dead_code, reason = \"#[allow(x)] would hide it\")]\nfn f() {}");
    }

    #[test]
    fn an_experiment_asks_for_capabilities() {
        assert_found("src/experiment/x.rs", "if stage.platform.id() == other {}", "ask for a capability");
        assert_found("src/experiment/x.rs", "let fast = name != \"youki\";", "ask for a capability");
        assert_clean("src/experiment/x.rs", "#[cfg(test)]\nmod tests { const P: &str = \"fake\"; }");
        assert_clean("src/engine/x.rs", "if platform.id() == id {}");
    }
}
