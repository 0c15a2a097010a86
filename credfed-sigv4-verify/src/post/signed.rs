//! A form as far as it can be read without a key: its credentials, and its fields with the file's name in place.

use std::borrow::Cow;
use std::fmt;

use super::fields::{CLOUDFRONT, FormFields, POLICY};
use crate::authorization::ALGORITHM;
use crate::date::Date;
use crate::error::{Malformed, PostFault, Reason};
use crate::limits::{Limit, Limits};
use crate::profile::Profile;
use crate::regions::Regions;
use crate::request::{Carrier, Rules, is_field_byte};
use crate::scope::{Credential, Scope};
use crate::signature::Signature;

/// The fields that say who signed. The policy has to match each of them exactly.
pub(super) const CREDENTIALS: [&str; 4] =
    ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token"];
/// The field of the signature.
pub(super) const SIGNATURE: &str = "x-amz-signature";
/// What stands for the file's name in the value of a field.
const FILENAME: &str = "${filename}";

/// A POST form whose credentials were read and **not** verified: everything here is what the client claims.
///
/// It borrows the fields. `Debug` leaves their values out.
pub struct SignedForm<'a> {
    pub(crate) fields: &'a FormFields,
    pub(crate) rules: Rules,
    pub(crate) date: Date,
    pub(crate) signature: Signature,
    pub(crate) policy: &'a str,
    /// Names in lower case, values with the file's name in place; without policy and signature.
    pub(super) expanded: Vec<(&'a str, Cow<'a, str>)>,
    pub(super) size: Option<u64>,
    credential_text: &'a str,
    pub(crate) credential: Credential,
    token: Option<&'a str>,
}

impl<'a> SignedForm<'a> {
    /// Reads a form by `rules`; `serves` judges region and service.
    pub(crate) fn parse_by(
        fields: &'a FormFields,
        rules: Rules,
        serves: impl FnOnce(Carrier, Regions<'_>, &[u8]) -> Result<(), Reason>,
    ) -> Result<Self, Reason> {
        if rules.profile != Profile::S3 {
            return Err(Reason::NoCredentials);
        }
        check_limits(fields, &rules.limits)?;
        if fields.is_exempted && !rules.knobs.behind_cloudfront {
            return Err(Reason::UnsignedHeaders(vec![CLOUDFRONT.into()]));
        }
        if fields.get("awsaccesskeyid").is_some() || fields.get("signature").is_some() {
            return Err(Reason::SignatureVersion2);
        }
        if fields.get("x-amz-s3session-token").is_some() {
            return Err(Reason::S3SessionToken);
        }
        // The file of a form has no payload mode.
        if fields.get("x-amz-content-sha256").is_some() {
            return Err(Reason::InvalidPayloadMode);
        }
        // A policy without a signature is what an anonymous upload may have.
        if !fields.fields.iter().any(|field| is_credential(&field.name) || *field.name == *SIGNATURE) {
            return Err(Reason::NoCredentials);
        }
        if rules.refuses_unsigned(|| fields.is_tls) {
            return Err(Reason::UnsignedPayloadRefused);
        }
        let needed = |name: &'static str, shown: &'static str| {
            fields.get(name).ok_or(Reason::PostForm(PostFault::MissingField(shown)))
        };
        let algorithm = needed("x-amz-algorithm", "X-Amz-Algorithm")?;
        let credential_text = needed("x-amz-credential", "X-Amz-Credential")?;
        let date = needed("x-amz-date", "X-Amz-Date")?;
        let signature = needed(SIGNATURE, "X-Amz-Signature")?;
        let policy = needed(POLICY, "Policy")?;
        needed("key", "key")?;
        let upload = fields.upload.as_ref().ok_or(Reason::PostForm(PostFault::FileMissing))?;

        // AWS has forms for this algorithm alone.
        if algorithm.as_bytes() != ALGORITHM {
            return Err(Reason::UnsupportedAlgorithm(Carrier::PostForm));
        }
        let credential =
            Credential::parse(credential_text.as_bytes()).ok_or_else(|| malformed(Malformed::Credential))?;
        let date = Date::basic(date.as_bytes()).ok_or_else(|| malformed(Malformed::Date))?;
        let signature =
            Signature::from_hex(signature.as_bytes()).ok_or_else(|| malformed(Malformed::Signature))?;
        if credential.scope_text(credential_text.as_bytes())[..8] != *date.day() {
            return Err(Reason::ScopeDate(Carrier::PostForm));
        }
        let [region, service] = credential.names(credential_text.as_bytes());
        serves(Carrier::PostForm, Regions::One(region), service)?;
        let token = fields.get("x-amz-security-token");
        if let Some(token) = token {
            check_token(token, &rules.limits)?;
        }
        let expanded = expanded(fields, &upload.name, &rules.limits)?;
        let key = expanded.iter().find(|(name, _)| *name == "key").map(|(_, key)| key);
        if key.is_none_or(|key| key.is_empty() || key.contains('\0')) {
            return Err(Reason::PostForm(PostFault::Key));
        }
        let size = upload.size;
        Ok(Self {
            fields,
            rules,
            date,
            signature,
            policy,
            expanded,
            size,
            credential_text,
            credential,
            token,
        })
    }

    /// The access key id that the client claims.
    pub fn access_key(&self) -> &'a str {
        let length = self.credential.access_key(self.credential_text.as_bytes()).len();
        self.credential_text.get(..length).unwrap_or_default()
    }

    /// The session token that came as a field.
    pub fn session_token(&self) -> Option<&'a str> {
        self.token
    }

    /// The scope that the client claims.
    pub fn scope(&self) -> Scope<'a> {
        self.credential.scope(self.credential_text.as_bytes())
    }

    /// Where the signature stands: [`Carrier::PostForm`].
    pub fn carrier(&self) -> Carrier {
        Carrier::PostForm
    }

    /// Region and service.
    pub(crate) fn scope_names(&self) -> (Regions<'a>, &'a [u8]) {
        let [region, service] = self.credential.names(self.credential_text.as_bytes());
        (Regions::One(region), service)
    }

    pub(crate) fn credential_bytes(&self) -> &'a [u8] {
        self.credential_text.as_bytes()
    }

    /// The value that the policy judges: the bucket of the URL, or the field with the file's name in place.
    pub(super) fn judged(&self, name: &str) -> Option<&str> {
        if name == "bucket" {
            return Some(&self.fields.bucket);
        }
        self.expanded.iter().find(|(have, _)| *have == name).map(|(_, value)| &**value)
    }
}

impl fmt::Debug for SignedForm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedForm")
            .field("access_key", &self.access_key())
            .field("scope", &self.scope().as_str())
            .field("date", &self.date)
            .field("has_session_token", &self.token.is_some())
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

pub(super) fn is_credential(name: &str) -> bool {
    CREDENTIALS.contains(&name)
}

/// Fields that were read by a verifier with other limits.
fn check_limits(fields: &FormFields, limits: &Limits) -> Result<(), Reason> {
    if fields.rules.limits == *limits {
        return Ok(());
    }
    let mut again = FormFields::new(Rules { limits: *limits, ..fields.rules }, &fields.bucket, fields.is_tls);
    for field in &fields.fields {
        again.push(field.name.as_bytes(), field.value.as_bytes())?;
    }
    match &fields.upload {
        Some(upload) => again.file(Some(upload.name.as_bytes()), upload.size),
        None => Ok(()),
    }
}

/// Puts the file's name into every field but those that say who signed what. The values stay within the limits.
fn expanded<'a>(
    fields: &'a FormFields,
    filename: &str,
    limits: &Limits,
) -> Result<Vec<(&'a str, Cow<'a, str>)>, Reason> {
    let mut total = 0_usize;
    let mut expanded = Vec::with_capacity(fields.fields.len());
    for field in &fields.fields {
        let (name, value) = (&*field.name, field.value.as_str());
        if name == POLICY || name == SIGNATURE {
            continue;
        }
        let times = if is_credential(name) { 0 } else { value.matches(FILENAME).count() };
        let length =
            times.saturating_mul(filename.len()).saturating_add(value.len() - times * FILENAME.len());
        if length > limits.form_value_bytes {
            return Err(Reason::LimitExceeded(Limit::FormValueBytes));
        }
        total = total.saturating_add(name.len()).saturating_add(length);
        if total > limits.form_bytes {
            return Err(Reason::LimitExceeded(Limit::FormBytes));
        }
        let value = match times {
            0 => Cow::Borrowed(value),
            _ => Cow::Owned(value.replace(FILENAME, filename)),
        };
        // What no header can carry would be lost further on, or become two of them.
        if stands_for_header(name) && !value.bytes().all(is_field_byte) {
            return Err(Reason::PostForm(PostFault::FieldValue(name.into())));
        }
        expanded.push((name, value));
    }
    Ok(expanded)
}

/// Whether the field of a form says what a header of a PUT would, or goes into one of the answer.
fn stands_for_header(name: &str) -> bool {
    const OTHERS: [&str; 6] =
        ["acl", "cache-control", "expires", "redirect", "success_action_redirect", "success_action_status"];
    name.starts_with("x-amz-") || name.starts_with("content-") || OTHERS.contains(&name)
}

/// An empty token is malformed, not absent; so is one that is not visible ASCII.
fn check_token(token: &str, limits: &Limits) -> Result<(), Reason> {
    if token.len() > limits.session_token {
        return Err(Reason::LimitExceeded(Limit::SessionToken));
    }
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed(Malformed::Token));
    }
    Ok(())
}

fn malformed(part: Malformed) -> Reason {
    Reason::Malformed(Carrier::PostForm, part)
}
