//! `cargo xtask compare`: two stored runs held against each other.

use std::path::{Path, PathBuf};
use std::thread;

use crate::cli;
use crate::compare::live::MetricSelection;
use crate::compare::rule::{Comparison, Rule};
use crate::compare::stored::baseline::{self, BaselineName};
use crate::compare::stored::{Past, Question, compare, metric_names};
use crate::host::folders::Folders;
use crate::model::exit::Exit;
use crate::model::record::Experiment;
use crate::report::{Format, Look, NoSuchRun, comparison};
use crate::store::{ReadError, RunValues, own_runs, read_run_file, read_values, run_folder};

use crate::cli::exit::BadInput;
use crate::cli::output::write_output;

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
        Exit codes: 0 no regression, 1 a regression, 2 bad input or not comparable, 3 nothing could be compared, 4 a case \
        that A has numbers of was tried in B and has none."
)]
pub struct Compare {
    /// What B is compared with: a saved baseline's name, a run's id, its folder, or `last`
    a: String,
    /// What is asked about: the same
    b: String,
    /// The experiment, where baselines have several
    #[arg(long, value_name = "EXPERIMENT")]
    bench: Option<Experiment>,
    /// The metrics, comma-separated, or `all` [default: what the experiment is about]
    #[arg(long, value_name = "NAME", default_value = "headline", hide_default_value = true)]
    metric: MetricSelection,
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
    /// Runs the command.
    ///
    /// # Errors
    /// Fails with a message for the user; [`crate::cli::exit::of`] gives its exit code.
    pub fn run(self) -> anyhow::Result<Exit> {
        let folders = Folders::from_env();
        let [a, b] = self.folders(&folders)?;
        // Reading is most of the time it takes.
        let (a, b) = thread::scope(|scope| {
            let other = scope.spawn(|| read("B", &self.b, &b));
            (read("A", &self.a, &a), other.join().unwrap_or_else(|_| Err(anyhow::anyhow!("reading B panicked"))))
        });
        let (a, b) = (a?, b?);
        self.metric.check(&metric_names(&a, &b)).map_err(BadInput)?;
        let past = Past::load(&folders.runs(), &a, &b);
        let question = Question { rule: Rule::DEFAULT, metrics: self.metric.clone(), past: &past };
        let compared = compare((&self.a, &a), (&self.b, &b), &question).comparison;
        self.print(&compared)?;
        Ok(compared.exit())
    }

    fn print(&self, compared: &Comparison) -> anyhow::Result<()> {
        let (look, width) = if self.output.is_some() { (Look::Plain, None) } else { cli::terminal() };
        write_output(self.output.as_deref(), &comparison(compared, self.format, look, width))
    }

    /// The folders of the two runs. Of a baseline, the experiment that is asked for or that the other run has.
    fn folders(&self, folders: &Folders) -> anyhow::Result<[PathBuf; 2]> {
        let sides = [Named::of(&self.a, folders)?, Named::of(&self.b, folders)?];
        match sides {
            [Named::Run(a), Named::Run(b)] => {
                self.experiment("A", &self.a, &a)?;
                self.experiment("B", &self.b, &b)?;
                Ok([a, b])
            }
            [Named::Baseline(a), Named::Run(b)] => {
                Ok([self.of_baseline(&a, &[self.experiment("B", &self.b, &b)?], folders)?, b])
            }
            [Named::Run(a), Named::Baseline(b)] => {
                let b = self.of_baseline(&b, &[self.experiment("A", &self.a, &a)?], folders)?;
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

    /// The experiment of a side that is a run, which is the one that is asked for.
    fn experiment(&self, side: &str, name: &str, dir: &Path) -> anyhow::Result<Experiment> {
        let found = read_run_file(dir).map_err(|e| unreadable(side, name, &e))?.experiment();
        match self.bench.filter(|bench| *bench != found) {
            Some(bench) => Err(BadInput(format!("--bench {bench}: {side} {name} is a run of {found}")).into()),
            None => Ok(found),
        }
    }

    /// The folder of the one experiment of `accepted` that the baseline has.
    fn of_baseline(&self, name: &BaselineName, accepted: &[Experiment], folders: &Folders) -> anyhow::Result<PathBuf> {
        let has = baseline::experiments(&folders.baselines(), name);
        let wanted = |e: &Experiment| accepted.contains(e) && self.bench.is_none_or(|bench| bench == *e);
        let fitting: Vec<Experiment> = has.iter().copied().filter(wanted).collect();
        let list = |all: &[Experiment]| all.iter().map(|e| e.name()).collect::<Vec<_>>().join(", ");
        if let Some(bench) = self.bench.filter(|bench| !has.contains(bench)) {
            return Err(BadInput(format!("--bench {bench}: baseline {name} has {}", list(&has))).into());
        }
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
            let last = own_runs(&folders.runs()).next_back().ok_or_else(|| NoSuchRun::Empty(folders.runs()))?;
            return Ok(Named::Run(last));
        }
        let saved = name.parse::<BaselineName>().ok();
        match saved.filter(|name| !baseline::experiments(&folders.baselines(), name).is_empty()) {
            Some(baseline) => Ok(Named::Baseline(baseline)),
            None => Ok(Named::Run(run_folder(&folders.runs(), name))),
        }
    }
}

fn read(side: &str, name: &str, dir: &Path) -> anyhow::Result<RunValues> {
    read_values(dir).map_err(|e| unreadable(side, name, &e))
}

fn unreadable(side: &str, name: &str, e: &ReadError) -> anyhow::Error {
    let saved: Vec<String> =
        baseline::names(&Folders::from_env().baselines()).iter().map(ToString::to_string).collect();
    let saved = if saved.is_empty() { "there is none".to_owned() } else { saved.join(", ") };
    let accepted = format!("a saved baseline's name ({saved}), a run's id, its folder, or `last`");
    BadInput(format!("{side} {name}: {e}; accepted: {accepted}")).into()
}
