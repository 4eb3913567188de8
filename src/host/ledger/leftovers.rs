//! What a sweep of a ledger found and removed.

use std::fmt;

/// What was still there and has been removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Processes, which were killed.
    pub processes: usize,
    /// Cgroups.
    pub cgroups: usize,
    /// Mounts.
    pub mounts: usize,
    /// Directories outside the run's own folder.
    pub dirs: usize,
    /// Containers of engines.
    pub containers: usize,
    /// Networks of engines.
    pub networks: usize,
    /// Images of engines.
    pub images: usize,
}

impl fmt::Display for Leftovers {
    /// The kinds that were found: `1 process, 2 folders`; `nothing` without any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.processes, "process", "processes"),
            (self.cgroups, "control group", "control groups"),
            (self.mounts, "mount", "mounts"),
            (self.dirs, "folder", "folders"),
            (self.containers, "container", "containers"),
            (self.networks, "network", "networks"),
            (self.images, "image", "images"),
        ];
        let found = all.iter().filter(|(n, ..)| *n > 0);
        let words: Vec<_> = found.map(|(n, one, many)| format!("{n} {}", if *n == 1 { one } else { many })).collect();
        f.write_str(if words.is_empty() { "nothing" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_printed_by_kind() {
        let left = Leftovers { processes: 1, dirs: 2, ..Leftovers::default() };
        assert_eq!(left.to_string(), "1 process, 2 folders");
        assert_eq!(Leftovers::default().to_string(), "nothing");
    }
}
