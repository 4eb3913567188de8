//! The host's programs that a recipe calls. All missing ones are reported at once, before anything is fetched.

use crate::host::tools;
use anyhow::bail;

/// A program with the packages that contain it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostTool {
    pub(super) name: &'static str,
    pub(super) debian: &'static str,
    pub(super) fedora: &'static str,
}

/// Describes a tool whose packages have its own name.
pub(super) const fn tool(name: &'static str) -> HostTool {
    HostTool { name, debian: name, fedora: name }
}

/// The tools that fetch sources.
pub(super) const FETCH: &[HostTool] = &[tool("git"), tool("curl")];

/// Checks that all `tools` are installed.
///
/// # Errors
/// Lists all missing tools and their packages.
pub(super) fn check(tools: &[HostTool], purpose: &str) -> anyhow::Result<()> {
    check_by(tools, purpose, |name| tools::find(name).is_some())
}

fn check_by(tools: &[HostTool], purpose: &str, is_installed: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let missing: Vec<&HostTool> = tools.iter().filter(|tool| !is_installed(tool.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = |field: fn(&HostTool) -> &'static str| {
        let mut names: Vec<_> = missing.iter().map(|tool| field(tool)).collect();
        names.dedup();
        names.join(" ")
    };
    bail!(
        "missing programs for {purpose}: {}\n\
         help: install them: `apt-get install {}` (Debian), `dnf install {}` (Fedora)",
        list(|tool| tool.name),
        list(|tool| tool.debian),
        list(|tool| tool.fedora)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_program_is_reported_with_its_packages() {
        let tools = [tool("flex"), HostTool { name: "ld", debian: "binutils", fedora: "binutils" }, tool("make")];
        let message = check_by(&tools, "Unikraft", |name| name == "make").unwrap_err().to_string();
        assert!(message.starts_with("missing programs for Unikraft: flex ld\n"), "{message}");
        assert!(message.contains("`apt-get install flex binutils`"), "{message}");
        assert!(check_by(&tools, "Unikraft", |_| true).is_ok());
    }
}
