//! Every view of the wire formats and every getter of each, on any octets.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| flowfast_decode::read_all(input));
