//! README.md of this folder is held to what is there.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The names of all functions in the tests of a crate.
fn names(of: &str) -> BTreeSet<String> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of).join("tests")];
    let mut names = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                let functions = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
                names.extend(functions.map(|name| name.trim().to_owned()));
            }
        }
    }
    names
}

/// Of `n01_n09_no_streaming…`: 1 and 9.
fn cases(name: &str) -> impl Iterator<Item = u32> {
    let number = |part: &str| part.strip_prefix('n').filter(|digits| digits.len() == 2)?.parse().ok();
    name.split('_').map_while(number)
}

#[test]
fn every_case_that_has_to_be_refused_has_its_tests() {
    let of = |krate| names(krate).iter().flat_map(|name| cases(name)).collect::<BTreeSet<_>>();
    let (verifier, layer, core) = (of("credfed-sigv4-verify"), of("credfed-tower"), of("credfed-core"));
    // Tokens, handlers and framing are not the verifier's matter, and tokens not the layer's.
    for case in 1..=34 {
        let of_tokens = [10, 11, 12].contains(&case);
        let of_the_verifier = !of_tokens && ![3, 29, 30, 34].contains(&case);
        assert!(!of_tokens || core.contains(&case), "N{case}");
        assert!(of_tokens || layer.contains(&case), "N{case}");
        assert!(!of_the_verifier || verifier.contains(&case), "N{case}");
    }
}

#[test]
fn every_test_that_the_index_names_is_there() {
    let known: BTreeSet<_> =
        ["credfed-sigv4-verify", "credfed-tower", "credfed-core"].into_iter().flat_map(names).collect();
    let index = include_str!("README.md");
    let named: BTreeSet<_> = index.split('`').skip(1).step_by(2).filter(|text| is_sentence(text)).collect();
    assert!(named.len() > 50, "{}", named.len());
    let missing: Vec<_> = named.into_iter().filter(|name| !known.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Names of tests are sentences.
fn is_sentence(text: &str) -> bool {
    text.matches('_').count() >= 3 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
