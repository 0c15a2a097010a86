//! The seeds of the fuzz targets, without a fuzzer.

#[path = "../../../fuzz/properties/oidc.rs"]
mod properties;

use std::path::Path;

fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect()
}

#[test]
fn the_properties_of_tokens_hold_for_the_corpus() {
    let seeds = seeds("jwt");
    let mut accepted: Vec<_> =
        seeds.iter().filter(|(_, seed)| properties::jwt(seed)).map(|(name, _)| name.as_str()).collect();
    accepted.sort_unstable();
    let expected = [
        "ed25519",
        "eddsa",
        "es256",
        "floats",
        "header_key",
        "nested",
        "no_kid",
        "one_in_a_list",
        "two_audiences",
    ];
    assert_eq!(accepted, expected);
}

#[test]
fn the_properties_of_key_sets_hold_for_the_corpus() {
    let seeds = seeds("jwks");
    assert!(seeds.len() >= 10);
    for (_, seed) in seeds {
        properties::jwks(&seed);
    }
}
