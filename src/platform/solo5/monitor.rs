//! The process of one of Solo5's monitors.

use crate::guest::system::unikernel::Monitor;
use crate::platform::machine::{MachineInstance, MonitorProcess};
use crate::platform::{Exit, GuestThread, ThreadRole};

/// A machine of Solo5.
pub(super) type Solo5Instance = MachineInstance<Solo5Monitor>;

/// Which of Solo5's monitors it is.
#[derive(Debug)]
pub(super) struct Solo5Monitor(pub(super) Monitor);

impl MonitorProcess for Solo5Monitor {
    fn name(&self) -> String {
        self.0.to_string()
    }

    /// A monitor has one thread, which becomes the virtual CPU or, under seccomp, the guest itself.
    fn role(&self, _thread: GuestThread) -> ThreadRole {
        if self.0 == Monitor::Solo5Hvt { ThreadRole::Vcpu } else { ThreadRole::Process }
    }

    /// The monitor exits with the status that the guest passed to `solo5_exit`.
    fn exit_status(&self, guest: Exit, monitor: Option<Exit>) -> Result<Exit, String> {
        match (guest, monitor) {
            (Exit::Code(reported), Some(Exit::Code(code))) if reported != code => Err(format!(
                "the guest reported that it ends with code {reported}, and {} exited with code {code}",
                self.0
            )),
            _ => Ok(guest),
        }
    }
}
