//! Every platform keeps the contract of `Platform` and `Instance`: each platform that can run here, times each contract.
//!
//! A platform is one line in [`subjects`]. One that cannot run here, or cannot do what a contract is about, is ignored
//! with the reason; a contract never branches on a platform's name.

mod arms;
mod cleanliness;
mod crashes;
mod crowds;
mod failures;
mod fixture;
mod host;
mod life;
mod limits;
mod machines;
mod network;

use featherweight::platform::docker::{Docker, Start};
use featherweight::platform::{
    Context, Platform, fake::FakePlatform, firecracker, firecracker::Firecracker, launcher_entry, native::Native,
    oci::Oci, podman::Podman, qemu::Flavour, qemu::Qemu, youki::Youki,
};
use fixture::Pace::{Brisk, Glacial, Slow};
use fixture::{Contract, Fixture, Subject};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

fn subjects() -> Vec<Subject> {
    vec![
        Subject { name: "fake", make: |context| Box::new(FakePlatform::new(&context)), pace: Brisk },
        Subject { name: "native", make: |context| Box::new(Native::new(context)), pace: Brisk },
        Subject { name: "oci:runc", make: |context| Box::new(Oci::new(context, "runc")), pace: Brisk },
        Subject { name: "oci:crun", make: |context| Box::new(Oci::new(context, "crun")), pace: Brisk },
        Subject { name: "oci:runsc", make: |context| Box::new(Oci::new(context, "runsc")), pace: Brisk },
        Subject { name: "youki", make: |context| Box::new(Youki::new(context)), pace: Brisk },
        Subject { name: "docker", make: |context| Box::new(Docker::new(&context, Start::Api, None)), pace: Brisk },
        Subject {
            name: "docker:crun",
            make: |context| Box::new(Docker::new(&context, Start::Api, Some("crun"))),
            pace: Brisk,
        },
        Subject {
            name: "docker:runsc",
            make: |context| Box::new(Docker::new(&context, Start::Api, Some("runsc"))),
            pace: Brisk,
        },
        Subject {
            name: "docker-cli",
            make: |context| Box::new(Docker::new(&context, Start::Command, None)),
            pace: Brisk,
        },
        Subject { name: "podman", make: |context| Box::new(Podman::new(&context, None)), pace: Brisk },
        Subject { name: "qemu:null", make: |context| qemu(context, "null"), pace: Brisk },
        Subject { name: "qemu:null-q35", make: |context| qemu(context, "null-q35"), pace: Brisk },
        Subject { name: "qemu:null-pc-smp2", make: |context| qemu(context, "null-pc-smp2"), pace: Brisk },
        Subject { name: "qemu:linux", make: |context| qemu(context, "linux"), pace: Slow },
        Subject { name: "qemu:debian", make: |context| qemu(context, "debian"), pace: Glacial },
        Subject { name: "firecracker:linux", make: |context| microvm(context, "linux"), pace: Slow },
        Subject { name: "firecracker:unikraft", make: |context| microvm(context, "unikraft"), pace: Slow },
        Subject { name: "podman:runc", make: |context| Box::new(Podman::new(&context, Some("runc"))), pace: Brisk },
    ]
}

fn qemu(context: Context, name: &str) -> Box<dyn Platform> {
    Box::new(Qemu::new(context, name, Flavour::parse(name).expect("a flavour")))
}

fn microvm(context: Context, name: &str) -> Box<dyn Platform> {
    Box::new(Firecracker::new(context, firecracker::Flavour::parse(name).expect("a flavour")))
}

fn main() {
    launcher_entry();
    crashes::victim_entry(&subjects());
    let contracts = [
        life::ALL,
        limits::ALL,
        arms::ALL,
        machines::ALL,
        network::ALL,
        failures::ALL,
        crowds::ALL,
        cleanliness::ALL,
        crashes::ALL,
    ]
    .concat();
    let mut trials = Vec::new();
    for subject in subjects() {
        if let Err(why) = Fixture::open(&subject).map(drop) {
            eprintln!("{} is ignored: {why}", subject.name);
        }
        trials.extend(contracts.iter().map(|&contract| {
            Trial::ignorable_test(format!("{}::{}", subject.name, contract.name), move || keep(&subject, &contract))
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn keep(subject: &Subject, contract: &Contract) -> Result<Completion, Failed> {
    let fixture = match Fixture::open(subject) {
        Ok(fixture) => fixture,
        Err(why) => return Ok(Completion::ignored_with(why)),
    };
    if let Some(why) = fixture.missing_guests(contract.needs) {
        return Ok(Completion::ignored_with(why));
    }
    (contract.check)(&fixture);
    fixture.close();
    Ok(Completion::Completed)
}
