#![no_main]

#[path = "../properties/oidc.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::jwks(data));
