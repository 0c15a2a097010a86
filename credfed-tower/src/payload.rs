//! What is known of a payload before it is read, and what a head says of one that was decoded.

#[cfg(feature = "verify")]
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};

/// The SHA-256 of the payload, in the extensions of a request.
///
/// [`VerifySigV4Layer`](crate::VerifySigV4Layer) leaves it there when the caller declared and signed it, and its
/// [`VerifiedBody`](crate::VerifiedBody) enforces it. [`SignSigV4Layer`](crate::SignSigV4Layer) signs it on, so that
/// an upstream enforces it too while the body streams. A client may set it on its own requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadSha256(pub [u8; 32]);

/// The length of a payload that was `aws-chunked` on the wire and is decoded, in the extensions of a request.
///
/// [`VerifySigV4Layer`](crate::VerifySigV4Layer) leaves it there. [`strip_credentials`](crate::strip_credentials) then
/// takes off what only described the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodedLength(pub u64);

/// Makes a head true for the decoded body: `Content-Length`, where there is one, is the body's own, and
/// `Content-Encoding` says `aws-chunked` no more.
#[cfg(feature = "verify")]
pub(crate) fn describe_decoded(headers: &mut HeaderMap, DecodedLength(length): DecodedLength) {
    if headers.contains_key(CONTENT_LENGTH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"aws-chunked");
    let codings = |value: &HeaderValue| {
        let codings = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        codings.map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let rest: Vec<_> = headers.get_all(CONTENT_ENCODING).iter().flat_map(codings).collect();
    if !rest.iter().any(|coding| is_chunked(coding)) {
        return;
    }
    let rest: Vec<_> = rest.into_iter().filter(|coding| !coding.is_empty() && !is_chunked(coding)).collect();
    match HeaderValue::from_bytes(&rest.join(&b", "[..])) {
        Ok(rest) if !rest.is_empty() => drop(headers.insert(CONTENT_ENCODING, rest)),
        _ => drop(headers.remove(CONTENT_ENCODING)),
    }
}

#[cfg(all(test, feature = "verify"))]
mod tests {
    use super::*;

    fn described(encodings: &[&'static str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for encoding in encodings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        describe_decoded(&mut headers, DecodedLength(5));
        assert!(!headers.contains_key(CONTENT_LENGTH), "none where there was none");
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.get_all(CONTENT_ENCODING).iter().map(text).collect()
    }

    #[test]
    fn the_other_codings_stay_in_their_order() {
        let none: [&str; 0] = [];
        assert_eq!(described(&[]), none);
        assert_eq!(described(&["aws-chunked"]), none);
        assert_eq!(described(&["AWS-Chunked,"]), none);
        assert_eq!(described(&["gzip,aws-chunked"]), ["gzip"]);
        assert_eq!(described(&["aws-chunked , gzip"]), ["gzip"]);
        assert_eq!(described(&["br", "aws-chunked", "gzip"]), ["br, gzip"]);
        assert_eq!(described(&["gzip", "br"]), ["gzip", "br"]);
    }
}
