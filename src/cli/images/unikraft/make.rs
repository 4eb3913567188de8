//! The interface of Unikraft's build: how `make` is called, and which files it creates.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::guest::system::unikernel::Monitor;
use crate::model::program::Program;
use anyhow::{Context, ensure};

use super::config::{self, Symbol};
use crate::cli::images::step::Step;

/// The time limit of `make defconfig`, which compiles kconfig first.
const CONFIGURE: Duration = Duration::from_secs(5 * 60);

/// The time limit of a build: Redis with its libraries on one slow processor.
const BUILD: Duration = Duration::from_secs(60 * 60);

/// The environment of the build. All pinned sources are present, so an attempt to fetch more must fail: nothing listens
/// on port 9 (discard). Python must not write its caches to the checkouts.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("http_proxy", "http://127.0.0.1:9"),
    ("https_proxy", "http://127.0.0.1:9"),
    ("no_proxy", ""),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("MAKEFLAGS", ""),
];

/// The build of one image. All paths are absolute.
#[derive(Debug, Clone)]
pub(super) struct Make {
    pub(super) program: Program,
    pub(super) monitor: Monitor,
    /// The checkout of Unikraft.
    pub(super) unikraft: PathBuf,
    /// The checkouts of the libraries.
    pub(super) libraries: Vec<PathBuf>,
    /// The folder of the build: the application, objects in `out`, logs.
    pub(super) folder: PathBuf,
}

impl Make {
    /// Returns the application's folder. Upstream names an application after its folder.
    pub(super) fn app(&self) -> PathBuf {
        self.folder.join(self.program.name())
    }

    pub(super) fn out(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// Returns the path of the resolved configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.app().join(".config")
    }

    /// Configures and builds the image, and returns the path of the kernel.
    ///
    /// # Errors
    /// When `make` fails or creates no kernel, or when kconfig dropped a symbol.
    pub(super) fn run(
        &self,
        requested: &[Symbol],
        jobs: usize,
        progress: &mut dyn FnMut(&str),
    ) -> anyhow::Result<PathBuf> {
        let what = format!("{} for {}", self.program, self.monitor);
        progress(&format!("configure {what}"));
        self.step("defconfig", &["defconfig"], CONFIGURE).run()?;
        self.check(requested)?;
        progress(&format!("build {what}"));
        self.step("build", &[&format!("-j{jobs}")], BUILD).run()?;
        let kernel = self.kernel();
        ensure!(kernel.is_file(), "make succeeded without creating {}", kernel.display());
        Ok(kernel)
    }

    /// Returns the path that upstream's build gives the kernel.
    fn kernel(&self) -> PathBuf {
        let suffix = if self.monitor == Monitor::Firecracker { "fc" } else { "qemu" };
        self.out().join(format!("{}_{suffix}-x86_64", self.program))
    }

    fn check(&self, requested: &[Symbol]) -> anyhow::Result<()> {
        let path = self.config();
        let resolved = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let dropped = config::dropped(requested, &resolved);
        let lines: Vec<String> = dropped.iter().map(|symbol| format!("     {symbol}\n")).collect();
        ensure!(
            dropped.is_empty(),
            "kconfig has dropped symbols of {} for {}: upstream has renamed them, or the libraries are incompatible \
             (see docs/unikernels.md); the resolved configuration is {}\n{}",
            self.program,
            self.monitor,
            path.display(),
            lines.concat()
        );
        Ok(())
    }

    fn step(&self, name: &str, targets: &[&str], limit: Duration) -> Step {
        Step {
            command: self.command(targets),
            folder: Some(self.folder.clone()),
            environment: ENVIRONMENT.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            log: Some(self.folder.join(format!("{name}.log"))),
            limit,
        }
    }

    fn command(&self, targets: &[&str]) -> Vec<String> {
        let libraries: Vec<_> = self.libraries.iter().map(|path| shown(path)).collect();
        let mut command = vec![
            "make".to_owned(),
            "-C".to_owned(),
            shown(&self.unikraft),
            format!("A={}", shown(&self.app())),
            format!("L={}", libraries.join(":")),
            format!("O={}", shown(&self.out())),
            format!("C={}", shown(&self.config())),
            // Without a configuration, kconfig's own build defaults to lex and yacc.
            "LEX=flex".to_owned(),
            "YACC=bison".to_owned(),
            // Older sources do not compile as the default C standard of GCC 15.
            "UK_CFLAGS=-std=gnu17".to_owned(),
        ];
        if targets.contains(&"defconfig") {
            command.push(format!("UK_DEFCONFIG={}", shown(&self.app().join("defconfig"))));
        }
        command.extend(targets.iter().map(|&target| target.to_owned()));
        command
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn make_is_called_as_upstream_documents_it() {
        let make = Make {
            program: Program::Nginx,
            monitor: Monitor::Firecracker,
            unikraft: "/s/unikraft".into(),
            libraries: vec!["/s/lib-musl".into(), "/s/lib-nginx".into()],
            folder: "/b/x".into(),
        };
        let common = "make -C /s/unikraft A=/b/x/nginx L=/s/lib-musl:/s/lib-nginx O=/b/x/out \
                      C=/b/x/nginx/.config LEX=flex YACC=bison UK_CFLAGS=-std=gnu17";
        assert_eq!(
            make.command(&["defconfig"]).join(" "),
            format!("{common} UK_DEFCONFIG=/b/x/nginx/defconfig defconfig")
        );
        assert_eq!(make.command(&["-j4"]).join(" "), format!("{common} -j4"));
        assert_eq!(make.kernel(), Path::new("/b/x/out/nginx_fc-x86_64"));
        assert_eq!(Make { monitor: Monitor::Qemu, ..make }.kernel(), Path::new("/b/x/out/nginx_qemu-x86_64"));
    }
}
