//! Creating, inspecting, removing and listing bridges.

use std::collections::HashMap;

use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::ListNetworksOptionsBuilder;

use super::{Engine, Error};

/// A bridge, as the engine reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// The number of connected containers.
    pub containers: usize,
}

impl Engine {
    /// Creates a bridge of that name with a label.
    ///
    /// # Errors
    /// The engine refuses, for example because it has no free addresses.
    pub fn create_bridge(&self, name: &str, label: (&str, &str)) -> Result<(), Error> {
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            labels: Some(HashMap::from([(label.0.to_owned(), label.1.to_owned())])),
            ..NetworkCreateRequest::default()
        };
        let create = |docker: bollard::Docker| async move { docker.create_network(request).await };
        self.call("create a network", self.patience.ordinary, create).map(drop)
    }

    /// Returns the state of a bridge; `None` if it does not exist.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn inspect_bridge(&self, name: &str) -> Result<Option<Bridge>, Error> {
        let name = name.to_owned();
        let inspect = |docker: bollard::Docker| async move { docker.inspect_network(&name, None).await };
        match self.call("inspect a network", self.patience.ordinary, inspect) {
            Ok(network) => Ok(Some(Bridge { containers: network.containers.map_or(0, |all| all.len()) })),
            Err(e) if e.is_absent() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Removes a network. A missing network is fine.
    ///
    /// # Errors
    /// A container is still connected to it.
    pub fn remove_network(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        let remove = |docker: bollard::Docker| async move { docker.remove_network(&name).await };
        match self.call("remove a network", self.patience.ordinary, remove) {
            Err(e) if e.is_absent() => Ok(()),
            other => other,
        }
    }

    /// Lists the names of the networks with that label.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn networks(&self, label: &str, value: &str) -> Result<Vec<String>, Error> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{label}={value}")])]);
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let list = |docker: bollard::Docker| async move { docker.list_networks(Some(options)).await };
        Ok(self
            .call("list networks", self.patience.ordinary, list)?
            .into_iter()
            .filter_map(|network| network.name)
            .collect())
    }
}
