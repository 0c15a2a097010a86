#![no_main]

#[path = "../properties/sts_xml.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::sts_xml(data));
