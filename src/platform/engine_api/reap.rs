//! Removing what a run made through engines: its containers, then its networks and images.
//!
//! Invariant: what is removed stands in the ledger, carries the run's name, and is listed by the engine under the run's
//! label or name. The listing also spares a question for each of the thousands that are gone already.

use std::collections::BTreeSet;
use std::io;

use super::{Address, Engine, Error, Patience};
use crate::host::ledger::{CONTAINER_LABEL, Leftovers, Resource};
use crate::model::run::RunId;

/// What a run has written down of one engine.
#[derive(Debug, Default, PartialEq, Eq)]
struct Written {
    containers: BTreeSet<String>,
    networks: BTreeSet<String>,
    images: BTreeSet<String>,
}

/// Removes what is left of `resources`. What cannot be removed keeps nothing else from it.
///
/// # Errors
/// The first thing that could not be removed, or the engine that could not be asked, with the cure.
pub fn reap(resources: &[Resource], run: &RunId, left: &mut Leftovers) -> io::Result<()> {
    let engines: BTreeSet<&str> = resources.iter().filter_map(Resource::engine).collect();
    let outcomes: Vec<_> = engines.into_iter().map(|engine| remove_from(engine, resources, run, left)).collect();
    outcomes.into_iter().collect()
}

fn remove_from(engine: &str, resources: &[Resource], run: &RunId, left: &mut Leftovers) -> io::Result<()> {
    let written = written(engine, resources, run)?;
    let address: Address = engine.parse().map_err(io::Error::other)?;
    let engine = Engine::connect(&address, Patience::DEFAULT).map_err(io::Error::other)?;
    let mut outcomes = Vec::new();
    let mut each = |listed: Result<Vec<String>, Error>,
                    written: &BTreeSet<String>,
                    kind: &str,
                    remove: &dyn Fn(&str) -> Result<(), Error>| {
        let listed = listed.map_err(io::Error::other)?;
        let ours: Vec<_> = listed.iter().filter(|name| written.contains(*name)).collect();
        outcomes.extend(
            ours.iter()
                .filter_map(|name| remove(name).err().map(|e| io::Error::other(format!("remove {kind} {name}: {e}")))),
        );
        Ok::<usize, io::Error>(ours.len())
    };
    let label = run.as_str();
    left.containers +=
        each(engine.containers(CONTAINER_LABEL, label), &written.containers, "container", &|it| engine.remove(it))?;
    left.networks +=
        each(engine.networks(CONTAINER_LABEL, label), &written.networks, "network", &|it| engine.remove_network(it))?;
    left.images +=
        each(engine.images(&format!("{}/*", run.name().to_ascii_lowercase())), &written.images, "image", &|it| {
            engine.remove_image(it)
        })?;
    outcomes.into_iter().next().map_or(Ok(()), Err)
}

/// What stands in the ledger of one engine. A name that is not the run's is refused: a damaged ledger must not cost the
/// user anything.
fn written(of: &str, resources: &[Resource], run: &RunId) -> io::Result<Written> {
    let mut written = Written::default();
    for resource in resources.iter().filter(|resource| resource.engine() == Some(of)) {
        let (list, name, end) = match resource {
            Resource::Container { name, .. } => (&mut written.containers, name, '-'),
            Resource::Network { name, .. } => (&mut written.networks, name, '-'),
            Resource::Image { name, .. } => (&mut written.images, name, '/'),
            _ => continue,
        };
        let own = run.name();
        if !name.to_ascii_lowercase().starts_with(&format!("{}{end}", own.to_ascii_lowercase())) {
            return Err(io::Error::other(format!("{name} does not carry the name {own}: left alone")));
        }
        list.insert(name.clone());
    }
    Ok(written)
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
    fn what_is_written_is_told_by_kind_and_engine() {
        let image = Resource::Image { engine: ENGINE.to_owned(), name: "fw-20261121-084514-3f9a/hello:0".to_owned() };
        let elsewhere = Resource::Network { engine: "tcp://there:1".to_owned(), name: "theirs".to_owned() };
        let all = [container("fw-20261121-084514-3f9a-7"), image, elsewhere];
        let written = written(ENGINE, &all, &run()).expect("all ours");
        assert_eq!(written.containers.into_iter().collect::<Vec<_>>(), ["fw-20261121-084514-3f9a-7"]);
        assert_eq!((written.networks.len(), written.images.len()), (0, 1));
    }

    #[rstest]
    fn a_name_without_the_runs_is_left_alone(
        #[values("database", "fw-20261121-084514-3f9", "fw-20261121-084514-3f9ab-1", "")] name: &str,
    ) {
        let error = written(ENGINE, &[container(name)], &run()).expect_err("not ours").to_string();
        assert!(error.contains("left alone"), "{error}");
    }

    #[test]
    fn an_engine_that_cannot_be_asked_is_an_error_with_the_cure() {
        let gone = Resource::Container {
            engine: "unix:///nowhere/at/all.sock".to_owned(),
            name: "fw-20261121-084514-3f9a-7".to_owned(),
        };
        let error = reap(&[gone], &run(), &mut Leftovers::default()).expect_err("nobody there").to_string();
        assert!(error.contains("/nowhere/at/all.sock") && error.contains("start it"), "{error}");
    }

    #[test]
    fn without_engines_nobody_is_asked() {
        let other = Resource::Process { name: "x".to_owned() };
        reap(&[other], &run(), &mut Leftovers::default()).expect("nothing to do");
    }
}
