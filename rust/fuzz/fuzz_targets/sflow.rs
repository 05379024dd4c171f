//! One sFlow datagram of v2, v4 or v5, in every mode.
#![no_main]

use flowfast_fuzz::run_sflow;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| run_sflow(input));
