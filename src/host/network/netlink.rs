//! Speaking rtnetlink: several requests in one message to the kernel, one acknowledgement each (`netlink(7)`).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// Room for an acknowledgement, which repeats the request if that failed.
const REPLY_BYTES: usize = 8 << 10;

/// Something that the kernel is asked for.
#[derive(Debug)]
pub(super) struct NetlinkRequest {
    /// What it is, with its object, for an error.
    pub(super) what: String,
    /// The message.
    pub(super) message: RouteNetlinkMessage,
    /// Its own flags besides those of every request.
    pub(super) flags: u16,
}

/// A conversation about the network namespace that its maker was in: it stays with that one.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// A conversation about the calling thread's network namespace.
    pub(super) fn open() -> io::Result<Self> {
        let protocol = SockProtocol::NetlinkRoute;
        Ok(Self(socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?))
    }

    /// Has the kernel do all of `requests`, in their order. One caller at a time.
    ///
    /// # Errors
    /// The first that failed, by its name; the kernel has tried those behind it all the same.
    pub(super) fn ask(&self, requests: Vec<NetlinkRequest>) -> io::Result<()> {
        let names: Vec<String> = requests.iter().map(|request| request.what.clone()).collect();
        let mut text = Vec::new();
        requests.into_iter().enumerate().for_each(|(number, request)| request.write(number, &mut text));
        send(self.0.as_raw_fd(), &text, MsgFlags::empty())?;
        let outcomes: Vec<_> = names.iter().map(|_| self.outcome(&names)).collect();
        outcomes.into_iter().collect()
    }

    #[cfg(test)]
    pub(super) fn raw(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }

    /// The next acknowledgement.
    fn outcome(&self, names: &[String]) -> io::Result<()> {
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
                let what =
                    names.get(reply.header.sequence_number as usize).map_or("an unknown request", String::as_str);
                Err(io::Error::new(error.to_io().kind(), format!("{what}: {}", error.to_io())))
            }
            other => Err(io::Error::other(format!("unexpected message of the kernel: {other:?}"))),
        }
    }
}

impl NetlinkRequest {
    /// Appends it to `text`, each message at a multiple of four bytes.
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
