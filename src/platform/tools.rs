//! The programs of other projects that platforms need, and the packages that contain them.
//!
//! Names and commands are those of the distributions' own package lists: Debian and Ubuntu are tested, Fedora and Arch
//! are not.

/// A program, or a group of programs, that `cargo xtask setup` installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// The name after `--only`.
    pub name: &'static str,
    /// The programs, each with the option that prints its version. The tool is installed if all of them are.
    pub programs: &'static [(&'static str, &'static str)],
    /// The packages that contain them.
    pub packages: Packages,
    /// The service that Debian's package starts, although the harness needs only the program.
    pub service: Option<&'static str>,
    /// Where to find it if the distribution does not package it.
    pub home: &'static str,
    /// When setup installs it.
    pub wanted: ToolSelection,
}

/// The packages of a tool on each family of distributions: every required one with its alternatives, best first. Empty
/// if the distribution does not package it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packages {
    /// Debian and Ubuntu.
    pub debian: PackageList,
    /// Fedora and its relatives.
    pub fedora: PackageList,
    /// Arch Linux and its relatives.
    pub arch: PackageList,
}

/// Required packages, each with its alternatives.
pub type PackageList = &'static [&'static [&'static str]];

/// When setup installs a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolSelection {
    /// Unless `--only` names others.
    Always,
    /// Only if `--only` names it: few people build the images that need it.
    ByName,
}

impl Packages {
    /// The same package everywhere.
    pub const fn same(list: PackageList) -> Self {
        Self { debian: list, fedora: list, arch: list }
    }
}

pub(super) const DOCKER: Tool = Tool {
    name: "docker",
    programs: &[("dockerd", "--version"), ("docker", "--version")],
    packages: Packages {
        // Newer Debians package the command line separately.
        debian: &[&["docker.io"], &["docker-cli", "docker.io"]],
        fedora: &[&["moby-engine", "docker-ce"], &["docker-cli", "moby-engine", "docker-ce-cli"]],
        arch: &[&["docker"]],
    },
    service: None,
    home: "https://docs.docker.com/engine/install/",
    wanted: ToolSelection::Always,
};

pub(super) const CRUN: Tool = Tool {
    name: "crun",
    programs: &[("crun", "--version")],
    packages: Packages::same(&[&["crun"]]),
    service: None,
    home: "https://github.com/containers/crun",
    wanted: ToolSelection::Always,
};

pub(super) const RUNC: Tool = Tool {
    name: "runc",
    programs: &[("runc", "--version")],
    packages: Packages::same(&[&["runc"]]),
    service: None,
    home: "https://github.com/opencontainers/runc",
    wanted: ToolSelection::Always,
};

pub(super) const RUNSC: Tool = Tool {
    name: "runsc",
    programs: &[("runsc", "--version")],
    packages: Packages { debian: &[&["runsc"]], fedora: &[], arch: &[] },
    service: None,
    home: "https://gvisor.dev/docs/user_guide/install/",
    wanted: ToolSelection::Always,
};

pub(super) const PODMAN: Tool = Tool {
    name: "podman",
    programs: &[("podman", "--version")],
    packages: Packages {
        // It has no bridge without its plugins, which Debian only recommends.
        debian: &[&["podman"], &["containernetworking-plugins", "netavark"]],
        fedora: &[&["podman"]],
        arch: &[&["podman"]],
    },
    service: None,
    home: "https://podman.io/docs/installation",
    wanted: ToolSelection::Always,
};

pub(super) const QEMU: Tool = Tool {
    name: "qemu",
    programs: &[("qemu-system-x86_64", "--version")],
    packages: Packages {
        debian: &[&["qemu-system-x86"]],
        fedora: &[&["qemu-system-x86-core"]],
        arch: &[&["qemu-system-x86"]],
    },
    service: None,
    home: "https://www.qemu.org/download/",
    wanted: ToolSelection::Always,
};

/// Builds the disk of `qemu:debian`.
pub(super) const MMDEBSTRAP: Tool = Tool {
    name: "mmdebstrap",
    programs: &[("mmdebstrap", "--version")],
    packages: Packages { debian: &[&["mmdebstrap"]], fedora: &[&["mmdebstrap"]], arch: &[] },
    service: None,
    home: "https://gitlab.mister-muffin.de/josch/mmdebstrap",
    wanted: ToolSelection::Always,
};

/// Makes the file system on that disk.
pub(super) const E2FSPROGS: Tool = Tool {
    name: "e2fsprogs",
    programs: &[("mke2fs", "-V")],
    packages: Packages::same(&[&["e2fsprogs"]]),
    service: None,
    home: "https://e2fsprogs.sourceforge.net",
    wanted: ToolSelection::Always,
};

/// What Unikraft's build needs, as Unikraft's documentation lists it.
pub(super) const UNIKRAFT: Tool = Tool {
    name: "unikraft",
    programs: &[
        ("make", "--version"),
        ("gcc", "--version"),
        ("ld", "--version"),
        ("flex", "--version"),
        ("bison", "--version"),
        ("m4", "--version"),
        ("python3", "--version"),
        ("git", "--version"),
        ("wget", "--version"),
        ("unzip", "-v"),
    ],
    packages: Packages::same(&[
        &["make"],
        &["gcc"],
        &["binutils"],
        &["flex"],
        &["bison"],
        &["m4"],
        &["python3", "python"],
        &["git"],
        &["wget"],
        &["unzip"],
    ]),
    service: None,
    home: "https://unikraft.org",
    wanted: ToolSelection::ByName,
};
