//! `cargo xtask setup`: installs and starts what `doctor` reports as missing, after showing the plan and asking.
//!
//! Invariant: nothing on the host changes before the user has seen and confirmed the plan, and no package is ever
//! removed.

/// Prints a line on standard output. A closed pipe (`setup | head`) must not stop setup halfway.
macro_rules! out {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}

/// Prints a line on standard error. A closed pipe must not stop setup halfway.
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

/// The environment variables that influence the plan, and that sudo must therefore preserve.
const PRESERVED: &[&str] = &["DOCKER_HOST", "FEATHERWEIGHT_STATE", "CARGO_TARGET_DIR", "CC"];

const QEMU: &str = "qemu-system-x86_64";

/// Install and start missing tools, after showing the plan and asking
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct Setup {
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Show the plan and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Install only these tools
    #[arg(long, value_delimiter = ',', value_name = "TOOL")]
    only: Vec<String>,
    /// Stop the dockerd that setup started
    #[arg(long, conflicts_with_all = ["yes", "dry_run", "only"])]
    stop: bool,
}

/// The tools, and examples.
fn after_help() -> String {
    format!(
        "Tools: {}; only if named: {}.\n\n\
        Examples:\n  \
        cargo xtask setup --dry-run             show the plan with the exact commands\n  \
        cargo xtask setup --only docker,wrk     install these tools only\n  \
        cargo xtask setup --stop                stop the dockerd that setup started",
        tool_names(ToolSelection::Always),
        tool_names(ToolSelection::ByName)
    )
}

fn tool_names(selection: ToolSelection) -> String {
    let tools = TOOLS.iter().filter(|tool| tool.wanted == selection);
    tools.map(|tool| tool.name).collect::<Vec<_>>().join(", ")
}

impl Setup {
    /// Runs the command.
    ///
    /// # Errors
    /// Fails with a message for the user; [`crate::cli::exit::code`] gives its exit code.
    pub fn run(self) -> anyhow::Result<Exit> {
        if self.stop {
            out!("{}", daemon::stop(&Folders::from_env().state)?);
            return Ok(Exit::Fine);
        }
        let tools = packages::choose(&self.only).map_err(BadInput)?;
        let findings = host::inspect(&tools)?;
        let plan = SetupPlan::new(&findings);
        show(&plan);
        let builds_guests = needs_guests(&tools);
        if builds_guests {
            out!("then: {} (without root)", images::GUESTS);
        }
        if self.dry_run {
            return Ok(Exit::Fine);
        }
        let exit = if plan.steps.is_empty() { Exit::Fine } else { self.confirm_and_run(&plan, &findings)? };
        // The user builds the guests, so that the files do not belong to root.
        let is_users_process = env::var_os("SUDO_UID").is_none();
        match exit {
            Exit::Fine if builds_guests && is_users_process && find(QEMU).is_some() => images::build_guests(),
            exit => Ok(exit),
        }
    }

    /// Asks for confirmation, and carries out the plan.
    fn confirm_and_run(&self, plan: &SetupPlan, findings: &Findings) -> anyhow::Result<Exit> {
        if findings.privilege == Privilege::Ordinary {
            return Err(BadInput("setup needs root, and sudo is not installed\nhelp: run it as root".to_owned()).into());
        }
        if !self.yes && !is_confirmed()? {
            out!("nothing was changed");
            return Ok(Exit::Fine);
        }
        match findings.privilege {
            Privilege::Root => carry_out(plan, findings),
            _ => self.with_sudo(),
        }
    }

    /// Starts this program again as root. That process makes the same plan and carries it out.
    fn with_sudo(&self) -> anyhow::Result<Exit> {
        let mut command = Command::new("sudo");
        command.args(
            PRESERVED.iter().filter(|name| env::var_os(name).is_some()).map(|name| format!("--preserve-env={name}")),
        );
        command.arg("--").arg(env::current_exe().context("failed to find this program")?).args(["setup", "--yes"]);
        if !self.only.is_empty() {
            command.arg("--only").arg(self.only.join(","));
        }
        let status = command.status().context("failed to start sudo")?;
        Ok(if status.success() { Exit::Fine } else { Exit::Failure })
    }
}

/// Whether QEMU was selected and the guests of virtual machines are not built yet.
fn needs_guests(tools: &[&Tool]) -> bool {
    tools.iter().any(|tool| tool.name == "qemu") && !has_kernel(&Folders::from_env())
}

/// Describes Docker's daemon and its runtimes, if it answers.
///
/// # Errors
/// The reason why it does not answer, and what to do.
pub(in crate::cli) fn docker_answers() -> Result<String, String> {
    match engine::find() {
        Engine::Answers { runtimes } => Ok(format!("answers; runtimes {}", runtimes.join(", "))),
        Engine::Elsewhere { host } => Ok(format!("not checked: DOCKER_HOST is {host}")),
        Engine::Closed => Err("running, but this user has no access to its socket".to_owned()),
        Engine::Silent { pid } => Err(format!("process {pid} does not answer; see its log")),
        Engine::Down => Err("not running; start it: cargo xtask setup --only docker".to_owned()),
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

/// Asks for confirmation on the terminal.
///
/// # Errors
/// When there is no terminal.
fn is_confirmed() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        let message = "failed to ask for confirmation: no terminal\n\
             help: pass --yes to confirm the plan, or --dry-run to show it";
        return Err(BadInput(message.to_owned()).into());
    }
    let _ = write!(io::stderr(), "Proceed? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("failed to read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Carries out the steps. It continues after a failed step, because the later steps may not depend on it.
fn carry_out(plan: &SetupPlan, findings: &Findings) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::on_signals().context("failed to handle Ctrl-C")?;
    let state = Folders::from_env().state;
    let (mut failures, steps) = (0, plan.steps.len());
    for (n, step) in plan.steps.iter().enumerate() {
        if interrupt.is_raised() {
            err!("interrupted after {n} of {steps} steps; run setup again to continue");
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
                failures += 1;
                err!("     failed: {e:#}");
            }
        }
    }
    out!("\n{}", doctor::after_setup()?);
    plan.next.iter().for_each(|next| out!("\n{next}"));
    Ok(if failures == 0 { Exit::Fine } else { Exit::Failure })
}
