#![no_main]

#[path = "../properties/post.rs"]
mod properties;
#[path = "../../credfed-sigv4-verify/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::post_policy(data));
