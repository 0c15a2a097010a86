//! POST forms: the fields are read and judged before anything else, the file streams to the inner service.

mod bucket;
mod reader;
mod source;

use http::Method;
use http::header::{self, HeaderName};
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use self::bucket::{InvalidDomain, virtual_hosted_bucket};
pub(super) use self::reader::FormReader;
pub(super) use self::source::{Source, SourceError};

/// The bucket of a path-style URL: `/bucket` or `/bucket/`, and nothing else. For
/// [`VerifySigV4Layer::accept_forms`](super::VerifySigV4Layer::accept_forms).
pub fn path_style_bucket(parts: &Parts) -> Option<Box<str>> {
    let name = parts.uri.path().strip_prefix('/')?;
    let name = name.strip_suffix('/').unwrap_or(name);
    let is_bucket = |byte: u8| is_plain(byte) || byte == b'.';
    (!name.is_empty() && name.bytes().all(is_bucket)).then(|| name.into())
}

/// What names of buckets are made of, dots apart.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether a request looks like a form. What is none of S3's is refused later on.
pub(super) fn is_form(parts: &Parts) -> bool {
    const FORM_DATA: &[u8] = b"multipart/form-data";
    let value = parts.headers.get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
    let is_form_data = value
        .and_then(|value| value.get(..FORM_DATA.len()))
        .is_some_and(|start| start.eq_ignore_ascii_case(FORM_DATA));
    parts.method == Method::POST && is_form_data
}

/// The path of the `PUT` that a form stands for, percent-encoded.
pub(crate) fn object_path(parts: &Parts, key: &str) -> String {
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
    let bucket = parts.uri.path();
    let bucket = bucket.strip_suffix('/').unwrap_or(bucket);
    format!("{bucket}/{}", utf8_percent_encode(key, KEPT))
}

/// Takes off the headers that describe the form and not its file: each of them is a field of the form too, where a policy
/// has to cover it. Of `x-amz-*` only those are left that were exempted.
pub(super) fn strip_enclosure(parts: &mut Parts) {
    let is_of_the_form =
        |name: &&HeaderName| ["content-", "x-amz-"].iter().any(|of| name.as_str().starts_with(of));
    let of_the_form: Vec<_> = parts.headers.keys().filter(is_of_the_form).cloned().collect();
    for name in of_the_form {
        parts.headers.remove(name);
    }
    for name in [
        header::CACHE_CONTROL,
        header::EXPIRES,
        header::TRANSFER_ENCODING,
        header::TRAILER,
        header::EXPECT,
        HeaderName::from_static("digest"),
    ] {
        parts.headers.remove(name);
    }
}
