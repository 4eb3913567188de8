//! `cargo xtask ab`: measures two arms in turn and decides whether B is slower than A.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::{self, Options, resolve};
use crate::compare::live::{
    MetricSelection, Question, RuleOverrides, Session, SessionRequest, Summary, list_sessions, read_session,
    session_folder,
};
use crate::compare::rule::Comparison;
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::host::output;
use crate::model::configuration::{Configuration, Design};
use crate::model::exit::Exit;
use crate::model::record::Experiment;
use crate::platform::arm::Arm;
use crate::report::progress;
use crate::report::{Format, Look, comparison};
use anyhow::Context;
use clap::Parser;

use crate::cli::exit::BadInput;
use crate::cli::output::{check_output, write_output};

/// Measure two arms side by side and decide whether B is slower than A
#[derive(Debug, clap::Args)]
#[command(after_help = "Arms: PLATFORM[,KEY=VALUE]...\n  \
        runtime=PATH qemu=PATH      another program\n  \
        images=DIR guests=REVISION  other guests: built ones, or those of a git revision\n  \
        append=WORDS                words for the guest kernel's command line\n  \
        inject=busy:5%|busy:400us|quota:95%|delay:100us   a deliberate slowdown (fire drill)\n\n\
        Examples:\n  \
        cargo xtask ab --a docker:runc --b docker:crun      Compare the boot times of two runtimes\n  \
        cargo xtask ab --a youki --b youki                  Check that identical arms are not reported as REGRESSED\n  \
        cargo xtask ab --a youki --b youki,inject=busy:10%  Check that a slowdown is REGRESSED\n  \
        cargo xtask ab --a oci:crun --b oci:crun --set b.runtime=/opt/crun-2/bin/crun\n  \
        cargo xtask ab --a youki --b youki --set a.guests=main\n  \
        cargo xtask ab --a youki --b native --bench scalability --workload sqlite --rows 20000\n  \
        cargo xtask ab --resume last\n\n\
        Verdicts, for each metric of each case:\n  \
        REGRESSED     worse by at least twice the tolerance, and again after re-provisioning\n  \
        IMPROVED      better, by the same rule\n  \
        EQUIVALENT    within the tolerance\n  \
        INCONCLUSIVE  undecided; printed with the smallest detectable effect\n  \
        INVALID       noisy host, A differs from itself, or an arm fails\n  \
        SKIPPED       unsupported by an arm\n\n\
        Several victims at once (fairness) and the smallest memory are not supported: compare stored runs with \
        `cargo xtask compare` instead.\n\n\
        Exit codes:\n  \
        0    no regression\n  \
        1    confirmed regression, whatever else failed\n  \
        2    invalid input\n  \
        3    nothing could run\n  \
        4    an arm failed, the session stopped early, or something was left behind\n  \
        130  interrupted; continue with --resume last")]
pub struct Ab {
    /// Measure only cases whose name contains FILTER, such as sqlite/same-thread; --dry-run prints the names
    filter: Option<String>,
    /// Arm to compare with
    #[arg(long, value_name = "ARM", required_unless_present_any = ["resume", "show"], help_heading = ARMS)]
    a: Option<Arm>,
    /// Arm in question
    #[arg(long, value_name = "ARM", required_unless_present_any = ["resume", "show"], help_heading = ARMS)]
    b: Option<Arm>,
    /// Set KEY=VALUE on both arms, a.KEY=VALUE or b.KEY=VALUE on one
    #[arg(long = "set", value_name = "KEY=VALUE", help_heading = ARMS)]
    sets: Vec<String>,

    /// Experiment: boot, footprint, scalability, isolation
    #[arg(long, value_name = "EXPERIMENT", default_value_t = Experiment::Boot, help_heading = MEASURED)]
    bench: Experiment,
    /// Metrics, comma-separated, or `all` [default: the experiment's headline]
    #[arg(long, value_name = "NAME", default_value = "headline", hide_default_value = true, help_heading = MEASURED)]
    metric: MetricSelection,
    #[command(flatten)]
    measured: Measured,

    /// Largest difference that counts as equal; a regression is at least twice as large
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = share, help_heading = DECISION)]
    tolerance: f64,
    /// Blocks of the first stage [default: 30, or 20 if a trial takes over 5 s]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(6..=10_000), help_heading = DECISION)]
    blocks: Option<u64>,
    /// Passes per block: trials of each arm [default: 3, or 9 for trials below 50 ms, 1 for trials over 5 s]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..=100), help_heading = DECISION)]
    runs: Option<u64>,
    /// Measure A only once: saves a third of the time, but cannot tell a difference between arms from one of their setup
    #[arg(long, help_heading = DECISION)]
    no_null_control: bool,
    /// Do not check the host for noise
    #[arg(long, help_heading = DECISION)]
    no_noise_guard: bool,
    /// Seed of the order within the blocks [default: the time of day]
    #[arg(long, value_name = "N", help_heading = DECISION)]
    seed: Option<u64>,
    /// Stop after this time; undecided metrics are INCONCLUSIVE
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=864_000), help_heading = DECISION)]
    time_limit: Option<u64>,
    /// Measure N blocks of every case without deciding
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = DECISION)]
    record: Option<u32>,

    /// Format of the comparison: text, markdown, json, github (annotations)
    #[arg(long, default_value_t = Format::Text, help_heading = RESULTS)]
    format: Format,
    /// File for the comparison [default: standard output]
    #[arg(long, value_name = "FILE", help_heading = RESULTS)]
    output: Option<PathBuf>,
    /// Folder for the session's folder [default: target/featherweight/ab]
    #[arg(long, value_name = "DIR", help_heading = RESULTS)]
    out: Option<PathBuf>,
    /// Continue an unfinished session: its id, its folder, or `last`
    #[arg(long, value_name = "SESSION", conflicts_with_all = ["a", "b", "bench", "filter", "sets", "metric", "tolerance", "blocks", "runs", "no_null_control", "no_noise_guard", "seed", "record", "workload", "attacker", "placement", "background", "rows", "network", "load_seconds", "requests", "timeout"], help_heading = RESULTS)]
    resume: Option<String>,
    /// Print the comparison of a session without measuring: its id, its folder, or `last`
    #[arg(long, value_name = "SESSION", conflicts_with_all = ["a", "b", "resume", "dry_run", "time_limit"], help_heading = RESULTS)]
    show: Option<String>,
    /// Print the cases and the time per block without measuring
    #[arg(long, help_heading = RESULTS)]
    dry_run: bool,
}

/// Headings of the help.
const ARMS: &str = "Arms";
const MEASURED: &str = "What to measure";
const DECISION: &str = "How to decide";
const RESULTS: &str = "What to do with the results";

/// The options that the bench targets have, too.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = MEASURED)]
struct Measured {
    /// Guest programs, comma-separated [default: as in `cargo bench`]
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Attackers, comma-separated (isolation)
    #[arg(long, value_name = "NAME")]
    attacker: Option<String>,
    /// CPUs of the attackers, comma-separated (isolation)
    #[arg(long, value_name = "NAME")]
    placement: Option<String>,
    /// Idle instances next to the measured one [default: 10 in footprint, else 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    background: Option<u32>,
    /// Rows that SQLite inserts
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    rows: Option<String>,
    /// Network of the instances: none, bridge
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// How long wrk drives Nginx
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    load_seconds: Option<String>,
    /// Requests of each kind that redis-benchmark sends
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    requests: Option<String>,
    /// Abort a trial after this time
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<String>,
}

impl Ab {
    /// Measures and prints the comparison; the last line is the session's folder.
    ///
    /// # Errors
    /// When the session cannot start or continue, or a result cannot be written.
    pub fn run(self: Box<Self>) -> anyhow::Result<Exit> {
        let folders = Folders::from_env();
        self.output.as_deref().map_or(Ok(()), check_output)?;
        if let Some(name) = &self.show {
            return self.show(name, &self.sessions(&folders));
        }
        let request = self.request(&folders)?;
        let interrupt = Interrupt::on_signals().context("failed to install the handler of Ctrl-C")?;
        let session = Session::open(request, folders, interrupt, std::env::args().collect())?;
        if self.dry_run {
            print_outline(&session);
            return Ok(Exit::Fine);
        }
        let limit = self.time_limit.map(Duration::from_secs);
        let summary = session.run(limit, progress::for_stderr().as_mut())?;
        self.finish(&summary)
    }

    /// The folder of the sessions.
    fn sessions(&self, folders: &Folders) -> PathBuf {
        self.out.clone().unwrap_or_else(|| folders.comparisons())
    }

    fn request(&self, folders: &Folders) -> anyhow::Result<SessionRequest> {
        let out = self.sessions(folders);
        if let Some(name) = &self.resume {
            return Ok(SessionRequest::Resume { name: name.clone(), sessions: out });
        }
        let [a, b] = self.arms()?;
        let configuration = self.configuration(&a, &b)?;
        let overrides = RuleOverrides {
            tolerance: Some(self.tolerance),
            blocks: self.blocks.map(|blocks| blocks as usize),
            runs: self.runs.map(|runs| runs as usize),
        };
        let question = Question {
            a,
            b,
            configuration,
            metrics: self.metric.clone(),
            overrides,
            null_control: !self.no_null_control,
            record: self.record,
        };
        if !self.dry_run {
            cli::check_writable("--out", &out)?;
        }
        Ok(SessionRequest::New { question: Box::new(question), out })
    }

    fn arms(&self) -> anyhow::Result<[Arm; 2]> {
        let given = self.a.clone().zip(self.b.clone());
        let (mut a, mut b) = given.ok_or_else(|| BadInput("both --a and --b are required".to_owned()))?;
        for text in &self.sets {
            let refused = |e| BadInput::new(format!("--set {text}"), e);
            match text.split_once('.').filter(|(arm, _)| ["a", "b"].contains(arm)) {
                Some(("a", setting)) => a.set_text(setting).map_err(refused)?,
                Some((_, setting)) => b.set_text(setting).map_err(refused)?,
                None => [&mut a, &mut b].into_iter().try_for_each(|arm| arm.set_text(text)).map_err(refused)?,
            }
        }
        Ok([a, b])
    }

    /// The configuration of the bench target, with one level per case.
    fn configuration(&self, a: &Arm, b: &Arm) -> anyhow::Result<Configuration> {
        let options = self.measured.options(a, b)?;
        let seed = self.seed.unwrap_or_else(cli::random_seed);
        let mut configuration = resolve(self.bench, &options, seed)?;
        configuration.filter = self.filter.clone();
        let default = if self.bench == Experiment::Footprint { 10 } else { 0 };
        if let Some(ladder) = configuration.design.ladder_mut() {
            ladder.levels = vec![self.measured.background.unwrap_or(default)];
        } else if self.measured.background.is_some() {
            return Err(
                BadInput("--background: not supported by isolation; expected another --bench".to_owned()).into()
            );
        }
        if let Design::Scalability { victims, .. } = &mut configuration.design {
            victims.clear();
        }
        if self.no_noise_guard {
            configuration.noise_quanta = 0;
        }
        Ok(configuration)
    }

    /// Prints the comparison of a stored session.
    fn show(&self, name: &str, sessions: &Path) -> anyhow::Result<Exit> {
        let option = format!("--show {name}");
        let expected = format!("expected a session's id under {}, its folder, or `last`", sessions.display());
        let refused = |why: &dyn Display| BadInput::new(&option, format!("{why}; {expected}"));
        let dir = match name {
            "last" => list_sessions(sessions).pop().ok_or_else(|| refused(&"no sessions"))?,
            name => session_folder(sessions, name),
        };
        let file = read_session(&dir).map_err(|e| refused(&e))?.file;
        let help = match file.record {
            Some(_) => "measure without --record".to_owned(),
            None => format!("continue it with cargo xtask ab --resume {}", dir.display()),
        };
        let undecided = || BadInput::new(&option, format!("is {} and has no verdicts\nhelp: {help}", file.outcome));
        self.print(file.comparison.as_ref().ok_or_else(undecided)?)?;
        Ok(file.answer())
    }

    fn print(&self, compared: &Comparison) -> anyhow::Result<()> {
        compared.failures().iter().for_each(|failure| output::err!("error: an arm failed: {failure}"));
        if let Some(path) = &self.output {
            return write_output(Some(path), &comparison(compared, self.format, Look::Plain, None));
        }
        let (look, width) = cli::terminal();
        output::out!("{}", comparison(compared, self.format, look, width).trim_end());
        Ok(())
    }

    /// Prints the problems, the comparison and the folder of a session that ended.
    fn finish(&self, summary: &Summary) -> anyhow::Result<Exit> {
        summary.problems.iter().for_each(|problem| output::err!("error: {problem}"));
        for leftover in &summary.leftovers {
            output::err!("error: the session left {leftover} behind; they are removed now");
        }
        summary.file.comparison.as_ref().map_or(Ok(()), |compared| self.print(compared))?;
        let folder = summary.dir.display();
        // Output for programs contains nothing else.
        match self.format {
            Format::Text => output::out!("session: {folder}"),
            _ => output::err!("session: {folder}"),
        }
        Ok(summary.exit())
    }
}

impl Measured {
    /// The options of the bench target, checked as there.
    fn options(&self, a: &Arm, b: &Arm) -> Result<Options, BadInput> {
        let platforms = Some(format!("{},{}", a.platform, b.platform));
        let options = [
            ("--platform", &platforms),
            ("--workload", &self.workload),
            ("--attacker", &self.attacker),
            ("--placement", &self.placement),
            ("--rows", &self.rows),
            ("--network", &self.network),
            ("--load-seconds", &self.load_seconds),
            ("--requests", &self.requests),
            ("--timeout", &self.timeout),
        ];
        let given = options.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value.clone()?]));
        let words = std::iter::once("ab".to_owned()).chain(given.flatten());
        Options::try_parse_from(words).map_err(|e| {
            // Without the usage, which is that of the bench targets.
            let text = e.to_string();
            let message = text.split("\n\n").next().unwrap_or_default();
            BadInput(message.trim_start_matches("error: ").to_owned())
        })
    }
}

/// Prints each case with its time per block, and the time of the session.
fn print_outline(session: &Session) {
    let file = session.file();
    let (mut least, mut most) = (Duration::ZERO, Duration::ZERO);
    for case in session.outline() {
        if let Some(why) = case.skipped {
            output::out!("{}: skipped: {why}", case.name);
            continue;
        }
        let block = Duration::from(case.block);
        least += block * file.record.unwrap_or(case.rule.first as u32);
        most += block * file.record.unwrap_or(case.rule.most_blocks() as u32);
        output::out!("{}: about {:.1} s per block", case.name, block.as_secs_f64());
    }
    let [least, most] = [least, most].map(progress::in_words);
    output::out!("{} against {}: {least} without a difference, at most {most}", file.arms.b.name, file.arms.a.name);
}

/// Parses a share such as `1%` or `0.01`.
fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = match text.strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| percent / 100.0),
        None => number(text),
    };
    share.filter(|share| (0.001..=0.2).contains(share)).ok_or_else(|| "expected a share from 0.1% to 20%".to_owned())
}
