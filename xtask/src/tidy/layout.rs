//! The modules of the library and the order in which they may import each other.
//!
//! Invariant: a module imports only modules above it, so the modules have no cycle.

use super::code::{closing, words};
use super::file::{File, FileRule, Finding, TreeRule};

/// The rules for one Rust file.
pub(super) const FILE_RULES: &[FileRule] = &[imports_only_upward];

/// The rules for all files together.
pub(super) const TREE_RULES: &[TreeRule] = &[has_only_known_modules];

/// The modules of `src/`, from top to bottom.
const MODULES: &[&str] =
    &["model", "stats", "host", "guest", "store", "platform", "measure", "compare", "report", "cli"];

/// The root of the library, which declares the modules.
const ROOT: &str = "lib.rs";

/// Folders of earlier versions with the names they have now.
const OLD_FOLDERS: &[(&str, &str)] = &[("src/guest/build/", "src/guest/compile/")];

/// A module that a file names by a path from the root of the crate.
#[derive(Debug, PartialEq, Eq)]
struct Import<'a> {
    offset: usize,
    module: &'a str,
}

fn imports_only_upward(file: &File) -> Vec<Finding> {
    let Some(own) = module_of(&file.path) else { return Vec::new() };
    let Some(rank) = rank(own) else { return Vec::new() };
    let is_allowed = |import: &Import<'_>| MODULES[..=rank].contains(&import.module);
    let forbidden = imports(file).into_iter().filter(|import| !is_allowed(import));
    forbidden.map(|import| file.finding(import.offset, message(own, rank, import.module))).collect()
}

fn message(own: &str, rank: usize, imported: &str) -> String {
    if self::rank(imported).is_none() {
        return format!("`{own}` imports `crate::{imported}`; expected one of the modules {}", MODULES.join(", "));
    }
    let above = match rank {
        0 => "no other module".to_owned(),
        rank => format!("only the modules above `{own}`: {}", MODULES[..rank].join(", ")),
    };
    format!("`{own}` imports `crate::{imported}`, which is below it; expected {above}")
}

/// The position of `module` in the order of imports.
fn rank(module: &str) -> Option<usize> {
    MODULES.iter().position(|known| *known == module)
}

/// The name of the module that the library's file `path` belongs to.
fn module_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    let name = below.split('/').next()?;
    Some(name.strip_suffix(".rs").unwrap_or(name)).filter(|_| below != ROOT)
}

/// The modules that the code of `file` names by a path from the root of the crate.
fn imports(file: &File) -> Vec<Import<'_>> {
    let code = file.code.as_str();
    let modules = inline_modules(code);
    let mut found = Vec::new();
    let mut end_of_path = 0;
    for (at, word) in words(code) {
        if at < end_of_path || !["crate", "super"].contains(&word) {
            continue;
        }
        let (levels, after) = leading_supers(code, at);
        end_of_path = after;
        let depth = || depth(&file.path) + modules.iter().filter(|range| range.contains(&at)).count();
        let Some(path) = code[after..].strip_prefix("::") else { continue };
        if word == "crate" || levels == depth() {
            found.extend(first_names(path).into_iter().map(|(n, module)| Import { offset: after + 2 + n, module }));
        }
    }
    found.retain(|import| !code[import.offset + import.module.len()..].starts_with('!'));
    found
}

/// The number of `super`s in the path that starts at `at`, and the end of the last of them or of `crate`.
fn leading_supers(code: &str, at: usize) -> (usize, usize) {
    const SUPER: &str = "super";
    if !code[at..].starts_with(SUPER) {
        return (0, at + "crate".len());
    }
    let (mut levels, mut end) = (1, at + SUPER.len());
    while code[end..].starts_with("::super") {
        (levels, end) = (levels + 1, end + "::super".len());
    }
    (levels, end)
}

/// The first names of `path`, which is one path or a group of paths in braces, with their offsets.
fn first_names(path: &str) -> Vec<(usize, &str)> {
    let Some(group) = path.strip_prefix('{') else { return words(path).take(1).filter(|(at, _)| *at == 0).collect() };
    let (mut found, mut depth, mut starts_path) = (Vec::new(), 0_i32, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts_path = true,
            c if starts_path && (c.is_alphabetic() || c == '_') => {
                found.extend(words(&group[at..]).take(1).map(|(_, word)| (at + 1, word)));
                starts_path = false;
            }
            _ => {}
        }
    }
    found
}

/// How many levels below the root of the crate the module of the file `path` is.
fn depth(path: &str) -> usize {
    let levels = path.matches('/').count();
    if path.ends_with("/mod.rs") || path == "src/lib.rs" { levels - 1 } else { levels }
}

/// The bodies of the modules that `code` declares with braces.
fn inline_modules(code: &str) -> Vec<std::ops::Range<usize>> {
    let declared = words(code).filter(|(_, word)| *word == "mod");
    let body = |(at, _): (usize, &str)| {
        let open = at + code[at..].find(['{', ';']).filter(|n| code[at + n..].starts_with('{'))?;
        Some(open..closing(code, open)?)
    };
    declared.filter_map(body).collect()
}

fn has_only_known_modules(files: &[File]) -> Vec<Finding> {
    let mut unknown: Vec<&str> = files.iter().filter_map(|file| unknown_place(&file.path)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    let expected = format!("expected one of {}", MODULES.join(", "));
    let about = |place: &str| Finding::about(place, format!("not a module of the library; {expected}"));
    let mut findings: Vec<Finding> = unknown.into_iter().map(about).collect();
    for (old, new) in OLD_FOLDERS {
        if files.iter().any(|file| file.path.starts_with(old)) {
            findings.push(Finding::about(old, format!("an old name; expected {new}")));
        }
    }
    findings
}

/// The file or folder of `src/` that holds `path` and is not a module of the library.
fn unknown_place(path: &str) -> Option<&str> {
    let is_known = module_of(path).is_none_or(|module| rank(module).is_some());
    let end = path.match_indices('/').nth(1).map_or(path.len(), |(at, _)| at);
    (!is_known).then(|| &path[..end])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn messages(files: &[File]) -> Vec<String> {
        let of_file = |file: &File| FILE_RULES.iter().flat_map(|rule| rule(file)).collect::<Vec<_>>();
        let of_tree = TREE_RULES.iter().flat_map(|rule| rule(files));
        files.iter().flat_map(of_file).chain(of_tree).map(|finding| finding.to_string()).collect()
    }

    fn imported(path: &str, code: &str) -> Vec<String> {
        let file = File::new(path, code);
        imports(&file).into_iter().map(|import| import.module.to_owned()).collect()
    }

    #[test]
    fn a_finding_states_the_import_and_the_allowed_direction() {
        let file = File::new("src/guest/image.rs", "//! Images.\nuse crate::model::Name;\nuse crate::cli::Exit;\n");
        let expected = "src/guest/image.rs:3: `guest` imports `crate::cli`, which is below it; \
                        expected only the modules above `guest`: model, stats, host";
        assert_eq!(messages(&[file]), [expected]);
    }

    #[rstest]
    #[case::same_module("src/host/clock.rs", "use crate::host::facts;")]
    #[case::module_above("src/host/clock.rs", "use crate::{model::{Name, units}, stats};")]
    #[case::comment("src/host/clock.rs", "// crate::cli::Exit\n/// See [`crate::report::html`].\nfn f() {}")]
    #[case::string("src/host/clock.rs", "let x = \"crate::cli\";")]
    #[case::bottom("src/cli/bench.rs", "use crate::report; use crate::model; use super::options;")]
    #[case::visibility("src/host/clock.rs", "pub(crate) fn f() {} pub(in crate::host) fn g() {}")]
    #[case::exported_macro("src/model/names.rs", "crate::named_enum! { A }")]
    #[case::other_crate("xtask/src/power/mod.rs", "use featherweight::cli::Exit; use crate::tidy;")]
    #[case::root("src/lib.rs", "pub mod model; pub use crate::cli::Exit;")]
    fn imports_upward_are_allowed(#[case] path: &str, #[case] code: &str) {
        assert_eq!(messages(&[File::new(path, code)]), Vec::<String>::new());
    }

    #[rstest]
    #[case::stats("src/stats/rank.rs", "use crate::host::clock;", "expected only the modules above `stats`: model")]
    #[case::model("src/model/units.rs", "use crate::stats::rank;", "expected no other module")]
    #[case::in_code("src/store/mod.rs", "fn f() { crate::platform::open() }", "`crate::platform`")]
    #[case::in_a_test("src/store/mod.rs", "#[cfg(test)]\nmod tests { use crate::cli::Exit; }", "`crate::cli`")]
    #[case::in_a_macro("src/model/names.rs", "macro_rules! m { () => { $crate::cli::f() } }", "`crate::cli`")]
    #[case::group(
        "src/platform/mod.rs",
        "use crate::{\n    model::{Name, cli},\n    measure::plan,\n};",
        "`crate::measure`"
    )]
    #[case::by_super("src/store/mod.rs", "use super::report::html;", "`crate::report`")]
    #[case::unknown(
        "src/store/mod.rs",
        "use crate::units::Bytes;",
        "`crate::units`; expected one of the modules model, "
    )]
    fn other_imports_are_found(#[case] path: &str, #[case] code: &str, #[case] expected: &str) {
        let found = messages(&[File::new(path, code)]);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }

    #[rstest]
    #[case("src/host/mod.rs", "use super::cli::x;", &["cli"])]
    #[case("src/host/clock.rs", "use super::cli::x; use super::super::report::y;", &["report"])]
    #[case("src/host/noise/mod.rs", "use super::super::{report, cli::x};", &["report", "cli"])]
    #[case("src/host/noise/verdict.rs", "use self::super::super::super::store::x;", &["store"])]
    #[case("src/host/mod.rs", "mod tests { use super::super::cli::x; use super::report; }", &["cli"])]
    #[case("src/host/mod.rs", "mod tests;\nuse super::cli;", &["cli"])]
    #[case("src/host/mod.rs", "use super::*;", &[])]
    fn paths_through_super_are_resolved(#[case] path: &str, #[case] code: &str, #[case] expected: &[&str]) {
        assert_eq!(imported(path, code), expected);
    }

    /// A cycle needs an import in each direction, and the order allows only one of them.
    #[test]
    fn every_cycle_of_two_modules_is_found() {
        for (a, b) in MODULES.iter().flat_map(|a| MODULES.iter().map(move |b| (a, b))).filter(|(a, b)| a != b) {
            let file = |from: &str, to: &str| File::new(format!("src/{from}/mod.rs"), format!("use crate::{to}::x;\n"));
            assert_eq!(messages(&[file(a, b), file(b, a)]).len(), 1, "{a} and {b}");
        }
    }

    #[test]
    fn only_known_modules_are_allowed_in_the_library() {
        let paths = ["src/lib.rs", "src/model/mod.rs", "src/stats.rs", "src/ab/mod.rs", "src/ab/x.rs", "src/units.rs"];
        let found = messages(&paths.map(|path| File::new(path, "")));
        let expected =
            |place| format!("{place}:1: not a module of the library; expected one of {}", MODULES.join(", "));
        assert_eq!(found, ["src/ab", "src/units.rs"].map(expected));
    }

    #[test]
    fn a_folder_with_an_old_name_is_found() {
        let found = messages(&[File::new("src/guest/build/mod.rs", ""), File::new("src/guest/compile/mod.rs", "")]);
        assert_eq!(found, ["src/guest/build/:1: an old name; expected src/guest/compile/"]);
    }
}
