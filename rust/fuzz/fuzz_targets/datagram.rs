//! One datagram, in every mode.
#![no_main]

use flowfast_fuzz::run_datagram;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| run_datagram(input));
