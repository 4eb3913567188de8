//! Compiles the first process of a Linux guest from `guest-images/linux/`, with the flags of the guest programs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::guest::compile::BuildError;
use crate::guest::compile::compiler::{Compilation, Compiler};
use crate::guest::compile::digest::Fields;
use crate::guest::compile::ensure::FLAGS;

/// The sources, and the header that they share.
const SOURCES: &[&str] = &["init.c", "cmdline.c", "machine.c", "modules.c", "network.c", "root.c"];
const HEADER: &str = "init.h";

/// Compiles the first process into `output`, unless sources and compiler are unchanged.
///
/// The caller holds the lock of `output`.
pub(super) fn ensure(project: &Path, output: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, BuildError> {
    let folder = project.join("guest-images/linux");
    let compiler = Compiler::find()?;
    let path = output.join(format!("init-{}", &key(&folder, &compiler)?[..16]));
    if path.is_file() {
        return Ok(path);
    }
    progress("build the first process");
    let new = output.join("init.new");
    let flags = FLAGS.iter().chain(SOURCES).map(|&argument| argument.to_owned());
    let arguments = flags.chain([format!("-ffile-prefix-map={}=.", folder.display())]).collect();
    compiler.compile(&Compilation { name: "the first process", folder: &folder, arguments, output: &new })?;
    fs::rename(&new, &path).map_err(BuildError::file("write", &path))?;
    Ok(path)
}

fn key(folder: &Path, compiler: &Compiler) -> Result<String, BuildError> {
    let mut fields = FLAGS.iter().fold(compiler.fields(Fields::default()), Fields::add);
    for name in SOURCES.iter().chain([&HEADER]) {
        let path = folder.join(name);
        fields = fields.add(name).add(fs::read(&path).map_err(BuildError::file("read", &path))?);
    }
    Ok(fields.finish())
}
