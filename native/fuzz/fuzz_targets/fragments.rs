#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vring_native::fuzzing::fragments(bytes));
