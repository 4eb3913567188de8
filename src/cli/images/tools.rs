//! The host's programs that a recipe calls: all missing ones are told at once, before anything is fetched.

use crate::host::tools;
use anyhow::bail;

/// A program and the packages that have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostTool {
    pub(super) name: &'static str,
    pub(super) debian: &'static str,
    pub(super) fedora: &'static str,
}

/// A tool whose packages are called like itself.
pub(super) const fn tool(name: &'static str) -> HostTool {
    HostTool { name, debian: name, fedora: name }
}

/// Fetches sources.
pub(super) const FETCH: &[HostTool] = &[tool("git"), tool("curl")];

/// Fails if one of `tools` is not installed.
///
/// # Errors
/// All that are missing, and what to install.
pub(super) fn check(tools: &[HostTool], purpose: &str) -> anyhow::Result<()> {
    check_by(tools, purpose, |name| tools::find(name).is_some())
}

fn check_by(tools: &[HostTool], purpose: &str, is_there: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let missing: Vec<&HostTool> = tools.iter().filter(|tool| !is_there(tool.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = |of: fn(&HostTool) -> &'static str| {
        let mut names: Vec<_> = missing.iter().map(|tool| of(tool)).collect();
        names.dedup();
        names.join(" ")
    };
    bail!(
        "{purpose} needs what is not installed here: {}; install it: `apt-get install {}` (Debian), \
         `dnf install {}` (Fedora)",
        list(|tool| tool.name),
        list(|tool| tool.debian),
        list(|tool| tool.fedora)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_program_is_told_with_its_packages() {
        let tools = [tool("flex"), HostTool { name: "ld", debian: "binutils", fedora: "binutils" }, tool("make")];
        let told = check_by(&tools, "Unikraft", |name| name == "make").unwrap_err().to_string();
        assert!(told.starts_with("Unikraft needs what is not installed here: flex ld; "), "{told}");
        assert!(told.contains("`apt-get install flex binutils`"), "{told}");
        assert!(check_by(&tools, "Unikraft", |_| true).is_ok());
    }
}
