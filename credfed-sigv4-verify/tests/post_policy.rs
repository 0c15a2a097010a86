//! Every field by the policy (N21), and what the client is told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use credfed_sigv4_verify::{PolicyFault, PostFault, Protocol, Reason};
use support::post::{Unsigned, exact, starts_with};

fn failed(operator: &'static str, name: &str) -> Result<(), Reason> {
    Err(Reason::PolicyCondition { operator, name: name.into() })
}

fn extra(name: &str) -> Result<(), Reason> {
    Err(Reason::ExtraInputField(name.into()))
}

#[test]
fn n21_a_key_outside_of_its_prefix_is_refused() {
    let condition = starts_with("key", "user/a/");
    let verdict = |key: &str| Unsigned::keyed(key, &condition).sign().verdict();
    assert_eq!(verdict("user/a/photo"), Ok(()));
    assert_eq!(verdict("user/a/"), Ok(()));
    for key in ["user/b/photo", "user/A/photo", "user/a", "/user/a/photo", "x", " user/a/photo"] {
        assert_eq!(verdict(key), failed("starts-with", "key"), "{key}");
    }
    let exact = Unsigned::new().sign();
    assert_eq!(exact.verdict(), Ok(()));
    assert_eq!(exact.with("key", "user/photo.jpgx").verdict(), failed("eq", "key"));
}

#[test]
fn a_key_is_judged_with_the_files_name_in_place() {
    let form = Unsigned::keyed("${filename}", &starts_with("key", "user/"));
    for (name, judged) in [("user/x", "x"), ("x", "x"), ("user\\x", "x")] {
        let refused = form.sign().filename(Some(name)).verdict();
        assert_eq!(refused, failed("starts-with", "key"), "{judged}");
    }
    let form = Unsigned::keyed("user/${filename}/${filename}", &exact("key", "user/b/b"));
    let verified = form.sign().filename(Some("a/b")).verify().unwrap();
    assert_eq!(verified.object().key(), "user/b/b");
    assert_eq!(form.sign().filename(Some("c")).verdict(), failed("eq", "key"));
    // Only once: what comes in by the name is text.
    let form = Unsigned::keyed("user/${filename}", &starts_with("key", "user/"));
    let verified = form.sign().filename(Some("${filename}")).verify().unwrap();
    assert_eq!(verified.object().key(), "user/${filename}");
}

#[test]
fn other_fields_are_judged_with_the_files_name_in_place_too() {
    let form =
        Unsigned::new().field("x-amz-meta-name", "${filename}").condition(&exact("x-amz-meta-name", "a.jpg"));
    let verified = form.sign().filename(Some("a.jpg")).verify().unwrap();
    assert_eq!(verified.object().field("x-amz-meta-name"), Some("a.jpg"));
    assert_eq!(form.sign().filename(Some("b.jpg")).verdict(), failed("eq", "x-amz-meta-name"));
}

#[test]
fn n21_a_field_that_no_condition_covers_is_refused() {
    let sent = Unsigned::new().sign();
    for name in
        ["acl", "Content-Type", "x-amz-meta-a", "success_action_redirect", "x-amz-copy-source", "tagging"]
    {
        assert_eq!(sent.clone().with(name, "x").verdict(), extra(&name.to_lowercase()), "{name}");
    }
    // The size of the file is not the field of that name.
    let form =
        Unsigned::new().condition(r#"["content-length-range",0,10]"#).field("content-length-range", "5");
    assert_eq!(form.sign().verdict(), extra("content-length-range"));
}

#[test]
fn fields_to_be_ignored_need_no_condition_and_reach_nobody() {
    let form = Unsigned::new().field("x-ignore-a", "b").field("X-IGNORE-", "c").exactly("acl", "private");
    let verified = form.sign().verify().unwrap();
    assert_eq!(verified.object().fields().collect::<Vec<_>>(), [("acl", "private")]);
    assert_eq!(Unsigned::new().field("x-ignor", "b").sign().verdict(), extra("x-ignor"));
}

#[test]
fn every_condition_has_to_be_met() {
    let form = Unsigned::new().field("acl", "private");
    let both = form.clone().condition(&exact("acl", "private")).condition(&starts_with("acl", "pri"));
    assert_eq!(both.sign().verdict(), Ok(()));
    let one = form.clone().condition(&exact("acl", "private")).condition(&starts_with("acl", "pub"));
    assert_eq!(one.sign().verdict(), failed("starts-with", "acl"));
    let other = form.condition(&starts_with("acl", "")).condition(r#"["eq","$acl","Private"]"#);
    assert_eq!(other.sign().verdict(), failed("eq", "acl"));
}

#[test]
fn a_condition_on_a_field_that_is_absent_is_not_met() {
    for (condition, operator) in [
        (exact("acl", "private"), "eq"),
        (exact("acl", ""), "eq"),
        (starts_with("acl", "pri"), "starts-with"),
        (starts_with("acl", ""), "starts-with"),
    ] {
        let refused = Unsigned::new().condition(&condition).sign().verdict();
        assert_eq!(refused, failed(operator, "acl"), "{condition}");
    }
    // There, and empty.
    let empty = Unsigned::new().field("acl", "").condition(&starts_with("acl", ""));
    assert_eq!(empty.sign().verdict(), Ok(()));
}

#[test]
fn n21_the_bucket_is_the_urls_and_has_to_be_covered() {
    let sent = Unsigned::new().sign();
    assert_eq!(sent.clone().for_bucket("other").verdict(), failed("eq", "bucket"));
    // A field of that name changes nothing.
    assert_eq!(sent.clone().with("bucket", "bucket").verdict(), Ok(()));
    assert_eq!(sent.clone().with("bucket", "other").verdict(), failed("eq", "bucket"));
    assert_eq!(sent.for_bucket("other").with("bucket", "bucket").verdict(), failed("eq", "bucket"));
    let mut uncovered = Unsigned::new();
    uncovered.conditions.retain(|condition| !condition.contains("bucket"));
    assert_eq!(uncovered.sign().verdict(), extra("bucket"));
    assert_eq!(uncovered.condition(&starts_with("bucket", "buck")).sign().verdict(), Ok(()));
}

#[test]
fn every_element_of_a_list_of_types_has_to_start_so() {
    let verdict = |value: &str| {
        Unsigned::new()
            .field("Content-Type", value)
            .condition(&starts_with("Content-Type", "image/"))
            .sign()
            .verdict()
    };
    for value in ["image/png", "image/", "image/jpg,image/png,image/gif"] {
        assert_eq!(verdict(value), Ok(()), "{value}");
    }
    for value in ["", "text/html", "image/png,text/html", "image/png,", ",image/png", "image/png, image/gif"]
    {
        assert_eq!(verdict(value), failed("starts-with", "content-type"), "{value}");
    }
    let other = Unsigned::new().field("Expires", "a,b").condition(&starts_with("Expires", "a"));
    assert_eq!(other.sign().verdict(), Ok(()));
}

#[test]
fn n21_a_file_outside_of_its_size_range_is_refused() {
    let form = Unsigned::new().condition(r#"["content-length-range",5,10]"#);
    for size in [5, 7, 10] {
        assert_eq!(form.sign().size(size).verdict(), Ok(()));
    }
    for size in [0, 4] {
        assert_eq!(form.sign().size(size).verdict(), Err(Reason::UploadTooSmall { least: 5 }));
    }
    for size in [11, u64::MAX] {
        assert_eq!(form.sign().size(size).verdict(), Err(Reason::UploadTooLarge { most: 10 }));
    }
}

#[test]
fn a_file_of_unknown_size_is_judged_as_it_comes() {
    let form = Unsigned::new().condition(r#"["content-length-range",5,10]"#);
    let check = || form.sign().verify().unwrap().into_parts().1;
    let mut fitting = check();
    assert_eq!((fitting.add(5), fitting.add(5)), (Ok(()), Ok(())));
    assert_eq!(fitting.finish(), Ok(()));
    let mut small = check();
    assert_eq!(small.add(4), Ok(()));
    assert_eq!(small.finish(), Err(Reason::UploadTooSmall { least: 5 }));
    let mut large = check();
    let too_large = Err(Reason::UploadTooLarge { most: 10 });
    assert_eq!((large.add(10), large.add(1)), (Ok(()), too_large.clone()));
    assert_eq!(large.add(u64::MAX), too_large);
    assert_eq!(large.finish(), too_large);
}

#[test]
fn several_size_ranges_hold_together() {
    let form = Unsigned::new()
        .condition(r#"["content-length-range",0,10]"#)
        .condition(r#"["content-length-range","5","20"]"#);
    assert_eq!(form.sign().verify().unwrap().size(), 5..=10);
    let none = Unsigned::new().condition(r#"["content-length-range",10,5]"#);
    for size in [0, 5, 7, 10] {
        assert!(none.sign().size(size).verdict().is_err());
    }
}

#[test]
fn credential_date_algorithm_and_token_are_matched_exactly() {
    for name in ["x-amz-credential", "x-amz-date", "x-amz-algorithm", "x-amz-security-token"] {
        // In place of the exact match, and beside it.
        let form = Unsigned::new().token(support::TOKEN);
        let json = form.json();
        let beside = form.clone().condition(&starts_with(name, ""));
        for sent in [form.sign_json(&replaced(&json, name)), beside.sign()] {
            let refused = sent.verify_by(&support::s3(), &support::session_key()).map(drop);
            assert_eq!(refused, Err(Reason::PolicyDocument(PolicyFault::NotExact)), "{name}");
        }
        let dropped = form.sign_json(&without(&json, name));
        let refused = dropped.verify_by(&support::s3(), &support::session_key()).map(drop);
        assert_eq!(refused, extra(name), "{name}");
    }
}

fn replaced(json: &str, name: &str) -> String {
    conditions(json, name, Some(&starts_with(name, "")))
}

fn without(json: &str, name: &str) -> String {
    conditions(json, name, None)
}

/// The document with another condition, or none, in place of the one on `name`.
fn conditions(json: &str, name: &str, other: Option<&str>) -> String {
    let mut document: serde_json::Value = serde_json::from_str(json).unwrap();
    let conditions = document["conditions"].as_array_mut().unwrap();
    conditions.retain(|condition| condition.get(name).is_none());
    conditions.extend(other.map(|json| serde_json::from_str(json).unwrap()));
    document.to_string()
}

#[test]
fn n21_repeated_members_of_the_policy_are_refused() {
    let form = Unsigned::new();
    let json = form.json();
    let repeated = Err(Reason::PolicyDocument(PolicyFault::Structure));
    let expiration = json.replacen('{', r#"{"expiration":"2099-01-01T00:00:00Z","#, 1);
    let conditions = json.replacen('{', r#"{"conditions":[],"#, 1);
    let inside = json.replace(r#"{"bucket":"bucket"}"#, r#"{"bucket":"other","bucket":"bucket"}"#);
    for json in [&expiration, &conditions, &inside] {
        assert_ne!(*json, form.json());
        assert_eq!(form.sign_json(json).verdict(), repeated, "{json}");
    }
    assert_eq!(form.sign_json(&json).verdict(), Ok(()));
}

#[test]
fn a_policy_that_reads_in_two_ways_is_refused() {
    let form = Unsigned::new();
    let json = form.json();
    let fault = |fault| Err(Reason::PolicyDocument(fault));
    for (text, reason) in [
        (format!("{json}{{}}"), fault(PolicyFault::Json)),
        (format!("{json}\0"), fault(PolicyFault::Json)),
        (json.replace("]}", ",]}"), fault(PolicyFault::Json)),
        (json.replacen('{', "{\"version\":1,", 1), fault(PolicyFault::Structure)),
        (json.replace("expiration", "Expiration"), fault(PolicyFault::Structure)),
        (json.replace("13:36:00Z", "13:36:00+00:00"), fault(PolicyFault::Expiration)),
        (json.replace("13:36:00Z", "13:36:00"), fault(PolicyFault::Expiration)),
    ] {
        assert_ne!(text, json);
        assert_eq!(form.sign_json(&text).verdict(), reason, "{text}");
    }
    assert_eq!(form.sign_text("").verdict(), fault(PolicyFault::Json));
    assert_eq!(form.sign_text("\u{e9}").verdict(), fault(PolicyFault::Base64));
}

/// As AWS answers, but for the values of conditions, which may be tokens.
#[test]
fn answers_are_those_of_s3() {
    let table = [
        (
            Reason::PostForm(PostFault::Multipart),
            (
                "MalformedPOSTRequest",
                400,
                "The body of your POST request is not well-formed multipart/form-data.",
            ),
        ),
        (
            Reason::PostForm(PostFault::AfterFile),
            ("MalformedPOSTRequest", 400, "The file must be the last field of the form."),
        ),
        (
            Reason::PostForm(PostFault::RepeatedField("acl".into())),
            ("MalformedPOSTRequest", 400, "The field acl is repeated."),
        ),
        (
            Reason::PostForm(PostFault::Enclosure),
            ("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold"),
        ),
        (
            Reason::PostForm(PostFault::MissingField("X-Amz-Signature")),
            (
                "InvalidArgument",
                400,
                "Bucket POST must contain a field named 'X-Amz-Signature'.  If it is specified, please check the order \
                 of the fields.",
            ),
        ),
        (
            Reason::PostForm(PostFault::FileMissing),
            (
                "IncorrectNumberOfFilesInPostRequest",
                400,
                "POST requires exactly one file upload per request.",
            ),
        ),
        (
            Reason::PolicyDocument(PolicyFault::Json),
            ("InvalidPolicyDocument", 400, "Invalid Policy: Invalid JSON."),
        ),
        (Reason::PolicyExpired, ("AccessDenied", 403, "Invalid according to Policy: Policy expired.")),
        (
            Reason::PolicyCondition { operator: "eq", name: "acl".into() },
            (
                "AccessDenied",
                403,
                "Invalid according to Policy: Policy Condition failed: [\"eq\", \"$acl\", ...]",
            ),
        ),
        (
            Reason::ExtraInputField("acl".into()),
            ("AccessDenied", 403, "Invalid according to Policy: Extra input fields: acl"),
        ),
        (
            Reason::UploadTooLarge { most: 10 },
            ("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size"),
        ),
        (
            Reason::UploadTooSmall { least: 5 },
            ("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size"),
        ),
    ];
    for (reason, (code, status, message)) in table {
        let told = (reason.code(Protocol::S3), reason.status(Protocol::S3).as_u16());
        assert_eq!(told, (code, status), "{reason:?}");
        assert_eq!(reason.message(Protocol::S3), message);
        assert!(reason.rule().is_some());
        assert!(!reason.to_string().is_empty());
    }
    assert_eq!(Reason::UploadTooLarge { most: 10 }.fields(), [("MaxSizeAllowed", "10".to_owned())]);
    assert_eq!(Reason::UploadTooSmall { least: 5 }.fields(), [("MinSizeAllowed", "5".to_owned())]);
    let missing = Reason::PostForm(PostFault::MissingField("key")).fields();
    assert_eq!(missing, [("ArgumentName", "key".to_owned()), ("ArgumentValue", String::new())]);
}
