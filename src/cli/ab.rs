//! `cargo xtask ab`: is B worse than A? Both are measured now, in turn.

use std::fmt::Display;
use std::io::{self, Write};
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

/// Measure two arms now, in shuffled blocks, and say whether B is worse than A
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An arm is a platform with what is set differently on it: PLATFORM[,KEY=VALUE]... with the keys\n  \
        runtime=PATH qemu=PATH      another program\n  \
        images=DIR guests=REVISION  other guests, ready or of a git revision of this project\n  \
        append=WORDS                words for the guest kernel's command line\n  \
        inject=busy:5%|busy:400us|quota:95%|delay:100us   a fire drill: makes the arm slower on purpose\n\n\
        Examples:\n  \
        cargo xtask ab --a docker:runc --b docker:crun              boot, two runtimes\n  \
        cargo xtask ab --a youki --b youki                          the same twice: must not be REGRESSED\n  \
        cargo xtask ab --a youki --b youki,inject=busy:10%          a fire drill: must be REGRESSED\n  \
        cargo xtask ab --a oci:crun --b oci:crun --set b.runtime=/opt/crun-2/bin/crun\n  \
        cargo xtask ab --a youki --b youki --set a.guests=main      the guests as they are against those of main\n  \
        cargo xtask ab --a youki --b native --bench scalability --workload sqlite --rows 20000\n  \
        cargo xtask ab --resume last\n\n\
        Verdicts, a metric of a case: REGRESSED (worse by 2 % at the least, and confirmed with everything provisioned anew), \
        IMPROVED, EQUIVALENT (within the tolerance), INCONCLUSIVE (with the smallest effect that would have been found), \
        INVALID (a noisy host, A differs from itself, or an arm fails), SKIPPED (an arm cannot do it).\n\n\
        Not asked here: several victims at once (fairness), and the smallest memory (`cargo bench --bench footprint -- \
        --minimum`); cargo xtask compare holds stored runs of these against each other.\n\n\
        Exit codes: 0 no regression, 1 a regression, whatever else went wrong, 2 bad input, 3 nothing could run, 4 an arm \
        fails, stopped, or something left behind, 130 interrupted."
)]
pub struct Ab {
    /// What is compared with
    #[arg(long, value_name = "ARM", required_unless_present_any = ["resume", "show"])]
    a: Option<Arm>,
    /// What is asked about
    #[arg(long, value_name = "ARM", required_unless_present_any = ["resume", "show"])]
    b: Option<Arm>,
    /// What is measured: boot, footprint, scalability, isolation
    #[arg(long, value_name = "EXPERIMENT", default_value_t = Experiment::Boot)]
    bench: Experiment,
    /// Only cases whose name contains this word, such as sqlite/same-thread; names are without the platform, see --dry-run
    filter: Option<String>,
    /// Set KEY=VALUE on both arms, a.KEY=VALUE or b.KEY=VALUE on one
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// The metrics, comma-separated, or `all` [default: what the experiment is about]
    #[arg(long, value_name = "NAME", default_value = "headline", hide_default_value = true)]
    metric: MetricSelection,

    #[command(flatten)]
    measured: Measured,

    /// Differences up to this are of no interest; a regression is twice as large at the least
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = share)]
    tolerance: f64,
    /// Blocks of the first stage [default: 30, or 20 of trials over 5 s]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(6..=10_000))]
    blocks: Option<u64>,
    /// Runs of each arm in a block [default: 3, 9 of trials below 50 ms, or 1 of trials over 5 s]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: Option<u64>,
    /// Do not measure A a second time: a third less to measure, and nothing tells a difference of the arms from one of how
    /// they were set up
    #[arg(long)]
    no_null_control: bool,
    /// Judge however noisy the host is: what is measured in turn bears a good deal of it
    #[arg(long)]
    no_noise_guard: bool,
    /// Seeds the order within the blocks [default: the time of day]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Stop after this time; what is open then is INCONCLUSIVE
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=864_000))]
    time_limit: Option<u64>,
    /// Measure N blocks of every case and judge none: for recordings
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    record: Option<u32>,

    /// How the comparison is printed: text, markdown (a job summary), json, github (annotations)
    #[arg(long, default_value_t = Format::Text)]
    format: Format,
    /// The file to write the comparison to; without it, standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The folder that receives the session's folder [default: target/featherweight/ab]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with a session that did not finish: its id, its folder, or "last"
    #[arg(long, value_name = "RUN|last", conflicts_with_all = ["a", "b", "bench", "filter", "sets", "metric", "tolerance", "blocks", "runs", "no_null_control", "no_noise_guard", "seed", "record", "workload", "attacker", "placement", "background", "rows", "network", "load_seconds", "requests", "timeout"])]
    resume: Option<String>,
    /// Print the comparison of a session that has ended, in another format: its id, its folder, or "last"; measure nothing
    #[arg(long, value_name = "RUN|last", conflicts_with_all = ["a", "b", "resume", "dry_run", "time_limit"])]
    show: Option<String>,
    /// Print the cases with the time a block takes, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is measured, as the bench targets know it.
#[derive(Debug, clap::Args)]
struct Measured {
    /// What is measured, comma-separated, as in `cargo bench --bench EXPERIMENT -- --workload`
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// The attackers of isolation, comma-separated
    #[arg(long, value_name = "NAME")]
    attacker: Option<String>,
    /// Where attackers run, comma-separated
    #[arg(long, value_name = "NAME")]
    placement: Option<String>,
    /// Idle instances beside the measured one [default: 10 in footprint, none elsewhere]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    background: Option<u32>,
    /// Rows that the SQLite victim inserts
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    rows: Option<String>,
    /// How instances are connected: none, bridge
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// How long wrk drives Nginx, in seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    load_seconds: Option<String>,
    /// The requests of each kind that redis-benchmark makes
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    requests: Option<String>,
    /// Give a trial up after this many seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<String>,
}

impl Ab {
    /// Measures and prints the comparison; the session's folder is the last line.
    ///
    /// # Errors
    /// When it cannot begin.
    pub fn run(self: Box<Self>) -> anyhow::Result<Exit> {
        let folders = Folders::from_env();
        self.output.as_deref().map_or(Ok(()), check_output)?;
        if let Some(name) = &self.show {
            return self.show(name, &self.sessions(&folders));
        }
        let request = self.request(&folders)?;
        let interrupt = Interrupt::on_signals().context("watch for Ctrl-C")?;
        let session = Session::open(request, folders, interrupt, std::env::args().collect())?;
        if self.dry_run {
            return Ok(outline(&session));
        }
        let limit = self.time_limit.map(Duration::from_secs);
        let summary = session.run(limit, progress::blocks_for_stderr().as_mut())?;
        self.tell(&summary)
    }

    /// Where sessions are.
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
        let asked = RuleOverrides {
            tolerance: Some(self.tolerance),
            blocks: self.blocks.map(|blocks| blocks as usize),
            runs: self.runs.map(|runs| runs as usize),
        };
        let question = Question {
            a,
            b,
            configuration,
            metrics: self.metric.clone(),
            asked,
            null_control: !self.no_null_control,
            record: self.record,
        };
        if !self.dry_run {
            cli::check_writable("--out", &out).map_err(|e| BadInput(e.to_string()))?;
        }
        Ok(SessionRequest::New { question: Box::new(question), out })
    }

    fn arms(&self) -> anyhow::Result<[Arm; 2]> {
        let given = self.a.clone().zip(self.b.clone());
        let (mut a, mut b) = given.ok_or_else(|| BadInput("--a, --b: both arms are needed".to_owned()))?;
        for text in &self.sets {
            let refused = |e| BadInput(format!("--set {text}: {e}"));
            match text.split_once('.').filter(|(arm, _)| ["a", "b"].contains(arm)) {
                Some(("a", setting)) => a.set_text(setting).map_err(refused)?,
                Some((_, setting)) => b.set_text(setting).map_err(refused)?,
                None => [&mut a, &mut b].into_iter().try_for_each(|arm| arm.set_text(text)).map_err(refused)?,
            }
        }
        Ok([a, b])
    }

    /// What the bench target would measure, each case at one level.
    fn configuration(&self, a: &Arm, b: &Arm) -> anyhow::Result<Configuration> {
        let options = self.measured.options(a, b)?;
        let fresh = cli::random_seed();
        let mut configuration = resolve(self.bench, &options, fresh).map_err(|e| BadInput(e.to_string()))?;
        configuration.filter = self.filter.clone();
        configuration.seed = self.seed.unwrap_or(fresh);
        let usual = if self.bench == Experiment::Footprint { 10 } else { 0 };
        if let Some(ladder) = configuration.design.ladder_mut() {
            ladder.levels = vec![self.measured.background.unwrap_or(usual)];
        } else if self.measured.background.is_some() {
            return Err(BadInput("--background: isolation has none; accepted: its other options".to_owned()).into());
        }
        if let Design::Scalability { victims, .. } = &mut configuration.design {
            victims.clear();
        }
        if self.no_noise_guard {
            configuration.noise_quanta = 0;
        }
        Ok(configuration)
    }

    /// A stored session, told again.
    fn show(&self, name: &str, sessions: &Path) -> anyhow::Result<Exit> {
        let accepted = format!("accepted: a session's id under {}, its folder, or `last`", sessions.display());
        let refused = |why: &dyn Display| BadInput(format!("--show {name}: {why}; {accepted}"));
        let dir = match name {
            "last" => list_sessions(sessions).pop().ok_or_else(|| refused(&"there is no session"))?,
            name => session_folder(sessions, name),
        };
        let file = read_session(&dir).map_err(|e| refused(&e))?.file;
        let cure = match file.record {
            Some(_) => "measure without --record".to_owned(),
            None => format!("go on with it: cargo xtask ab --resume {}", dir.display()),
        };
        let nothing = || BadInput(format!("--show {name}: it is {}, and nothing is judged; {cure}", file.outcome));
        self.print(file.comparison.as_ref().ok_or_else(nothing)?)?;
        Ok(file.answer())
    }

    fn print(&self, compared: &Comparison) -> anyhow::Result<()> {
        compared.failures().iter().for_each(|failure| eprintln!("error: an arm fails: {failure}"));
        let (look, width) = cli::terminal();
        match self.output.as_deref() {
            path @ Some(_) => write_output(path, &comparison(compared, self.format, Look::Plain, None)),
            None => {
                say(&comparison(compared, self.format, look, width));
                Ok(())
            }
        }
    }

    fn tell(&self, summary: &Summary) -> anyhow::Result<Exit> {
        summary.problems.iter().for_each(|problem| eprintln!("error: {problem}"));
        summary.leftovers.iter().for_each(|left| eprintln!("error: left behind and removed by the ledger: {left:?}"));
        summary.file.comparison.as_ref().map_or(Ok(()), |compared| self.print(compared))?;
        let folder = format!("session: {}", summary.dir.display());
        // What is for programs is not mixed with what is for people.
        if self.format == Format::Text {
            say(&folder)
        } else {
            eprintln!("{folder}")
        }
        Ok(summary.exit())
    }
}

impl Measured {
    /// The same as options of a bench target, checked as there.
    fn options(&self, a: &Arm, b: &Arm) -> anyhow::Result<Options> {
        let platforms = Some(format!("{},{}", a.platform, b.platform));
        let named = [
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
        let given = named.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value.clone()?]));
        let words = std::iter::once("ab".to_owned()).chain(given.flatten());
        Options::try_parse_from(words).map_err(|e| {
            // Its usage is the bench targets'; the message is what matters.
            let text = e.to_string();
            let message = text.split("\n\n").next().unwrap_or_default();
            BadInput(message.trim_start_matches("error: ").to_owned()).into()
        })
    }
}

fn outline(session: &Session) -> Exit {
    let file = session.file();
    let (mut least, mut most) = (Duration::ZERO, Duration::ZERO);
    for case in session.outline() {
        let block = Duration::from(case.block);
        let Some(why) = case.skipped else {
            least += block * file.record.unwrap_or(case.rule.first as u32);
            most += block * file.record.unwrap_or(case.rule.most_blocks() as u32);
            say(&format!("{}: a block takes about {:.1} s", case.name, block.as_secs_f64()));
            continue;
        };
        say(&format!("{}: skipped: {why}", case.name));
    }
    let [least, most] = [least, most].map(progress::in_words);
    say(&format!("{} against {}: {least} if there is nothing, {most} at the most", file.arms.b.name, file.arms.a.name));
    Exit::Fine
}

/// A share such as `1%` or `0.01`.
fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = match text.strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| percent / 100.0),
        None => number(text),
    };
    share.filter(|share| (0.001..=0.2).contains(share)).ok_or_else(|| "accepted: from 0.1% to 20%".to_owned())
}

/// A closed pipe is no reason to fail.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{}", text.trim_end());
}
