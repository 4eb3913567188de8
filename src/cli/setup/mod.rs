//! `cargo xtask setup`: installs and starts what `doctor` misses, after showing the plan and asking.
//!
//! Invariant: nothing on the host changes before the plan was shown and agreed to, and no package is ever removed.

/// One line on standard output. A closed pipe (`setup | head`) is no reason to stop half-way.
macro_rules! out {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}

/// One line on standard error, likewise.
macro_rules! err {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($argument)*);
    }};
}

mod command;
mod daemon;
mod engine;
mod execute;
mod gvisor;
mod host;
mod packages;
mod plan;
mod runtimes;
mod sources;

use std::env;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::Command;
use std::time::Instant;

use crate::guest::system::has_kernel;
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::model::exit::Exit;
use anyhow::Context;

pub(in crate::cli) use host::find;
pub(in crate::cli) use packages::{TOOLS, Tool, ToolSelection};

use crate::cli::exit::BadInput;
use crate::cli::{doctor, images};
use plan::{Engine, Findings, Privilege, SetupPlan};

/// What decides the plan or how it is done, and is therefore kept when root goes on; sudo leaves out all the rest.
const KEPT: &[&str] = &["DOCKER_HOST", "FEATHERWEIGHT_STATE", "CARGO_TARGET_DIR", "CC"];

const QEMU: &str = "qemu-system-x86_64";

/// Install and start what doctor misses, after showing the plan and asking
#[derive(Debug, clap::Args)]
#[command(after_help = "Tools: cc, docker, crun, runc, runsc, podman, wrk, redis, nginx, qemu, mmdebstrap, \
        e2fsprogs; and only when named: unikraft.\n\n\
        Examples:\n  \
        cargo xtask setup --dry-run             what would be done, with the exact commands\n  \
        cargo xtask setup --only docker,wrk     these tools only\n  \
        cargo xtask setup --stop                stop the dockerd that setup started")]
pub struct Setup {
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// Show the plan and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// These tools instead of all
    #[arg(long, value_delimiter = ',', value_name = "TOOL")]
    only: Vec<String>,
    /// Stop the dockerd that setup started, and no other
    #[arg(long, conflicts_with_all = ["yes", "dry_run", "only"])]
    stop: bool,
}

impl Setup {
    /// Does what the options say.
    ///
    /// # Errors
    /// When an option makes no sense, nobody can be asked, or the host cannot be read.
    /// Runs the command.
    ///
    /// # Errors
    /// Fails with a message for the user; [`crate::cli::exit::of`] gives its exit code.
    pub fn run(self) -> anyhow::Result<Exit> {
        if self.stop {
            out!("{}", daemon::stop(&Folders::from_env().state)?);
            return Ok(Exit::Fine);
        }
        let tools = packages::choose(&self.only).map_err(BadInput)?;
        let findings = host::look(&tools)?;
        let plan = SetupPlan::of(&findings);
        show(&plan);
        let guests = lacks_guests(&tools);
        if guests {
            out!("then: {} (no root is needed for it)", images::GUESTS);
        }
        if self.dry_run {
            return Ok(Exit::Fine);
        }
        let done = if plan.steps.is_empty() { Exit::Fine } else { self.agreed(&plan, &findings)? };
        // By whoever began, so that what is built is not root's.
        let began_here = env::var_os("SUDO_UID").is_none();
        match done {
            Exit::Fine if guests && began_here && find(QEMU).is_some() => images::build_guests(),
            done => Ok(done),
        }
    }

    /// Asks, and does what was agreed to.
    fn agreed(&self, plan: &SetupPlan, findings: &Findings) -> anyhow::Result<Exit> {
        if findings.privilege == Privilege::Ordinary {
            return Err(BadInput("this takes root, and there is no sudo: run it as root".to_owned()).into());
        }
        if !self.yes && !asked()? {
            out!("nothing was changed");
            return Ok(Exit::Fine);
        }
        match findings.privilege {
            Privilege::Root => carry_out(plan, findings),
            _ => self.with_sudo(),
        }
    }

    /// Starts this program again as root, which looks again and does what was agreed to.
    fn with_sudo(&self) -> anyhow::Result<Exit> {
        let mut command = Command::new("sudo");
        command
            .args(KEPT.iter().filter(|name| env::var_os(name).is_some()).map(|name| format!("--preserve-env={name}")));
        command.arg("--").arg(env::current_exe().context("find this program")?).args(["setup", "--yes"]);
        if !self.only.is_empty() {
            command.arg("--only").arg(self.only.join(","));
        }
        let status = command.status().context("start sudo")?;
        Ok(if status.success() { Exit::Fine } else { Exit::Failure })
    }
}

/// Whether the guests of virtual machines were asked for and are not built yet.
fn lacks_guests(tools: &[&Tool]) -> bool {
    tools.iter().any(|tool| tool.name == "qemu") && !has_kernel(&Folders::from_env())
}

/// Whether Docker's daemon answers, and with which runtimes.
///
/// # Errors
/// Why it does not, and the cure.
pub(in crate::cli) fn docker_answers() -> Result<String, String> {
    match engine::find() {
        Engine::Answers { runtimes } => Ok(format!("answers; runtimes {}", runtimes.join(", "))),
        Engine::Elsewhere { host } => Ok(format!("not looked for: DOCKER_HOST names {host}")),
        Engine::Closed => Err("there, but this user may not ask it".to_owned()),
        Engine::Silent { pid } => Err(format!("process {pid} does not answer; see its log")),
        Engine::Down => Err("does not run; cargo xtask setup --only docker".to_owned()),
    }
}

fn show(plan: &SetupPlan) {
    if plan.steps.is_empty() {
        out!("nothing to do");
    }
    for (n, step) in plan.steps.iter().enumerate() {
        out!("{:3}. {step}", n + 1);
    }
    for note in &plan.notes {
        out!("note: {note}");
    }
}

/// Asks on the terminal.
///
/// # Errors
/// When there is none.
fn asked() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        let hint = "there is no terminal to ask on: `--yes` agrees to the plan, `--dry-run` only shows it";
        return Err(BadInput(hint.to_owned()).into());
    }
    let _ = write!(io::stderr(), "Proceed? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Does the steps. One that fails leaves the others their chance: they fail by themselves where they need it.
fn carry_out(plan: &SetupPlan, findings: &Findings) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::on_signals().context("heed Ctrl-C")?;
    let state = Folders::from_env().state;
    let (mut failed, steps) = (0, plan.steps.len());
    for (n, step) in plan.steps.iter().enumerate() {
        if interrupt.is_raised() {
            err!("stopped; the steps before this one are done, and setup can be run again");
            return Ok(Exit::Interrupted);
        }
        let title = step.to_string();
        err!("[{}/{steps}] {}", n + 1, title.lines().next().unwrap_or_default());
        let began = Instant::now();
        match execute::step(step, findings, &state) {
            Ok(notes) => {
                err!("     done in {:.0} s", began.elapsed().as_secs_f64());
                notes.iter().for_each(|note| out!("     {note}"));
            }
            Err(e) => {
                failed += 1;
                err!("     failed: {e:#}");
            }
        }
    }
    out!("\n{}", doctor::after_setup()?);
    plan.next.iter().for_each(|next| out!("\n{next}"));
    Ok(if failed == 0 { Exit::Fine } else { Exit::Failure })
}
