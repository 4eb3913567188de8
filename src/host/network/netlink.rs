//! An rtnetlink client: sends several requests in one message and reads one acknowledgement for each (`netlink(7)`).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

use super::NetworkError;
use crate::host::error::failed_to;

/// Fits an acknowledgement, which repeats a request that failed.
const REPLY_BYTES: usize = 8 << 10;

/// A request to the kernel.
#[derive(Debug)]
pub(super) struct NetlinkRequest {
    /// What it does, for an error: `create the bridge fw0`.
    pub(super) step: String,
    pub(super) message: RouteNetlinkMessage,
    /// Its flags in addition to those of every request.
    pub(super) flags: u16,
}

/// A socket that configures the network namespace in which it was opened.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// Opens a socket for the calling thread's network namespace.
    pub(super) fn open() -> io::Result<Self> {
        let protocol = SockProtocol::NetlinkRoute;
        Ok(Self(socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?))
    }

    /// Makes the kernel execute `requests` in order. Only one thread may call this at a time.
    ///
    /// # Errors
    /// Names the first request that failed. The kernel executes those after it nevertheless.
    pub(super) fn execute(&self, requests: Vec<NetlinkRequest>) -> io::Result<()> {
        let steps: Vec<String> = requests.iter().map(|request| request.step.clone()).collect();
        let mut message = Vec::new();
        requests.into_iter().enumerate().for_each(|(number, request)| request.write(number, &mut message));
        send(self.0.as_raw_fd(), &message, MsgFlags::empty())?;
        let outcomes: Vec<_> = steps.iter().map(|_| self.outcome(&steps)).collect();
        outcomes.into_iter().collect()
    }

    #[cfg(test)]
    pub(super) fn raw(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }

    /// Reads the next acknowledgement.
    fn outcome(&self, steps: &[String]) -> io::Result<()> {
        let mut reply = [0; REPLY_BYTES];
        let length = loop {
            match recv(self.0.as_raw_fd(), &mut reply, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        let reply = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&reply[..length]).map_err(io::Error::other)?;
        match reply.payload {
            NetlinkPayload::Error(error) if error.code.is_none() => Ok(()),
            NetlinkPayload::Error(error) => {
                let step = steps.get(reply.header.sequence_number as usize);
                Err(failed_to(step.map_or("execute an unknown request", String::as_str), error.to_io()))
            }
            other => Err(NetworkError::UnexpectedReply(format!("{other:?}")).into()),
        }
    }
}

impl NetlinkRequest {
    /// Appends the request to `text`, aligned to four bytes.
    fn write(self, number: usize, text: &mut Vec<u8>) {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | self.flags;
        header.sequence_number = number as u32;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(self.message));
        message.finalize();
        let begin = text.len();
        text.resize((begin + message.buffer_len()).next_multiple_of(4), 0);
        message.serialize(&mut text[begin..begin + message.header.length as usize]);
    }
}
