//! Parsing and printing settings, and their effect on one launch.

use rstest::rstest;

use super::*;
use crate::model::platform::Networking;
use crate::platform::Amount;

fn settings(key: Key, value: &str) -> Settings {
    let mut settings = Settings::default();
    settings.set(key, value).expect("a setting");
    settings
}

fn spec(purpose: Purpose) -> LaunchSpec {
    LaunchSpec {
        name: "fw-20261121-084514-3f9a-0".into(),
        image: crate::platform::fake::image(crate::model::program::Program::Hello),
        arguments: Vec::new(),
        cpus: None,
        limits: None,
        memory: None,
        network: Networking::None,
        purpose,
        deadline: std::time::Duration::from_secs(1),
    }
}

#[test]
fn nothing_is_set_by_default() {
    assert!(Settings::default().is_plain());
    assert!(!settings(Key::Append, "quiet").is_plain());
    assert_eq!(serde_json::to_string(&Settings::default()).expect("written"), "{}");
}

#[rstest]
#[case("busy:400us", Inject::Busy(Amount::Time(Nanos(400_000))))]
#[case("busy:5%", Inject::Busy(Amount::Percent(5.0)))]
#[case("busy:2.5%", Inject::Busy(Amount::Percent(2.5)))]
#[case("busy:2s", Inject::Busy(Amount::Time(Nanos(2_000_000_000))))]
#[case("quota:95%", Inject::Quota(95.0))]
#[case("delay:100us", Inject::Delay(Nanos(100_000)))]
#[case("delay:1234ns", Inject::Delay(Nanos(1234)))]
fn a_slowdown_reads_back(#[case] text: &str, #[case] expected: Inject) {
    assert_eq!(text.parse(), Ok(expected));
    assert_eq!(expected.to_string(), text);
}

#[rstest]
#[case("busy")]
#[case("busy:")]
#[case("busy:5")]
#[case("busy:0%")]
#[case("busy:-5%")]
#[case("busy:NaN%")]
#[case("busy:inf%")]
#[case("busy:1001%")]
#[case("busy:0us")]
#[case("busy:1.5us")]
#[case("busy:2h")]
#[case("busy:3601s")]
#[case("busy:99999999999999999999s")]
#[case("quota:101%")]
#[case("quota:0.05%")]
#[case("quota:1ms")]
#[case("delay:5%")]
#[case("delay:µs")]
fn an_invalid_slowdown_is_rejected_with_examples(#[case] text: &str) {
    let why = text.parse::<Inject>().expect_err("rejected").to_string();
    assert!(why.contains("expected busy:5%, busy:400us, quota:95% or delay:100us"), "{why}");
}

#[test]
fn a_share_of_busy_work_becomes_a_time_by_the_median() {
    let mut drill = settings(Key::Inject, "busy:5%");
    assert!(drill.is_unresolved());
    drill.resolve_busy(Nanos(7_190_081));
    assert_eq!(drill.get(Key::Inject).as_deref(), Some("busy:359504ns"));
    assert!(!drill.is_unresolved());
    drill.resolve_busy(Nanos(1));
    assert_eq!(drill.get(Key::Inject).as_deref(), Some("busy:359504ns"), "a time stays");
    let mut tiny = settings(Key::Inject, "busy:0.001%");
    tiny.resolve_busy(Nanos(0));
    assert_eq!(tiny.get(Key::Inject).as_deref(), Some("busy:1ns"), "never nothing");
}

#[test]
fn only_what_is_measured_is_made_slower() {
    let (quota, delay) = (settings(Key::Inject, "quota:50%"), settings(Key::Inject, "delay:1ms"));
    for purpose in [Purpose::Background, Purpose::Neighbor] {
        assert_eq!((quota.quota(&spec(purpose)), delay.delay(&spec(purpose))), (None, None));
    }
    assert_eq!(quota.quota(&spec(Purpose::Measured)), Some(Quota { time_us: 1_000, period_us: 2_000 }));
    assert_eq!(delay.delay(&spec(Purpose::Measured)), Some(Nanos::MILLI));
    assert_eq!((quota.delay(&spec(Purpose::Measured)), delay.quota(&spec(Purpose::Measured))), (None, None));
}

#[test]
fn the_controller_of_quotas_is_used_only_with_a_quota() {
    let usual = [Controller::Pids];
    assert_eq!(Settings::default().controllers(&usual), usual);
    assert_eq!(settings(Key::Inject, "busy:1ms").controllers(&usual), usual);
    assert_eq!(settings(Key::Inject, "quota:50%").controllers(&usual), [Controller::Pids, Controller::Cpu]);
}

#[test]
fn words_for_a_kernel_are_separated_by_spaces() {
    let words: Vec<_> = settings(Key::Append, " mitigations=off  quiet ").words().collect();
    assert_eq!(words, ["mitigations=off", "quiet"]);
}

#[test]
fn an_arms_images_are_its_own_and_upstreams_kernel_is_shared_with_a_revision() {
    let usual = Folders::from_env();
    let (fixed, other) = (settings(Key::Images, "/i").folders(&usual), settings(Key::Guests, "c0ffee").folders(&usual));
    assert_eq!((fixed.images(), fixed.kernel()), ("/i".into(), "/i/linux/kernel".into()));
    assert_eq!(fixed.project, usual.project);
    assert_eq!(other.project, usual.output.join("revisions/c0ffee"));
    assert!(other.images().starts_with(&other.project));
    assert_eq!(other.kernel(), usual.kernel());
    assert_eq!(Settings::default().folders(&usual).images(), usual.images());
}

#[test]
fn a_path_that_is_set_has_to_be_a_program() {
    let usual = || Ok(PathBuf::from("/usual"));
    assert_eq!(program(None, usual), Ok("/usual".into()));
    let shell = tools::find("sh").expect("every system has it");
    assert_eq!(program(Some(&shell), usual), Ok(shell.clone()));
    for path in ["/no/such/program", "/dev/null", "/"] {
        let why = program(Some(Path::new(path)), usual).expect_err("no program").to_string();
        assert!(why.contains(&format!("{path} is not a program")) && why.contains("can be executed"), "{why}");
    }
}
