//! The gate and the nights as a runner of GitHub Actions starts them: every step, with a stand-in for GitHub.

#[path = "gate/github.rs"]
mod github;
#[path = "history/step.rs"]
mod step;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use github::TOKEN;
use rstest::rstest;
use serde_json::json;
use step::with_a_step;
use tempfile::TempDir;

/// Few measurements, however busy the host is.
const QUICK: &str = "--no-noise-guard\n--no-null-control\n--runs=1";

/// A runner with its folders, its files and the inputs of the action.
struct Runner {
    home: TempDir,
    inputs: Vec<(&'static str, String)>,
}

/// How a step ended.
struct Ended {
    code: Option<i32>,
    output: String,
}

impl Runner {
    /// `None`, with the reason printed, on a host that lacks what every hosted runner has.
    fn new() -> Option<Self> {
        for program in ["curl", "git"] {
            if Command::new(program).arg("--version").output().is_err() {
                eprintln!("skipped: the gate needs {program}, which is missing here");
                return None;
            }
        }
        let runner = Self { home: tempfile::tempdir().expect("a temporary folder"), inputs: Vec::new() };
        fs::create_dir(runner.path("bin")).expect("an empty folder");
        Some(runner)
    }

    fn with(mut self, inputs: &[(&'static str, &str)]) -> Self {
        self.inputs.extend(inputs.iter().map(|(name, value)| (*name, (*value).to_owned())));
        self
    }

    /// Notes the arguments of `setup`, `ab` and `history` in `arguments.txt` in place of running them; each ends with
    /// `code`.
    fn with_stand_in(self, code: i32) -> Self {
        let notes = self.path("arguments.txt");
        self.program("stand-in", &format!("#!/bin/sh\necho \"$@\" >>{}\nexit {code}\n", notes.display()));
        let stand_in = self.path("bin/stand-in").display().to_string();
        self.with(&[("GATE_XTASK", &stand_in)])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, text).expect("a folder of this test");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file of this test");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A line of GITHUB_OUTPUT, as later steps see it.
    fn output(&self, name: &str) -> String {
        let text = self.read("output");
        let found = text.lines().filter_map(|line| line.split_once('=')).rfind(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    fn gate(&self, step: &str, more: &[(&str, &str)]) -> Ended {
        self.xtask(&["gate", step], more)
    }

    fn xtask(&self, arguments: &[&str], more: &[(&str, &str)]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments).env_clear().current_dir(self.home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.home.path());
        command.env("GITHUB_OUTPUT", self.path("output")).env("GITHUB_STEP_SUMMARY", self.path("summary"));
        command.env("GITHUB_REPOSITORY", "somebody/something").env("GITHUB_RUN_ID", "17").env("GATE_ROOT", "false");
        command.env("RUNNER_TEMP", self.home.path()).env("GITHUB_WORKSPACE", self.home.path());
        command.env("CARGO_TARGET_DIR", self.home.path()).env("FEATHERWEIGHT_STATE", self.path("state"));
        command.envs(self.inputs.iter().map(|(name, value)| (*name, value))).envs(more.iter().copied());
        let Output { status, stdout, stderr } = command.output().expect("xtask starts");
        let output = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Ended { code: status.code(), output }
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git").args(arguments).current_dir(self.home.path()).output().expect("git starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The last step, which decides whether the job fails.
    fn finish(&self, policy: &str) -> Option<i32> {
        self.gate("finish", &[("GATE_CODE", &self.output("code")), ("GATE_TROUBLE", policy)]).code
    }

    fn comment(&self, address: &str, token: &str) -> Ended {
        let (folder, title) = (self.output("folder"), self.output("title"));
        fs::write(self.path("event.json"), r#"{"pull_request": {"number": 5}}"#).expect("a folder of this test");
        let event = self.path("event.json").display().to_string();
        let variables = [("GATE_FOLDER", folder.as_str()), ("GATE_TITLE", &title), ("GATE_TOKEN", token)];
        self.gate("comment", &[&variables[..], &[("GITHUB_API_URL", address), ("GITHUB_EVENT_PATH", &event)]].concat())
    }
}

#[test]
fn an_equal_arm_passes_and_its_comment_is_updated() {
    let Some(runner) = Runner::new() else { return };
    let runner = runner.with(&[("GATE_A", "fake"), ("GATE_B", "fake"), ("GATE_TITLE", "boot -- of\n`mine`")]);
    let runner = runner.with(&[("GATE_OPTIONS", QUICK)]);
    let measured = runner.gate("measure", &[]);
    assert_eq!(measured.code, Some(0), "{}", measured.output);
    assert!(["passed", "inconclusive"].contains(&runner.output("verdict").as_str()), "{}", measured.output);
    assert_eq!(runner.finish("fail"), Some(0));
    assert_eq!(runner.output("artifact"), "featherweight boot -- of--mine-");
    assert!(runner.read("summary").contains("cargo xtask ab --a=fake --b=fake --bench=boot --no-noise-guard"));

    // A page has 100 comments. A comment that a person wrote stays theirs, even with the marker in it.
    let marker = "<!-- featherweight gate: boot -- of--mine- -->";
    let of_others = (1..=120).map(|id| json!({"id": id, "body": marker, "user": {"type": "User"}})).collect();
    let (address, written) = github::serve(of_others);
    let printed = [1, 2].map(|_| runner.comment(&address, TOKEN).output);
    assert!(printed[0].contains("created") && printed[1].contains("updated"), "{printed:?}");
    let written = written.lock().unwrap();
    assert_eq!(written.len(), 121, "created once, then edited");
    assert!(written[..120].iter().all(|comment| comment["body"] == marker), "comments of others stay as they are");
    let body = written[120]["body"].as_str().unwrap();
    assert!(body.starts_with(marker) && body.contains("/somebody/something/actions/runs/17"), "{body}");
}

#[test]
fn a_slower_arm_fails_and_is_annotated() {
    let Some(runner) = Runner::new() else { return };
    let runner = runner.with(&[("GATE_A", "native"), ("GATE_B", "native,inject=busy:4ms"), ("GATE_BLOCKS", "12")]);
    let runner = runner.with(&[("GATE_OPTIONS", QUICK)]);
    let measured = runner.gate("measure", &[]);
    assert_eq!(measured.code, Some(0), "the last step fails the job, not this one: {}", measured.output);
    assert_eq!(runner.output("verdict"), "regressed", "{}", measured.output);
    assert_eq!(runner.finish("warn"), Some(1), "a regression always fails");
    assert!(measured.output.contains("::error title=Regression"), "{}", measured.output);
    assert!(runner.read("summary").contains("REGRESSED"), "{}", runner.read("summary"));
    let folder = PathBuf::from(runner.output("folder"));
    let kept = fs::read_dir(folder).unwrap().any(|entry| entry.unwrap().path().join("trials.jsonl").is_file());
    assert!(kept, "the uploaded folder contains the trials");
}

#[test]
fn an_arm_that_cannot_run_is_no_regression() {
    let Some(runner) = Runner::new() else { return };
    let runner = runner.with(&[("GATE_A", "oci:no-such-runtime"), ("GATE_B", "oci:no-such-runtime")]);
    let measured = runner.gate("measure", &[]);
    assert_eq!((measured.code, runner.output("verdict").as_str()), (Some(0), "nothing-ran"), "{}", measured.output);
    assert!(runner.read("summary").contains("Nothing could run"), "{}", runner.read("summary"));
}

#[rstest]
#[case::fine(0, 0)]
#[case::a_regression(1, 1)]
#[case::bad_input(2, 2)]
#[case::nothing_ran(3, 0)]
#[case::failure(4, 0)]
#[case::interrupted(130, 0)]
fn only_a_failed_measurement_may_pass(#[case] code: i32, #[case] with_warn: i32) {
    let Some(runner) = Runner::new() else { return };
    fs::write(runner.path("output"), format!("code={code}\n")).unwrap();
    assert_eq!([runner.finish("fail"), runner.finish("warn")], [Some(code), Some(with_warn)]);
}

#[rstest]
#[case::nothing_was_compared(0, "4", "trouble")]
#[case::an_arm_failed(4, "4", "trouble")]
#[case::stopped(130, "130", "interrupted")]
fn a_measurement_without_a_comparison_has_not_passed(#[case] ab: i32, #[case] code: &str, #[case] verdict: &str) {
    let Some(runner) = Runner::new() else { return };
    let runner = runner.with_stand_in(ab).with(&[("GATE_A", "fake"), ("GATE_B", "fake")]);
    let measured = runner.gate("measure", &[]);
    assert_eq!((measured.code, runner.output("verdict").as_str()), (Some(0), verdict), "{}", measured.output);
    assert_eq!(runner.output("code"), code);
    assert!(measured.output.contains("::error title="), "{}", measured.output);
}

#[test]
fn a_token_without_permission_is_reported_and_fails_nothing() {
    let Some(runner) = Runner::new() else { return };
    let (address, written) = github::serve(Vec::new());
    fs::write(runner.path("output"), format!("folder={}\ntitle=x\n", runner.home.path().display())).unwrap();
    fs::write(runner.path("summary.md"), "### x\n").unwrap();
    let ended = runner.comment(&address, "of-a-fork");
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(ended.output.contains("::notice title=Featherweight gate::No comment"), "{}", ended.output);
    assert!(written.lock().unwrap().is_empty());
}

#[rstest]
#[case::no_arms(&[], "given: none")]
#[case::two_ways(&[("GATE_A", "fake"), ("GATE_B", "fake"), ("GATE_BASE", "main"), ("GATE_HEAD", "x")], "given: a and b; base and head")]
#[case::half(&[("GATE_A", "fake")], "set both `a` and `b`")]
#[case::half_of_revisions(&[("GATE_BASE", "main")], "set both `base` and `head`")]
#[case::no_program(&[("GATE_BASE_RUNTIME", "gone"), ("GATE_HEAD_RUNTIME", "gone")], "base-runtime `gone`: no such file")]
#[case::no_option(&[("GATE_A", "fake"), ("GATE_B", "fake"), ("GATE_OPTIONS", "--seed=1\nx")], "`x` does not begin with")]
#[case::reserved(&[("GATE_A", "fake"), ("GATE_B", "fake"), ("GATE_OPTIONS", "--out=x")], "`--out=x` is set by the gate itself")]
#[case::a_plan(&[("GATE_A", "fake"), ("GATE_B", "fake"), ("GATE_OPTIONS", "--dry-run")], "`--dry-run` would compare nothing")]
#[case::a_stored_session(&[("GATE_A", "fake"), ("GATE_B", "fake"), ("GATE_OPTIONS", "--show=x")], "`--show=x` would compare nothing")]
fn invalid_inputs_are_named(#[case] inputs: &[(&'static str, &str)], #[case] cause: &str) {
    let Some(runner) = Runner::new() else { return };
    let ended = runner.with(inputs).gate("measure", &[]);
    assert_eq!(ended.code, Some(2), "{}", ended.output);
    assert!(
        ended.output.contains("::error title=Featherweight gate::") && ended.output.contains(cause),
        "{}",
        ended.output
    );
}

#[test]
fn an_input_is_never_a_command() {
    let Some(runner) = Runner::new() else { return };
    let evil = "$(touch pwned)`touch pwned`; touch pwned\n::error::x";
    let inputs =
        ["GATE_A", "GATE_B", "GATE_BENCH", "GATE_FILTER", "GATE_METRICS", "GATE_TITLE"].map(|name| (name, evil));
    let runner = runner.with(&inputs);
    let ended = runner.gate("measure", &[]);
    assert_eq!((ended.code, runner.output("verdict").as_str()), (Some(0), "bad-input"), "{}", ended.output);
    assert!(!runner.path("pwned").exists() && !runner.read("output").contains('$'));
    let (before, rest) = ended.output.split_once("::stop-commands::").expect("commands are switched off");
    let resumed = format!("\n::{}::", rest.lines().next().unwrap());
    let (within, after) = rest.split_once(&resumed).expect("and on again");
    let commands = [before, within, after].map(|part| part.contains("\n::error::x"));
    assert_eq!(commands, [false, true, false], "{}", ended.output);
}

#[rstest]
#[case::containers(&[("GATE_A", "docker:runc"), ("GATE_B", "oci:crun")], "cc,crun,docker,runc")]
#[case::own_runtimes(&[("GATE_PLATFORM", "oci:crun"), ("GATE_BASE_RUNTIME", "bin/stand-in"), ("GATE_HEAD_RUNTIME", "bin/stand-in")], "cc")]
#[case::servers(&[("GATE_BASE", "HEAD^"), ("GATE_HEAD", "HEAD"), ("GATE_PLATFORM", "podman"), ("GATE_BENCH", "isolation")], "cc,nginx,podman,redis,wrk")]
#[case::machines(&[("GATE_A", "qemu:linux"), ("GATE_B", "qemu:debian-pc"), ("GATE_WORKLOAD", "hello")], "cc,e2fsprogs,mmdebstrap,qemu")]
#[case::named(&[("GATE_A", "docker"), ("GATE_B", "docker"), ("GATE_TOOLS", "podman")], "podman")]
fn what_the_arms_need_is_set_up(#[case] inputs: &[(&'static str, &str)], #[case] tools: &str) {
    let Some(runner) = Runner::new() else { return };
    let runner = runner.with_stand_in(0).with(inputs);
    let ended = runner.gate("prepare", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert_eq!(runner.read("arguments.txt"), format!("setup --yes --only={tools}\n"));
}

#[test]
fn a_failed_set_up_ends_the_job_with_its_code() {
    let Some(runner) = Runner::new() else { return };
    let runner = runner.with_stand_in(4).with(&[("GATE_A", "docker"), ("GATE_B", "docker")]);
    assert_eq!(runner.gate("prepare", &[]).code, Some(4));
    let without_tools = runner.gate("prepare", &[("GATE_TOOLS", "none")]);
    assert_eq!(without_tools.code, Some(0), "{}", without_tools.output);
}

#[test]
fn a_night_goes_to_its_branch_and_a_change_to_one_issue() {
    let Some(runner) = Runner::new() else { return };
    runner.git(&["init", "--quiet", "--bare", "somebody/something.git"]);
    let (address, written) = github::serve(Vec::new());
    let server = format!("file://{}", runner.home.path().display());
    let history = runner.path("history");
    fs::create_dir(&history).unwrap();
    let publish = |lines: &[&str], change: &str| {
        fs::write(history.join("0123456789abcdef.jsonl"), lines.join("\n")).unwrap();
        fs::write(history.join("alert.md"), format!("{change} %\n")).unwrap();
        fs::write(history.join("alert.key"), change).unwrap();
        let env = [("GITHUB_SERVER_URL", server.as_str()), ("GITHUB_API_URL", &address), ("GATE_TOKEN", TOKEN)];
        let ended = runner.xtask(&["nightly", "publish", "history"], &env);
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        ended.output
    };
    assert!(publish(&["1"], "boot").contains("created an issue"));
    assert!(publish(&["1", "2"], "boot").contains("updated issue 1"), "open, so edited");
    written.lock().unwrap()[0]["state"] = json!("closed");
    let printed = publish(&["1"], "boot");
    assert!(
        printed.contains("the history is unchanged") && printed.contains("issue 1 about the same change is closed"),
        "an earlier night removes nothing: {printed}"
    );
    assert!(publish(&["1", "3"], "sqlite").contains("created an issue"), "another change");
    let log = runner.git(&["--git-dir", "somebody/something.git", "log", "--format=%an", "featherweight-history"]);
    assert_eq!(log, "github-actions[bot]\n".repeat(3));
    let kept = ["--git-dir", "somebody/something.git", "show", "featherweight-history:0123456789abcdef.jsonl"];
    assert_eq!(runner.git(&kept), "1\n2\n3\n");
    let bodies: Vec<_> = written.lock().unwrap().iter().map(|issue| issue["body"].to_string()).collect();
    assert!(bodies.len() == 2 && bodies[0].contains("boot %") && bodies[1].contains("sqlite %"), "{bodies:?}");
}

#[test]
fn a_night_goes_into_the_history() {
    let Some(runner) = Runner::new() else { return };
    runner.git(&["init", "--quiet", "--bare", "somebody/something.git"]);
    let runner =
        runner.with(&[("GATE_A", "native"), ("GATE_B", "native"), ("GATE_OPTIONS", QUICK), ("GATE_BLOCKS", "6")]);
    let measured = runner.gate("measure", &[]);
    assert_eq!(measured.code, Some(0), "{}", measured.output);
    let server = format!("file://{}", runner.home.path().display());
    let sessions = runner.output("folder");
    let night = runner.xtask(&["nightly", "history", &sessions, "history"], &[("GITHUB_SERVER_URL", &server)]);
    assert_eq!(night.code, Some(0), "{}", night.output);
    assert!(runner.read("summary").contains("No level has changed"), "{}", runner.read("summary"));
    assert!(!runner.path("history/alert.md").exists(), "one night cannot show a change");
    let kept = fs::read_dir(runner.path("history")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(kept.filter(|path| path.extension().is_some_and(|it| it == "jsonl")).count(), 1, "{}", night.output);

    // The next night finds a level on the branch that has changed.
    let (address, written) = github::serve(Vec::new());
    let env = [("GITHUB_SERVER_URL", server.as_str()), ("GITHUB_API_URL", &address), ("GATE_TOKEN", TOKEN)];
    let night = |arguments: &[&str]| {
        let ended = runner.xtask(&[&["nightly"], arguments].concat(), &env);
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        ended.output
    };
    with_a_step(runner.home.path());
    night(&["publish", "featherweight/history"]);
    assert!(written.lock().unwrap().is_empty(), "no alert yet");
    night(&["history", &sessions, "again"]);
    let key = format!("{} youki boot/hello/0 boot against a1: change 1, worse, 2026-11\n", step::HOST);
    assert_eq!(runner.read("again/alert.key"), key);
    assert!(night(&["publish", "again"]).contains("created an issue"));
    let issue = written.lock().unwrap()[0]["body"].to_string();
    assert!(issue.contains("5.0 % worse") && issue.contains("is not in this repository"), "{issue}");
}

#[test]
fn a_night_without_sessions_fails() {
    let Some(runner) = Runner::new() else { return };
    runner.git(&["init", "--quiet", "--bare", "somebody/something.git"]);
    fs::create_dir(runner.path("sessions")).unwrap();
    let server = format!("file://{}", runner.home.path().display());
    let night = runner.xtask(&["nightly", "history", "sessions", "history"], &[("GITHUB_SERVER_URL", &server)]);
    assert_eq!(night.code, Some(2), "{}", night.output);
    assert!(night.output.contains("no session could be added"), "{}", night.output);
}

#[test]
fn every_input_of_the_action_reaches_the_gate() {
    let action = read_of_project(".github/actions/gate/action.yml");
    let (inputs, rest) = action.split_once("\noutputs:").expect("inputs come first");
    let declared = inputs.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    let declared: BTreeMap<String, &str> = declared.map(|input| (variable(input), input)).collect();
    let passed = rest.lines().filter_map(|line| line.trim().strip_suffix(" }}")?.split_once(": ${{ inputs."));
    let passed: BTreeMap<String, &str> = passed.map(|(name, input)| (name.to_owned(), input)).collect();
    assert_eq!(passed, declared, "each input in the environment, under its own name");
    let Some(runner) = Runner::new() else { return };
    let help = ["prepare", "measure", "comment", "finish"];
    let help = help.map(|step| runner.xtask(&["gate", step, "--help"], &[]).output).concat();
    // Long lines of the help are wrapped.
    let help: Vec<&str> = help.split_whitespace().collect();
    let help = help.join(" ");
    let read_by_option = |name: &String| help.contains(&format!("[env: {name}]"));
    let unread: Vec<_> = passed.keys().filter(|name| !read_by_option(name)).collect();
    assert_eq!(unread, ["GATE_TOKEN"], "the token is not an option, because every process can read command lines");
}

#[test]
fn the_action_keeps_the_default_rust_of_the_job_and_its_token_to_one_step() {
    let action = read_of_project(".github/actions/gate/action.yml");
    assert!(action.contains("rustup toolchain install \"$rust\"") && !action.contains("rustup default"));
    assert!(!action.contains("GITHUB_ENV"), "the variables of the job stay as they are");
    let with_token: Vec<&str> = action.split("\n    - ").filter(|step| step.contains("GATE_TOKEN")).collect();
    assert!(with_token.len() == 1 && with_token[0].contains("gate comment"), "{with_token:?}");
}

fn read_of_project(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).expect("a file of the project")
}

/// The variable of an input.
fn variable(input: &str) -> String {
    format!("GATE_{}", input.replace('-', "_").to_uppercase())
}
