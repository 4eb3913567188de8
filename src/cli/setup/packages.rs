//! The tools that setup installs, and the commands of package managers. Pure.
//!
//! The registry of platforms has the tools of platforms. Debian and Ubuntu are tested; Fedora and Arch are not.

use std::fmt;
use std::sync::LazyLock;

pub(in crate::cli) use crate::platform::tools::{Tool, ToolSelection};

use crate::platform::registry;
use crate::platform::tools::{PackageList, Packages};

/// All tools, in display order: those of the guest programs, of the platforms, and of the load generators.
pub(in crate::cli) static TOOLS: LazyLock<Vec<Tool>> =
    LazyLock::new(|| [&[CC][..], &registry::tools(), &[WRK, REDIS, NGINX]].concat());

/// Compiles the guest programs.
const CC: Tool = Tool {
    name: "cc",
    programs: &[("cc", "--version")],
    packages: Packages {
        debian: &[&["gcc"], &["libc6-dev"]],
        fedora: &[&["gcc"], &["glibc-static"]],
        arch: &[&["gcc"]],
    },
    service: None,
    home: "https://gcc.gnu.org",
    wanted: ToolSelection::Always,
};

/// Drives Nginx.
const WRK: Tool = Tool {
    name: "wrk",
    programs: &[("wrk", "-v")],
    packages: Packages::same(&[&["wrk"]]),
    service: None,
    home: "https://github.com/wg/wrk",
    wanted: ToolSelection::Always,
};

/// A measured server and what drives it.
const REDIS: Tool = Tool {
    name: "redis",
    programs: &[("redis-server", "--version"), ("redis-benchmark", "--version")],
    packages: Packages {
        debian: &[&["redis-server"], &["redis-tools"]],
        fedora: &[&["redis", "valkey-compat-redis"]],
        arch: &[&["redis", "valkey"]],
    },
    service: Some("redis-server"),
    home: "https://redis.io/docs/latest/operate/oss_and_stack/install/",
    wanted: ToolSelection::Always,
};

/// A measured server.
const NGINX: Tool = Tool {
    name: "nginx",
    programs: &[("nginx", "-v")],
    packages: Packages {
        debian: &[&["nginx-light", "nginx"]],
        fedora: &[&["nginx-core", "nginx"]],
        arch: &[&["nginx"]],
    },
    service: Some("nginx"),
    home: "https://nginx.org/en/docs/install.html",
    wanted: ToolSelection::Always,
};

/// A family of distributions with one package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// `apt-get`
    Debian,
    /// `dnf`
    Fedora,
    /// `pacman`
    Arch,
}

/// The content of `/etc/os-release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Distribution {
    /// The display name.
    pub(super) name: String,
    /// `None` if the package manager is unsupported.
    pub(super) family: Option<Family>,
    /// Debian's suite of newer packages, such as `bookworm-backports`.
    pub(super) backports: Option<String>,
}

/// An available package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    /// The suite, unless it is the default one.
    pub(super) suite: Option<String>,
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.suite {
            Some(suite) => write!(f, "{}/{suite}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Tool {
    /// Returns the required packages, each as a list of alternatives.
    pub(super) fn packages(&self, family: Family) -> PackageList {
        match family {
            Family::Debian => self.packages.debian,
            Family::Fedora => self.packages.fedora,
            Family::Arch => self.packages.arch,
        }
    }

    /// Returns the best alternative of each package, from `suite` if given, without checking that they are available.
    pub(super) fn first_packages(&self, family: Family, suite: Option<&str>) -> Vec<Package> {
        let first = self.packages(family).iter().filter_map(|alternatives| alternatives.first());
        let suite = suite.map(str::to_owned);
        let mut packages: Vec<_> = first.map(|&name| Package { name: name.to_owned(), suite: suite.clone() }).collect();
        packages.dedup();
        packages
    }
}

impl Distribution {
    /// Parses `/etc/os-release`; see os-release(5).
    pub(super) fn from_os_release(text: &str) -> Self {
        let field = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
        };
        let id = field("ID").unwrap_or_default();
        let like = field("ID_LIKE").unwrap_or_default();
        let family = std::iter::once(id.as_str()).chain(like.split_whitespace()).find_map(Family::from_id);
        let backports = field("VERSION_CODENAME").filter(|_| id == "debian").map(|name| format!("{name}-backports"));
        Self { name: field("PRETTY_NAME").unwrap_or(id), family, backports }
    }
}

impl Family {
    fn from_id(id: &str) -> Option<Self> {
        match id {
            "debian" | "ubuntu" => Some(Self::Debian),
            "fedora" | "rhel" | "centos" => Some(Self::Fedora),
            "arch" => Some(Self::Arch),
            _ => None,
        }
    }

    /// Returns the command that updates the package lists. dnf does so itself; on Arch, updating the lists without
    /// upgrading all packages leads to an inconsistent system.
    pub(super) fn refresh(self) -> Option<Vec<String>> {
        (self == Self::Debian).then(|| command(&["apt-get", "update"]))
    }

    /// Returns a command that checks whether a package is available. If not, the command fails or prints nothing.
    pub(super) fn query(self, package: &Package) -> Vec<String> {
        match self {
            Self::Debian => apt_get(&["--simulate"], std::slice::from_ref(package)),
            Self::Fedora => command(&["dnf", "--quiet", "repoquery", &package.name]),
            Self::Arch => command(&["pacman", "--sync", "--info", &package.name]),
        }
    }

    /// Returns the commands that install the packages without removing any, one for each suite.
    pub(super) fn install(self, packages: &[Package]) -> Vec<Vec<String>> {
        let names = |head: &[&str]| command(head).into_iter().chain(packages.iter().map(|p| p.name.clone())).collect();
        match self {
            _ if packages.is_empty() => Vec::new(),
            Self::Debian => by_suite(packages).iter().map(|group| apt_get(&[], group)).collect(),
            Self::Fedora => vec![names(&["dnf", "install", "--assumeyes"])],
            Self::Arch => vec![names(&["pacman", "--sync", "--needed", "--noconfirm"])],
        }
    }
}

/// Returns a command of apt-get, which waits for other users of the package manager.
fn apt_get(options: &[&str], packages: &[Package]) -> Vec<String> {
    let head = ["apt-get", "install", "--yes", "--no-install-recommends", "--no-remove"];
    let suite = packages.first().and_then(|p| p.suite.clone());
    let wait = ["-o", "DPkg::Lock::Timeout=120"];
    let options = head.iter().chain(&wait).chain(options).map(|&argument| argument.to_owned());
    let from = suite.into_iter().flat_map(|suite| ["--target-release".to_owned(), suite]);
    options.chain(from).chain(packages.iter().map(|p| p.name.clone())).collect()
}

fn by_suite(packages: &[Package]) -> Vec<Vec<Package>> {
    let (plain, other): (Vec<_>, Vec<_>) = packages.iter().cloned().partition(|p| p.suite.is_none());
    [plain, other].into_iter().filter(|group| !group.is_empty()).collect()
}

fn command(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|&argument| argument.to_owned()).collect()
}

/// Returns the named tools, or all default tools if there are no names.
///
/// # Errors
/// Lists the unknown names and the known ones.
pub(super) fn choose(names: &[String]) -> Result<Vec<&'static Tool>, String> {
    let unknown: Vec<_> = names.iter().filter(|name| TOOLS.iter().all(|tool| tool.name != **name)).collect();
    if !unknown.is_empty() {
        let unknown = unknown.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let known = TOOLS.iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ");
        return Err(format!("--only: unknown tool {unknown}; expected one of {known}"));
    }
    let is_chosen = |tool: &&Tool| match names.is_empty() {
        true => tool.wanted == ToolSelection::Always,
        false => names.iter().any(|name| name == tool.name),
    };
    Ok(TOOLS.iter().filter(is_chosen).collect())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::debian("ID=debian\nVERSION_CODENAME=bookworm\n", Some(Family::Debian), Some("bookworm-backports"))]
    #[case::ubuntu("ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n", Some(Family::Debian), None)]
    #[case::mint("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Some(Family::Debian), None)]
    #[case::fedora("ID=fedora\n", Some(Family::Fedora), None)]
    #[case::rocky("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Some(Family::Fedora), None)]
    #[case::manjaro("ID=manjaro\nID_LIKE=arch\n", Some(Family::Arch), None)]
    #[case::alpine("ID=alpine\n", None, None)]
    #[case::nothing("", None, None)]
    fn os_release_determines_the_family(
        #[case] text: &str,
        #[case] family: Option<Family>,
        #[case] backports: Option<&str>,
    ) {
        let found = Distribution::from_os_release(text);
        assert_eq!((found.family, found.backports.as_deref()), (family, backports));
    }

    #[test]
    fn tool_names_are_unique_and_debian_has_every_tool() {
        for tool in TOOLS.iter() {
            assert_eq!(TOOLS.iter().filter(|other| other.name == tool.name).count(), 1, "{}", tool.name);
            assert!(!tool.packages(Family::Debian).is_empty() && !tool.programs.is_empty(), "{}", tool.name);
        }
    }

    #[test]
    fn packages_of_another_suite_are_installed_by_a_separate_command() {
        let package = |name: &str, suite: Option<&str>| Package { name: name.into(), suite: suite.map(str::to_owned) };
        let packages = [package("wrk", None), package("qemu-system-x86", Some("x-backports")), package("crun", None)];
        let commands: Vec<_> = Family::Debian.install(&packages).iter().map(|c| c.join(" ")).collect();
        assert_eq!(commands.len(), 2);
        assert!(commands[0].ends_with(" wrk crun") && commands[0].contains("--no-remove"), "{}", commands[0]);
        assert!(commands[1].ends_with("--target-release x-backports qemu-system-x86"), "{}", commands[1]);
        assert_eq!(Family::Arch.install(&packages).len(), 1);
        assert_eq!(Family::Fedora.install(&[]), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_package_is_named_once() {
        let docker = TOOLS.iter().find(|tool| tool.name == "docker").unwrap();
        let names: Vec<_> = docker.first_packages(Family::Arch, None).into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["docker"]);
    }

    #[test]
    fn names_select_tools_and_unknown_names_are_errors() {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let chosen: Vec<_> = choose(&names("wrk,docker")).unwrap().iter().map(|tool| tool.name).collect();
        assert_eq!(chosen, ["docker", "wrk"]);
        let all = choose(&[]).unwrap();
        assert!(all.iter().any(|tool| tool.name == "mmdebstrap") && all.iter().all(|tool| tool.name != "unikraft"));
        assert_eq!(choose(&names("unikraft")).unwrap()[0].name, "unikraft");
        let error = choose(&names("wrk,wkr,x")).unwrap_err();
        assert!(error.starts_with("--only: unknown tool `wkr`, `x`; expected one of cc, crun, "), "{error}");
    }
}
