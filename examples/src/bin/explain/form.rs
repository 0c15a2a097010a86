//! A POST form, as an upload from a browser is: fields, then the file.

use std::convert::Infallible;

use bytes::Bytes;
use credfed_sigv4_verify::{FormFields, PostFault, Reason, Verifier};
use credfed_tower::path_style_bucket;
use http::request::Parts;
use http::{Method, header};
use multer::Multipart;

use crate::raw::Caught;

/// What a form says, and the file that it carries.
pub(crate) struct Form {
    pub(crate) fields: FormFields,
    pub(crate) file: Bytes,
    /// The policy in base64, which is what is signed.
    pub(crate) policy: String,
}

/// Whether `parts` are the head of one: then nothing else of the head is signed.
pub(crate) fn is_one(parts: &Parts) -> bool {
    parts.method == Method::POST
        && !parts.headers.contains_key(header::AUTHORIZATION)
        && !parts.uri.query().unwrap_or_default().to_ascii_lowercase().contains("x-amz-")
        && boundary(parts).is_some()
}

impl Form {
    /// Takes the body apart; what the fields say is not judged yet.
    pub(crate) async fn read(verifier: &Verifier, caught: &Caught) -> Result<Self, Reason> {
        let broken = |_| match caught.is_complete {
            true => Reason::PostForm(PostFault::Multipart),
            false => Reason::IncompleteBody,
        };
        let mut fields = verifier.begin_form(&caught.parts, &bucket(&caught.parts))?;
        let boundary = boundary(&caught.parts).ok_or(Reason::PostForm(PostFault::Enclosure))?;
        let body = futures::stream::iter([Ok::<_, Infallible>(caught.body.clone())]);
        let mut parts = Multipart::new(body, boundary);
        let (mut file, mut policy, mut names_file) = (None, String::new(), false);
        while let Some(part) = parts.next_field().await.map_err(broken)? {
            if file.is_some() {
                return Err(Reason::PostForm(PostFault::AfterFile));
            }
            let name = part.name().ok_or(Reason::PostForm(PostFault::FieldName))?.to_owned();
            let filename = part.file_name().map(str::to_owned);
            let is_unreadable = filename.is_none() && names_a_file(&part);
            let value = part.bytes().await.map_err(broken)?;
            if name.eq_ignore_ascii_case("file") {
                if is_unreadable && names_file {
                    return Err(Reason::PostForm(PostFault::FieldValue("file".into())));
                }
                fields.file(filename.as_deref().map(str::as_bytes), Some(value.len() as u64))?;
                file = Some(value);
                continue;
            }
            names_file |= memchr::memmem::find(&value, b"${filename}").is_some();
            fields.push(name.as_bytes(), &value)?;
            if name.eq_ignore_ascii_case("policy") {
                policy = String::from_utf8_lossy(&value).into_owned();
            }
        }
        let file = file.ok_or(Reason::PostForm(PostFault::FileMissing))?;
        Ok(Self { fields, file, policy })
    }
}

/// Whether a part has a file's name, readable or not.
fn names_a_file(part: &multer::Field<'_>) -> bool {
    let disposition = part.headers().get(header::CONTENT_DISPOSITION).map(header::HeaderValue::as_bytes);
    disposition.is_some_and(|value| memchr::memmem::find(&value.to_ascii_lowercase(), b"filename").is_some())
}

fn boundary(parts: &Parts) -> Option<String> {
    multer::parse_boundary(parts.headers.get(header::CONTENT_TYPE)?.to_str().ok()?).ok()
}

/// The bucket that the URL names: in its path, else in front of the host.
fn bucket(parts: &Parts) -> String {
    if let Some(bucket) = path_style_bucket(parts) {
        return bucket.into();
    }
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    host.split('.').next().unwrap_or_default().to_owned()
}
