//! The arguments of `cargo xtask ab`.

use std::path::Path;

use super::arms::Arms;
use super::inputs::{Inputs, given};
use super::quote::quoted;
use crate::cli::exit::BadInput;

/// Options that the gate sets itself.
const RESERVED: &[&str] = &["--out", "--output", "--format", "--resume"];

/// Options with which `ab` compares nothing; a gate without a comparison would pass.
const WITHOUT_COMPARISON: &[&str] = &["--dry-run", "--help", "--record", "--show"];

/// What `cargo xtask ab` gets.
#[derive(Debug)]
pub(super) struct AbArguments {
    /// The command, the arms and the experiment.
    subject: Vec<String>,
    /// Everything else that the inputs give. It ends with the filter.
    rest: Vec<String>,
}

impl AbArguments {
    /// Reads the arguments from the inputs. `=` prevents that `ab` mistakes a value for an option.
    ///
    /// # Errors
    /// When a line of the input `options` is not an option, or the gate does not pass it on.
    pub(super) fn new(inputs: &Inputs, arms: &Arms) -> Result<Self, BadInput> {
        let subject = vec![
            "ab".to_owned(),
            format!("--a={}", arms.a),
            format!("--b={}", arms.b),
            format!("--bench={}", inputs.bench()),
        ];
        let mut rest = named_options(inputs);
        for line in given(&inputs.options).unwrap_or_default().lines() {
            rest.extend(checked_option(line)?);
        }
        if let Some(filter) = given(&inputs.filter) {
            rest.extend(["--".to_owned(), filter.to_owned()]);
        }
        Ok(Self { subject, rest })
    }

    /// The whole list, with the session and the comparison in `folder`.
    pub(super) fn with_output_in(&self, folder: &Path) -> Vec<String> {
        let output = [
            format!("--out={}", folder.display()),
            "--format=markdown".to_owned(),
            format!("--output={}", folder.join("comparison.md").display()),
        ];
        [&self.subject[..], &output, &self.rest].concat()
    }

    /// The command for readers who want to repeat the measurement.
    pub(super) fn command(&self) -> String {
        format!("cargo xtask {}", quoted(&[&self.subject[..], &self.rest].concat()))
    }
}

fn named_options(inputs: &Inputs) -> Vec<String> {
    let named = [
        ("workload", &inputs.workload),
        ("metric", &inputs.metrics),
        ("tolerance", &inputs.tolerance),
        ("blocks", &inputs.blocks),
        ("time-limit", &inputs.time_limit),
    ];
    let options = named.into_iter().filter_map(|(name, input)| Some(format!("--{name}={}", given(input)?)));
    options.collect()
}

/// A line of the input `options`; `None` for an empty one.
fn checked_option(line: &str) -> Result<Option<String>, BadInput> {
    let name = line.split('=').next().unwrap_or_default();
    let invalid = |reason: &str| Err(BadInput(format!("options: `{line}` {reason}")));
    match name {
        "" => Ok(None),
        name if RESERVED.contains(&name) => invalid("is set by the gate itself"),
        name if WITHOUT_COMPARISON.contains(&name) => invalid("would compare nothing"),
        name if name.starts_with("--") => Ok(Some(line.to_owned())),
        _ => invalid("does not begin with `--`; write a value after its option and `=`"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::cli::gate::testing::inputs;

    fn arguments(values: &[(&str, &str)]) -> Result<AbArguments, BadInput> {
        let arms = Arms { a: "native".to_owned(), b: "native,inject=busy:5%".to_owned() };
        AbArguments::new(&inputs(values), &arms)
    }

    const SUBJECT: &str = "cargo xtask ab --a=native --b=native,inject=busy:5% --bench=boot";

    #[rstest]
    #[case(&[], "")]
    #[case(&[("metrics", "all"), ("workload", "hello"), ("tolerance", "2%")], " --workload=hello --metric=all --tolerance=2%")]
    #[case(&[("time-limit", "1200"), ("blocks", "12")], " --blocks=12 --time-limit=1200")]
    #[case(&[("options", "--seed=1\n\n--no-noise-guard\n")], " --seed=1 --no-noise-guard")]
    #[case(&[("filter", "--dry-run"), ("options", "--runs=1")], " --runs=1 -- --dry-run")]
    #[case(&[("workload", "a b;c")], " '--workload=a b;c'")]
    fn inputs_become_arguments(#[case] values: &[(&str, &str)], #[case] expected: &str) {
        assert_eq!(arguments(values).unwrap().command(), format!("{SUBJECT}{expected}"));
    }

    #[rstest]
    #[case("--out=x", "`--out=x` is set by the gate itself")]
    #[case("--seed=1\n--resume", "`--resume` is set by the gate itself")]
    #[case("--dry-run", "`--dry-run` would compare nothing")]
    #[case("--show=x", "`--show=x` would compare nothing")]
    #[case("x", "`x` does not begin with `--`")]
    #[case("-h", "`-h` does not begin with `--`")]
    fn options_that_the_gate_cannot_pass_on_are_invalid(#[case] options: &str, #[case] expected: &str) {
        let error = arguments(&[("options", options)]).unwrap_err();
        assert!(error.0.starts_with("options: ") && error.0.contains(expected), "{error}");
    }

    #[test]
    fn files_are_named_before_other_options_and_the_filter_is_last() {
        let arguments = arguments(&[("options", "--runs=1"), ("filter", "sqlite")]).unwrap();
        let all = arguments.with_output_in(Path::new("/folder"));
        let expected =
            ["--out=/folder", "--format=markdown", "--output=/folder/comparison.md", "--runs=1", "--", "sqlite"];
        assert_eq!(all[4..], expected);
    }
}
