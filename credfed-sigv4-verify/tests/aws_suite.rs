//! AWS's own SigV4 test suite, as packaged in the aws-sigv4 crate: every v4 case, header and
//! presigned, with the arguments of its context.json.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use credfed_sigv4_verify::danger::Knobs;
use credfed_sigv4_verify::{KeyKind, Malformed, Profile, Reason, ResolvedKey, Verifier};
use http::request::Parts;
use serde_json::Value;
use sha2::{Digest, Sha256};

const HEADER: &str = "header-signed-request.txt";
const QUERY: &str = "query-signed-request.txt";

/// Cases that run as the suite says, without a knob.
const PLAIN: [&str; 26] = [
    "get-header-key-duplicate",
    "get-header-value-order",
    "get-header-value-trim",
    "get-relative-relative-unnormalized",
    "get-relative-unnormalized",
    "get-slash-dot-slash-unnormalized",
    "get-slash-pointless-dot-unnormalized",
    "get-slash-unnormalized",
    "get-slashes-unnormalized",
    "get-unreserved",
    "get-utf8",
    "get-vanilla",
    "get-vanilla-empty-query-key",
    "get-vanilla-query",
    "get-vanilla-query-order-encoded",
    "get-vanilla-query-order-key-case",
    "get-vanilla-query-unreserved",
    "get-vanilla-utf8-query",
    "get-vanilla-with-session-token",
    "post-header-key-case",
    "post-header-key-sort",
    "post-header-value-case",
    "post-sts-header-before",
    "post-vanilla",
    "post-vanilla-empty-query-value",
    "post-vanilla-query",
];

/// Cases whose body is signed.
const BODIES: [&str; 2] = ["post-x-www-form-urlencoded", "post-x-www-form-urlencoded-parameters"];

/// Cases whose path is not normal: refused, unless a knob accepts it.
const NON_NORMAL: [&str; 6] = [
    "get-relative-normalized",
    "get-relative-relative-normalized",
    "get-slash-dot-slash-normalized",
    "get-slash-normalized",
    "get-slash-pointless-dot-normalized",
    "get-slashes-normalized",
];

/// Each has a test of its own below.
const OTHERS: [&str; 6] = [
    "double-encode-path",
    "double-url-encode",
    "get-header-value-multiline",
    "get-space-normalized",
    "get-space-unnormalized",
    "post-sts-header-after",
];

#[test]
fn every_case_of_the_suite_is_run() {
    let listed: BTreeSet<_> = fs::read_dir(suite())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let run: BTreeSet<_> =
        [&PLAIN[..], &BODIES, &NON_NORMAL, &OTHERS].concat().into_iter().map(String::from).collect();
    assert_eq!(listed, run);
    assert_eq!(listed.len(), 40);
}

#[test]
fn plain_cases_are_accepted_from_header_and_query() {
    for case in PLAIN.into_iter().chain(BODIES) {
        for file in [HEADER, QUERY] {
            let case = Case::load(case, file);
            assert_eq!(case.verify(Knobs::new()), Ok(()), "{} {file}", case.name);
            assert_eq!(case.verify_late(), Err(()), "{} {file}: far too late", case.name);
        }
    }
}

#[test]
fn what_is_signed_is_shown_as_the_suite_has_it() {
    for name in PLAIN.into_iter().chain(BODIES) {
        for carrier in ["header", "query"] {
            let case = Case::load(name, if carrier == "header" { HEADER } else { QUERY });
            let verifier = case.verifier(Knobs::new());
            let request = verifier.parse(&case.parts).unwrap();
            let preimage = request.preimage(Some(Sha256::digest(&case.body).into())).unwrap();
            let expected = |text: &str| read(name, &format!("{carrier}-{text}.txt"));
            assert_eq!(preimage.canonical_request(), expected("canonical-request"), "{name} {carrier}");
            assert_eq!(preimage.string_to_sign(), expected("string-to-sign"), "{name} {carrier}");
        }
    }
}

#[test]
fn a_changed_body_is_refused() {
    for name in BODIES {
        for file in [HEADER, QUERY] {
            let mut case = Case::load(name, file);
            case.body.push('x');
            assert!(case.verify(Knobs::new()).is_err(), "{name} {file}");
        }
    }
}

#[test]
fn non_normal_paths_are_refused_by_default_and_accepted_under_the_knob() {
    for name in NON_NORMAL {
        for file in [HEADER, QUERY] {
            let case = Case::load(name, file);
            let refused = Err(Reason::MalformedRequest(Malformed::NonNormalPath));
            assert_eq!(case.verify(Knobs::new()), refused, "{name} {file}");
            assert_eq!(case.verify(Knobs::new().accept_non_normal_paths()), Ok(()), "{name} {file}");
        }
    }
}

#[test]
fn the_normal_path_is_what_was_signed() {
    for name in NON_NORMAL {
        let case = Case::load(name, HEADER);
        let verifier = case.verifier(Knobs::new().accept_non_normal_paths());
        let request = verifier.parse(&case.parts).unwrap();
        let canonical = read(name, "header-canonical-request.txt");
        assert_eq!(request.normal_path(), canonical.lines().nth(1).unwrap(), "{name}");
    }
}

#[test]
fn a_token_added_after_signing_needs_the_knob() {
    let unsigned = Reason::UnsignedHeaders(vec!["x-amz-security-token".into()]);
    for (file, reason) in [(HEADER, unsigned), (QUERY, Reason::SignatureMismatch)] {
        let case = Case::load("post-sts-header-after", file);
        assert_eq!(case.verify(Knobs::new()), Err(reason), "{file}");
        assert_eq!(case.verify(Knobs::new().token_outside_signature()), Ok(()), "{file}");
    }
}

/// No server hands on an obsolete fold: RFC 9112, 5.2 has it replaced by blanks, which is what the
/// loader does. The line ends themselves are tested where values are folded.
#[test]
fn folded_lines_are_accepted_as_blanks() {
    for file in [HEADER, QUERY] {
        let case = Case::load("get-header-value-multiline", file);
        assert_eq!(case.verify(Knobs::new()), Ok(()), "{file}");
    }
}

/// A raw blank is no `http::Uri`, so that these never reach the verifier.
#[test]
fn raw_blanks_in_the_path_are_no_uri() {
    for name in ["get-space-normalized", "get-space-unnormalized"] {
        for file in [HEADER, QUERY] {
            let text = read(name, file);
            let line = text.lines().next().unwrap();
            let target = line.split_once(' ').unwrap().1.strip_suffix(" HTTP/1.1").unwrap();
            assert!(target.contains(' '), "{name} {file}");
            assert!(target.parse::<http::Uri>().is_err(), "{name} {file}");
        }
    }
}

/// The two older cases come without a context.json, and with a date in the canonical request that is
/// not the one of the signed request: their canonical path is what can be checked.
#[test]
fn double_encoding_gives_the_suites_path() {
    for name in ["double-encode-path", "double-url-encode"] {
        assert!(!suite().join(name).join("context.json").exists());
        let canonical = read(name, "header-canonical-request.txt");
        let (mut parts, _) = request(&read(name, "request.txt"));
        let host = parts.headers["host"].to_str().unwrap().to_owned();
        let mut lines: Vec<&str> = canonical.lines().collect();
        let host_line = format!("host:{host}");
        lines[3] = &host_line;
        lines[4] = "x-amz-date:20150830T123600Z";
        let header = support::authorization(&lines.join("\n"), "host;x-amz-date", "service");
        parts.headers.insert("x-amz-date", "20150830T123600Z".parse().unwrap());
        parts.headers.insert("authorization", header.parse().unwrap());
        let verified =
            support::verify_body(&support::general(), &parts, &support::static_key(), b"").map(drop);
        assert_eq!(verified, Ok(()), "{name}\n{}", lines.join("\n"));
    }
}

struct Case {
    name: &'static str,
    parts: Parts,
    body: String,
    context: Value,
}

impl Case {
    fn load(name: &'static str, file: &str) -> Self {
        let (parts, body) = request(&read(name, file));
        let context = serde_json::from_str(&read(name, "context.json")).unwrap();
        Self { name, parts, body, context }
    }

    fn verifier(&self, knobs: Knobs) -> Verifier {
        Verifier::builder()
            .profile(Profile::General { normalize: self.context["normalize"].as_bool().unwrap() })
            .region(self.context["region"].as_str().unwrap())
            .service(self.context["service"].as_str().unwrap())
            .danger(knobs)
            .build()
            .unwrap()
    }

    fn verify(&self, knobs: Knobs) -> Result<(), Reason> {
        assert_eq!(self.context["timestamp"], "2015-08-30T12:36:00Z");
        assert_eq!(self.context["expiration_in_seconds"], 3600);
        self.verify_at(knobs, support::now())
    }

    fn verify_late(&self) -> Result<(), ()> {
        let late = support::now() + std::time::Duration::from_secs(3601);
        self.verify_at(Knobs::new(), late).map_err(drop)
    }

    fn verify_at(&self, knobs: Knobs, now: SystemTime) -> Result<(), Reason> {
        let credentials = &self.context["credentials"];
        let kind = match credentials["token"].as_str() {
            Some(_) => KeyKind::Temporary,
            None => KeyKind::Static,
        };
        let key = ResolvedKey::new(credentials["secret_access_key"].as_str().unwrap(), kind, 0);
        let verifier = self.verifier(knobs);
        let request = verifier.parse(&self.parts)?;
        assert_eq!(request.access_key(), credentials["access_key_id"].as_str().unwrap());
        assert_eq!(request.session_token(), credentials["token"].as_str());
        // Twice: with a cold and with a warm key.
        let hash: [u8; 32] = Sha256::digest(&self.body).into();
        let cold = verifier.verify_with_body_hash(&request, Some(&key), now, hash).map(drop);
        let warm = verifier.verify_with_body_hash(&request, Some(&key), now, hash).map(drop);
        assert_eq!(cold, warm);
        cold
    }
}

fn suite() -> &'static PathBuf {
    static SUITE: OnceLock<PathBuf> = OnceLock::new();
    SUITE.get_or_init(|| {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--offline", "--format-version", "1", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let package = metadata["packages"]
            .as_array()
            .unwrap()
            .iter()
            .find(|package| package["name"] == "aws-sigv4")
            .unwrap();
        let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
        manifest.with_file_name("aws-signing-test-suite").join("v4")
    })
}

fn read(case: &str, file: &str) -> String {
    let path = suite().join(case).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn request(text: &str) -> (Parts, String) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    // An obsolete fold counts as blanks.
    let head = head.replace("\n ", "  ");
    let mut lines = head.trim_end().lines();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let mut builder = http::Request::builder().method(method).uri(target.strip_suffix(" HTTP/1.1").unwrap());
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        builder = builder.header(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    (builder.body(()).unwrap().into_parts().0, body.to_owned())
}
