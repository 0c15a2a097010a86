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
            let (object, size) = verified.into_parts();
            assert_eq!(kind == KeyKind::Temporary, has(&sent, "x-amz-security-token"));
            assert_met(policy, &sent, &object);
            assert_left(&sent, &object);
            drop(size);
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
    let document: Value = serde_json::from_str(policy).expect("json");
    assert_eq!(document.as_object().map(serde_json::Map::len), Some(2));
    let conditions = document["conditions"].as_array().expect("a list");
    let mut covered = Vec::new();
    for condition in conditions {
        let (name, is_met): (String, Box<dyn Fn(&str) -> bool>) = match condition {
            Value::Object(members) => {
                let (name, value) = members.iter().next().expect("a member");
                let value = value.as_str().expect("a string").to_owned();
                (name.clone(), Box::new(move |have| have == value))
            }
            _ if condition[1].as_str().is_some_and(|name| name.starts_with('$')) => {
                let name = condition[1].as_str().and_then(|name| name.strip_prefix('$')).expect("a name");
                let value = condition[2].as_str().expect("a string").to_owned();
                let is_exact =
                    condition[0].as_str().is_some_and(|operator| operator.eq_ignore_ascii_case("eq"));
                (
                    name.to_owned(),
                    Box::new(move |have| if is_exact { have == value } else { have.starts_with(&value) }),
                )
            }
            _ => continue,
        };
        let name = name.to_lowercase();
        let value = match name.as_str() {
            "bucket" => Some(object.bucket().to_owned()),
            "key" => Some(object.key().to_owned()),
            _ => object.field(&name).map(str::to_owned).or_else(|| {
                sent.fields
                    .iter()
                    .find(|(have, _)| have.eq_ignore_ascii_case(&name))
                    .map(|(_, value)| value.clone())
            }),
        };
        let value = value.expect("a field that is there");
        assert!(is_met(&value), "{name}");
        covered.push(name);
    }
    assert!(covered.iter().any(|name| name == "bucket"));
    for (name, _) in &sent.fields {
        let name = name.to_lowercase();
        let exempt = name == "policy" || name == "x-amz-signature" || name.starts_with("x-ignore-");
        assert!(exempt || covered.contains(&name), "{name}");
    }
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

fn has(sent: &Sent, name: &str) -> bool {
    sent.fields.iter().any(|(have, _)| have.eq_ignore_ascii_case(name))
}

fn assert_short(reason: &Reason) {
    assert!(format!("{reason:?}{reason}").len() < 4_000);
}
