//! Copying a container's output into a pipe.

use std::os::fd::OwnedFd;

use bollard::container::AttachContainerResults;
use bollard::query_parameters::AttachContainerOptionsBuilder;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Sender;
use tokio::task::JoinHandle;

use super::{Engine, Error};

/// A running copy of a container's output. Dropping it stops the copy; the container keeps running.
#[derive(Debug)]
pub struct Attachment(JoinHandle<()>);

impl Engine {
    /// Copies a container's output into `pipe`, a writing end, until the container ends or the reader closes. A slow
    /// reader slows the container down.
    ///
    /// # Errors
    /// The container does not exist.
    pub fn attach(&self, name: &str, pipe: OwnedFd) -> Result<Attachment, Error> {
        let name = name.to_owned();
        let options = AttachContainerOptionsBuilder::default().stream(true).stdout(true).stderr(true).build();
        let attach = |docker: bollard::Docker| async move {
            rustix::io::ioctl_fionbio(&pipe, true).map_err(std::io::Error::from)?;
            let attached = docker.attach_container(&name, Some(options)).await?;
            Ok(Attachment(tokio::spawn(copy(attached, Sender::from_owned_fd(pipe)?))))
        };
        self.call("attach to a container", self.patience.ordinary, attach)
    }
}

/// Ends when either side does. A long silence is fine, because an event reports the end of a silent container.
async fn copy(attached: AttachContainerResults, mut pipe: Sender) {
    // Some runtimes close the output together with the input, so keep the input open to the end.
    let AttachContainerResults { mut output, input: _input } = attached;
    while let Some(Ok(chunk)) = output.next().await {
        if pipe.write_all(&chunk.into_bytes()).await.is_err() {
            return;
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.0.abort();
    }
}
