//! Builds the guest systems that need only this host's packages, `null`, `linux` and `debian`, and boots each once.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use crate::guest::system::{self, System};
use crate::guest::{Image, ensure};
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::host::ledger::Ledger;
use crate::model::platform::{Networking, PlatformId};
use crate::model::program::Program;
use crate::model::run::RunId;
use crate::platform::{Context, Error, LaunchSpec, Milestone, Purpose, registry};
use anyhow::{Context as _, anyhow};

use super::{ImageRequest, Row, print_step, short};

/// The time limit of a boot. An emulated Debian takes half a minute on a busy host.
const BOOT: Duration = Duration::from_secs(300);

/// A guest system that needs only this host's packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SystemKind {
    Null,
    Linux,
    Debian,
}

impl SystemKind {
    const fn name(self) -> &'static str {
        match self {
            SystemKind::Null => "null",
            SystemKind::Linux => "linux",
            SystemKind::Debian => "debian",
        }
    }

    fn programs(self) -> Vec<Program> {
        let fits = |program: &Program| self != SystemKind::Null || *program == Program::Hello;
        Program::ALL.iter().copied().filter(fits).collect()
    }

    fn build(self, folders: &Folders, image: &Image) -> anyhow::Result<System> {
        let mut progress = print_step;
        let built = match self {
            SystemKind::Null => system::null(folders, &mut progress),
            SystemKind::Linux => system::linux(folders, image, &mut progress),
            SystemKind::Debian => system::debian(folders, image, &mut progress),
        };
        built.with_context(|| format!("failed to build the guest system {} with {}", self.name(), image.program))
    }
}

/// Builds the guest system with every requested program, and boots it once with `hello`.
///
/// # Errors
/// When an image cannot be built or does not boot.
pub(super) fn build(kind: SystemKind, request: &ImageRequest<'_>) -> anyhow::Result<Vec<Row>> {
    let folders = request.folders;
    if request.force {
        clear(kind, folders)?;
    }
    let mut rows = Vec::new();
    for program in request.programs(&kind.programs()) {
        let images = match ensure(folders, &[program], &mut print_step) {
            Ok(images) => images,
            Err(missing) if program.is_server() => {
                eprintln!("skipped {program}: {missing}");
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("failed to build the guest program {program}")),
        };
        for image in &images {
            let system = kind.build(folders, image)?;
            let state = if program == Program::Hello { boot(kind, image, folders)? } else { "built".to_owned() };
            rows.push(row(kind, program, &system, &state));
        }
    }
    Ok(rows)
}

/// Lists the built images.
pub(super) fn list(kind: SystemKind, request: &ImageRequest<'_>) -> Vec<Row> {
    let row_of = |program: &Program| {
        let built = system::built(request.folders, kind.name(), *program)?;
        Some(row(kind, *program, &built.system, &built.origin))
    };
    kind.programs().iter().filter_map(row_of).collect()
}

fn row(kind: SystemKind, program: Program, system: &System, state: &str) -> Row {
    let image = format!("{}:{program}", kind.name());
    Row([image, "qemu".to_owned(), short(&system.digest), system.size.to_string(), state.to_owned()])
}

fn clear(kind: SystemKind, folders: &Folders) -> anyhow::Result<()> {
    let folder = folders.images().join(kind.name());
    match fs::remove_dir_all(&folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("failed to remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Boots the image on the platform that measures it until the program's first line. Writes the output to `smoke.log`.
fn boot(kind: SystemKind, image: &Image, folders: &Folders) -> anyhow::Result<String> {
    let ledger = Arc::new(
        Ledger::open(&folders.state, &RunId::generate(), crate::platform::reap_engines)
            .context("failed to open a ledger")?,
    );
    let context = Context::new(Arc::clone(&ledger), Interrupt::on_signals().context("failed to handle Ctrl-C")?);
    let platform = registry::open(&PlatformId::new(format!("qemu:{}", kind.name())), &context)?;
    let outcome = match platform.check() {
        Err(why) => Ok(format!("not booted: {why}")),
        Ok(_) => platform.prepare(image).and_then(|()| {
            let clock = platform.clock();
            let began = clock.now();
            let mut instance = platform.launch(&spec(&ledger, image))?;
            let main = instance.wait_for(Milestone::Main, began + BOOT.into())?;
            let lines: Vec<String> = instance.lines().iter().map(|line| format!("{:?}\n", line.line)).collect();
            instance.stop()?;
            let log = folders.images().join(kind.name()).join("smoke.log");
            fs::write(&log, lines.concat()).map_err(|e| Error::failed(format!("write {}", log.display()), e))?;
            let accelerator = platform.capabilities().accelerator;
            Ok(format!("booted in {} ({accelerator})", main.saturating_sub(began)))
        }),
    };
    drop(platform);
    ledger.close().context("failed to close the ledger")?;
    outcome.map_err(|e| anyhow!("failed to boot {}: {e}", kind.name()))
}

fn spec(ledger: &Ledger, image: &Image) -> LaunchSpec {
    LaunchSpec {
        name: ledger.instance_name(),
        image: image.clone(),
        arguments: Vec::new(),
        cpus: None,
        limits: None,
        memory: None,
        network: Networking::None,
        purpose: Purpose::Measured,
        deadline: BOOT,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::units::Bytes;

    use super::*;
    use crate::cli::images::source::Origin;

    #[test]
    fn a_built_system_is_listed_with_its_digest_and_size() {
        let output = tempfile::tempdir().unwrap();
        let folders = Folders { output: output.path().to_owned(), ..Folders::from_env() };
        let request = ImageRequest {
            folders: &folders,
            origin: Origin::Cache,
            offline: true,
            lock_file: None,
            locked: false,
            force: false,
            only: Vec::new(),
        };
        assert_eq!(list(SystemKind::Null, &request), []);
        let built = system::null(&folders, &mut |_| {}).unwrap();
        let rows = list(SystemKind::Null, &request);
        let [Row([image, monitor, digest, size, origin])] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((image.as_str(), monitor.as_str()), ("null:hello", "qemu"));
        assert_eq!((digest, size), (&short(&built.digest), &built.size.to_string()));
        assert!(built.size > Bytes(0) && !digest.is_empty() && !origin.is_empty(), "{rows:?}");
    }
}
