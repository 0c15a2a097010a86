//! The fields of a form as they are read: bounded, unique, and none after the file.

use std::fmt;

use http::Method;
use http::header::{self, HeaderName};
use http::request::Parts;
use zeroize::Zeroizing;

use crate::canonical::headers::trim;
use crate::canonical::path;
use crate::danger::Knobs;
use crate::error::{Malformed, PostFault, Reason};
use crate::limits::{Limit, Limits};
use crate::profile::Profile;
use crate::query;
use crate::request::{Rules, agreed_host};

/// What was read of a POST form: its fields in order of arrival, then the file's name. Nothing here is verified.
///
/// [`Verifier::begin_form`](crate::Verifier::begin_form) makes one from the head of a request. Field names are
/// compared without regard to case. Values, which may be tokens or customers' keys, are not in `Debug` and are wiped
/// on drop.
pub struct FormFields {
    pub(super) rules: Rules,
    pub(super) bucket: Box<str>,
    /// Whether the request came over TLS.
    pub(super) is_tls: bool,
    /// Whether its head has [`CLOUDFRONT`], which a rule exempted.
    pub(super) is_exempted: bool,
    pub(super) fields: Vec<Field>,
    pub(super) upload: Option<Upload>,
    /// Bytes of names and values together.
    bytes: usize,
}

/// One field of a form.
pub(super) struct Field {
    /// In lower case.
    pub(super) name: Box<str>,
    pub(super) value: Zeroizing<String>,
}

/// What is known of the file before it is read.
pub(super) struct Upload {
    /// Without directories; empty where the client gave none.
    pub(super) name: Box<str>,
    /// Bytes.
    pub(super) size: Option<u64>,
}

impl FormFields {
    pub(crate) fn new(rules: Rules, bucket: &str, is_tls: bool) -> Self {
        let (fields, upload) = (Vec::new(), None);
        Self { rules, bucket: bucket.into(), is_tls, is_exempted: false, fields, upload, bytes: 0 }
    }

    /// For a request whose head passed [`check_head`].
    pub(crate) fn of_head(parts: &Parts, rules: Rules, bucket: &str, is_tls: bool) -> Self {
        Self { is_exempted: parts.headers.contains_key(CLOUDFRONT), ..Self::new(rules, bucket, is_tls) }
    }

    /// Judges the name of the next field before its value is read, and says how many bytes the value may have.
    ///
    /// # Errors
    /// [`Reason::PostForm`] for a name that is none, that was there before, in whatever case, or that comes after the
    /// file; [`Reason::LimitExceeded`] for one field too many.
    pub fn room_for(&self, name: &[u8]) -> Result<usize, Reason> {
        let limits = &self.rules.limits;
        if self.upload.is_some() {
            return Err(Reason::PostForm(PostFault::AfterFile));
        }
        if self.fields.len() >= limits.form_fields {
            return Err(Reason::LimitExceeded(Limit::FormFields));
        }
        if name.len() > limits.form_name_bytes {
            return Err(Reason::LimitExceeded(Limit::FormNameBytes));
        }
        let name = lower_case(name)?;
        if &*name == FILE {
            return Err(Reason::PostForm(PostFault::FieldName));
        }
        if self.get(&name).is_some() {
            return Err(Reason::PostForm(PostFault::RepeatedField(name)));
        }
        let rest = limits.form_bytes.saturating_sub(self.bytes).saturating_sub(name.len());
        Ok(rest.min(longest_value(&name, limits)))
    }

    /// Takes the next field, which stands before the file. The file itself goes to [`file`](Self::file).
    ///
    /// # Errors
    /// As [`room_for`](Self::room_for); [`Reason::LimitExceeded`] for a value that is too long, and
    /// [`Reason::PostForm`] for one that is not UTF-8.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), Reason> {
        let room = self.room_for(name)?;
        let name = lower_case(name)?;
        if value.len() > room {
            return Err(Reason::LimitExceeded(self.limit_of(&name, value.len())));
        }
        let Ok(text) = str::from_utf8(value) else {
            return Err(Reason::PostForm(PostFault::FieldValue(name)));
        };
        self.bytes += name.len() + value.len();
        self.fields.push(Field { name, value: Zeroizing::new(text.to_owned()) });
        Ok(())
    }

    /// Which limit a value of `length` bytes is over, for whoever stops reading it.
    #[must_use]
    pub fn limit_of(&self, name: &str, length: usize) -> Limit {
        if length <= longest_value(name, &self.rules.limits) {
            Limit::FormBytes
        } else if name.eq_ignore_ascii_case(POLICY) {
            Limit::PolicyBytes
        } else {
            Limit::FormValueBytes
        }
    }

    /// Takes what is known of the file: the name that the client gave it, and its size in bytes where that is known
    /// already. Of a name with directories the part after the last `/` or `\` counts.
    ///
    /// # Errors
    /// [`Reason::PostForm`] for a second file or a name that is not UTF-8, [`Reason::LimitExceeded`] for one that is
    /// longer than the value of a field.
    pub fn file(&mut self, filename: Option<&[u8]>, size: Option<u64>) -> Result<(), Reason> {
        if self.upload.is_some() {
            return Err(Reason::PostForm(PostFault::AfterFile));
        }
        let filename = filename.unwrap_or_default();
        if filename.len() > self.rules.limits.form_value_bytes {
            return Err(Reason::LimitExceeded(Limit::FormValueBytes));
        }
        let filename =
            str::from_utf8(filename).map_err(|_| Reason::PostForm(PostFault::FieldValue(FILE.into())))?;
        let name = filename.rsplit(['/', '\\']).next().unwrap_or_default().into();
        self.upload = Some(Upload { name, size });
        Ok(())
    }

    /// The bucket that the request's URL names.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The value as sent; `name` in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| *field.name == *name).map(|field| field.value.as_str())
    }
}

/// Shows the names, no value.
impl fmt::Debug for FormFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.fields.iter().map(|field| &field.name).collect();
        f.debug_struct("FormFields")
            .field("bucket", &self.bucket)
            .field("names", &names)
            .finish_non_exhaustive()
    }
}

/// The header that CloudFront adds.
pub(super) const CLOUDFRONT: &str = "x-amz-cf-id";
/// The name of the file's field.
const FILE: &str = "file";
/// The name of the policy's field.
pub(super) const POLICY: &str = "policy";

/// Judges the head of a request that carries a form. No header and no query is covered by a policy, so that none
/// may be there that would act.
pub(crate) fn check_head(parts: &Parts, rules: &Rules) -> Result<(), Reason> {
    let limits = &rules.limits;
    if rules.profile != Profile::S3 {
        return Err(Reason::NoCredentials);
    }
    if parts.headers.contains_key(header::AUTHORIZATION) {
        return Err(Reason::TwoCarriers);
    }
    let path = parts.uri.path();
    if path.len() > limits.path_bytes {
        return Err(Reason::LimitExceeded(Limit::PathBytes));
    }
    path::check(path)?;
    let query = parts.uri.query().unwrap_or_default();
    if query.len() > limits.query_bytes {
        return Err(Reason::LimitExceeded(Limit::QueryBytes));
    }
    if query::parameters(query).any(|parameter| parameter.is_credential()) {
        return Err(Reason::TwoCarriers);
    }
    if !query.is_empty() {
        return Err(Reason::PostForm(PostFault::Target));
    }
    check_headers(parts, &rules.knobs)?;
    if parts.method != Method::POST || !single(parts, &header::CONTENT_TYPE)?.is_some_and(is_form_data) {
        return Err(Reason::PostForm(PostFault::Enclosure));
    }
    Ok(())
}

/// Nothing that a form leaves unsigned may say more than the form does, and the bucket may hang on the host.
fn check_headers(parts: &Parts, knobs: &Knobs) -> Result<(), Reason> {
    agreed_host(parts, single(parts, &header::HOST)?)?;
    for name in ["x-amz-date", "x-amz-security-token"] {
        if parts.headers.contains_key(name) {
            return Err(Reason::TwoCarriers);
        }
    }
    let is_unsigned = |name: &&str| is_amazon(name) && !(knobs.behind_cloudfront && *name == CLOUDFRONT);
    let unsigned: Vec<Box<str>> =
        parts.headers.keys().map(HeaderName::as_str).filter(is_unsigned).map(Box::from).collect();
    if unsigned.is_empty() { Ok(()) } else { Err(Reason::UnsignedHeaders(unsigned)) }
}

/// The value of a header that may come once.
fn single<'a>(parts: &'a Parts, name: &HeaderName) -> Result<Option<&'a [u8]>, Reason> {
    let mut values = parts.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|value| trim(value.as_bytes()))),
        (_, Some(_)) => Err(Reason::MalformedRequest(Malformed::RepeatedHeader)),
    }
}

fn is_amazon(name: &str) -> bool {
    name.starts_with("x-amz-")
}

/// `multipart/form-data`, in any case, with or without parameters.
fn is_form_data(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"multipart/form-data")
}

/// Names are visible ASCII; AWS's own are all tokens.
fn lower_case(name: &[u8]) -> Result<Box<str>, Reason> {
    match str::from_utf8(name) {
        Ok(text) if !text.is_empty() && name.iter().all(u8::is_ascii_graphic) => {
            Ok(text.to_ascii_lowercase().into())
        }
        _ => Err(Reason::PostForm(PostFault::FieldName)),
    }
}

fn longest_value(name: &str, limits: &Limits) -> usize {
    if name.eq_ignore_ascii_case(POLICY) { limits.policy_bytes } else { limits.form_value_bytes }
}
