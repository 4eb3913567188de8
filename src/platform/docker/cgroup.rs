//! The cgroup that an engine has created for a container.

use std::path::Path;
use std::sync::Arc;

use crate::host::cgroup::{Cgroup, Controller, Hierarchies};
use crate::platform::engine_api::ContainerState;

/// The cgroup of a running container of this host's engine.
pub(super) fn cgroup_of(state: &ContainerState) -> Option<Cgroup> {
    let table = std::fs::read_to_string(format!("/proc/{}/cgroup", state.pid?)).ok()?;
    let path = cgroup_path(&table).filter(|path| contains_id(path, &state.id))?;
    let hierarchies = Hierarchies::read(Path::new("/")).ok()?.of_runtimes();
    Some(Arc::new(hierarchies).group(Path::new(path)))
}

/// The path of a process's cgroup in `/proc/<pid>/cgroup` (`cgroups(7)`): in version 1 that of the `pids` controller,
/// else the only one.
fn cgroup_path(table: &str) -> Option<&str> {
    let mut unified = None;
    for (names, path) in table.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')) {
        if names.split(',').any(|name| name == Controller::Pids.name()) {
            return Some(path);
        }
        if names.is_empty() {
            unified = unified.or(Some(path));
        }
    }
    unified
}

/// Whether the cgroup `path` contains the container's id, as with every engine. If the engine runs on another machine
/// behind a local socket, its process numbers belong to other processes here.
fn contains_id(path: &str, id: &str) -> bool {
    !id.is_empty() && path.contains(id)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::v1("12:pids:/docker/ab\n5:memory:/docker/ab\n0::/other\n", Some("/docker/ab"))]
    #[case::v2("0::/system.slice/docker-ab.scope\n", Some("/system.slice/docker-ab.scope"))]
    #[case::nothing("", None)]
    fn the_cgroup_of_a_process_is_found(#[case] table: &str, #[case] path: Option<&str>) {
        assert_eq!(cgroup_path(table), path);
    }

    #[rstest]
    #[case::docker("/docker/ab12", "ab12", true)]
    #[case::systemd("/system.slice/docker-ab12.scope", "ab12", true)]
    #[case::podman("/fw/libpod-ab12", "ab12", true)]
    #[case::somebody_else("/user.slice", "ab12", false)]
    #[case::no_id("/user.slice", "", false)]
    fn only_a_cgroup_that_contains_the_id_is_the_containers(
        #[case] path: &str,
        #[case] id: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(contains_id(path, id), expected);
    }
}
