//! Removing what a run created in engines: its containers, then its networks and images.
//!
//! Invariant: an object is removed only if the ledger has it, its name begins with the run's, and the engine lists it
//! under the run's label or name. The listing also saves a request for each of the thousands that are gone already.

use std::collections::BTreeSet;
use std::io;

use super::{Address, Engine, Error, Patience};
use crate::host::ledger::{CONTAINER_LABEL, Leftovers, Resource};
use crate::model::run::RunId;

/// Why a run's objects could not be removed from an engine.
#[derive(Debug, thiserror::Error)]
enum ReapError {
    #[error("{}", .0.with_help())]
    Engine(#[from] Error),
    #[error("{name} does not carry the name {run}: left alone")]
    Foreign { name: String, run: String },
    #[error("failed to remove the {kind} {name}: {}", source.with_help())]
    Remove { kind: &'static str, name: String, source: Error },
}

/// The objects of one engine in a run's ledger.
#[derive(Debug, Default, PartialEq, Eq)]
struct Recorded {
    containers: BTreeSet<String>,
    networks: BTreeSet<String>,
    images: BTreeSet<String>,
}

/// Removes the engines' objects among `resources`. A failure does not stop the removal of the others.
///
/// # Errors
/// Reports the first object that could not be removed, or the first engine that did not answer, with the remedy.
pub fn reap(resources: &[Resource], run: &RunId, left: &mut Leftovers) -> io::Result<()> {
    let engines: BTreeSet<&str> = resources.iter().filter_map(Resource::engine).collect();
    let mut first_error = None;
    for engine in engines {
        if let Err(e) = reap_engine(engine, resources, run, left) {
            first_error.get_or_insert(e);
        }
    }
    first_error.map_or(Ok(()), |e| Err(io::Error::other(e)))
}

fn reap_engine(engine: &str, resources: &[Resource], run: &RunId, left: &mut Leftovers) -> Result<(), ReapError> {
    let recorded = recorded(engine, resources, run)?;
    let address: Address = engine.parse()?;
    let engine = Engine::connect(&address, Patience::DEFAULT)?;
    let (label, images) = (run.as_str(), format!("{}/*", run.name().to_ascii_lowercase()));
    let mut errors = Vec::new();

    let listed = engine.containers(CONTAINER_LABEL, label)?;
    left.containers += remove("container", &listed, &recorded.containers, |name| engine.remove(name), &mut errors);
    let listed = engine.networks(CONTAINER_LABEL, label)?;
    left.networks += remove("network", &listed, &recorded.networks, |name| engine.remove_network(name), &mut errors);
    let listed = engine.images(&images)?;
    left.images += remove("image", &listed, &recorded.images, |name| engine.remove_image(name), &mut errors);
    errors.into_iter().next().map_or(Ok(()), Err)
}

/// Removes the listed objects that are recorded, and returns how many there were.
fn remove(
    kind: &'static str,
    listed: &[String],
    recorded: &BTreeSet<String>,
    remove_one: impl Fn(&str) -> Result<(), Error>,
    errors: &mut Vec<ReapError>,
) -> usize {
    let mut count = 0;
    for name in listed.iter().filter(|name| recorded.contains(*name)) {
        count += 1;
        if let Err(source) = remove_one(name) {
            errors.push(ReapError::Remove { kind, name: name.clone(), source });
        }
    }
    count
}

/// Collects the objects of `engine` in the ledger. Rejects a name that is not the run's: a damaged ledger must not cost
/// the user anything.
fn recorded(engine: &str, resources: &[Resource], run: &RunId) -> Result<Recorded, ReapError> {
    let mut recorded = Recorded::default();
    for resource in resources.iter().filter(|resource| resource.engine() == Some(engine)) {
        let (list, name, end) = match resource {
            Resource::Container { name, .. } => (&mut recorded.containers, name, '-'),
            Resource::Network { name, .. } => (&mut recorded.networks, name, '-'),
            Resource::Image { name, .. } => (&mut recorded.images, name, '/'),
            _ => continue,
        };
        let own = run.name();
        if !name.to_ascii_lowercase().starts_with(&format!("{}{end}", own.to_ascii_lowercase())) {
            return Err(ReapError::Foreign { name: name.clone(), run: own });
        }
        list.insert(name.clone());
    }
    Ok(recorded)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ENGINE: &str = "unix:///run/docker.sock";

    fn run() -> RunId {
        "20261121-084514-3f9a".parse().expect("a run id")
    }

    fn container(name: &str) -> Resource {
        Resource::Container { engine: ENGINE.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn recorded_objects_are_grouped_by_kind_and_engine() {
        let image = Resource::Image { engine: ENGINE.to_owned(), name: "fw-20261121-084514-3f9a/hello:0".to_owned() };
        let foreign = Resource::Network { engine: "tcp://remote:1".to_owned(), name: "theirs".to_owned() };
        let all = [container("fw-20261121-084514-3f9a-7"), image, foreign];
        let recorded = recorded(ENGINE, &all, &run()).expect("all ours");
        assert_eq!(recorded.containers.into_iter().collect::<Vec<_>>(), ["fw-20261121-084514-3f9a-7"]);
        assert_eq!((recorded.networks.len(), recorded.images.len()), (0, 1));
    }

    #[rstest]
    fn a_name_without_the_runs_is_left_alone(
        #[values("database", "fw-20261121-084514-3f9", "fw-20261121-084514-3f9ab-1", "")] name: &str,
    ) {
        let error = recorded(ENGINE, &[container(name)], &run()).expect_err("not ours").to_string();
        assert!(error.contains("left alone"), "{error}");
    }

    #[test]
    fn an_engine_that_cannot_be_reached_is_an_error_with_its_help() {
        let gone = Resource::Container {
            engine: "unix:///nowhere/at/all.sock".to_owned(),
            name: "fw-20261121-084514-3f9a-7".to_owned(),
        };
        let error = reap(&[gone], &run(), &mut Leftovers::default()).expect_err("no engine").to_string();
        assert!(error.contains("/nowhere/at/all.sock") && error.contains("start it"), "{error}");
    }

    #[test]
    fn without_engines_no_engine_is_contacted() {
        let other = Resource::Process { name: "x".to_owned() };
        reap(&[other], &run(), &mut Leftovers::default()).expect("nothing to do");
    }
}
