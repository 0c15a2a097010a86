#![no_main]

#[path = "../properties/session.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::session_token(data));
