//! The fuzz corpus of session tokens that is checked in, replayed: the property holds for every input in it.
#![cfg(all(feature = "session", feature = "oidc"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../fuzz/properties/session.rs"]
mod properties;

use std::path::Path;

#[test]
fn session_token() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/session_token");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 20, "{}: {} files", folder.display(), files.len());
    for file in files {
        let data = std::fs::read(&file).unwrap();
        let verdict = std::panic::catch_unwind(|| properties::session_token(&data));
        assert!(verdict.is_ok(), "{}", file.display());
    }
}
