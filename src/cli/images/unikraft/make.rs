//! How `make` is called, and what it leaves: the interface of Unikraft's build.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::guest::system::unikernel::Monitor;
use crate::model::program::Program;
use anyhow::{Context, ensure};

use super::config::{self, Symbol};
use crate::cli::images::step::Step;

/// It compiles kconfig first.
const CONFIGURE: Duration = Duration::from_secs(5 * 60);

/// Redis with its libraries on one slow processor.
const BUILD: Duration = Duration::from_secs(60 * 60);

/// All sources are there and pinned. What the build would fetch all the same is not, and it shall fail: port 9 is that
/// of nobody (discard). Python would leave files in the checkouts.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("http_proxy", "http://127.0.0.1:9"),
    ("https_proxy", "http://127.0.0.1:9"),
    ("no_proxy", ""),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("MAKEFLAGS", ""),
];

/// One image's build: which folders, all absolute.
#[derive(Debug, Clone)]
pub(super) struct Make {
    pub(super) program: Program,
    pub(super) monitor: Monitor,
    /// The checkout of Unikraft.
    pub(super) unikraft: PathBuf,
    /// The checkouts of the libraries.
    pub(super) libraries: Vec<PathBuf>,
    /// Where everything is built: the application, objects in `out`, logs.
    pub(super) folder: PathBuf,
}

impl Make {
    /// Upstream names an application after its folder.
    pub(super) fn app(&self) -> PathBuf {
        self.folder.join(self.program.name())
    }

    pub(super) fn out(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// The resolved configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.app().join(".config")
    }

    /// Configures and builds; the kernel's file.
    ///
    /// # Errors
    /// When `make` fails, when a symbol was dropped, when there is no kernel in the end.
    pub(super) fn run(&self, wanted: &[Symbol], jobs: usize, say: &mut dyn FnMut(&str)) -> anyhow::Result<PathBuf> {
        let what = format!("{} for {}", self.program, self.monitor);
        say(&format!("configure {what}"));
        self.step("defconfig", &["defconfig"], CONFIGURE).run()?;
        self.check(wanted)?;
        say(&format!("build {what}"));
        self.step("build", &[&format!("-j{jobs}")], BUILD).run()?;
        let kernel = self.kernel();
        ensure!(kernel.is_file(), "make has ended well, but there is no {}", kernel.display());
        Ok(kernel)
    }

    /// Upstream's name for it.
    fn kernel(&self) -> PathBuf {
        let suffix = if self.monitor == Monitor::Firecracker { "fc" } else { "qemu" };
        self.out().join(format!("{}_{suffix}-x86_64", self.program))
    }

    fn check(&self, wanted: &[Symbol]) -> anyhow::Result<()> {
        let path = self.config();
        let resolved = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let dropped = config::dropped(wanted, &resolved);
        let told: Vec<String> = dropped.iter().map(|symbol| format!("     {symbol}\n")).collect();
        ensure!(
            dropped.is_empty(),
            "kconfig has dropped what {} for {} needs: upstream has renamed it, or the libraries do not fit together \
             (see docs/unikernels.md). The configuration that came out is {}\n{}",
            self.program,
            self.monitor,
            path.display(),
            told.concat()
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
            // Before there is a configuration, kconfig calls them by their oldest names.
            "LEX=flex".to_owned(),
            "YACC=bison".to_owned(),
            // What GCC 15 takes for C by itself, older sources are not.
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
