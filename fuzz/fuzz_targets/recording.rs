//! Unpacks a recording. Also parses the input as uncompressed text, because few inputs have a valid gzip checksum.

#![no_main]

use xtask::power::proof::Recording;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for read in [Recording::unpack(input), Recording::parse(&String::from_utf8_lossy(input))] {
        let Ok(recording) = read else { continue };
        assert!(recording.trials.iter().all(|trial| trial.value.is_finite() && trial.value > 0.0));
        let packed = recording.packed().expect("writing to memory succeeds");
        let again = Recording::unpack(&packed).expect("a packed recording is valid");
        assert_eq!(again.trials, recording.trials);
    }
});
