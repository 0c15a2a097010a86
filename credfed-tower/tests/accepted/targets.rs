//! Paths and queries: the inner service sees the bytes of the wire, whatever their spelling.

use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode, Uri};

use super::support::wire::{Front, head_of};
use super::support::{Signer, layer, origin_form, run};
use super::{HOST, Http2, assert_ok, sign, url};

/// Sends `wire`, signed as `canonical`, over a bare socket and over HTTP/2.
async fn both(front: &Front, signed: &Request<Bytes>, wire: &str) {
    let parts = origin_form(signed.clone()).into_parts().0;
    assert_ok(&front.raw(&head_of(&parts, wire, &[])).await, wire);
    let mut request = signed.clone();
    *request.uri_mut() = format!("http://{HOST}{wire}").parse().expect("a target");
    let (status, answer) = front.send(Http2, request).await;
    assert_eq!(status, StatusCode::OK, "{wire}: {answer}");
    let calls = front.calls();
    assert_eq!(calls.len(), 2);
    for Parts { uri, .. } in calls.into_iter().map(|call| call.head) {
        assert_eq!(uri.path_and_query().unwrap().as_str(), wire);
    }
}

#[test]
fn paths_of_s3_are_accepted_in_every_spelling() {
    run(async {
        let front = Front::new(layer()).await;
        for (wire, canonical) in [
            ("/", "/"),
            ("/bucket", "/bucket"),
            ("/bucket/", "/bucket/"),
            ("//bucket/key", "//bucket/key"),
            ("/bucket//a///b/", "/bucket//a///b/"),
            ("/bucket/.", "/bucket/."),
            ("/bucket/./a/../b", "/bucket/./a/../b"),
            ("/bucket/..", "/bucket/.."),
            ("/bucket/...", "/bucket/..."),
            // Raw reserved characters.
            ("/bucket/!$&'()*+,;=:@", "/bucket/%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A%40"),
            ("/bucket/a+b", "/bucket/a%2Bb"),
            ("/bucket/~a*b", "/bucket/~a%2Ab"),
            // Escapes, in either case and of what need not be escaped.
            ("/bucket/a%2Bb", "/bucket/a%2Bb"),
            ("/bucket/a%2Fb", "/bucket/a%2Fb"),
            ("/bucket/a%2fb%2b", "/bucket/a%2Fb%2B"),
            ("/bucket/a%20b%7Ec%41", "/bucket/a%20b~cA"),
            ("/bucket/a%23b%3Fc", "/bucket/a%23b%3Fc"),
            ("/bucket/%e1%88%b4", "/bucket/%E1%88%B4"),
            ("/bucket/%E1%88%B4", "/bucket/%E1%88%B4"),
            ("/bucket/100%25", "/bucket/100%25"),
            ("/bucket/a%2520b", "/bucket/a%2520b"),
            ("/bucket/%ff%FE", "/bucket/%FF%FE"),
        ] {
            let signed = sign(Request::get(url(canonical)));
            both(&front, &signed, wire).await;
        }
    });
}

/// A key as its bytes; HTTP does not allow them, and some clients send them all the same.
#[test]
fn raw_unicode_in_a_path_is_accepted() {
    run(async {
        let front = Front::new(layer()).await;
        let signed = sign(Request::get(url("/bucket/%E1%88%B4")));
        both(&front, &signed, "/bucket/\u{1234}").await;
    });
}

#[test]
fn queries_are_accepted_in_every_spelling() {
    run(async {
        let front = Front::new(layer()).await;
        for (wire, canonical) in [
            ("uploads", "uploads"),
            ("uploads=", "uploads"),
            ("uploads", "uploads="),
            ("list-type=2&prefix=a/b&delimiter=/", "delimiter=%2F&list-type=2&prefix=a%2Fb"),
            ("prefix=a+b", "prefix=a%20b"),
            ("prefix=a%2Bb", "prefix=a%2Bb"),
            ("a=2&a=1&a=1", "a=1&a=2&a=1"),
            ("B=1&a=2&b=3", "b=3&B=1&a=2"),
            ("a-b=1&a=2", "a=2&a-b=1"),
            ("x-id=GetObject&partNumber=2", "partNumber=2&x-id=GetObject"),
            ("k=v=w", "k=v%3Dw"),
            ("k=%7Eok%e1%88%b4", "k=~ok%E1%88%B4"),
            ("k=!*'();:@$,?", "k=%21%2A%27%28%29%3B%3A%40%24%2C%3F"),
            ("a=1&&b=2&", "a=1&b=2"),
        ] {
            let signed = sign(Request::get(url(&format!("/bucket/?{canonical}"))));
            both(&front, &signed, &format!("/bucket/?{wire}")).await;
        }
    });
}

fn presigned(target: &str) -> Request<Bytes> {
    let signer = Signer { presign: Some(Duration::from_secs(60)), token: None, ..Signer::default() };
    let request = Request::get(url(target)).header("range", "bytes=0-9").body(Bytes::new()).unwrap();
    signer.sign(request, SignableBody::UnsignedPayload)
}

#[test]
fn presigned_parameters_are_accepted_raw_and_in_any_order() {
    run(async {
        let front = Front::new(layer()).await;
        let signed = presigned("/bucket/key?x-id=GetObject");
        let query = signed.uri().query().unwrap().to_owned();
        assert!(query.contains("X-Amz-SignedHeaders=host%3Brange") && query.contains("%2Fs3%2F"));
        let mut reversed: Vec<_> = query.split('&').collect();
        reversed.reverse();
        for wire in [
            query.replace("%3B", ";"),
            query.replace("%2F", "/"),
            query.replace("%3B", "%3b").replace("%2F", "%2f"),
            reversed.join("&"),
        ] {
            assert_ne!(wire, query);
            both(&front, &signed, &format!("/bucket/key?{wire}")).await;
        }
    });
}

#[test]
fn hoisted_parameters_are_accepted_in_any_case() {
    run(async {
        let front = Front::new(layer()).await;
        let signed = presigned("/bucket/key?X-Amz-Acl=private&x-amz-meta-note=a%20b&x-id=GetObject");
        let target = signed.uri().path_and_query().unwrap().as_str().to_owned();
        both(&front, &signed, &target).await;
        both(&front, &signed, &target.replace("a%20b", "a+b")).await;
    });
}

/// Absolute form is origin form with the host before it; nothing else changes.
#[test]
fn an_absolute_target_is_accepted_where_it_names_the_host_and_refused_elsewhere() {
    run(async {
        let front = Front::new(layer()).await;
        let parts = origin_form(sign(Request::get(url("/bucket/key?x=1")))).into_parts().0;
        for (authority, accepted) in [
            (HOST, true),
            ("FILES.example.org", true),
            ("files.example.org:80", true),
            ("files.example.org:443", false),
            ("files.example.org:8080", false),
            ("files.example.org.", false),
            ("evil.example.org", false),
            ("user@files.example.org", false),
        ] {
            let target = format!("http://{authority}/bucket/key?x=1");
            let answer = front.raw(&head_of(&parts, &target, &[])).await;
            let calls = front.calls();
            if accepted {
                assert_ok(&answer, authority);
                let uri: &Uri = &calls[0].head.uri;
                assert_eq!(uri.path_and_query().unwrap(), "/bucket/key?x=1");
            } else {
                assert!(answer.starts_with("HTTP/1.1 400 "), "{authority}: {answer}");
                assert!(calls.is_empty(), "{authority}");
            }
        }
    });
}
