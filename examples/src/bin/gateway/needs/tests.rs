//! Every need is written as `action extent@bucket`, so that a case is a line.

use http::Request;

use super::*;

fn parts(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn needs_with(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Vec<Need>, Unclear> {
    of(&parts(method, target, headers))
}

fn needs(method: &str, target: &str) -> Result<Vec<Need>, Unclear> {
    needs_with(method, target, &[])
}

fn on(bucket: &str, action: Action, extent: Extent) -> Need {
    Need::In { bucket: BucketName::parse(bucket).unwrap(), action, extent }
}

fn key(action: Action, key: &str) -> Need {
    on("bucket", action, Extent::Key(ObjectKey::parse(key.to_owned()).unwrap()))
}

fn listing(prefix: &str) -> Need {
    on("bucket", Action::List, Extent::Prefix(KeyPrefix::parse(prefix.to_owned()).unwrap()))
}

fn whole(action: Action) -> Need {
    on("bucket", action, Extent::Everything)
}

const PRESIGNED: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k%2F20260101%2Fr%2Fs3%2Faws4_request\
    &X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host;range&X-Amz-Signature=00";

#[test]
fn an_object_is_read_written_and_deleted() {
    use Action::{Delete, Read, Write};
    for (method, target, action) in [
        ("GET", "/bucket/a/b", Read),
        ("HEAD", "/bucket/a/b?versionId=1", Read),
        ("GET", "/bucket/a/b?tagging", Read),
        ("GET", "/bucket/a/b?response-content-type=text%2Fplain&x-id=GetObject", Read),
        ("PUT", "/bucket/a/b", Write),
        ("PUT", "/bucket/a/b?partNumber=1&uploadId=x", Write),
        ("POST", "/bucket/a/b?uploads", Write),
        ("POST", "/bucket/a/b?uploadId=x", Write),
        ("POST", "/bucket/a/b?select&select-type=2", Read),
        ("DELETE", "/bucket/a/b", Delete),
        ("DELETE", "/bucket/a/b?versionId=1", Delete),
        ("DELETE", "/bucket/a/b?uploadId=x", Write),
    ] {
        assert_eq!(needs(method, target), Ok(vec![key(action, "a/b")]), "{method} {target}");
    }
}

#[test]
fn an_unknown_parameter_needs_administer_on_top() {
    use Action::{Administer, Read, Write};
    assert_eq!(needs("GET", "/bucket/k?lambdaArn=x"), Ok(vec![key(Read, "k"), key(Administer, "k")]));
    assert_eq!(needs("PUT", "/bucket/k?acl"), Ok(vec![key(Write, "k"), key(Administer, "k")]));
    assert_eq!(needs("PUT", "/bucket/k?%61cl"), Ok(vec![key(Write, "k"), key(Administer, "k")]));
    assert_eq!(needs("PUT", "/bucket/k?append&position=0"), Ok(vec![key(Write, "k"), key(Administer, "k")]));
    assert_eq!(needs("POST", "/bucket/k?restore"), Ok(vec![key(Write, "k"), key(Administer, "k")]));
    assert_eq!(needs("GET", "/bucket?policy"), Ok(vec![listing(""), whole(Administer)]));
    assert_eq!(needs("GET", "/bucket?Prefix=a"), Ok(vec![listing(""), whole(Administer)]));
    assert_eq!(needs("PUT", "/bucket"), Ok(vec![whole(Administer)]));
    assert_eq!(needs("DELETE", "/bucket/"), Ok(vec![whole(Administer)]));
}

#[test]
fn aborting_an_upload_needs_no_delete_unless_it_could_delete() {
    use Action::{Delete, Write};
    assert_eq!(
        needs("DELETE", "/bucket/k?uploadId="),
        Ok(vec![key(Delete, "k"), key(Action::Administer, "k")])
    );
    assert_eq!(
        needs("DELETE", "/bucket/k?uploadId=x&versionId=1").unwrap()[..2],
        [key(Write, "k"), key(Delete, "k")]
    );
    assert_eq!(needs("DELETE", "/bucket/k?uploadId=x&uploadId="), Err(Unclear::Query));
}

#[test]
fn several_selectors_need_what_each_needs() {
    use Action::{Administer, Delete, Read, Write};
    let posted = needs("POST", "/bucket/k?select&uploads").unwrap();
    assert!(posted.contains(&key(Read, "k")) && posted.contains(&key(Write, "k")));
    let deleted = needs("POST", "/bucket?delete&policy").unwrap();
    assert!(deleted.contains(&whole(Delete)) && deleted.contains(&whole(Administer)));
    assert_eq!(needs("POST", "/bucket?delete"), Ok(vec![whole(Delete)]));
    assert_eq!(needs("POST", "/bucket"), Ok(vec![whole(Administer), whole(Write)]));
}

#[test]
fn a_list_needs_its_prefix_decoded_once() {
    assert_eq!(needs("GET", "/bucket"), Ok(vec![listing("")]));
    assert_eq!(needs("GET", "/bucket/?list-type=2&delimiter=%2F"), Ok(vec![listing("")]));
    assert_eq!(needs("GET", "/bucket?list-type=2&prefix=a%2Fb+c%20d%2B"), Ok(vec![listing("a/b c d+")]));
    assert_eq!(needs("GET", "/bucket?versions&prefix=a%252F"), Ok(vec![listing("a%2F")]));
    assert_eq!(needs("GET", "/bucket?%70refix=a"), Ok(vec![listing("a")]));
    let doubled = KeyPrefix::asked("a//".to_owned()).unwrap();
    let doubled = on("bucket", Action::List, Extent::Prefix(doubled));
    assert_eq!(needs("GET", "/bucket?prefix=a%2F%2F"), Ok(vec![doubled]));
    assert_eq!(needs("GET", "/bucket?location"), Ok(vec![listing("")]));
    assert_eq!(needs("HEAD", "/bucket"), Ok(vec![on("bucket", Action::List, Extent::Existence)]));
    for twofold in [
        "prefix=a%2F&prefix=b%2F",
        "prefix=a%2F&%70refix=b",
        "prefix=a%2F;prefix=b",
        "prefix=a%2F..%2Fb",
        "prefix=%2Fa",
        "prefix=a%2F%2F..%2Fb",
        "prefix=%ff",
        "prefix=a%00",
        "list-type=2&list-type=1&prefix=a",
    ] {
        assert_eq!(needs("GET", &format!("/bucket?{twofold}")), Err(Unclear::Query), "{twofold}");
    }
}

#[test]
fn a_path_with_two_readings_is_refused() {
    for path in [
        "//bucket/k",
        "/bucket//",
        "/bucket//k",
        "/bucket/a//../k",
        "/bucket/../other/k",
        "/bucket/a/%2e%2e/k",
        "/bucket/a/..%2Fk",
        "/bucket/a%2F..%2F..%2Fother",
        "/bucket/a%5C..%5Ck",
        "/bucket%2Fk",
        "/%62ucket/k",
        "/./bucket/k",
        "/../bucket",
        "/bucket/.",
        "/bucket/%2Fetc",
        "/bucket/%00",
        "/bucket/%zz",
        "/bucket/%ff",
        "/arn:aws:s3:us-east-1:1:accesspoint/k",
    ] {
        assert_eq!(needs("GET", path), Err(Unclear::Path), "{path}");
    }
}

#[test]
fn an_escaped_slash_is_part_of_the_key_that_is_judged() {
    assert_eq!(needs("GET", "/bucket/public%2Fk"), Ok(vec![key(Action::Read, "public/k")]));
    assert_eq!(needs("GET", "/bucket/public%252Fk"), Ok(vec![key(Action::Read, "public%2Fk")]));
}

#[test]
fn an_empty_segment_within_a_key_is_part_of_it() {
    assert_eq!(needs("GET", "/bucket/a//k"), Ok(vec![key(Action::Read, "a//k")]));
    assert_eq!(needs("GET", "/bucket/a%2F/k"), Ok(vec![key(Action::Read, "a//k")]));
    assert_eq!(needs("DELETE", "/bucket/a//"), Ok(vec![key(Action::Delete, "a//")]));
    let copied = needs_with("PUT", "/bucket/k", &[("x-amz-copy-source", "other/a//b")]);
    let source = Extent::Key(ObjectKey::parse("a//b".to_owned()).unwrap());
    assert_eq!(copied, Ok(vec![key(Action::Write, "k"), on("other", Action::Read, source)]));
}

#[test]
fn a_copy_reads_its_source() {
    let source =
        |name: &str| on("other", Action::Read, Extent::Key(ObjectKey::parse(name.to_owned()).unwrap()));
    for value in
        ["other/a/b", "/other/a/b", "other%2Fa%2Fb", "%2Fother%2Fa%2Fb", "other/a%2fb?versionId=v.1_"]
    {
        let expected = Ok(vec![key(Action::Write, "k"), source("a/b")]);
        let header = [("x-amz-copy-source", value)];
        assert_eq!(needs_with("PUT", "/bucket/k", &header), expected, "{value}");
        let part = needs_with("PUT", "/bucket/k?partNumber=1&uploadId=x", &header);
        assert_eq!(part, expected, "{value}");
    }
    let both = needs_with("PUT", "/bucket/k", &[("x-amz-copy-source", "other/a+b")]);
    assert_eq!(both, Ok(vec![key(Action::Write, "k"), source("a+b"), source("a b")]));
    let odd_method = needs_with("GET", "/bucket/k", &[("x-amz-copy-source", "other/a")]);
    assert_eq!(odd_method, Ok(vec![key(Action::Read, "k"), source("a")]));
}

#[test]
fn a_copy_source_with_two_readings_is_refused() {
    for value in [
        "",
        "/",
        "other",
        "other/",
        "//other/a",
        "/%2Fother/a",
        "other//a",
        "other/a/../b",
        "other/a%2F..%2Fb",
        "oth%65r%252Fa/b",
        "other/a?versionId=1&x=2",
        "other/a?versionId=1/../b",
        "other/a?acl",
        "other/a?",
        "other/%zz",
        "arn:aws:s3:us-east-1:123456789012:accesspoint/p/object/k",
        "https://other/a",
    ] {
        let refused = needs_with("PUT", "/bucket/k", &[("x-amz-copy-source", value)]);
        assert_eq!(refused, Err(Unclear::CopySource), "{value}");
    }
    let twice = [("x-amz-copy-source", "other/a"), ("x-amz-copy-source", "other/b")];
    assert_eq!(needs_with("PUT", "/bucket/k", &twice), Err(Unclear::Header));
}

#[test]
fn hoisted_parameters_act_as_headers() {
    let copied = needs("PUT", &format!("/bucket/k?{PRESIGNED}&X-Amz-Copy-Source=other%2Fa"));
    let source = on("other", Action::Read, Extent::Key(ObjectKey::parse("a".to_owned()).unwrap()));
    assert_eq!(copied, Ok(vec![key(Action::Write, "k"), source]));
    let shared = needs("PUT", &format!("/bucket/k?{PRESIGNED}&x-amz-acl=public-read"));
    assert_eq!(shared, Ok(vec![key(Action::Write, "k"), key(Action::Administer, "k")]));
    assert_eq!(needs("GET", &format!("/bucket/k?{PRESIGNED}")), Ok(vec![key(Action::Read, "k")]));
    assert_eq!(needs("PUT", "/bucket/k?x-amz-copy-source=other%2Fa"), Err(Unclear::Query));
    let twofold = needs_with(
        "PUT",
        &format!("/bucket/k?{PRESIGNED}&x-amz-copy-source=other%2Fa"),
        &[("x-amz-copy-source", "other/b")],
    );
    assert_eq!(twofold, Err(Unclear::Header));
}

#[test]
fn headers_that_reach_further_need_more() {
    use Action::{Administer, Write};
    for header in [
        ("x-amz-acl", "public-read"),
        ("x-amz-grant-read", "uri=everyone"),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-bypass-governance-retention", "true"),
    ] {
        let found = needs_with("PUT", "/bucket/k", &[header]);
        assert_eq!(found, Ok(vec![key(Write, "k"), key(Administer, "k")]), "{header:?}");
    }
    assert_eq!(needs_with("PUT", "/bucket/k", &[("x-amz-acl", "private")]), Ok(vec![key(Write, "k")]));
    let unpacked = needs_with("PUT", "/bucket/k", &[("x-amz-meta-snowball-auto-extract", "true")]);
    assert_eq!(unpacked, Ok(vec![key(Write, "k"), whole(Administer)]));
    let unlocked = needs_with("POST", "/bucket?delete", &[("x-amz-bypass-governance-retention", "true")]);
    assert_eq!(unlocked, Ok(vec![whole(Action::Delete), whole(Administer)]));
    for name in [
        "x_amz_copy_source",
        "x-amz_acl",
        "x_http_method_override",
        "x-http-method-override",
        "x-rewrite-url",
        "x-amz-rename-source",
        "x-minio-force-delete",
    ] {
        assert_eq!(needs_with("PUT", "/bucket/k", &[(name, "x")]), Err(Unclear::Header), "{name}");
    }
}

#[test]
fn the_service_lists_buckets_and_nothing_else() {
    assert_eq!(needs("GET", "/"), Ok(vec![Need::ListBuckets]));
    assert_eq!(needs("GET", "/?x-id=ListBuckets&max-buckets=5"), Ok(vec![Need::ListBuckets]));
    for (method, target) in
        [("POST", "/"), ("GET", "/?Action=AssumeRole"), ("HEAD", "/"), ("PUT", "/"), ("DELETE", "/?delete")]
    {
        assert_eq!(needs(method, target), Err(Unclear::Service), "{method} {target}");
    }
}

#[test]
fn other_methods_are_refused() {
    for method in ["OPTIONS", "PATCH", "TRACE", "COPY", "get"] {
        assert_eq!(needs(method, "/bucket/k"), Err(Unclear::Method), "{method}");
        assert_eq!(needs(method, "/bucket"), Err(Unclear::Method), "{method}");
    }
}

#[test]
fn user_metadata_may_have_any_name_but_the_one_that_acts() {
    for name in ["x-amz-meta-my_key", "x-amz-meta-source", "x-amz-meta-data-source"] {
        assert!(needs_with("PUT", "/bucket/k", &[(name, "v")]).is_ok(), "{name}");
    }
    assert!(needs_with("PUT", "/bucket/k", &[("x-amz-meta-snowball_auto-extract", "true")]).is_err());
    assert!(needs_with("PUT", "/bucket/k", &[("x-amz-meta_k", "true")]).is_err());
}
