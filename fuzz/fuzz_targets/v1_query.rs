//! `portico::api::fuzzing::check_v1_query` says what must hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| portico::api::fuzzing::check_v1_query(input));
