//! AWS's own SigV4 test suite, as packaged in the aws-sigv4 crate: every case of SigV4, and with the feature `sigv4a`
//! of SigV4A, header and presigned, with the arguments of its context.json.
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

/// Its folders, and how many cases are in each.
const SUITES: &[(&str, usize)] =
    if cfg!(feature = "sigv4a") { &[("v4", 40), ("v4a", 38)] } else { &[("v4", 40)] };

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
const OTHERS: [&str; 4] =
    ["get-header-value-multiline", "get-space-normalized", "get-space-unnormalized", "post-sts-header-after"];

/// As [`OTHERS`], of SigV4 alone.
const OLDER: [&str; 2] = ["double-encode-path", "double-url-encode"];

#[test]
fn every_case_of_the_suite_is_run() {
    for &(suite, count) in SUITES {
        let listed: BTreeSet<_> = fs::read_dir(suites().join(suite))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let older: &[&str] = if suite == "v4" { &OLDER } else { &[] };
        let run = [&PLAIN[..], &BODIES, &NON_NORMAL, &OTHERS, older].concat();
        assert_eq!(listed, run.into_iter().map(String::from).collect(), "{suite}");
        assert_eq!(listed.len(), count, "{suite}");
    }
}

#[test]
fn plain_cases_are_accepted_from_header_and_query() {
    for name in PLAIN.into_iter().chain(BODIES) {
        for case in Case::all(name) {
            assert_eq!(case.verify(Knobs::new()), Ok(()), "{case}");
            assert_eq!(case.verify_late(), Err(()), "{case}: far too late");
        }
    }
}

#[test]
fn what_is_signed_is_shown_as_the_suite_has_it() {
    for name in PLAIN.into_iter().chain(BODIES) {
        for case in Case::all(name) {
            let verifier = case.verifier(Knobs::new());
            let request = verifier.parse(&case.parts).unwrap();
            let preimage = request.preimage(Some(Sha256::digest(&case.body).into())).unwrap();
            let carrier = case.carrier();
            let expected = |text: &str| case.read(&format!("{carrier}-{text}.txt"));
            assert_eq!(preimage.canonical_request(), expected("canonical-request"), "{case}");
            assert_eq!(preimage.string_to_sign(), expected("string-to-sign"), "{case}");
        }
    }
}

#[test]
fn a_changed_body_is_refused() {
    for name in BODIES {
        for mut case in Case::all(name) {
            case.body.push('x');
            assert!(case.verify(Knobs::new()).is_err(), "{case}");
        }
    }
}

#[test]
fn non_normal_paths_are_refused_by_default_and_accepted_under_the_knob() {
    for name in NON_NORMAL {
        for case in Case::all(name) {
            let refused = Err(Reason::MalformedRequest(Malformed::NonNormalPath));
            assert_eq!(case.verify(Knobs::new()), refused, "{case}");
            assert_eq!(case.verify(Knobs::new().accept_non_normal_paths()), Ok(()), "{case}");
        }
    }
}

#[test]
fn the_normal_path_is_what_was_signed() {
    for name in NON_NORMAL {
        for case in Case::all(name) {
            let verifier = case.verifier(Knobs::new().accept_non_normal_paths());
            let request = verifier.parse(&case.parts).unwrap();
            let canonical = case.read("header-canonical-request.txt");
            assert_eq!(request.normal_path(), canonical.lines().nth(1).unwrap(), "{case}");
        }
    }
}

#[test]
fn a_token_added_after_signing_needs_the_knob() {
    for case in Case::all("post-sts-header-after") {
        let reason = match case.file {
            HEADER => Reason::UnsignedHeaders(vec!["x-amz-security-token".into()]),
            _ => Reason::SignatureMismatch,
        };
        assert_eq!(case.verify(Knobs::new()), Err(reason), "{case}");
        assert_eq!(case.verify(Knobs::new().token_outside_signature()), Ok(()), "{case}");
    }
}

/// No server hands on an obsolete fold: RFC 9112, 5.2 has it replaced by blanks, which is what the
/// loader does. The line ends themselves are tested where values are folded.
#[test]
fn folded_lines_are_accepted_as_blanks() {
    for case in Case::all("get-header-value-multiline") {
        assert_eq!(case.verify(Knobs::new()), Ok(()), "{case}");
    }
}

/// A raw blank is no `http::Uri`, so that these never reach the verifier.
#[test]
fn raw_blanks_in_the_path_are_no_uri() {
    for name in ["get-space-normalized", "get-space-unnormalized"] {
        for (suite, file) in files() {
            let text = read(suite, name, file);
            let line = text.lines().next().unwrap();
            let target = line.split_once(' ').unwrap().1.strip_suffix(" HTTP/1.1").unwrap();
            assert!(target.contains(' '), "{suite} {name} {file}");
            assert!(target.parse::<http::Uri>().is_err(), "{suite} {name} {file}");
        }
    }
}

/// The two older cases come without a context.json, and with a date in the canonical request that is
/// not the one of the signed request: their canonical path is what can be checked.
#[test]
fn double_encoding_gives_the_suites_path() {
    for name in OLDER {
        assert!(!suites().join("v4").join(name).join("context.json").exists());
        let canonical = read("v4", name, "header-canonical-request.txt");
        let (mut parts, _) = request(&read("v4", name, "request.txt"));
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

/// A signature is not unique to its text: the suite has two of each case, and both verify.
#[cfg(feature = "sigv4a")]
#[test]
fn another_signature_of_the_same_text_is_as_good() {
    for name in PLAIN.into_iter().chain(BODIES) {
        for mut case in Case::all(name).filter(|case| case.suite == "v4a") {
            let other = case.read(&format!("{}-signature.txt", case.carrier()));
            let replace = |text: &str| {
                let (before, sent) = text.rsplit_once("Signature=").unwrap();
                assert_ne!(sent, other, "{case}");
                format!("{before}Signature={other}")
            };
            if case.file == HEADER {
                let value = replace(case.parts.headers["authorization"].to_str().unwrap());
                case.parts.headers.insert("authorization", value.parse().unwrap());
            } else {
                case.parts.uri = replace(&case.parts.uri.to_string()).parse().unwrap();
            }
            assert_eq!(case.verify(Knobs::new()), Ok(()), "{case}");
        }
    }
}

struct Case {
    suite: &'static str,
    name: &'static str,
    file: &'static str,
    parts: Parts,
    body: String,
    context: Value,
}

impl Case {
    /// Of every suite, header and presigned.
    fn all(name: &'static str) -> impl Iterator<Item = Self> {
        files().map(move |(suite, file)| {
            let (parts, body) = request(&read(suite, name, file));
            let context = serde_json::from_str(&read(suite, name, "context.json")).unwrap();
            Self { suite, name, file, parts, body, context }
        })
    }

    fn read(&self, file: &str) -> String {
        read(self.suite, self.name, file)
    }

    /// What the names of its files begin with.
    fn carrier(&self) -> &'static str {
        if self.file == HEADER { "header" } else { "query" }
    }

    fn verifier(&self, knobs: Knobs) -> Verifier {
        let builder = Verifier::builder()
            .profile(Profile::General { normalize: self.context["normalize"].as_bool().unwrap() })
            .region(self.context["region"].as_str().unwrap())
            .service(self.context["service"].as_str().unwrap())
            .danger(knobs);
        #[cfg(feature = "sigv4a")]
        let builder = if self.suite == "v4a" { builder.accept_sigv4a() } else { builder };
        builder.build().unwrap()
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

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.suite, self.name, self.file)
    }
}

/// What there is of each case.
fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    SUITES.iter().flat_map(|(suite, _)| [(*suite, HEADER), (*suite, QUERY)])
}

fn suites() -> &'static PathBuf {
    static SUITES: OnceLock<PathBuf> = OnceLock::new();
    SUITES.get_or_init(|| {
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
        manifest.with_file_name("aws-signing-test-suite")
    })
}

fn read(suite: &str, case: &str, file: &str) -> String {
    let path = suites().join(suite).join(case).join(file);
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
