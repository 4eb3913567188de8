//! A container's output, carried into a pipe.

use std::os::fd::OwnedFd;

use bollard::container::AttachContainerResults;
use bollard::query_parameters::AttachContainerOptionsBuilder;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Sender;
use tokio::task::JoinHandle;

use super::{Engine, Error};

/// What carries a container's output. Dropping it ends that; the container goes on.
#[derive(Debug)]
pub struct Attachment(JoinHandle<()>);

impl Engine {
    /// From now on carries what a container prints into `pipe`, whose writing end it is, until the container ends or
    /// nobody reads. A reader that does not keep up holds the container back.
    ///
    /// # Errors
    /// When there is no such container.
    pub fn attach(&self, name: &str, pipe: OwnedFd) -> Result<Attachment, Error> {
        let name = name.to_owned();
        let options = AttachContainerOptionsBuilder::default().stream(true).stdout(true).stderr(true).build();
        let attach = |docker: bollard::Docker| async move {
            rustix::io::ioctl_fionbio(&pipe, true).map_err(std::io::Error::from)?;
            let attached = docker.attach_container(&name, Some(options)).await?;
            Ok(Attachment(tokio::spawn(carry(attached, Sender::from_owned_fd(pipe)?))))
        };
        self.call("attach to a container", self.patience.ordinary, attach)
    }
}

/// Ends when either side does. Silence is no fault: the end of a silent container is told by its event.
async fn carry(attached: AttachContainerResults, mut pipe: Sender) {
    // Closing the input would tell some runtimes to close the output as well: it is kept to the end.
    let AttachContainerResults { mut output, input: _input } = attached;
    while let Some(Ok(piece)) = output.next().await {
        if pipe.write_all(&piece.into_bytes()).await.is_err() {
            return;
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.0.abort();
    }
}
