//! The protocol between the harness and a launcher: one JSON object per message, with an optional file descriptor.
//!
//! The socket preserves message boundaries (`SOCK_SEQPACKET`, `unix(7)`), so messages need no framing.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::units::Nanos;
use crate::platform::Exit;

/// The size limit of a message, which holds paths and an error's text.
const MAX_MESSAGE: usize = 32 << 10;

/// A request of the harness.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub(super) enum LauncherRequest {
    /// Create and start a container whose output is the file that comes with the message. The replies are
    /// [`Reply::Created`], then [`Reply::Started`].
    Launch {
        /// Its name.
        name: String,
        /// The folder of its `config.json`.
        bundle: PathBuf,
        /// The folder of all containers' states.
        states: PathBuf,
    },
    /// Remove a container whose process has ended. The reply is [`Reply::Removed`].
    Remove {
        /// Its name.
        name: String,
    },
}

/// A reply of a launcher.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "lowercase")]
pub(super) enum Reply {
    /// The container exists; its process waits to be started.
    Created {
        /// The process, in the host's process namespace. It is not reaped before [`LauncherRequest::Remove`].
        pid: i32,
    },
    /// The container runs.
    Started {
        /// When the runtime started it.
        at: Nanos,
    },
    /// The container is removed.
    Removed {
        /// The exit status of its process.
        exit: Exit,
    },
    /// The request failed, and the launcher removed what it could.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Creates a pair of connected sockets, which close on `exec`.
pub(super) fn channel() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Sends `message`, with a copy of `file`.
pub(super) fn send(socket: BorrowedFd<'_>, message: &impl Serialize, file: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let files: Vec<RawFd> = file.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&files)];
    let control = if files.is_empty() { &[][..] } else { &rights[..] };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&text)], control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives one message; `None` once the other side is closed.
pub(super) fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut text = vec![0; MAX_MESSAGE];
    let mut space = cmsg_space!([RawFd; 1]);
    let mut parts = [IoSliceMut::new(&mut text)];
    let got = loop {
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(nix::errno::Errno::EINTR) => {}
            other => break other?,
        }
    };
    let length = got.bytes;
    let mut file = None;
    for message in got.cmsgs()? {
        if let ControlMessageOwned::ScmRights(files) = message {
            // SAFETY: the kernel has just created the descriptor for this process, and it gets one owner. The buffer
            // has space for one.
            file = files.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).next_back();
        }
    }
    match length {
        0 => Ok(None),
        _ => Ok(Some((serde_json::from_slice(&text[..length])?, file))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_message_arrives_with_its_file() {
        let (harness, launcher) = channel().expect("a channel");
        let (read, write) = io::pipe().expect("a pipe");
        send(harness.as_fd(), &LauncherRequest::Remove { name: "fw-1".into() }, Some(write.as_fd())).expect("sent");
        drop(write);
        let (request, file) = receive::<LauncherRequest>(launcher.as_fd()).expect("received").expect("a message");
        assert!(matches!(request, LauncherRequest::Remove { name } if name == "fw-1"));
        File::from(file.expect("a file")).write_all(b"through").expect("written");
        let mut text = String::new();
        File::from(OwnedFd::from(read)).read_to_string(&mut text).expect("read");
        assert_eq!(text, "through");
    }

    #[test]
    fn a_closed_other_side_is_not_a_message() {
        let (harness, launcher) = channel().expect("a channel");
        drop(harness);
        assert!(receive::<LauncherRequest>(launcher.as_fd()).expect("received").is_none());
    }
}
