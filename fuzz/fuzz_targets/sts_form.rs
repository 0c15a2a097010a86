#![no_main]

#[path = "../properties/sts.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::sts_form(data));
