//! What is judged here is what a server of other people's making would act on: s3s reads the same request and must
//! come to the same bucket and key, whatever the spelling.

use http::Request;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use s3s::dto::CopySource;
use s3s::path::{S3Path, parse_path_style};

use super::*;

/// Few letters, so that dots, slashes and escapes of both meet often.
const SPELLING: &str = "(/|//|\\.|\\.\\.|a|b|%2[fF]|%2[eE]|%25|%5[cC]|%00|%C3%BC|\\+|%|;){0,12}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_path_means_the_same_object(start in "/(bucket|other)?", rest in SPELLING) {
        let target = format!("{start}{rest}");
        let Ok(request) = Request::get(&target).body(()) else { return Ok(()) };
        let parts = request.into_parts().0;
        let Ok(needs) = of(&parts) else { return Ok(()) };
        let decoded = percent_decode_str(parts.uri.path()).decode_utf8().unwrap();
        let judged = match parse_path_style(&decoded).unwrap() {
            S3Path::Root => Need::ListBuckets,
            S3Path::Bucket { bucket } => reading(&bucket, None),
            S3Path::Object { bucket, key } => reading(&bucket, Some(&key)),
        };
        prop_assert_eq!(needs, vec![judged]);
    }

    #[test]
    fn a_copy_source_means_the_same_object(start in "/?(bucket|other)?", rest in SPELLING, tail in "(\\?versionId=[a/%.]{0,3})?") {
        let source = format!("{start}{rest}{tail}");
        let Ok(request) = Request::put("/bucket/k").header("x-amz-copy-source", &source).body(()) else {
            return Ok(());
        };
        let Ok(needs) = of(&request.into_parts().0) else { return Ok(()) };
        match CopySource::parse(&source) {
            Ok(CopySource::Bucket { bucket, key, .. }) => {
                prop_assert!(needs.contains(&reading(&bucket, Some(&key))), "{needs:?}");
            }
            other => prop_assert!(other.is_err(), "{other:?}"),
        }
    }
}

/// The need to read that key, or to list that bucket.
fn reading(bucket: &str, key: Option<&str>) -> Need {
    let bucket = BucketName::parse(bucket).unwrap();
    match key {
        Some(key) => {
            let extent = Extent::Key(ObjectKey::parse(key.to_owned()).unwrap());
            Need::In { bucket, action: Action::Read, extent }
        }
        None => Need::In { bucket, action: Action::List, extent: Extent::Prefix(KeyPrefix::default()) },
    }
}
