//! `cargo xtask compare`: compares two stored runs.

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

/// Compare two stored runs and decide whether B is slower than A
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Runs of different hosts, kernels, accelerators or parameters are rejected; different runtimes, guest \
        images and revisions are reported. The runs were measured at different times. A difference therefore counts only \
        if it exceeds what two runs of the same thing differ by: 5 %, or what earlier runs show. To detect smaller \
        differences, measure both sides with `cargo xtask ab`.\n\n\
        Examples:\n  \
        cargo bench --bench boot -- --save-baseline main  Save a run as baseline `main`\n  \
        cargo xtask compare main last                     Compare the latest run with it\n  \
        cargo xtask compare 20261121-084514-3f9a last --format markdown --output summary.md\n  \
        cargo xtask compare before/ after/ --metric boot,removal\n\n\
        Verdicts, for each metric of each case:\n  \
        REGRESSED     worse\n  \
        IMPROVED      better\n  \
        EQUIVALENT    within 1 %\n  \
        INCONCLUSIVE  undecided; printed with the smallest detectable effect\n  \
        INVALID       noisy host\n  \
        SKIPPED       missing in a run\n\n\
        Exit codes:\n  \
        0  no regression\n  \
        1  regression\n  \
        2  invalid input, or runs that are not comparable\n  \
        3  nothing could be compared\n  \
        4  a case has results in A, but failed in B"
)]
pub struct Compare {
    /// Run A, the base: a baseline's name, a run's id, its folder, or `last`
    a: String,
    /// Run in question, named likewise
    b: String,
    /// Experiment to compare, if a baseline contains several
    #[arg(long, value_name = "EXPERIMENT")]
    bench: Option<Experiment>,
    /// Metrics, comma-separated, or `all` [default: the experiment's headline]
    #[arg(long, value_name = "NAME", default_value = "headline", hide_default_value = true)]
    metric: MetricSelection,
    /// Format of the comparison: text, markdown, json, github (annotations)
    #[arg(long, default_value_t = Format::Text)]
    format: Format,
    /// File for the comparison [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Compare {
    /// Prints the comparison.
    ///
    /// # Errors
    /// When a run cannot be found or read, or the output cannot be written.
    pub fn run(self) -> anyhow::Result<Exit> {
        let folders = Folders::from_env();
        let [a, b] = self.folders(&folders)?;
        // Reading dominates, so both runs are read in parallel.
        let (a, b) = thread::scope(|scope| {
            let other = scope.spawn(|| read("B", &self.b, &b));
            (read("A", &self.a, &a), other.join().unwrap_or_else(|_| Err(anyhow::anyhow!("reading B panicked"))))
        });
        let (a, b) = (a?, b?);
        self.metric.check(&metric_names(&a, &b)).map_err(|e| BadInput(e.to_string()))?;
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

    /// The folders of the two runs. For a baseline, the run of the requested experiment, or of that of the other side.
    fn folders(&self, folders: &Folders) -> anyhow::Result<[PathBuf; 2]> {
        let sides = [Named::find(&self.a, folders)?, Named::find(&self.b, folders)?];
        match sides {
            [Named::Run(a), Named::Run(b)] => {
                self.experiment("A", &self.a, &a)?;
                self.experiment("B", &self.b, &b)?;
                Ok([a, b])
            }
            [Named::Baseline(a), Named::Run(b)] => {
                Ok([self.baseline_folder(&a, &[self.experiment("B", &self.b, &b)?], folders)?, b])
            }
            [Named::Run(a), Named::Baseline(b)] => {
                let b = self.baseline_folder(&b, &[self.experiment("A", &self.a, &a)?], folders)?;
                Ok([a, b])
            }
            [Named::Baseline(a), Named::Baseline(b)] => {
                let in_b = baseline::experiments(&folders.baselines(), &b);
                let a = self.baseline_folder(&a, &in_b, folders)?;
                let experiment: Experiment = a.file_name().and_then(|f| f.to_str()).unwrap_or_default().parse()?;
                Ok([a, self.baseline_folder(&b, &[experiment], folders)?])
            }
        }
    }

    /// The experiment of a side that is a run. It must be the requested one.
    fn experiment(&self, side: &str, name: &str, dir: &Path) -> anyhow::Result<Experiment> {
        let experiment = read_run_file(dir).map_err(|e| unreadable(side, name, &e))?.experiment();
        match self.bench.filter(|bench| *bench != experiment) {
            Some(bench) => {
                let problem = format!("{side} {name} is a run of {experiment}");
                Err(BadInput::new(format!("--bench {bench}"), problem).into())
            }
            None => Ok(experiment),
        }
    }

    /// The folder of the baseline's run of one of `experiments`; exactly one must match.
    fn baseline_folder(
        &self,
        name: &BaselineName,
        experiments: &[Experiment],
        folders: &Folders,
    ) -> Result<PathBuf, BadInput> {
        let saved = baseline::experiments(&folders.baselines(), name);
        let list = |all: &[Experiment]| all.iter().map(|e| e.name()).collect::<Vec<_>>().join(", ");
        if let Some(bench) = self.bench.filter(|bench| !saved.contains(bench)) {
            return Err(BadInput::new(format!("--bench {bench}"), format!("baseline {name} has {}", list(&saved))));
        }
        let is_match = |e: &Experiment| experiments.contains(e) && self.bench.is_none_or(|bench| bench == *e);
        let matching: Vec<Experiment> = saved.iter().copied().filter(is_match).collect();
        match matching.as_slice() {
            [one] => Ok(baseline::folder(&folders.baselines(), name, *one)),
            [] => {
                let problem = format!("has {}; the other side has {}", list(&saved), list(experiments));
                Err(BadInput::new(format!("baseline {name}"), problem))
            }
            several => Err(BadInput(format!("both baselines have {}\nhelp: select one with --bench", list(several)))),
        }
    }
}

/// What the name of a side refers to.
enum Named {
    Run(PathBuf),
    Baseline(BaselineName),
}

impl Named {
    fn find(name: &str, folders: &Folders) -> anyhow::Result<Self> {
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
    let baselines: Vec<String> =
        baseline::names(&Folders::from_env().baselines()).iter().map(ToString::to_string).collect();
    let baselines = if baselines.is_empty() { "none".to_owned() } else { baselines.join(", ") };
    let expected = format!("expected a baseline's name (known: {baselines}), a run's id, its folder, or `last`");
    BadInput::new(format!("{side} {name}"), format!("{e}; {expected}")).into()
}
