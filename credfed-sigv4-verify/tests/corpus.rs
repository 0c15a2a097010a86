//! The fuzz corpus that is checked in, replayed: the properties hold for every input in it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../fuzz/properties/chunked.rs"]
mod chunked;
#[path = "../../fuzz/properties/post.rs"]
mod post;
#[path = "../../fuzz/properties/sigv4.rs"]
mod properties;
mod support;

use std::path::Path;

#[test]
fn authorization_header() {
    replay("authorization_header", properties::authorization_header);
}

#[test]
fn chunked_body() {
    replay("chunked_body", chunked::chunked_body);
}

#[test]
fn post_policy() {
    replay("post_policy", post::post_policy);
}

#[test]
fn presigned_query() {
    replay("presigned_query", properties::presigned_query);
}

#[test]
fn sign_then_verify() {
    replay("sign_then_verify", properties::sign_then_verify);
}

fn replay(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 20, "{}: {} files", folder.display(), files.len());
    for file in files {
        let data = std::fs::read(&file).unwrap();
        let verdict = std::panic::catch_unwind(|| property(&data));
        assert!(verdict.is_ok(), "{}", file.display());
    }
}
