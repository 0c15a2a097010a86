//! The third carrier: POST forms. Limits first, then the signature, then the policy.

use std::time::{Duration, SystemTime};

use http::request::Parts;

use super::{Claim, Verifier};
use crate::authorization::Sent;
use crate::connection::Connection;
use crate::error::Reason;
use crate::key::ResolvedKey;
use crate::post::{FormFields, Policy, SignedForm, Verified, VerifiedForm, check_head};

/// How long the signature of a policy lives, whatever its expiration: as long as a presigned URL can.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Verifier {
    /// Judges the head of a request that carries a POST form, and makes the place for its fields. `bucket` is the one
    /// that the URL names; the caller has seen to it that the URL names nothing else.
    ///
    /// ```
    /// # use credfed_sigv4_verify::{Reason, ResolvedKey, Verifier};
    /// # fn admit(verifier: &Verifier, parts: &http::request::Parts, key: &ResolvedKey, now: std::time::SystemTime)
    /// # -> Result<(), Reason> {
    /// let mut fields = verifier.begin_form(parts, "bucket")?;
    /// // As they come, up to the file.
    /// fields.push(b"key", b"user/${filename}")?;
    /// fields.file(Some(b"photo.jpg"), None)?;
    /// let form = verifier.parse_form(&fields)?;
    /// // Here the key of form.access_key() is looked up.
    /// let (object, mut size) = verifier.verify_form(&form, Some(key), now)?.into_parts();
    /// assert_eq!(object.key(), "user/photo.jpg");
    /// size.add(1_000)?;
    /// size.finish()
    /// # }
    /// ```
    ///
    /// # Errors
    /// Why the request cannot carry a form: another profile than [`Profile::S3`](crate::Profile::S3), other
    /// credentials beside it ([`Reason::TwoCarriers`]), a query or an `x-amz-*` header, which no policy covers
    /// ([`Knobs::behind_cloudfront`](crate::danger::Knobs::behind_cloudfront) exempts one: it must go no further).
    pub fn begin_form(&self, parts: &Parts, bucket: &str) -> Result<FormFields, Reason> {
        check_head(parts, &self.rules)?;
        Ok(FormFields::of_head(parts, self.rules, bucket, Connection::is_tls(parts)))
    }

    /// Reads the credentials of a form whose fields and file were read. Nothing is verified yet, and the policy is
    /// not looked at.
    ///
    /// # Errors
    /// The [`Reason`] for which no key could make this form acceptable.
    pub fn parse_form<'a>(&self, fields: &'a FormFields) -> Result<SignedForm<'a>, Reason> {
        SignedForm::parse_by(fields, self.rules, |carrier, regions, service| {
            self.check_scope(carrier, regions, service)
        })
    }

    /// Verifies a form: signature, policy, and every field by the policy. `key` as for
    /// [`verify`](Self::verify).
    ///
    /// A form that was read by other rules than this verifier's is read again.
    ///
    /// # Errors
    /// Why the form is refused.
    pub fn verify_form(
        &self,
        form: &SignedForm<'_>,
        key: Option<&ResolvedKey>,
        now: SystemTime,
    ) -> Result<VerifiedForm, Reason> {
        if form.rules == self.rules {
            self.verify_by_policy(form, key, now)
        } else {
            self.verify_by_policy(&self.parse_form(form.fields)?, key, now)
        }
    }

    fn verify_by_policy(
        &self,
        form: &SignedForm<'_>,
        key: Option<&ResolvedKey>,
        now: SystemTime,
    ) -> Result<VerifiedForm, Reason> {
        let (regions, service) = form.scope_names();
        self.check_scope(form.carrier(), regions, service)?;
        let signed_at = form.date.to_system_time();
        if signed_at.duration_since(now).is_ok_and(|ahead| ahead > self.max_skew) {
            return Err(Reason::ClockSkew { signed_at, now, max_skew: self.max_skew });
        }
        if now.duration_since(signed_at).is_ok_and(|age| age > LONGEST) {
            return Err(Reason::PolicyExpired);
        }
        let claim = Claim {
            credential: form.credential_bytes(),
            offsets: form.credential,
            signature: &Sent::Hmac(form.signature),
            has_token: form.session_token().is_some(),
        };
        // The text as it was sent is what was signed; it is decoded only then.
        let key = self
            .check_signature(&claim, key, form.policy.as_bytes(), now)
            .map_err(|reason| self.disclosed(reason))?;
        let policy = Policy::parse(form.policy)?;
        if now > policy.expiration {
            return Err(Reason::PolicyExpired);
        }
        Ok(Verified::judge(&policy, form)?.into_form(form, key.kind()))
    }
}
