//! The processes that a process forked.

use std::fs;

/// The process `pid`, and all that it and its children forked, by `/proc/<pid>/task/<tid>/children`.
pub(in crate::platform) fn family_of(pid: i32) -> Vec<i32> {
    let mut pids = vec![pid];
    let mut next = 0;
    while let Some(&pid) = pids.get(next) {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        pids.extend(children.split_whitespace().filter_map(|text| text.parse::<i32>().ok()));
        next += 1;
    }
    pids
}
