//! `explain`, run as a program: on AWS's own suite, and on requests that aws-sigv4 signed and something changed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "only tests call this")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest};
use aws_sigv4::http_request::{SigningSettings, UriPathNormalizationMode, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use credfed_core::keyring::{KeyRing, KeyRingFile, SharedKeyRing};
use credfed_core::session::{SealedSessions, SessionClaims, SessionKind};
use serde_json::Value;

const EXPLAIN: &str = env!("CARGO_BIN_EXE_explain");
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const NOW: &str = "2015-08-30T12:36:00Z";

#[test]
fn every_request_of_awss_suite_is_explained_as_the_suite_has_it() {
    let mut accepted = 0;
    let cases = ["v4", "v4a"].map(|algorithm| fs::read_dir(suite().join(algorithm)).unwrap());
    for case in cases.into_iter().flatten() {
        let folder = case.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let Ok(context) = fs::read_to_string(folder.join("context.json")) else { continue };
        let context: Value = serde_json::from_str(&context).unwrap();
        let profile = if context["normalize"] == true { "general" } else { "general-raw-path" };
        let mut arguments = vec!["--profile", profile];
        if let Some(token) = context["credentials"]["token"].as_str() {
            arguments.extend(["--session-token", token]);
        }
        for carrier in ["header", "query"] {
            let file = folder.join(format!("{carrier}-signed-request.txt"));
            let told = told(&explain(&arguments, &file));
            let expected =
                |part: &str| fs::read_to_string(folder.join(format!("{carrier}-{part}.txt"))).unwrap();
            match refusal(&name, &context) {
                Some((rule, code)) => {
                    let seen = (&told["verdict"], &told["rule"], &told["code"], &told["status"]);
                    let status = if code == "InvalidSignatureException" { 403 } else { 400 };
                    assert_eq!(seen.0, "refused", "{name} {carrier}");
                    assert_eq!((seen.2, seen.3), (&code.into(), &status.into()), "{name} {carrier}");
                    assert!(rule.contains(&seen.1.as_u64()), "{name} {carrier}: {}", seen.1);
                }
                None => {
                    assert_eq!(told["verdict"], "accepted", "{name} {carrier}: {told}");
                    assert_eq!(
                        (&told["code"], &told["status"], &told["rule"]),
                        (&Value::Null, &200.into(), &Value::Null)
                    );
                    accepted += 1;
                }
            }
            if told["canonical_request"] != Value::Null && name != "post-sts-header-after" {
                assert_eq!(told["canonical_request"], expected("canonical-request"), "{name} {carrier}");
                assert_eq!(told["string_to_sign"], expected("string-to-sign"), "{name} {carrier}");
            }
        }
    }
    assert_eq!(accepted, 2 * 58);
}

/// The named exceptions: what the verifier refuses on purpose, and what is no HTTP at all.
fn refusal(name: &str, context: &Value) -> Option<(&'static [Option<u64>], &'static str)> {
    let is_normal =
        !["relative", "slash"].iter().any(|odd| name.contains(odd)) || context["normalize"] == false;
    match name {
        "post-sts-header-after" => Some((&[Some(6), Some(12)], "InvalidSignatureException")),
        "get-space-normalized" | "get-space-unnormalized" => Some((&[None], "BadRequest")),
        _ if !is_normal => Some((&[Some(8)], "ValidationException")),
        _ => None,
    }
}

#[test]
fn the_nearest_cause_is_named() {
    let changes: [(&str, &str, &str); 10] = [
        ("Host: example.com\r\n", "Host: example.com:9000\r\n", "signed for the host example.com,"),
        ("GET /bucket", "DELETE /bucket", "signed for the method GET"),
        ("/a%20b", "/a%2520b", "escaped once more on the way"),
        ("/a%20b?", "/a%20b/?", "a slash was added to the path"),
        ("?list-type=2", "?list-type=2&x=1", "the secret is another one, or"),
        (
            "x-amz-content-sha256: UNSIGNED-PAYLOAD",
            "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "signed with UNSIGNED-PAYLOAD",
        ),
        ("us-east-1", "eu-west-1", "have it use us-east-1"),
        ("AKIDEXAMPLE/", "AKIDOTHER/", "signed with another access key"),
        ("user-agent: tool\r\n", "", "a proxy took a signed header away"),
        ("Host:", "x-amz-acl: public-read\r\nHost:", "added after signing"),
    ];
    let request = signed("GET", "https://example.com/bucket/a%20b?list-type=2", None);
    assert_eq!(told(&piped(&[], &request))["verdict"], "accepted");
    for (from, to, cause) in changes {
        let changed = request.replacen(from, to, 1);
        assert_ne!(changed, request, "{from}");
        let told = told(&piped(&[], &changed));
        assert_eq!(told["verdict"], "refused", "{from}");
        assert!(told["reason"].as_str().unwrap().contains(cause), "{from}: {told}");
    }
    let late = told(&piped(&["--now", "2015-08-30T13:36:00Z"], &request));
    assert_eq!((&late["code"], &late["rule"]), (&"RequestTimeTooSkewed".into(), &5.into()));
}

/// The suite's own requests, changed.
#[test]
fn the_nearest_cause_is_named_for_sigv4a() {
    let read = |file: &str| {
        let text = fs::read_to_string(suite().join("v4a/get-vanilla").join(file)).unwrap();
        text.trim_end().replace('\n', "\r\n") + "\r\n\r\n"
    };
    let general = ["--profile", "general", "--service", "service", "--now", NOW, "--json"];
    let key = ["--access-key", "AKIDEXAMPLE", "--secret-env", "EXPLAIN_TEST_SECRET"];
    let judged = |region: &str, request: &str| {
        told(&run(&[&general[..], &key, &["--region", region]].concat(), request))
    };
    let (header, query) = (read("header-signed-request.txt"), read("query-signed-request.txt"));
    let scope = "AKIDEXAMPLE/20150830/";
    for (request, from, to, cause) in [
        (&header, "Region-Set:us-east-1", "Region-Set:*", "signed for the regions us-east-1;"),
        (&header, "Region-Set:us-east-1", "Region-Set:", "in x-amz-region-set, separated by commas"),
        (&header, "X-Amz-Region-Set:us-east-1\r\n", "", "a proxy took a signed header away"),
        (&header, "Region-Set:us-east-1", "Region-Set:us-*", "names are taken to the letter"),
        (&header, scope, &format!("{scope}us-east-1/"), "the scope of SigV4A has no region"),
        (&header, "Signature=30", "Signature=31", "a signature that was cut or padded"),
        (
            &header,
            "example.amazonaws.com",
            "example.amazonaws.com:9000",
            "signed for the host example.amazonaws.com,",
        ),
        (&query, "&X-Amz-Region-Set=us-east-1", "", "in x-amz-region-set, separated by commas"),
        (&query, "Region-Set=us-east-1", "Region-Set=eu-west-1", "have the client sign for us-east-1 too"),
        (&query, "GET /", "PUT /", "signed for the method GET"),
    ] {
        assert_eq!(judged("us-east-1", request)["verdict"], "accepted");
        let changed = request.replacen(from, to, 1);
        assert_ne!(changed, *request, "{from}");
        let told = judged("us-east-1", &changed);
        assert_eq!(told["verdict"], "refused", "{from}");
        assert!(told["reason"].as_str().unwrap().contains(cause), "{from}: {told}");
    }
    let elsewhere = judged("eu-west-1", &header);
    assert_eq!((&elsewhere["verdict"], &elsewhere["rule"]), (&"refused".into(), &4.into()));
    assert!(elsewhere["reason"].as_str().unwrap().contains("have the client sign for eu-west-1 too"));
}

#[test]
fn a_session_token_has_to_belong_to_the_key_and_can_be_left_out_of_what_is_shown() {
    let request = signed("GET", "https://example.com/bucket/key", Some("TOKEN-OF-THE-CLIENT"));
    let ours = ["--session-token", "TOKEN-OF-THE-CLIENT"];
    let shown = told(&piped(&ours, &request));
    assert_eq!(shown["verdict"], "accepted");
    assert!(
        shown["canonical_request"].as_str().unwrap().contains("x-amz-security-token:TOKEN-OF-THE-CLIENT\n")
    );
    let output = piped(&[&ours[..], &["--redact"]].concat(), &request);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("TOKEN-OF"), "{output:?}");
    assert_eq!(told(&piped(&["--session-token", "another"], &request))["code"], "InvalidToken");
    assert_eq!(
        told(&piped(&[], &request))["reason"].as_str().unwrap().split(':').next(),
        Some("session token beside a static key")
    );
}

#[test]
fn requests_for_sts_are_judged_too() {
    let request = signed("GET", "https://sts.amazonaws.com/?Action=GetCallerIdentity", None);
    for profile in [&["--profile", "sts"][..], &[]] {
        let service = ["--service", "sts", "--region", "us-east-1", "--now", NOW, "--json"];
        let key = ["--access-key", "AKIDEXAMPLE", "--secret-env", "EXPLAIN_TEST_SECRET"];
        let told = told(&run(&[&service[..], &key, profile].concat(), &request));
        // The scope is for S3.
        assert_eq!((&told["code"], &told["rule"]), (&"SignatureDoesNotMatch".into(), &4.into()), "{told}");
    }
}

#[test]
fn sessions_of_a_key_ring_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ring.json");
    let ring = KeyRing::generate(now() - Duration::from_secs(60)).unwrap();
    KeyRingFile::new(&file).create(&ring).unwrap();
    let sessions = SealedSessions::new("credfed-gateway/000000000000", SharedKeyRing::new(ring));
    let user = "arn:aws:iam::000000000000:user/alice";
    let claims =
        SessionClaims::builder(SessionKind::SessionToken, user, now(), now() + Duration::from_secs(900));
    let claims = claims.build().unwrap();
    let minted = sessions.mint(&claims, now()).unwrap().into_value();
    let token = minted.session_token().unwrap().expose();
    let request = signed_by(
        minted.access_key_id(),
        minted.secret_access_key().expose(),
        "GET",
        "https://example.com/b/k",
        Some(token),
    );
    let ring = ["--token-ring", file.to_str().unwrap()];
    let accepted = run(
        &[&["--json", "--service", "s3", "--region", "us-east-1", "--now", NOW][..], &ring].concat(),
        &request,
    );
    assert_eq!(told(&accepted)["verdict"], "accepted", "{accepted:?}");
    let late = ["--json", "--service", "s3", "--region", "us-east-1", "--now", "2015-08-30T12:51:00Z"];
    assert_eq!(told(&run(&[&late[..], &ring].concat(), &request))["code"], "ExpiredToken");
}

#[test]
fn forms_are_judged_by_signature_and_policy() {
    let policy = r#"{"expiration":"2015-08-30T13:00:00Z","conditions":[{"bucket":"photos"},
        ["starts-with","$key","user/"],["content-length-range",1,9],{"x-amz-algorithm":"AWS4-HMAC-SHA256"},
        {"x-amz-credential":"AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request"},{"x-amz-date":"20150830T120000Z"}]}"#;
    let policy = BASE64_STANDARD.encode(policy);
    let key = v4::generate_signing_key(SECRET, now(), "us-east-1", "s3");
    let signature = v4::calculate_signature(key, policy.as_bytes());
    let form = |change: &dyn Fn(&str) -> String| {
        let fields = [
            ("key", "user/${filename}"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", "AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request"),
            ("X-Amz-Date", "20150830T120000Z"),
            ("Policy", &policy),
            ("X-Amz-Signature", &signature),
            ("file\"; filename=\"a.txt", "hello"),
        ];
        let part = |(name, value)| {
            format!("--line\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body = change(&(fields.map(part).concat() + "--line--\r\n"));
        format!(
            "POST /photos HTTP/1.1\r\nHost: example.com\r\nContent-Type: multipart/form-data; boundary=line\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let good = form(&str::to_owned);
    let shown = told(&piped(&[], &good));
    assert_eq!(
        (&shown["verdict"], &shown["string_to_sign"]),
        (&"accepted".into(), &policy.as_str().into()),
        "{shown}"
    );
    assert_eq!(told(&piped(&["--redact"], &good))["string_to_sign"], Value::Null);
    for (from, to, code) in [
        ("user/$", "other/$", "AccessDenied"),
        ("hello", "more than nine", "EntityTooLarge"),
        ("filename=\"a.txt\"", "filename=\"a.txt", "MalformedPOSTRequest"),
        (signature.as_str(), "0".repeat(64).as_str(), "SignatureDoesNotMatch"),
        ("name=\"file\"", "name=\"other\"", "IncorrectNumberOfFilesInPostRequest"),
    ] {
        let refused = told(&piped(&[], &form(&|body| body.replace(from, to))));
        assert_eq!(
            (&refused["verdict"], &refused["code"]),
            (&"refused".into(), &code.into()),
            "{from}: {refused}"
        );
    }
    for (from, to, code) in
        [("POST /photos", "POST /other", "AccessDenied"), ("--line--", "", "IncompleteBody")]
    {
        let refused = told(&piped(&[], &good.replace(from, to)));
        assert_eq!(
            (&refused["verdict"], &refused["code"]),
            (&"refused".into(), &code.into()),
            "{from}: {refused}"
        );
    }
    let in_text: Vec<_> = common(&[]).into_iter().filter(|argument| *argument != "--json").collect();
    let text = run(&in_text, &good);
    assert!(String::from_utf8_lossy(&text.stdout).contains(r#"["starts-with","$key","user/"]"#), "{text:?}");
}

#[test]
fn neither_the_secret_nor_the_right_signature_is_ever_shown() {
    let request = signed("PUT", "https://example.com/bucket/key", None);
    let right = request.split("Signature=").nth(1).unwrap().split("\r\n").next().unwrap();
    let wrong = request.replace(right, &"0".repeat(64));
    for json in [&["--json"][..], &[]] {
        let arguments = [
            &["--access-key", "AKIDEXAMPLE", "--secret-env", "EXPLAIN_TEST_SECRET", "--service", "s3"][..],
            &["--region", "us-east-1", "--now", NOW],
            json,
        ]
        .concat();
        let output = run(&arguments, &wrong);
        let shown = [output.stdout, output.stderr].concat();
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.contains("SignatureDoesNotMatch"), "{shown}");
        assert!(!shown.contains(right) && !shown.contains(SECRET), "{shown}");
    }
}

/// As when somebody took the one for the other.
#[test]
fn a_secret_that_the_client_sent_is_not_shown_either() {
    let escaped = SECRET.replace('/', "%2F").replace('+', "%2B");
    let target = format!(
        "/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={escaped}%2F20150830%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-amz-meta-a&X-Amz-Signature={}",
        "0".repeat(64)
    );
    let request =
        format!("GET {target} HTTP/1.1\r\nhost: example.com\r\nx-amz-meta-a: is {SECRET} right?\r\n\r\n");
    for json in [true, false] {
        let mut arguments = common(&[]);
        arguments.retain(|argument| json || *argument != "--json");
        let output = run(&arguments, &request);
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.contains("InvalidAccessKeyId") && shown.contains("right?"), "{shown}");
        assert!(!shown.contains(SECRET) && !shown.contains(&escaped), "{shown}");
    }
}

/// Requests and their files come from others; a terminal that shows them does what its control characters say.
#[test]
fn no_control_character_of_a_request_or_a_files_name_reaches_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let request = signed("GET", "https://example.com/bucket/key", None)
        .replace("user-agent: tool", "user-agent: a\u{9b}31m\u{85}\u{202e}\tb");
    let [file, gone] = ["a\u{1b}[31m\u{9b}2J\nb", "gone\u{1b}]0;x\u{7}"].map(|name| folder.path().join(name));
    fs::write(&file, &request).unwrap();
    for json in [true, false] {
        let mut arguments = common(&[]);
        arguments.retain(|argument| json || *argument != "--json");
        for path in [&file, &gone] {
            let output = run(&[&arguments[..], &[path.to_str().unwrap()]].concat(), "");
            if json && path == &file {
                let told = told(&output);
                assert_eq!(told["file"], file.to_str().unwrap());
                assert!(told["canonical_request"].as_str().unwrap().contains("a\u{9b}31m\u{85}\u{202e}"));
            }
            let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            let is_odd =
                |character: char| (character.is_control() && character != '\n') || character == '\u{202e}';
            assert!(!shown.contains(is_odd), "{shown:?}");
            assert!(!shown.contains("\nb"), "{shown:?}");
        }
    }
}

#[test]
fn the_exit_code_tells_accepted_refused_and_wrong_use_apart() {
    let folder = tempfile::tempdir().unwrap();
    let [good, bad] = ["good", "bad"].map(|name| folder.path().join(name));
    let request = signed("GET", "https://example.com/bucket/key", None);
    fs::write(&good, &request).unwrap();
    fs::write(&bad, request.replace("GET", "PUT")).unwrap();
    let code = |files: &[&Path]| {
        let mut arguments: Vec<_> = common(&[]).into_iter().map(str::to_owned).collect();
        arguments.extend(files.iter().map(|file| file.to_str().unwrap().to_owned()));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        run(&arguments, "").status.code()
    };
    assert_eq!(code(&[&good, &good]), Some(0));
    assert_eq!(code(&[&good, &bad]), Some(1));
    assert_eq!(code(&[Path::new("not there")]), Some(2));
    assert_eq!(run(&["--service", "s3"], "").status.code(), Some(2));
    assert_eq!(run(&["--help"], "").status.code(), Some(0));
    let nonsense = run(&common(&[]), "nonsense\n\n");
    assert_eq!((nonsense.status.code(), &told(&nonsense)["status"]), (Some(1), &400.into()));
}

fn now() -> SystemTime {
    humantime::parse_rfc3339(NOW).unwrap()
}

/// A request on the wire, signed for S3 as AWS's SDK for Rust signs.
fn signed(method: &str, url: &str, token: Option<&str>) -> String {
    signed_by("AKIDEXAMPLE", SECRET, method, url, token)
}

fn signed_by(access_key: &str, secret: &str, method: &str, url: &str, token: Option<&str>) -> String {
    let identity = Credentials::new(access_key, secret, token.map(str::to_owned), None, "test").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.excluded_headers = None;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(now())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let headers = [("user-agent", "tool")];
    let request =
        SignableRequest::new(method, url, headers.into_iter(), SignableBody::UnsignedPayload).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let (added, _) = instructions.into_parts();
    let (host, target) = url.strip_prefix("https://").unwrap().split_once('/').unwrap();
    let mut text = format!("{method} /{target} HTTP/1.1\r\nHost: {host}\r\nuser-agent: tool\r\n");
    for header in added {
        text += &format!("{}: {}\r\n", header.name(), header.value());
    }
    text + "\r\n"
}

fn common<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let now = if arguments.contains(&"--now") { &[][..] } else { &["--now", NOW] };
    let key = ["--json", "--access-key", "AKIDEXAMPLE", "--secret-env", "EXPLAIN_TEST_SECRET"];
    [&key[..], &["--region", "us-east-1", "--service", "s3"], now, arguments].concat()
}

fn piped(arguments: &[&str], request: &str) -> Output {
    run(&common(arguments), request)
}

/// One of the suite's requests.
fn explain(arguments: &[&str], file: &Path) -> Output {
    let key = ["--json", "--access-key", "AKIDEXAMPLE", "--secret-env", "EXPLAIN_TEST_SECRET"];
    let service = ["--region", "us-east-1", "--service", "service", "--now", NOW];
    run(&[&key[..], &service, arguments, &[file.to_str().unwrap()]].concat(), "")
}

fn run(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(EXPLAIN);
    command.args(arguments).env("EXPLAIN_TEST_SECRET", SECRET);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whoever reads files, or ends at once, does not read this.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn told(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim())
        .unwrap_or_else(|_| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)))
}

/// In the sources of aws-sigv4.
fn suite() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "aws-sigv4").unwrap();
    PathBuf::from(package["manifest_path"].as_str().unwrap()).with_file_name("aws-signing-test-suite")
}
