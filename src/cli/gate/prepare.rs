//! The step `prepare`: installs what the arms need before anything is measured.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use rustix::fs::{Access, access};

use super::arms::Arms;
use super::exit;
use super::inputs::Inputs;
use super::programs::Programs;
use super::runner::Runner;
use super::tools::tools;
use super::workflow::print;
use crate::model::exit::Exit;

/// KVM's device node.
const KVM: &str = "/dev/kvm";

/// The rule that GitHub documents for hosted runners: they have the device, but ordinary users may not open it.
const KVM_RULE: &str = "KERNEL==\"kvm\", GROUP=\"kvm\", MODE=\"0666\", OPTIONS+=\"static_node=kvm\"\n";

/// Where udev reads the rule.
const KVM_RULE_FILE: &str = "/etc/udev/rules.d/99-featherweight-kvm.rules";

/// Installs the tools that the arms need.
///
/// # Errors
/// When an input is invalid or a program cannot be started.
pub(super) fn prepare(inputs: &Inputs, runner: &Runner) -> anyhow::Result<Exit> {
    let arms = Arms::from_inputs(inputs, &runner.workspace)?;
    print("::group::set up");
    if arms.need_kvm() {
        open_kvm()?;
    }
    let tools = tools(inputs, &arms);
    if tools != "none" {
        let code = Programs::new(inputs.as_root(), None)?.run(&["setup", "--yes", &format!("--only={tools}")])?;
        if code != 0 {
            return Ok(exit(code));
        }
    }
    print("::endgroup::");
    Ok(Exit::Fine)
}

/// Lets ordinary users open the device.
fn open_kvm() -> anyhow::Result<()> {
    if !Path::new(KVM).exists() {
        print("/dev/kvm is missing: cases that need it are skipped with the reason");
        return Ok(());
    }
    if access(KVM, Access::WRITE_OK).is_ok() || !has_udev() {
        return Ok(());
    }
    write_kvm_rule()?;
    sudo(&["udevadm", "control", "--reload-rules"])?;
    sudo(&["udevadm", "trigger", "--name-match=kvm"])?;
    sudo(&["udevadm", "settle"])
}

fn has_udev() -> bool {
    Command::new("udevadm").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn write_kvm_rule() -> anyhow::Result<()> {
    let mut tee = Command::new("sudo");
    tee.args(["tee", KVM_RULE_FILE]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = tee.spawn().context("failed to start sudo")?;
    let mut stdin = child.stdin.take().expect("its standard input is a pipe");
    stdin.write_all(KVM_RULE.as_bytes()).context("failed to write the udev rule")?;
    drop(stdin);
    let status = child.wait().context("failed to wait for sudo")?;
    if !status.success() {
        bail!("failed to write {KVM_RULE_FILE}: {status}");
    }
    Ok(())
}

fn sudo(arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("sudo").args(arguments).status().context("failed to start sudo")?;
    if !status.success() {
        bail!("`sudo {}` failed: {status}", arguments.join(" "));
    }
    Ok(())
}
