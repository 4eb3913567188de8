//! The arguments of a guest program that every platform adds. Pure.

use super::LaunchSpec;
use crate::guest::Program;

/// Whether `program` works on files of its own and so needs `dir=`.
pub(super) fn needs_files(program: Program) -> bool {
    match program {
        Program::Open
        | Program::Read
        | Program::Write
        | Program::Stat
        | Program::Sqlite
        | Program::Probe
        | Program::Nginx
        | Program::Redis => true,
        Program::Hello | Program::Sleep | Program::Prime | Program::Stream | Program::Fork => false,
    }
}

/// The arguments of the guest: those of `spec`, `deadline=` in whole seconds, rounded up, and `dir=` if there is one.
pub(super) fn of_guest(spec: &LaunchSpec, dir: Option<&str>) -> Vec<String> {
    let seconds = spec.deadline.as_secs() + u64::from(spec.deadline.subsec_nanos() > 0);
    let mut arguments = spec.arguments.clone();
    arguments.push(format!("deadline={}", seconds.max(1)));
    arguments.extend(dir.map(|dir| format!("dir={dir}")));
    arguments
}
