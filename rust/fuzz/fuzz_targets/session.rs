//! Many datagrams, one decoder: exporters, ports and times vary.
#![no_main]

use flowfast_fuzz::run_session;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| run_session(input));
