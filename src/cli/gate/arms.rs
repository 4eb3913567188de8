//! The two arms. The inputs specify them in one of three ways.

use std::path::Path;

use rustix::fs::{Access, access};

use super::inputs::{Inputs, given};
use crate::cli::exit::BadInput;

/// Both arms, in the syntax of `cargo xtask ab`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arms {
    /// The base.
    pub(super) a: String,
    /// The head.
    pub(super) b: String,
}

/// A way to name the arms: its inputs, and the arms, which are empty where an input is missing.
type Way = (&'static str, Arms);

impl Arms {
    /// Reads the arms from the inputs. Paths of programs are relative to `workspace`, the calling repository.
    ///
    /// # Errors
    /// When the inputs give no arms, half a pair, several pairs, or a path without a program.
    pub(super) fn from_inputs(inputs: &Inputs, workspace: &Path) -> Result<Self, BadInput> {
        let ways = [explicit(inputs), of_runtimes(inputs, workspace)?, of_revisions(inputs)?];
        let mut ways: Vec<Way> = ways.into_iter().flatten().collect();
        let arms = match ways.pop() {
            Some((_, arms)) if ways.is_empty() => arms,
            last => return Err(not_one_way(ways.into_iter().chain(last))),
        };
        if arms.a.is_empty() || arms.b.is_empty() {
            return Err(BadInput("set both `a` and `b`".to_owned()));
        }
        Ok(arms)
    }

    /// Whether a platform of the arms needs `/dev/kvm`.
    pub(super) fn need_kvm(&self) -> bool {
        [&self.a, &self.b].iter().any(|arm| arm.contains("kvm") || arm.contains("firecracker"))
    }
}

fn not_one_way(given: impl Iterator<Item = Way>) -> BadInput {
    let names: Vec<&str> = given.map(|(names, _)| names).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join("; ") };
    let accepted = "a and b, base-runtime and head-runtime, base and head";
    BadInput(format!("expected one of these pairs: {accepted}; given: {names}"))
}

fn explicit(inputs: &Inputs) -> Option<Way> {
    let (a, b) = pair(&inputs.a, &inputs.b)?;
    Some(("a and b", Arms { a: a.to_owned(), b: b.to_owned() }))
}

fn of_runtimes(inputs: &Inputs, workspace: &Path) -> Result<Option<Way>, BadInput> {
    let Some((base, head)) = pair(&inputs.base_runtime, &inputs.head_runtime) else { return Ok(None) };
    let arm = |input, path| {
        let program = executable(input, path, workspace)?;
        Ok(format!("{},runtime={}", inputs.platform(), escape(&program)))
    };
    let arms = Arms { a: arm("base-runtime", base)?, b: arm("head-runtime", head)? };
    Ok(Some(("base-runtime and head-runtime", arms)))
}

fn of_revisions(inputs: &Inputs) -> Result<Option<Way>, BadInput> {
    let Some((base, head)) = pair(&inputs.base, &inputs.head) else { return Ok(None) };
    if base.is_empty() || head.is_empty() {
        return Err(BadInput("set both `base` and `head`".to_owned()));
    }
    let arm = |revision| format!("{},guests={}", inputs.platform(), escape(revision));
    Ok(Some(("base and head", Arms { a: arm(base), b: arm(head) })))
}

/// Two inputs that belong together, where at least one is given.
fn pair<'a>(first: &'a Option<String>, second: &'a Option<String>) -> Option<(&'a str, &'a str)> {
    let (first, second) = (given(first), given(second));
    first.or(second)?;
    Some((first.unwrap_or_default(), second.unwrap_or_default()))
}

/// Escapes the value of an arm's setting: a single comma ends a value, a double one is part of it.
fn escape(value: &str) -> String {
    value.replace(',', ",,")
}

/// The absolute path of a program that the calling repository has built. `ab` runs in another folder.
fn executable(input: &str, path: &str, workspace: &Path) -> Result<String, BadInput> {
    let invalid = |reason: &str| BadInput(format!("{input} `{path}`: {reason}"));
    let absolute = workspace.join(path).canonicalize();
    let absolute = absolute.ok().filter(|_| !path.is_empty()).ok_or_else(|| invalid("no such file"))?;
    if !absolute.is_file() || access(&absolute, Access::EXEC_OK).is_err() {
        return Err(invalid("not an executable file"));
    }
    absolute.into_os_string().into_string().map_err(|_| invalid("the path is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use rstest::rstest;

    use super::*;
    use crate::cli::gate::testing::inputs;

    #[rstest]
    #[case::explicit(&[("a", "docker:runc"), ("b", "qemu:linux,append=quiet")], "docker:runc", "qemu:linux,append=quiet")]
    #[case::revisions(&[("platform", "youki"), ("base", "HEAD^1"), ("head", "a,b")], "youki,guests=HEAD^1", "youki,guests=a,,b")]
    #[case::by_default_native(&[("base", "x"), ("head", "y")], "native,guests=x", "native,guests=y")]
    fn inputs_name_the_arms(#[case] values: &[(&str, &str)], #[case] a: &str, #[case] b: &str) {
        let arms = Arms::from_inputs(&inputs(values), Path::new("/")).unwrap();
        assert_eq!((arms.a.as_str(), arms.b.as_str()), (a, b));
    }

    #[rstest]
    #[case::none(&[], "given: none")]
    #[case::two(&[("a", "x"), ("b", "x"), ("base", "x"), ("head", "x")], "given: a and b; base and head")]
    #[case::half(&[("b", "x")], "set both `a` and `b`")]
    #[case::half_of_revisions(&[("head", "x")], "set both `base` and `head`")]
    #[case::half_of_runtimes(&[("head-runtime", "x")], "base-runtime ``: no such file")]
    #[case::a_folder(&[("base-runtime", "/"), ("head-runtime", "/")], "base-runtime `/`: not an executable file")]
    fn invalid_inputs_are_named(#[case] values: &[(&str, &str)], #[case] expected: &str) {
        let error = Arms::from_inputs(&inputs(values), Path::new("/")).unwrap_err();
        assert!(error.0.contains(expected), "{error}");
    }

    #[test]
    fn a_runtime_is_an_executable_of_the_workspace() {
        let workspace = tempfile::tempdir().unwrap();
        let program = workspace.path().join("crun");
        fs::write(&program, "").unwrap();
        let inputs = inputs(&[("platform", "oci:crun"), ("base-runtime", "crun"), ("head-runtime", "./crun")]);
        let error = Arms::from_inputs(&inputs, workspace.path()).unwrap_err();
        assert!(error.0.contains("base-runtime `crun`: not an executable file"), "{error}");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let arms = Arms::from_inputs(&inputs, workspace.path()).unwrap();
        let expected = format!("oci:crun,runtime={}", program.canonicalize().unwrap().display());
        assert_eq!((arms.a, arms.b), (expected.clone(), expected));
    }

    #[rstest]
    #[case("qemu:linux", "qemu:linux-kvm", true)]
    #[case("firecracker", "native", true)]
    #[case("qemu:linux", "youki", false)]
    fn kvm_is_needed_by_name(#[case] a: &str, #[case] b: &str, #[case] expected: bool) {
        assert_eq!(Arms { a: a.to_owned(), b: b.to_owned() }.need_kvm(), expected);
    }
}
