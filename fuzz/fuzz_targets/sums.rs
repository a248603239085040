//! `portico_http::fuzzing::check_sums` says what must hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| portico_http::fuzzing::check_sums(input));
