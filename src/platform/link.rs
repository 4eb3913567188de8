//! How a container is connected: what `youki` and other runtimes of bundles share.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::{Context, Endpoint, LaunchSpec};
use crate::host::network::Attachment;
use crate::model::platform::Networking;

/// A container's connection, if it was asked for. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Link {
    attachment: Option<Attachment>,
    endpoint: Option<Endpoint>,
}

impl Link {
    /// Connects the instance of `spec` as it asks. Comes after `spawn`, since connecting is a part of every boot.
    ///
    /// # Errors
    /// When the network cannot be made.
    pub(super) fn connect(context: &Context, spec: &LaunchSpec) -> io::Result<Self> {
        match spec.network {
            Networking::None => Ok(Self { attachment: None, endpoint: None }),
            Networking::Bridge => {
                let attachment = context.network.attach()?;
                context.settings.delay(spec).map_or(Ok(()), |span| attachment.delay(span))?;
                let address = attachment.address().into();
                let at = |port| Endpoint { address: SocketAddr::new(address, port), netns: context.network.netns() };
                let endpoint = spec.image.program.listens().map(at);
                Ok(Self { attachment: Some(attachment), endpoint })
            }
        }
    }

    /// The network namespace that the container joins; `None` for one of its own.
    pub(super) fn netns(&self) -> Option<PathBuf> {
        self.attachment.as_ref().map(Attachment::netns)
    }

    /// Where its server answers.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint.clone()
    }

    /// Removes the connection, once the container's processes have ended. Harmless the second time.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn disconnect(&mut self) -> io::Result<()> {
        self.attachment.take().map_or(Ok(()), Attachment::detach)
    }
}

/// Where the server of `spec` listens in its container: on whatever address that has.
pub(super) fn listen(spec: &LaunchSpec) -> Option<SocketAddr> {
    let port = spec.image.program.listens().filter(|_| spec.network == Networking::Bridge)?;
    Some(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
}
