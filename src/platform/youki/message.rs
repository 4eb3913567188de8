//! What the harness and a launcher say to each other: one JSON object a datagram, files beside it.
//!
//! The socket keeps message borders (`SOCK_SEQPACKET`, `unix(7)`), so nothing has to be framed.

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

/// The longest message: paths and an error's text.
const LONGEST: usize = 32 << 10;

/// What the harness asks a launcher for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub(super) enum LauncherRequest {
    /// Create and start a container; its output comes as a file beside the message. Answered by [`Reply::Created`],
    /// then [`Reply::Started`].
    Launch {
        /// Its name.
        name: String,
        /// The folder of its `config.json`.
        bundle: PathBuf,
        /// The folder under which the runtime keeps its states.
        states: PathBuf,
    },
    /// Remove a container whose process has ended. Answered by [`Reply::Removed`].
    Remove {
        /// Its name.
        name: String,
    },
}

/// What a launcher answers.
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
        /// When the runtime let it go.
        at: Nanos,
    },
    /// Nothing of the container is left.
    Removed {
        /// How its process ended.
        exit: Exit,
    },
    /// The request failed, and whatever it had made is removed as far as possible.
    Failed {
        /// Why.
        reason: String,
    },
}

/// The two ends of a conversation; both close on `exec`.
pub(super) fn channel() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Sends `message` and lends the other side a copy of `file`.
pub(super) fn send(socket: BorrowedFd<'_>, message: &impl Serialize, file: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let files: Vec<RawFd> = file.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&files)];
    let control = if files.is_empty() { &[][..] } else { &rights[..] };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&text)], control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives one message; `None` when the other side is gone.
pub(super) fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut text = vec![0; LONGEST];
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
            // SAFETY: the kernel has just made these descriptors for us; there is room for one, and it gets one owner.
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
        let (here, there) = channel().expect("a channel");
        let (read, write) = io::pipe().expect("a pipe");
        send(here.as_fd(), &LauncherRequest::Remove { name: "fw-1".into() }, Some(write.as_fd())).expect("sent");
        drop(write);
        let (request, file) = receive::<LauncherRequest>(there.as_fd()).expect("received").expect("a message");
        assert!(matches!(request, LauncherRequest::Remove { name } if name == "fw-1"));
        File::from(file.expect("a file")).write_all(b"through").expect("written");
        let mut text = String::new();
        File::from(OwnedFd::from(read)).read_to_string(&mut text).expect("read");
        assert_eq!(text, "through");
    }

    #[test]
    fn the_end_of_the_other_side_is_no_message() {
        let (here, there) = channel().expect("a channel");
        drop(here);
        assert!(receive::<LauncherRequest>(there.as_fd()).expect("received").is_none());
    }
}
