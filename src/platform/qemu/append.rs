//! The kernel command lines of QEMU's machines. Pure.

use super::flavor::GuestSystem;
use crate::guest::system::osv;
use crate::guest::system::unikernel::Monitor;
use crate::model::platform::Accelerator;
use crate::platform::LaunchSpec;
use crate::platform::machine::append::{self, Network};

/// A kernel that a machine boots.
#[derive(Debug)]
pub(super) struct Kernel<'a> {
    /// Its guest system.
    pub(super) system: GuestSystem,
    pub(super) accelerator: Accelerator,
    /// The rate of the host's time stamp counter, which emulated guests use as well.
    pub(super) tsc_khz: Option<u64>,
    /// More words for a Linux kernel.
    pub(super) words: &'a [String],
}

/// The command line of `kernel` with the program of `spec` in it.
///
/// # Errors
/// Fails if an argument cannot be part of a command line.
pub(super) fn line(kernel: &Kernel<'_>, spec: &LaunchSpec, network: Option<Network>) -> Result<String, String> {
    match kernel.system {
        GuestSystem::Null => append::line(Vec::new(), spec, None, 0),
        GuestSystem::Osv => Ok(osv::command_line(spec.image.program, &append::arguments_of(spec)?)),
        // It parses every word as an option of its own, and exits with 64.
        GuestSystem::Mirage => Ok(String::new()),
        GuestSystem::Unikraft => append::unikraft(spec, Monitor::Qemu, network),
        GuestSystem::Linux | GuestSystem::Debian => {
            let mut words = kernel_words(kernel.accelerator, kernel.tsc_khz);
            words.extend_from_slice(kernel.words);
            words.extend((kernel.system == GuestSystem::Debian).then(|| "fw.root=/dev/vda".to_owned()));
            append::line(words, spec, network, 0)
        }
    }
}

/// A console on the serial port that prints only a panic, and a panic ends the machine at once.
fn kernel_words(accelerator: Accelerator, tsc_khz: Option<u64>) -> Vec<String> {
    let mut words: Vec<String> =
        ["console=ttyS0", "loglevel=1", "panic=-1", "reboot=t", "cryptomgr.notests"].map(str::to_owned).into();
    if accelerator == Accelerator::Tcg {
        // On a busy host, an emulated guest may fail to calibrate its counter and then hang silently: 8 of 30 boots on
        // microvm, two at a time, and none with this word.
        words.extend(tsc_khz.map(|khz| format!("tsc_early_khz={khz}")));
        // On the same host it may fail to count the timer's ticks and then panic.
        words.push("no_timer_check".to_owned());
        // Address randomization only costs time in a machine that nobody attacks.
        words.push("nokaslr".to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::program::Program;
    use crate::platform::machine::append::tests::{network, spec};

    fn build(system: GuestSystem, spec: &LaunchSpec, accelerator: Accelerator) -> Result<String, String> {
        line(&Kernel { system, accelerator, tsc_khz: Some(2_596_134), words: &[] }, spec, Some(network()))
    }

    #[test]
    fn the_words_of_an_arm_follow_those_of_the_kernel() {
        let (accelerator, words) = (Accelerator::Kvm, ["mitigations=off".to_owned(), "quiet".to_owned()]);
        let kernel = Kernel { system: GuestSystem::Linux, accelerator, tsc_khz: None, words: &words };
        let text = line(&kernel, &spec(Program::Hello, &[]), None).expect("a line");
        assert!(text.contains(" cryptomgr.notests mitigations=off quiet fw.run=/fw/hello -- deadline=9"), "{text}");
    }

    #[test]
    fn command_lines_name_the_program_of_the_guest() {
        let null = build(GuestSystem::Null, &spec(Program::Hello, &[]), Accelerator::Kvm).expect("a line");
        assert_eq!(null, "fw.run=/fw/hello -- deadline=9");
        let linux = build(GuestSystem::Linux, &spec(Program::Redis, &[]), Accelerator::Tcg).expect("a line");
        assert_eq!(
            linux,
            "console=ttyS0 loglevel=1 panic=-1 reboot=t cryptomgr.notests tsc_early_khz=2596134 no_timer_check nokaslr \
             fw.net=198.18.0.2/21,198.18.0.1,02:46:57:12:00:01 fw.run=/fw/redis -- deadline=9 dir=/tmp listen=0.0.0.0 \
             port=6379"
        );
        let debian = build(GuestSystem::Debian, &spec(Program::Sqlite, &["rows=5"]), Accelerator::Kvm).expect("a line");
        assert!(
            debian.contains(" fw.root=/dev/vda ") && debian.ends_with(" -- rows=5 deadline=9 dir=/tmp"),
            "{debian}"
        );
        assert!(!debian.contains("tsc") && !debian.contains("kaslr"), "only emulation needs them: {debian}");
    }
}
