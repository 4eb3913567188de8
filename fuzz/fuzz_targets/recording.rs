//! A recording: unpacking it, whatever the bytes. Its text is read, too, since few inputs have a gzip file's checksum.

#![no_main]

use xtask::power::proof::Recording;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for read in [Recording::unpack(input), Recording::parse(&String::from_utf8_lossy(input))] {
        let Ok(recording) = read else { continue };
        assert!(recording.trials.iter().all(|trial| trial.value.is_finite() && trial.value > 0.0));
        let packed = recording.packed().expect("memory takes all");
        let again = Recording::unpack(&packed).expect("what was packed is unpacked");
        assert_eq!(again.trials, recording.trials);
    }
});
