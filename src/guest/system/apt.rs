//! Uses apt to download and verify the distribution's kernel, which dpkg unpacks, without root; and reads this host's
//! package sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::kernel::KernelPackage;
use crate::guest::compile::BuildError;
use crate::guest::compile::error::first_lines;

/// The packages that depend on the distribution's newest kernel, the smallest kernel first: Debian's for clouds,
/// Ubuntu's for virtual machines, and those for any machine.
const KERNELS: &[&str] =
    &["linux-image-cloud-{}", "linux-image-kvm", "linux-image-virtual", "linux-image-{}", "linux-image-generic"];

/// The prefixes of packages that contain a kernel and its modules.
const PARTS: &[&str] = &["linux-image-", "linux-modules-"];

/// This host's sources of its distribution's packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sources {
    /// The release, such as `bookworm`.
    pub(super) suite: String,
    /// The release and its additions, such as security updates.
    pub(super) suites: Vec<String>,
    /// One line for each suite, as in `sources.list(5)`.
    pub(super) lines: Vec<String>,
    /// The host's proxy settings, as lines of `apt.conf(5)`.
    pub(super) options: Vec<String>,
}

/// The supported distributions, and the keys that sign their packages.
const DISTRIBUTIONS: &[(&str, &str)] = &[
    ("Debian", "/usr/share/keyrings/debian-archive-keyring"),
    ("Ubuntu", "/usr/share/keyrings/ubuntu-archive-keyring"),
];

/// The fields that apt prints for each source.
const FORMAT: &str = "$(ORIGIN)|$(CODENAME)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)";

impl Sources {
    /// Reads the host's apt configuration. Fails if the host is neither Debian nor Ubuntu, or has no package lists.
    pub(super) fn read() -> Result<Self, BuildError> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let targets = run(Command::new("apt-get").args(["indextargets", "--format", FORMAT, "Created-By: Packages"]))?;
        let configuration = run(Command::new("apt-config").arg("dump"))?;
        let is_there = |path: &str| Path::new(path).is_file();
        Self::choose(&release, &text(targets), &text(configuration), &is_there).ok_or(BuildError::NoPackageLists)
    }

    fn choose(release: &str, targets: &str, configuration: &str, is_there: &dyn Fn(&str) -> bool) -> Option<Self> {
        let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?.trim_matches('"');
        let (mut suites, mut lines) = (Vec::new(), Vec::new());
        for target in targets.lines() {
            let [origin, codename, release, "main", address] = target.split('|').collect::<Vec<_>>()[..] else {
                continue;
            };
            let Some((_, keys)) = DISTRIBUTIONS.iter().find(|(name, _)| *name == origin) else { continue };
            if !codename.starts_with(suite) || release.contains("backports") || release.contains("proposed") {
                continue;
            }
            let keys = ["gpg", "pgp"].map(|ending| format!("{keys}.{ending}")).into_iter().find(|path| is_there(path));
            let keys = keys.map(|path| format!("[signed-by={path}] ")).unwrap_or_default();
            suites.push(release.to_owned());
            lines.push(format!("deb {keys}{address} {release} main"));
        }
        let is_proxy =
            |line: &&str| ["Acquire::http::Proxy", "Acquire::https::Proxy"].iter().any(|p| line.starts_with(p));
        let options = configuration.lines().filter(is_proxy).map(str::to_owned).collect();
        (!lines.is_empty()).then(|| Self { suite: suite.to_owned(), suites, lines, options })
    }
}

/// Fetches the kernel into the empty folder `folder`.
pub(super) fn fetch_kernel(folder: &Path, progress: &mut dyn FnMut(&str)) -> Result<KernelPackage, BuildError> {
    let architecture = text(run(Command::new("dpkg").arg("--print-architecture"))?);
    let packages = packages(architecture.trim())?;
    progress(&format!("fetch {}", packages.join(", ")));
    download(&packages, folder)?;
    let root = folder.join("root");
    for package in debs(folder)? {
        run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&root))?;
    }
    let version = packages.iter().find_map(|package| package.strip_prefix(PARTS[0])).unwrap_or_default();
    // Debian has the modules in /lib; a merged system may have them in /usr/lib.
    let modules = ["lib", "usr/lib"].map(|lib| root.join(lib).join("modules").join(version));
    let modules = modules.into_iter().find(|path| path.is_dir());
    let image = root.join("boot").join(format!("vmlinuz-{version}"));
    match modules {
        Some(modules) if image.is_file() => {
            Ok(KernelPackage { image, modules: Some(modules), package: names(folder)? })
        }
        _ => Err(BuildError::NoKernel { reason: format!("{} contain no kernel {version}", packages.join(", ")) }),
    }
}

/// Returns the packages that contain the distribution's kernel.
fn packages(architecture: &str) -> Result<Vec<String>, BuildError> {
    let kernels = KERNELS.iter().map(|name| name.replace("{}", architecture));
    for kernel in kernels {
        let packages = closure(&kernel, &|name| depends(name));
        if !packages.is_empty() {
            return Ok(packages);
        }
    }
    let reason = "apt's package lists contain none; update them: `apt-get update`".to_owned();
    Err(BuildError::NoKernel { reason })
}

/// Returns the kernel packages that `name` depends on.
fn closure(name: &str, depends: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut names = vec![name.to_owned()];
    while let Some(next) = names.pop() {
        let Some(field) = depends(&next) else { continue };
        let parts = parts_in(&field);
        names.extend(parts.iter().filter(|part| !found.contains(part)).cloned());
        found.extend(parts);
    }
    found.sort();
    found.dedup();
    found
}

/// Returns the kernel packages in a field like `linux-image-6.1.0-cloud-amd64 (= 6.1.1), kmod | other`, and the first
/// of alternatives.
fn parts_in(field: &str) -> Vec<String> {
    let first = |package: &str| package.split(['|', '(', ':']).next().unwrap_or_default().trim().to_owned();
    let is_part = |name: &String| PARTS.iter().any(|part| name.starts_with(part)) && !name.contains("extra");
    field.split(',').map(first).filter(is_part).collect()
}

/// Returns the dependencies of a package's newest version; `None` if apt's lists do not contain the package.
fn depends(package: &str) -> Option<String> {
    let mut command = Command::new("apt-cache");
    let output = command.args(["show", "--no-all-versions", package]).env("LC_ALL", "C").output().ok()?;
    let known = output.status.success();
    let text = String::from_utf8_lossy(&output.stdout);
    let field = text.lines().find_map(|line| line.strip_prefix("Depends: ")).map(str::to_owned);
    known.then(|| field.unwrap_or_default())
}

fn download(packages: &[String], folder: &Path) -> Result<(), BuildError> {
    let mut command = Command::new("apt-get");
    command.arg("download").args(packages).current_dir(folder);
    run(&mut command).map(drop).map_err(|error| match error {
        BuildError::CommandFailed { output, .. } => BuildError::NoKernel {
            reason: format!(
                "failed to download {}; apt needs network access and current package lists: `apt-get update`\n{output}",
                packages.join(", ")
            ),
        },
        other => other,
    })
}

fn debs(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let entries = fs::read_dir(folder).map_err(BuildError::file("read", folder))?;
    let mut debs: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| is_deb(path)).collect();
    debs.sort();
    Ok(debs)
}

fn is_deb(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "deb")
}

/// Returns the downloaded packages, as `package version`.
fn names(folder: &Path) -> Result<String, BuildError> {
    let format = "--showformat=${Package} ${Version}";
    let names = debs(folder)?
        .into_iter()
        .map(|deb| Ok(text(run(Command::new("dpkg-deb").arg("--show").arg(format).arg(&deb))?)));
    Ok(names.collect::<Result<Vec<_>, BuildError>>()?.join(", "))
}

fn text(output: Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command. An exit status other than 0 is an error with the output.
pub(super) fn run(command: &mut Command) -> Result<Output, BuildError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C").output();
    let output = output.map_err(|source| BuildError::Run { command: name.clone(), source })?;
    if output.status.success() {
        return Ok(output);
    }
    let arguments: Vec<_> =
        command.get_args().take(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    Err(BuildError::CommandFailed {
        command: format!("{name} {}", arguments.join(" ")),
        output: first_lines(&output.stderr),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_has_image_and_modules_in_one_package() {
        let depends = |name: &str| match name {
            "linux-image-cloud-amd64" => Some("linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)".to_owned()),
            "linux-image-6.1.0-56-cloud-amd64" => {
                Some("kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120)".to_owned())
            }
            _ => None,
        };
        assert_eq!(closure("linux-image-cloud-amd64", &depends), ["linux-image-6.1.0-56-cloud-amd64"]);
        assert!(closure("linux-image-kvm", &depends).is_empty());
    }

    #[test]
    fn ubuntu_has_the_modules_in_a_package_of_their_own() {
        let depends = |name: &str| match name {
            "linux-image-virtual" => {
                Some("linux-image-6.8.0-31-generic | other, linux-modules-extra-6.8.0-31-generic".to_owned())
            }
            "linux-image-6.8.0-31-generic" => Some("kmod, linux-modules-6.8.0-31-generic".to_owned()),
            _ => None,
        };
        let expected = ["linux-image-6.8.0-31-generic", "linux-modules-6.8.0-31-generic"];
        assert_eq!(closure("linux-image-virtual", &depends), expected);
    }

    #[test]
    fn sources_are_the_distributions_own() {
        let targets = "Debian Backports|bookworm-backports|bookworm-backports|main|http://a.example/debian/\n\
                       Debian|bookworm|bookworm|main|http://a.example/debian/\n\
                       Debian|bookworm|bookworm|contrib|http://a.example/debian/\n\
                       Debian|trixie|trixie|main|http://a.example/debian/\n\
                       Elsewhere|bookworm|bookworm|main|http://b.example/\n\
                       Debian|bookworm-security|bookworm-security|main|http://a.example/security/\n";
        let configuration = "Acquire::http::Proxy \"http://p.example\";\nAcquire::Languages \"\";\n";
        let release = "ID=debian\nVERSION_CODENAME=bookworm\n";
        let keys = |path: &str| path.ends_with("debian-archive-keyring.pgp");
        let sources = Sources::choose(release, targets, configuration, &keys).unwrap();
        let line = |address, suite| {
            format!(
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.pgp] http://a.example/{address}/ {suite} main"
            )
        };
        assert_eq!(sources.suite, "bookworm");
        assert_eq!(sources.suites, ["bookworm", "bookworm-security"]);
        assert_eq!(sources.lines, [line("debian", "bookworm"), line("security", "bookworm-security")]);
        assert_eq!(sources.options, ["Acquire::http::Proxy \"http://p.example\";"]);
    }

    #[test]
    fn without_lists_there_are_no_sources() {
        let targets = "$(ORIGIN)|$(CODENAME)|bookworm|main|http://a.example/debian/\n";
        assert_eq!(Sources::choose("VERSION_CODENAME=bookworm", targets, "", &|_| true), None);
        assert_eq!(Sources::choose("ID=arch", "", "", &|_| true), None);
    }

    #[test]
    fn a_failed_command_is_reported_with_its_output() {
        let error = run(Command::new("ls").arg("/no such folder of ours")).unwrap_err().to_string();
        assert!(error.starts_with("`ls /no such") && error.contains("No such file"), "{error}");
        let error = run(&mut Command::new("fw-no-such-tool")).unwrap_err().to_string();
        assert_eq!(error, "failed to run fw-no-such-tool");
    }
}
