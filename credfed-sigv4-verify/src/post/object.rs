//! Evidence that a form was verified (rule 14), and what is left of it: the object, and the file's size.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::condition::{Sizes, is_exempt};
use super::policy::Policy;
use super::signed::{SignedForm, is_credential};
use crate::body::BodyCheck;
use crate::error::Reason;
use crate::key::KeyKind;
use crate::request::Carrier;

/// A form was verified: its signature, its policy, and every field by the policy. The file is still open: nobody
/// signed its bytes, and what is left to enforce is its size, see [`into_parts`](Self::into_parts).
///
/// Only a [`Verifier`](crate::Verifier) makes one, and it cannot be copied.
///
/// ```compile_fail
/// let forged: credfed_sigv4_verify::VerifiedForm = Default::default();
/// ```
/// ```compile_fail
/// fn twice(form: credfed_sigv4_verify::VerifiedForm) -> [credfed_sigv4_verify::VerifiedForm; 2] {
///     [form.clone(), form]
/// }
/// ```
#[derive(Debug)]
#[must_use = "the file's size is still to be checked: into_parts()"]
pub struct VerifiedForm {
    signed_at: SystemTime,
    key_kind: KeyKind,
    object: PostObject,
    sizes: Sizes,
}

/// A form whose signature matched and whose policy was met.
pub(crate) struct Verified(Sizes);

impl Verified {
    /// Judges `form` by `policy`, which its signature covers.
    pub(crate) fn judge(policy: &Policy, form: &SignedForm<'_>) -> Result<Self, Reason> {
        let sizes = policy.judge(form)?;
        if let Some(size) = form.size {
            let mut check = SizeCheck { sizes, seen: 0 };
            check.add(size)?;
            check.finish()?;
        }
        Ok(Self(sizes))
    }

    pub(crate) fn into_form(self, form: &SignedForm<'_>, key_kind: KeyKind) -> VerifiedForm {
        VerifiedForm {
            signed_at: form.date.to_system_time(),
            key_kind,
            object: PostObject::of(form),
            sizes: self.0,
        }
    }
}

impl VerifiedForm {
    /// Where the signature stood: [`Carrier::PostForm`].
    pub fn carrier(&self) -> Carrier {
        Carrier::PostForm
    }

    /// The date that was signed, of second precision.
    pub fn signed_at(&self) -> SystemTime {
        self.signed_at
    }

    /// The kind of key that signed.
    pub fn key_kind(&self) -> KeyKind {
        self.key_kind
    }

    /// What is to be written where.
    pub fn object(&self) -> &PostObject {
        &self.object
    }

    /// How many bytes the file may have.
    pub fn size(&self) -> RangeInclusive<u64> {
        self.sizes.least..=self.sizes.most
    }

    /// The object, and the check that its file has to pass.
    pub fn into_parts(self) -> (PostObject, SizeCheck) {
        (self.object, SizeCheck { sizes: self.sizes, seen: 0 })
    }
}

/// What a verified form says about the object that it writes. Cheap to clone.
///
/// Its fields are the ones that a condition of the policy covers, with the file's name in place, and without those
/// that say who signed what, `bucket` and `key`; `x-ignore-*` fields are not among them. `Debug` shows names alone;
/// values are wiped on drop, as a customer's key may be one.
#[derive(Clone)]
pub struct PostObject(Arc<Inner>);

struct Inner {
    bucket: Box<str>,
    key: Box<str>,
    fields: Vec<(Box<str>, Zeroizing<String>)>,
}

impl PostObject {
    fn of(form: &SignedForm<'_>) -> Self {
        let is_left =
            |name: &str| !(is_credential(name) || is_exempt(name) || name == "bucket" || name == "key");
        let fields = form
            .expanded
            .iter()
            .filter(|(name, _)| is_left(name))
            .map(|(name, value)| (Box::from(*name), Zeroizing::new(String::from(&**value))))
            .collect();
        let key = form.judged("key").unwrap_or_default().into();
        Self(Arc::new(Inner { bucket: form.fields.bucket().into(), key, fields }))
    }

    /// The bucket, as the URL names it.
    pub fn bucket(&self) -> &str {
        &self.0.bucket
    }

    /// The key, with the file's name in place. Not empty, not encoded.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The value of a field, `name` in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Names in lower case, and values, in order of arrival.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.fields.iter().map(|(name, value)| (&**name, value.as_str()))
    }
}

impl fmt::Debug for PostObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.fields().map(|(name, _)| name).collect();
        f.debug_struct("PostObject")
            .field("bucket", &self.0.bucket)
            .field("names", &names)
            .finish_non_exhaustive()
    }
}

/// The check of a file's size by its policy. Feed it the length of every piece, then [`finish`](Self::finish).
///
/// Until `finish` has returned `Ok`, the file may still be too small: hold back at least its last byte.
#[derive(Debug)]
#[must_use = "the file is not verified until finish() has returned Ok"]
pub struct SizeCheck {
    sizes: Sizes,
    seen: u64,
}

impl SizeCheck {
    /// The same check, which also keeps the file's last bytes back.
    pub fn into_body_check(self) -> BodyCheck {
        BodyCheck::of_file(self)
    }

    /// Counts the next `bytes` of the file.
    ///
    /// # Errors
    /// [`Reason::UploadTooLarge`] as soon as the file is.
    pub fn add(&mut self, bytes: u64) -> Result<(), Reason> {
        self.seen = self.seen.saturating_add(bytes);
        if self.seen > self.sizes.most {
            return Err(Reason::UploadTooLarge { most: self.sizes.most });
        }
        Ok(())
    }

    /// Judges the file, which has ended.
    ///
    /// # Errors
    /// [`Reason::UploadTooSmall`] and [`Reason::UploadTooLarge`].
    pub fn finish(&self) -> Result<(), Reason> {
        if self.seen > self.sizes.most {
            return Err(Reason::UploadTooLarge { most: self.sizes.most });
        }
        if self.seen < self.sizes.least {
            return Err(Reason::UploadTooSmall { least: self.sizes.least });
        }
        Ok(())
    }
}
