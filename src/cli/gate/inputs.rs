//! The inputs that decide what the gate measures, as options and environment variables.
//!
//! Invariant: an empty value means "not given", because the action passes an unset input as an empty variable.

/// Inputs of the steps `prepare` and `measure`.
///
/// They are text here, and `cargo xtask ab` checks them: it runs while workflow commands are off, so that its messages
/// may quote any value.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Inputs {
    /// OCI runtime built from the base, measured on --platform
    #[arg(long, value_name = "PATH", env = "GATE_BASE_RUNTIME", hide_env_values = true)]
    pub(super) base_runtime: Option<String>,
    /// OCI runtime built from the head
    #[arg(long, value_name = "PATH", env = "GATE_HEAD_RUNTIME", hide_env_values = true)]
    pub(super) head_runtime: Option<String>,
    /// Platform of both arms, unless --a and --b are given [default: native]
    #[arg(long, value_name = "PLATFORM", env = "GATE_PLATFORM", hide_env_values = true)]
    pub(super) platform: Option<String>,
    /// Git revision of Featherweight that provides the guests of the base
    #[arg(long, value_name = "REVISION", env = "GATE_BASE", hide_env_values = true)]
    pub(super) base: Option<String>,
    /// Git revision of Featherweight that provides the guests of the head
    #[arg(long, value_name = "REVISION", env = "GATE_HEAD", hide_env_values = true)]
    pub(super) head: Option<String>,
    /// Base as an arm of `cargo xtask ab`, such as `docker:runc`
    #[arg(long, value_name = "ARM", env = "GATE_A", hide_env_values = true)]
    pub(super) a: Option<String>,
    /// Head as an arm
    #[arg(long, value_name = "ARM", env = "GATE_B", hide_env_values = true)]
    pub(super) b: Option<String>,
    /// Experiment: boot, footprint, scalability, isolation [default: boot]
    #[arg(long, value_name = "EXPERIMENT", env = "GATE_BENCH", hide_env_values = true)]
    pub(super) bench: Option<String>,
    /// Workloads, comma-separated [default: those of the experiment]
    #[arg(long, value_name = "NAME", env = "GATE_WORKLOAD", hide_env_values = true)]
    pub(super) workload: Option<String>,
    /// Only cases whose name contains this word
    #[arg(long, value_name = "WORD", env = "GATE_FILTER", hide_env_values = true)]
    pub(super) filter: Option<String>,
    /// Metrics, comma-separated, or `all` [default: headline metrics of the experiment]
    #[arg(long, value_name = "NAME", env = "GATE_METRICS", hide_env_values = true)]
    pub(super) metrics: Option<String>,
    /// Largest difference that does not matter, such as 1%
    #[arg(long, value_name = "SHARE", env = "GATE_TOLERANCE", hide_env_values = true)]
    pub(super) tolerance: Option<String>,
    /// Blocks of the first stage
    #[arg(long, value_name = "N", env = "GATE_BLOCKS", hide_env_values = true)]
    pub(super) blocks: Option<String>,
    /// Stop measuring after this time; undecided metrics are INCONCLUSIVE
    #[arg(long, value_name = "SECONDS", env = "GATE_TIME_LIMIT", hide_env_values = true)]
    pub(super) time_limit: Option<String>,
    /// More options of `cargo xtask ab`, one per line, each as --name=value
    #[arg(long, value_name = "LINES", env = "GATE_OPTIONS", hide_env_values = true, allow_hyphen_values = true)]
    pub(super) options: Option<String>,
    /// Tools for `cargo xtask setup`, comma-separated, or `none` [default: what the arms need]
    #[arg(long, value_name = "TOOL", env = "GATE_TOOLS", hide_env_values = true)]
    pub(super) tools: Option<String>,
    /// Whether to measure as root: true, false [default: true]
    #[arg(long, value_name = "BOOL", env = "GATE_ROOT", hide_env_values = true)]
    pub(super) root: Option<String>,
    /// Distinguishes several gates of one repository [default: experiment and platform]
    #[arg(long, value_name = "TEXT", env = "GATE_TITLE", hide_env_values = true)]
    pub(super) title: Option<String>,
}

impl Inputs {
    /// The platform of both arms.
    pub(super) fn platform(&self) -> &str {
        given(&self.platform).unwrap_or("native")
    }

    /// The experiment.
    pub(super) fn bench(&self) -> &str {
        given(&self.bench).unwrap_or("boot")
    }

    /// Whether to measure as root.
    pub(super) fn as_root(&self) -> bool {
        is_true(&self.root)
    }
}

/// The value of an input, unless it is empty.
pub(super) fn given(input: &Option<String>) -> Option<&str> {
    input.as_deref().filter(|value| !value.is_empty())
}

/// Whether an input that is true by default is true.
pub(super) fn is_true(input: &Option<String>) -> bool {
    given(input).is_none_or(|value| value == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_input_has_its_default() {
        let inputs = Inputs { platform: Some(String::new()), bench: Some(String::new()), ..Inputs::default() };
        assert_eq!((inputs.platform(), inputs.bench(), inputs.as_root()), ("native", "boot", true));
        assert!(!is_true(&Some("false".to_owned())) && is_true(&Some("true".to_owned())));
    }
}
