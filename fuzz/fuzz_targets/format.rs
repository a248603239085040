//! `portico::api::fuzzing::check_format` says what must hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| portico::api::fuzzing::check_format(input));
