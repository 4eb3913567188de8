//! The gate as a runner of GitHub Actions starts it: its script from beginning to end, with a GitHub of our own.

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

/// The host may be as busy as it likes, and little is measured.
const QUICK: &str = "--no-noise-guard\n--no-null-control\n--runs=1";

/// A runner: its folders and its files, and programs of ours before those of the host.
struct Runner {
    home: TempDir,
    inputs: Vec<(&'static str, String)>,
}

/// How a verb ended.
struct Ended {
    code: Option<i32>,
    said: String,
}

impl Runner {
    /// `None` with the reason printed where the host has not what every hosted runner has.
    fn new() -> Option<Self> {
        for program in ["bash", "curl", "jq"] {
            if Command::new(program).arg("--version").output().is_err() {
                eprintln!("skipped: no {program} here, and the gate needs it");
                return None;
            }
        }
        let runner = Self { home: tempfile::tempdir().expect("a folder to work in"), inputs: Vec::new() };
        fs::create_dir(runner.path("bin")).expect("an empty folder");
        // What stands in for Cargo notes its arguments and starts the chore that was built with this test.
        let xtask = env!("CARGO_BIN_EXE_xtask");
        let (notes, bash) = (runner.path("cargo.txt"), "#!/usr/bin/env bash");
        let notes = notes.display();
        let cargo = format!(
            "{bash}\necho \"$*\" >>{notes}\nwhile [[ $1 != -- ]]; do shift; done\nshift\n[[ $1 == ab || $1 == history ]] || exit 0\nexec {xtask} \"$@\"\n"
        );
        runner.program("cargo", &cargo);
        runner.program("rustup", &format!("{bash}\necho \"rustup $*\" >>{notes}\n"));
        Some(runner)
    }

    fn with(mut self, inputs: &[(&'static str, &str)]) -> Self {
        self.inputs.extend(inputs.iter().map(|(name, value)| (*name, (*value).to_owned())));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, text).expect("a folder of ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file of ours");
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

    fn gate(&self, verb: &str, more: &[(&str, &str)]) -> Ended {
        self.script("gate", &[verb], more)
    }

    fn script(&self, name: &str, arguments: &[&str], more: &[(&str, &str)]) -> Ended {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/actions/gate").join(name);
        let mut command = Command::new(script);
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        command
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.home.path())
            .current_dir(self.home.path());
        command.env("GITHUB_OUTPUT", self.path("output")).env("GITHUB_STEP_SUMMARY", self.path("summary"));
        command.env("GITHUB_REPOSITORY", "somebody/something").env("GITHUB_RUN_ID", "17").env("GATE_ROOT", "false");
        command.env("RUNNER_TEMP", self.home.path()).env("GITHUB_WORKSPACE", self.home.path());
        command.env("CARGO_TARGET_DIR", self.home.path()).env("FEATHERWEIGHT_STATE", self.path("state"));
        command.envs(self.inputs.iter().map(|(name, value)| (*name, value))).envs(more.iter().copied());
        let Output { status, stdout, stderr } = command.output().expect("the gate starts");
        let said = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Ended { code: status.code(), said }
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git").args(arguments).current_dir(self.home.path()).output().expect("git starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The last step, which decides about the job.
    fn end(&self, trouble: &str) -> Option<i32> {
        self.gate("end", &[("GATE_CODE", &self.output("code")), ("GATE_TROUBLE", trouble)]).code
    }

    fn comment(&self, address: &str, token: &str) -> Ended {
        let (folder, title) = (self.output("folder"), self.output("title"));
        let told = [("GATE_FOLDER", folder.as_str()), ("GATE_TITLE", &title), ("GATE_TOKEN", token)];
        self.gate("comment", &[&told[..], &[("GITHUB_API_URL", address), ("GATE_PULL_REQUEST", "5")]].concat())
    }
}

#[test]
fn what_is_not_slower_passes_and_the_comment_is_kept() {
    let Some(runner) = Runner::new() else { return };
    let runner = runner.with(&[("GATE_A", "fake"), ("GATE_B", "fake"), ("GATE_TITLE", "boot -- of\n`mine`")]);
    let runner = runner.with(&[("GATE_OPTIONS", QUICK)]);
    let measured = runner.gate("measure", &[]);
    assert_eq!(measured.code, Some(0), "{}", measured.said);
    assert!(["passed", "inconclusive"].contains(&runner.output("verdict").as_str()), "{}", measured.said);
    assert_eq!(runner.end("fail"), Some(0));
    assert_eq!(runner.output("artifact"), "featherweight boot -- of--mine-");
    assert!(runner.read("summary").contains("cargo xtask ab --a=fake --b=fake --bench=boot --no-noise-guard"));

    // 100 comments are a page; one with the marker that a person wrote is theirs.
    let marker = "<!-- featherweight gate: boot -- of--mine- -->";
    let of_others = (1..=120).map(|id| json!({"id": id, "body": marker, "user": {"type": "User"}})).collect();
    let (address, written) = github::serve(of_others);
    let said = [1, 2].map(|_| runner.comment(&address, TOKEN).said);
    assert!(said[0].contains("written") && said[1].contains("up to date"), "{said:?}");
    let written = written.lock().unwrap();
    assert_eq!(written.len(), 121, "created once, then edited");
    assert!(written[..120].iter().all(|comment| comment["body"] == marker), "nobody else's is touched");
    let body = written[120]["body"].as_str().unwrap();
    assert!(body.starts_with(marker) && body.contains("/somebody/something/actions/runs/17"), "{body}");
}

#[test]
fn a_slower_arm_fails_and_is_annotated() {
    let Some(runner) = Runner::new() else { return };
    let runner = runner.with(&[("GATE_A", "native"), ("GATE_B", "native,inject=busy:4ms"), ("GATE_BLOCKS", "12")]);
    let runner = runner.with(&[("GATE_OPTIONS", QUICK)]);
    let measured = runner.gate("measure", &[]);
    assert_eq!(measured.code, Some(0), "what was found is for the last step: {}", measured.said);
    assert_eq!(runner.output("verdict"), "regressed", "{}", measured.said);
    assert_eq!(runner.end("warn"), Some(1), "a regression is never let pass");
    assert!(measured.said.contains("::error title=Regression"), "{}", measured.said);
    assert!(runner.read("summary").contains("REGRESSED"), "{}", runner.read("summary"));
    let folder = PathBuf::from(runner.output("folder"));
    let kept = fs::read_dir(folder).unwrap().any(|entry| entry.unwrap().path().join("trials.jsonl").is_file());
    assert!(kept, "the trials are in what is uploaded");
}

#[test]
fn an_arm_that_cannot_run_is_no_regression() {
    let Some(runner) = Runner::new() else { return };
    let runner = runner.with(&[("GATE_A", "oci:no-such-runtime"), ("GATE_B", "oci:no-such-runtime")]);
    let measured = runner.gate("measure", &[]);
    assert_eq!((measured.code, runner.output("verdict").as_str()), (Some(0), "nothing-ran"), "{}", measured.said);
    assert!(runner.read("summary").contains("Nothing could run"), "{}", runner.read("summary"));
}

#[rstest]
#[case::fine(0, 0)]
#[case::a_regression(1, 1)]
#[case::bad_input(2, 2)]
#[case::nothing_ran(3, 0)]
#[case::trouble(4, 0)]
#[case::interrupted(130, 0)]
fn only_what_could_not_be_measured_may_be_let_pass(#[case] code: i32, #[case] let_pass: i32) {
    let Some(runner) = Runner::new() else { return };
    fs::write(runner.path("output"), format!("code={code}\n")).unwrap();
    assert_eq!([runner.end("fail"), runner.end("warn")], [Some(code), Some(let_pass)]);
}

#[rstest]
#[case::nothing_was_compared(0, "4", "trouble")]
#[case::an_arm_failed(4, "4", "trouble")]
#[case::stopped(130, "130", "interrupted")]
fn a_measurement_without_a_comparison_has_not_passed(#[case] ab: i32, #[case] code: &str, #[case] verdict: &str) {
    let Some(runner) = Runner::new() else { return };
    runner.program("cargo", &format!("#!/usr/bin/env bash\nexit {ab}\n"));
    let ended = runner.with(&[("GATE_A", "fake"), ("GATE_B", "fake")]);
    let measured = ended.gate("measure", &[]);
    assert_eq!((measured.code, ended.output("verdict").as_str()), (Some(0), verdict), "{}", measured.said);
    assert_eq!(ended.output("code"), code);
    assert!(measured.said.contains("::error title="), "{}", measured.said);
}

#[test]
fn a_token_that_may_not_write_is_told_of_and_fails_nothing() {
    let Some(runner) = Runner::new() else { return };
    let (address, written) = github::serve(Vec::new());
    fs::write(runner.path("output"), format!("folder={}\ntitle=x\n", runner.home.path().display())).unwrap();
    fs::write(runner.path("summary.md"), "### x\n").unwrap();
    let ended = runner.comment(&address, "of-a-fork");
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(ended.said.contains("::notice title=Featherweight gate::No comment"), "{}", ended.said);
    assert!(written.lock().unwrap().is_empty());
}

#[rstest]
#[case::no_arms(&[], "given: none")]
#[case::two_ways(&[("GATE_A", "fake"), ("GATE_B", "fake"), ("GATE_BASE", "main"), ("GATE_HEAD", "x")], "given: a and b base and head")]
#[case::half(&[("GATE_A", "fake")], "a and b: one of them is missing")]
#[case::half_a_change(&[("GATE_BASE", "main")], "base and head: one of them is missing")]
#[case::no_program(&[("GATE_BASE_RUNTIME", "gone"), ("GATE_HEAD_RUNTIME", "gone")], "base-runtime `gone`: not there")]
#[case::no_option(&[("GATE_A", "fake"), ("GATE_B", "fake"), ("GATE_OPTIONS", "--seed=1\nx")], "`x` does not begin with")]
#[case::not_theirs(&[("GATE_A", "fake"), ("GATE_B", "fake"), ("GATE_OPTIONS", "--out=x")], "`--out=x` is the gate's own")]
#[case::a_plan(&[("GATE_A", "fake"), ("GATE_B", "fake"), ("GATE_OPTIONS", "--dry-run")], "with `--dry-run` nothing is compared")]
#[case::of_old(&[("GATE_A", "fake"), ("GATE_B", "fake"), ("GATE_OPTIONS", "--show=x")], "with `--show=x` nothing is compared")]
fn inputs_that_cannot_be_used_are_named(#[case] inputs: &[(&'static str, &str)], #[case] cause: &str) {
    let Some(runner) = Runner::new() else { return };
    let ended = runner.with(inputs).gate("measure", &[]);
    assert_eq!(ended.code, Some(2), "{}", ended.said);
    assert!(ended.said.contains("::error title=Featherweight gate::") && ended.said.contains(cause), "{}", ended.said);
}

#[test]
fn an_input_is_never_a_command() {
    let Some(runner) = Runner::new() else { return };
    let evil = "$(touch pwned)`touch pwned`; touch pwned\n::error::x";
    let inputs =
        ["GATE_A", "GATE_B", "GATE_BENCH", "GATE_FILTER", "GATE_METRICS", "GATE_TITLE"].map(|name| (name, evil));
    let runner = runner.with(&inputs);
    let ended = runner.gate("measure", &[]);
    assert_eq!((ended.code, runner.output("verdict").as_str()), (Some(0), "bad-input"), "{}", ended.said);
    assert!(!runner.path("pwned").exists() && !runner.read("output").contains('$'));
    let (before, rest) = ended.said.split_once("::stop-commands::").expect("commands are switched off");
    let resumed = format!("\n::{}::", rest.lines().next().unwrap());
    let (within, after) = rest.split_once(&resumed).expect("and on again");
    let commands = [before, within, after].map(|part| part.contains("\n::error::x"));
    assert_eq!(commands, [false, true, false], "{}", ended.said);
}

#[rstest]
#[case::containers(&[("GATE_A", "docker:runc"), ("GATE_B", "oci:crun")], "cc,crun,docker,runc")]
#[case::a_runtime_of_their_own(&[("GATE_PLATFORM", "oci:crun"), ("GATE_BASE_RUNTIME", "bin/cargo"), ("GATE_HEAD_RUNTIME", "bin/rustup")], "cc")]
#[case::servers(&[("GATE_BASE", "HEAD^"), ("GATE_HEAD", "HEAD"), ("GATE_PLATFORM", "podman"), ("GATE_BENCH", "isolation")], "cc,nginx,podman,redis,wrk")]
#[case::machines(&[("GATE_A", "qemu:linux"), ("GATE_B", "qemu:debian-q35"), ("GATE_WORKLOAD", "hello")], "cc,e2fsprogs,mmdebstrap,qemu")]
#[case::named(&[("GATE_A", "docker"), ("GATE_B", "docker"), ("GATE_TOOLS", "podman")], "podman")]
fn what_the_arms_need_is_set_up(#[case] inputs: &[(&'static str, &str)], #[case] tools: &str) {
    let Some(runner) = Runner::new() else { return };
    let runner = runner.with(inputs);
    let ended = runner.gate("prepare", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let noted = runner.read("cargo.txt");
    assert!(noted.starts_with("rustup toolchain install 1."), "{noted}");
    assert!(noted.contains(&format!("-- setup --yes --only={tools}\n")), "{noted}");
}

#[test]
fn a_night_is_kept_on_its_branch_and_told_of_once() {
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
        let ended = runner.script("night", &["publish", "history"], &env);
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        ended.said
    };
    assert!(publish(&["1"], "boot").contains("an issue is open"));
    assert!(publish(&["1", "2"], "boot").contains("issue 1 is up to date"), "open, so edited");
    written.lock().unwrap()[0]["state"] = json!("closed");
    let said = publish(&["1"], "boot");
    assert!(said.contains("as it was") && said.contains("told of the same"), "an earlier night takes nothing: {said}");
    assert!(publish(&["1", "3"], "sqlite").contains("an issue is open"), "another change");
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
    assert_eq!(measured.code, Some(0), "{}", measured.said);
    let server = format!("file://{}", runner.home.path().display());
    let sessions = runner.output("folder");
    let night = runner.script("night", &["history", &sessions, "history"], &[("GITHUB_SERVER_URL", &server)]);
    assert_eq!(night.code, Some(0), "{}", night.said);
    assert!(runner.read("summary").contains("No level has changed"), "{}", runner.read("summary"));
    assert!(!runner.path("history/alert.md").exists(), "one night is no change");
    let kept = fs::read_dir(runner.path("history")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(kept.filter(|path| path.extension().is_some_and(|it| it == "jsonl")).count(), 1, "{}", night.said);

    // The next night finds a level on the branch that has changed.
    let (address, written) = github::serve(Vec::new());
    let env = [("GITHUB_SERVER_URL", server.as_str()), ("GITHUB_API_URL", &address), ("GATE_TOKEN", TOKEN)];
    let night = |arguments: &[&str]| {
        let ended = runner.script("night", arguments, &env);
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        ended.said
    };
    with_a_step(runner.home.path());
    night(&["publish", "featherweight/history"]);
    assert!(written.lock().unwrap().is_empty(), "nobody has asked yet");
    night(&["history", &sessions, "again"]);
    let key = format!("{} youki boot/hello/0 boot against a1: change 1, worse, 2026-11\n", step::HOST);
    assert_eq!(runner.read("again/alert.key"), key);
    assert!(night(&["publish", "again"]).contains("an issue is open"));
    let issue = written.lock().unwrap()[0]["body"].to_string();
    assert!(issue.contains("5.0 % worse") && issue.contains("is not in this repository"), "{issue}");
}

#[test]
fn a_night_that_left_nothing_fails() {
    let Some(runner) = Runner::new() else { return };
    runner.git(&["init", "--quiet", "--bare", "somebody/something.git"]);
    fs::create_dir(runner.path("sessions")).unwrap();
    let server = format!("file://{}", runner.home.path().display());
    let night = runner.script("night", &["history", "sessions", "history"], &[("GITHUB_SERVER_URL", &server)]);
    assert_eq!(night.code, Some(2), "{}", night.said);
    assert!(night.said.contains("no session that could be added"), "{}", night.said);
}

#[test]
fn every_input_of_the_action_reaches_the_script() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/actions/gate");
    let [action, script, common] =
        ["action.yml", "gate", "common.bash"].map(|name| fs::read_to_string(folder.join(name)).unwrap());
    let (inputs, rest) = action.split_once("\noutputs:").expect("inputs come first");
    let declared = inputs.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    let declared: BTreeMap<String, &str> = declared.map(|input| (variable(input), input)).collect();
    let given = rest.lines().filter_map(|line| line.trim().strip_suffix(" }}")?.split_once(": ${{ inputs."));
    let given: BTreeMap<String, &str> = given.map(|(name, input)| (name.to_owned(), input)).collect();
    assert_eq!(given, declared, "each input in the environment, under its own name");
    let is_read = |name: &String| {
        [":", "}"].iter().any(|end| [&script, &common].iter().any(|text| text.contains(&format!("${{{name}{end}"))))
    };
    let unread: Vec<_> = given.keys().filter(|name| !is_read(name)).collect();
    assert_eq!(unread, [&""; 0], "given by the action and read by nobody");
}

/// The variable of an input.
fn variable(input: &str) -> String {
    format!("GATE_{}", input.replace('-', "_").to_uppercase())
}
