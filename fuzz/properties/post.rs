//! What holds for every input of the target `post_policy`. Run by the fuzzer, and by `cargo test` over the corpus that
//! is checked in. Whoever includes this file has `support` at its root.
#![allow(dead_code, reason = "each target uses its own")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credfed_sigv4_verify::{KeyKind, PostObject, Reason, ResolvedKey};
use serde_json::Value;

use crate::support;
use crate::support::post::{Sent, Unsigned};

/// Input: the policy in one line, the file's name in the next, then further fields, one `name:value` per line. The
/// policy is signed by the book, so that it is read.
pub(crate) fn post_policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let policy = lines.next().unwrap_or_default();
    let filename = lines.next();
    let mut form = Unsigned::new();
    form.fields = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.to_owned())
        })
        .collect();
    let sent = form.sign_json(policy).filename(filename);
    let verifier = support::s3();
    for kind in [KeyKind::Static, KeyKind::Temporary] {
        let key = ResolvedKey::new(support::SECRET, kind, 1);
        if let Ok(verified) = sent.verify_by(&verifier, &key) {
            let shown = format!("{verified:?}");
            assert!(!shown.contains(&STANDARD.encode(policy)));
            let (object, _) = verified.into_parts();
            assert_eq!(kind == KeyKind::Temporary, raw(&sent, "x-amz-security-token").is_some());
            assert_met(policy, &sent, &object);
            assert_left(&sent, &object);
        }
        let wrong = ResolvedKey::new("wrong", kind, 1);
        assert!(sent.verify_by(&verifier, &wrong).is_err());
    }
    assert!(sent.verify_at(&verifier, None, support::now()).is_err());
    if let Err(reason) = sent.verify_by(&verifier, &support::static_key()) {
        assert_short(&reason);
    }
}

/// The policy by another reader, which takes the last of repeated members.
fn assert_met(policy: &str, sent: &Sent, object: &PostObject) {
    let document: Value = serde_json::from_str(policy).unwrap();
    assert_eq!(document.as_object().map(serde_json::Map::len), Some(2));
    let mut covered = Vec::new();
    for condition in document["conditions"].as_array().unwrap() {
        let Some((name, text, is_exact)) = demand(condition) else { continue };
        let have = match name.as_str() {
            "bucket" => object.bucket(),
            "key" => object.key(),
            // Not handed on, and judged with the file's name in place.
            ignored if ignored.starts_with("x-ignore-") => continue,
            other => object.field(other).or_else(|| raw(sent, other)).unwrap(),
        };
        assert!(if is_exact { have == text } else { have.starts_with(text) }, "{name}");
        covered.push(name);
    }
    assert!(covered.iter().any(|name| name == "bucket"));
    for (name, _) in &sent.fields {
        let name = name.to_lowercase();
        let exempt = name == "policy" || name == "x-amz-signature" || name.starts_with("x-ignore-");
        assert!(exempt || covered.contains(&name), "{name}");
    }
}

/// What a condition demands of a field: its name in lower case, a text, and whether that is all of it.
fn demand(condition: &Value) -> Option<(String, &str, bool)> {
    if let Some(members) = condition.as_object() {
        let (name, value) = members.iter().next().unwrap();
        return Some((name.to_lowercase(), value.as_str().unwrap(), true));
    }
    let name = condition[1].as_str()?.strip_prefix('$')?;
    let is_exact = condition[0].as_str().unwrap().eq_ignore_ascii_case("eq");
    Some((name.to_lowercase(), condition[2].as_str().unwrap(), is_exact))
}

fn raw<'a>(sent: &'a Sent, name: &str) -> Option<&'a str> {
    sent.fields.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Nothing reaches the inner service but what was sent and covered.
fn assert_left(sent: &Sent, object: &PostObject) {
    assert!(!object.key().is_empty());
    assert_eq!(object.bucket(), sent.bucket);
    for (name, _) in object.fields() {
        assert!(!name.starts_with("x-ignore-"), "{name}");
        assert!(
            !["policy", "x-amz-signature", "x-amz-security-token", "x-amz-credential"].contains(&name),
            "{name}"
        );
        let times = sent.fields.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name)).count();
        assert_eq!(times, 1, "{name}");
    }
}

fn assert_short(reason: &Reason) {
    assert!(format!("{reason:?}{reason}").len() < 4_000);
}
