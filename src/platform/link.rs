//! The network connection of a container, for every platform that can put one into a network namespace.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::{Context, Endpoint, LaunchSpec};
use crate::host::network::Attachment;
use crate::model::platform::Networking;

/// A container's connection, if it has one. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Link {
    attachment: Option<Attachment>,
    endpoint: Option<Endpoint>,
}

impl Link {
    /// Connects the instance of `spec` if it demands that. Called after `spawn`, since connecting is a part of the boot.
    ///
    /// # Errors
    /// Fails if the network cannot be created.
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

    /// The network namespace that the container joins; `None` for its own, empty one.
    pub(super) fn netns(&self) -> Option<PathBuf> {
        self.attachment.as_ref().map(Attachment::netns)
    }

    /// The address of its server.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint.clone()
    }

    /// Removes the connection, after the container's processes have ended. Harmless when repeated.
    ///
    /// # Errors
    /// Fails if the kernel refuses.
    pub(super) fn disconnect(&mut self) -> io::Result<()> {
        self.attachment.take().map_or(Ok(()), Attachment::detach)
    }
}

/// The address on which the server of `spec` listens in its container: any.
pub(super) fn listen(spec: &LaunchSpec) -> Option<SocketAddr> {
    let port = spec.image.program.listens().filter(|_| spec.network == Networking::Bridge)?;
    Some(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
}
