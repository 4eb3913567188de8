//! The title of a gate, which separates several gates of one repository: one comment and one artifact each.

use super::inputs::{Inputs, given};

/// The longest title.
const MAX_LENGTH: usize = 120;

/// The title by the inputs.
pub(super) fn title(inputs: &Inputs) -> String {
    let text = match (given(&inputs.title), given(&inputs.a)) {
        (Some(title), _) => title.to_owned(),
        (None, Some(a)) => format!("{}, {a} and {}", inputs.bench(), given(&inputs.b).unwrap_or_default()),
        (None, None) => format!("{} on {}", inputs.bench(), inputs.platform()),
    };
    sanitize(&text)
}

/// Keeps only what may stand in the marker of a comment, which is HTML, and in a line of an output.
pub(super) fn sanitize(title: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || " ,.:=".contains(c) { c } else { '-' };
    title.chars().map(safe).take(MAX_LENGTH).collect()
}

/// The artifact's name; GitHub refuses colons there.
pub(super) fn artifact(title: &str) -> String {
    format!("featherweight {}", title.replace([':', ','], "-"))
}

/// The hidden line by which the gate finds its comment again.
pub(super) fn marker(title: &str) -> String {
    format!("<!-- featherweight gate: {title} -->")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::cli::gate::testing::inputs;

    #[rstest]
    #[case(&[], "boot on native")]
    #[case(&[("bench", "isolation"), ("platform", "oci:crun")], "isolation on oci:crun")]
    #[case(&[("a", "docker:runc"), ("b", "docker:crun")], "boot, docker:runc and docker:crun")]
    #[case(&[("a", "x"), ("title", "boot -- of\n`mine`")], "boot -- of--mine-")]
    #[case(&[("title", "--> <script>")], "--- -script-")]
    fn a_title_is_safe_in_a_comment(#[case] values: &[(&str, &str)], #[case] expected: &str) {
        let title = title(&inputs(values));
        assert_eq!(title, expected);
        assert_eq!(sanitize(&title), title, "the step that comments sanitizes it again");
    }

    #[test]
    fn a_long_title_is_cut_and_an_artifact_has_no_colon() {
        assert_eq!(sanitize(&"x".repeat(130)).len(), MAX_LENGTH);
        assert_eq!(artifact("boot, oci:crun"), "featherweight boot- oci-crun");
    }
}
