#![no_main]

#[path = "../properties/sigv4.rs"]
mod properties;
#[path = "../../credfed-sigv4-verify/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::sign_then_verify(data));
