//! The seeds of the fuzz targets, without a fuzzer.

#[path = "../../../fuzz/properties/oidc.rs"]
mod properties;

use std::path::Path;

fn replay(name: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 10, "{name}");
    for file in files {
        property(&std::fs::read(file).unwrap());
    }
}

#[test]
fn the_properties_of_tokens_hold_for_the_corpus() {
    replay("jwt", properties::jwt);
}

#[test]
fn the_properties_of_key_sets_hold_for_the_corpus() {
    replay("jwks", properties::jwks);
}
