//! The application folder of an image for Unikraft's build: sources, makefile, configuration and the guest's files.

use std::fs;
use std::path::Path;

use crate::guest::system::cpio::Archive;
use crate::guest::system::unikernel::Monitor;
use crate::model::program::Program;
use anyhow::Context;

use super::config;
use super::render;

/// The files of an application folder: pairs of name and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) files: Vec<(String, Vec<u8>)>,
}

/// The sources that every image shares.
const SHARED: &[&str] = &["programs/fw.c", "programs/fw.h", "unikraft/unikraft.c", "unikraft/unikraft.h"];

/// `Config.uk`. The application selects no symbols: its configuration requests them, and the result is checked.
const CONFIG: &str = "config APPFW\n\tbool \"Featherweight's guest program\"\n\tdefault y\n";

/// Returns the libraries of an image, in the order of upstream's examples.
pub(super) const fn libraries(program: Program) -> &'static [&'static str] {
    match program {
        Program::Sqlite => &["lib-musl", "lib-sqlite"],
        Program::Nginx => &["lib-musl", "lib-nginx", "lib-lwip"],
        Program::Redis => &["lib-musl", "lib-redis", "lib-lwip"],
        _ => &["lib-musl"],
    }
}

impl Tree {
    /// Collects the files for `program` and `monitor` from the guest sources in `guests`.
    ///
    /// # Errors
    /// When a source cannot be read.
    pub(super) fn new(guests: &Path, program: Program, monitor: Monitor) -> anyhow::Result<Self> {
        let own: &[&str] = if program.is_server() { &["unikraft/server.h"] } else { &[] };
        let folder = if program.is_server() { "unikraft" } else { "programs" };
        let source = format!("{folder}/{program}.c");
        let mut files = Vec::new();
        for path in SHARED.iter().chain(own).copied().chain([source.as_str()]) {
            let name = path.rsplit('/').next().unwrap_or(path);
            files.push((name.to_owned(), read(&guests.join(path))?));
        }
        files.push(("Makefile.uk".into(), makefile(program).into()));
        files.push(("Config.uk".into(), CONFIG.into()));
        files.push(("defconfig".into(), config::defconfig(&config::requested(program, monitor)).into()));
        if config::has_files(program) {
            files.push(("initrd.cpio".into(), guest_files(guests, program)?));
        }
        Ok(Self { files })
    }

    /// Writes the files to `folder`, which is empty or missing.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
        self.files.iter().try_for_each(|(name, content)| {
            let path = folder.join(name);
            fs::write(&path, content).with_context(|| format!("failed to write {}", path.display()))
        })
    }
}

/// Returns `Makefile.uk`. Every source includes the header that replaces what a unikernel does not have.
fn makefile(program: Program) -> String {
    let sources = ["fw", "unikraft", program.name()].map(|name| format!("APPFW_SRCS-y += $(APPFW_BASE)/{name}.c\n"));
    format!(
        "$(eval $(call addlib,appfw))\n\
         APPFW_CINCLUDES-y += -I$(APPFW_BASE)\n\
         APPFW_CFLAGS-y += -include $(APPFW_BASE)/unikraft.h\n{}",
        sources.concat()
    )
}

/// The modes of the guest's files. The guest has only one user.
const FOLDER: u32 = 0o755;
const FILE: u32 = 0o644;

/// Returns an archive with the guest's files: a folder for data; for a server, also its configuration and its page.
fn guest_files(guests: &Path, program: Program) -> anyhow::Result<Vec<u8>> {
    let mut files = Archive::default();
    files.folder("tmp", FOLDER)?;
    if program.is_server() {
        let (server, to) = (guests.join("servers").join(program.name()), render::FOLDER);
        let name = format!("{program}.conf");
        let template = String::from_utf8(read(&server.join(&name))?).context("the configuration is not UTF-8")?;
        files.folder("fw", FOLDER)?;
        files.folder(to, FOLDER)?;
        files.file(&format!("{to}/{name}"), FILE, render::configuration(program, &template)?.as_bytes())?;
        if program == Program::Nginx {
            // Nginx opens a log in its default folder before it reads the configuration.
            files.folder(&format!("{to}/logs"), FOLDER)?;
            files.folder(&format!("{to}/html"), FOLDER)?;
            files.file(&format!("{to}/html/index.html"), FILE, &read(&server.join("index.html"))?)?;
        }
    }
    Ok(files.finish()?)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("failed to read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use crate::guest::system::unikraft::PROGRAMS;
    use crate::host::folders::Folders;

    use super::*;

    fn guests() -> PathBuf {
        Folders::from_env().project.join("guest-images")
    }

    fn tree(program: Program) -> Tree {
        Tree::new(&guests(), program, Monitor::Qemu).unwrap()
    }

    fn text(tree: &Tree, name: &str) -> String {
        let file = tree.files.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}"));
        String::from_utf8_lossy(&file.1).into_owned()
    }

    #[test]
    fn a_program_is_compiled_from_the_source_that_all_platforms_share() {
        let tree = tree(Program::Hello);
        let names: Vec<&str> = tree.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.join(" "), "fw.c fw.h unikraft.c unikraft.h hello.c Makefile.uk Config.uk defconfig");
        assert_eq!(text(&tree, "hello.c"), fs::read_to_string(guests().join("programs/hello.c")).unwrap());
        assert_eq!(
            text(&tree, "Makefile.uk"),
            "$(eval $(call addlib,appfw))\n\
             APPFW_CINCLUDES-y += -I$(APPFW_BASE)\n\
             APPFW_CFLAGS-y += -include $(APPFW_BASE)/unikraft.h\n\
             APPFW_SRCS-y += $(APPFW_BASE)/fw.c\n\
             APPFW_SRCS-y += $(APPFW_BASE)/unikraft.c\n\
             APPFW_SRCS-y += $(APPFW_BASE)/hello.c\n"
        );
    }

    #[test]
    fn a_server_has_its_files_in_the_kernel() {
        let nginx = tree(Program::Nginx);
        assert!(text(&nginx, "nginx.c").contains("nginx_main"));
        let files = text(&nginx, "initrd.cpio");
        for part in ["fw/server/nginx.conf", "fw/server/logs", "fw/server/html/index.html", "It answers"] {
            assert!(files.contains(part), "{part}");
        }
        assert!(text(&tree(Program::Redis), "initrd.cpio").contains("bind 0.0.0.0"));
        let stat = text(&tree(Program::Stat), "initrd.cpio");
        assert!(stat.contains("tmp\0") && !stat.contains("server"));
    }

    #[test]
    fn every_program_has_a_tree_and_the_same_one_again() {
        for &program in PROGRAMS {
            let first = tree(program);
            assert_eq!(first, tree(program), "{program}");
            assert!(libraries(program).starts_with(&["lib-musl"]));
            let dir = tempfile::tempdir().unwrap();
            first.write(&dir.path().join("app")).unwrap();
            assert_eq!(fs::read_dir(dir.path().join("app")).unwrap().count(), first.files.len());
        }
    }

    /// Compiles a folder with the flags of Unikraft's build and this host's C library.
    fn compile(folder: &Path, arguments: &[&str]) {
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let output = Command::new(compiler)
            .args(["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-I.", "-include", "unikraft.h"])
            .args(arguments)
            .current_dir(folder)
            .output()
            .expect("a C compiler runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn every_program_compiles_with_the_replacement_of_signals() {
        for &program in PROGRAMS.iter().filter(|&&program| program != Program::Sqlite) {
            let dir = tempfile::tempdir().unwrap();
            tree(program).write(dir.path()).unwrap();
            compile(dir.path(), &["-fsyntax-only", "fw.c", "unikraft.c", &format!("{program}.c")]);
        }
    }

    #[test]
    fn a_program_prints_its_exit_code() {
        let dir = tempfile::tempdir().unwrap();
        tree(Program::Hello).write(dir.path()).unwrap();
        compile(dir.path(), &["-o", "hello", "fw.c", "unikraft.c", "hello.c"]);
        let run = |argument: &str| {
            let output = Command::new(dir.path().join("hello")).arg(argument).output().unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        assert_eq!(run("deadline=5"), (Some(0), "FW guest\nFW main\nFW exit code 0\n".to_owned()));
        let (code, text) = run("x=1");
        assert_eq!(code, Some(2));
        assert!(text.ends_with("FW error argument `x=1`: unknown key\nFW exit code 2\n"), "{text}");
    }
}
