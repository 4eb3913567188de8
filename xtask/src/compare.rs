//! `cargo xtask compare`: two stored runs held against each other.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context;
use featherweight::cli::{self, Exit};
use featherweight::compare::baseline::{self, BaselineName};
use featherweight::compare::{Metrics, Past, Question, compare};
use featherweight::regression::{Comparison, Rule};
use featherweight::report::{Format, Look, NoSuchRun, comparison};
use featherweight::run::Folders;
use featherweight::store::{Experiment, ReadError, SlimRun, list_runs, read_run_file, read_slim, replace, run_folder};

use crate::exit::BadInput;

/// Compare two stored runs, metric by metric
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Is B worse than A? Runs of other hosts, kernels, accelerators or parameters are refused; another \
        runtime, guest image or revision may be what is asked about, and is named. Two stored runs were measured at \
        different times, so a difference counts only beyond what two runs of the same thing differ by (5 %, or what \
        earlier runs tell), and with the host as fast and as quiet. What must be certain, or is smaller, takes \
        `cargo xtask ab`, which measures both sides now, in turn.\n\n\
        Examples:\n  \
        cargo bench --bench boot -- --save-baseline main      keep a run under a name\n  \
        cargo xtask compare main last                         the latest run against it\n  \
        cargo xtask compare 20261121-084514-3f9a last --format markdown --output summary.md\n  \
        cargo xtask compare before/ after/ --metric boot,removal\n\n\
        Verdicts: REGRESSED, IMPROVED, EQUIVALENT (within 1 %), INCONCLUSIVE (with the smallest effect that would have \
        shown), INVALID (the host was noisy), SKIPPED.\n\n\
        Exit codes: 0 no regression, 1 a regression, 2 bad input or not comparable, 3 no number to compare."
)]
pub(crate) struct Compare {
    /// What B is compared with: a saved baseline's name, a run's id, its folder, or `last`
    a: String,
    /// What is asked about: the same
    b: String,
    /// The experiment, where both are baselines of several
    #[arg(long, value_name = "EXPERIMENT")]
    bench: Option<Experiment>,
    /// The metrics, comma-separated, or `all` [default: what the experiment is about]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    metric: Vec<String>,
    /// How it is printed: text, markdown (a job summary), json, github (annotations)
    #[arg(long, default_value_t = Format::Text)]
    format: Format,
    /// The file to write; without it, standard output
    #[arg(long)]
    output: Option<PathBuf>,
}

impl Compare {
    /// Prints the comparison.
    ///
    /// # Errors
    /// When a run cannot be found or read, or the file cannot be written.
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let folders = Folders::from_env();
        let [a, b] = self.folders(&folders)?;
        // Reading is most of the time it takes.
        let (a, b) = thread::scope(|scope| {
            let other = scope.spawn(|| read("B", &self.b, &b));
            (read("A", &self.a, &a), other.join().unwrap_or_else(|_| Err(anyhow::anyhow!("reading B panicked"))))
        });
        let (a, b) = (a?, b?);
        let past = Past::load(&folders.runs(), &a, &[a.file.run.clone(), b.file.run.clone()]);
        let question = Question { rule: Rule::USUAL, metrics: self.metrics(), past: &past };
        let compared = compare((&self.a, &a), (&self.b, &b), &question).comparison;
        self.print(&compared)?;
        Ok(exit(&compared))
    }

    fn metrics(&self) -> Metrics {
        match self.metric.as_slice() {
            [] => Metrics::Headline,
            [all] if all == "all" => Metrics::All,
            names => Metrics::Named(names.to_vec()),
        }
    }

    fn print(&self, compared: &Comparison) -> anyhow::Result<()> {
        let (look, width) = cli::terminal();
        match &self.output {
            Some(path) => {
                let text = comparison(compared, self.format, Look::Plain, None);
                let unwritable = |e: io::Error| {
                    BadInput(format!(
                        "--output {}: cannot be written ({e}); name a file in a folder that can",
                        path.display()
                    ))
                };
                Ok(replace(path, text.as_bytes()).map_err(unwritable)?)
            }
            None => {
                let text = comparison(compared, self.format, look, width);
                io::stdout().write_all(text.as_bytes()).context("write to standard output")
            }
        }
    }

    /// The folders of the two runs. Of a baseline, the experiment that is asked for or that the other run has.
    fn folders(&self, folders: &Folders) -> anyhow::Result<[PathBuf; 2]> {
        let sides = [Named::of(&self.a, folders)?, Named::of(&self.b, folders)?];
        match sides {
            [Named::Run(a), Named::Run(b)] => Ok([a, b]),
            [Named::Baseline(a), Named::Run(b)] => {
                Ok([self.of_baseline(&a, &[experiment("B", &self.b, &b)?], folders)?, b])
            }
            [Named::Run(a), Named::Baseline(b)] => {
                let b = self.of_baseline(&b, &[experiment("A", &self.a, &a)?], folders)?;
                Ok([a, b])
            }
            [Named::Baseline(a), Named::Baseline(b)] => {
                let theirs = baseline::experiments(&folders.baselines(), &b);
                let a = self.of_baseline(&a, &theirs, folders)?;
                let mine: Experiment = a.file_name().and_then(|f| f.to_str()).unwrap_or_default().parse()?;
                Ok([a, self.of_baseline(&b, &[mine], folders)?])
            }
        }
    }

    /// The folder of the one experiment of `accepted` that the baseline has.
    fn of_baseline(&self, name: &BaselineName, accepted: &[Experiment], folders: &Folders) -> anyhow::Result<PathBuf> {
        let has = baseline::experiments(&folders.baselines(), name);
        let wanted = |e: &Experiment| accepted.contains(e) && self.bench.is_none_or(|bench| bench == *e);
        let fitting: Vec<Experiment> = has.iter().copied().filter(wanted).collect();
        let list = |all: &[Experiment]| all.iter().map(|e| e.name()).collect::<Vec<_>>().join(", ");
        match fitting.as_slice() {
            [one] => Ok(baseline::folder(&folders.baselines(), name, *one)),
            [] => {
                Err(BadInput(format!("baseline {name}: has {}; the other side is {}", list(&has), list(accepted)))
                    .into())
            }
            several => Err(BadInput(format!("both baselines have {}; name one with --bench", list(several))).into()),
        }
    }
}

/// What a side's name means.
enum Named {
    Run(PathBuf),
    Baseline(BaselineName),
}

impl Named {
    fn of(name: &str, folders: &Folders) -> anyhow::Result<Self> {
        if name == "last" {
            let last = list_runs(&folders.runs()).pop().ok_or_else(|| NoSuchRun::Empty(folders.runs()))?;
            return Ok(Named::Run(last));
        }
        let saved = name.parse::<BaselineName>().ok();
        match saved.filter(|name| !baseline::experiments(&folders.baselines(), name).is_empty()) {
            Some(baseline) => Ok(Named::Baseline(baseline)),
            None => Ok(Named::Run(run_folder(&folders.runs(), name))),
        }
    }
}

fn experiment(side: &str, name: &str, dir: &Path) -> anyhow::Result<Experiment> {
    read_run_file(dir).map(|file| file.experiment()).map_err(|e| unreadable(side, name, &e))
}

fn read(side: &str, name: &str, dir: &Path) -> anyhow::Result<SlimRun> {
    read_slim(dir).map_err(|e| unreadable(side, name, &e))
}

fn unreadable(side: &str, name: &str, e: &ReadError) -> anyhow::Error {
    let accepted = "a saved baseline's name, a run's id, its folder, or `last`";
    BadInput(format!("{side} {name}: {e}; accepted: {accepted}")).into()
}

fn exit(compared: &Comparison) -> Exit {
    match compared {
        c if !c.not_comparable.is_empty() => Exit::BadInput,
        c if c.has_regressed() => Exit::Regression,
        c if c.says_nothing() => Exit::NothingRan,
        _ => Exit::Fine,
    }
}
