//! The verdict on one request.

use std::error::Error;
use std::time::SystemTime;

use credfed_core::keyring::{KeyRingFile, SharedKeyRing};
use credfed_core::session::{OpenError, Scratch, SealedSessions};
use credfed_core::{Clock, Secret, SystemClock};
use credfed_sigv4_verify::danger::Knobs;
use credfed_sigv4_verify::{
    BuildError, Carrier, KeyKind, PayloadMode, Preimage, Profile, Reason, ResolvedKey, SignedRequest,
    UnsignedPayload, VerifiedHead, Verifier, VerifierBuilder,
};
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::causes;
use crate::cli::Arguments;
use crate::form::{self, Form};
use crate::raw::Caught;

/// What is known of one request.
pub(crate) struct Judgement {
    pub(crate) carrier: Option<Carrier>,
    pub(crate) payload_mode: Option<PayloadMode>,
    pub(crate) preimage: Option<Preimage>,
    /// The policy in base64: what is signed of a form.
    pub(crate) policy: Option<String>,
    pub(crate) verdict: Verdict,
    /// What most likely went wrong.
    pub(crate) cause: Option<String>,
}

pub(crate) enum Verdict {
    Accepted,
    Refused(Reason),
    /// No server would have taken it for a request at all.
    NoRequest(String),
}

impl Judgement {
    pub(crate) fn no_request(why: String) -> Self {
        let verdict = Verdict::NoRequest(why);
        Self { carrier: None, payload_mode: None, preimage: None, policy: None, verdict, cause: None }
    }

    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self.verdict, Verdict::Accepted)
    }
}

/// The service that the requests were for, as it would be set up.
pub(crate) struct Judge {
    pub(crate) service: String,
    pub(crate) region: String,
    pub(crate) profile: Profile,
    pub(crate) now: SystemTime,
    keys: Keys,
}

enum Keys {
    One { access_key: String, secret: Secret, key: ResolvedKey, token: Option<Secret> },
    Sealed(SealedSessions),
}

impl Judge {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        let keys = match (&arguments.token_ring, &arguments.access_key, &arguments.secret_env) {
            (Some(_), Some(_), _) => return Err("--token-ring knows the keys: leave --access-key out".into()),
            (Some(path), None, _) => {
                let ring = KeyRingFile::new(path).read().map_err(|error| format!("--token-ring: {error}"))?;
                Keys::Sealed(SealedSessions::new(&arguments.token_issuer, SharedKeyRing::new(ring)))
            }
            (None, Some(access_key), Some(name)) => {
                let secret = std::env::var(name)
                    .map_err(|_| format!("--secret-env: {name} is not set, or no text"))?;
                let secret = Secret::new(secret);
                let token = arguments.session_token.clone();
                let kind = if token.is_some() { KeyKind::Temporary } else { KeyKind::Static };
                let key = ResolvedKey::new(secret.expose(), kind, 0);
                Keys::One { access_key: access_key.clone(), secret, key, token }
            }
            _ => return Err("--access-key and --secret-env are needed, or --token-ring".into()),
        };
        let judge = Self {
            service: arguments.service.clone(),
            region: arguments.region.clone(),
            profile: arguments.profile(),
            now: arguments.now.unwrap_or_else(|| SystemClock.wall()),
            keys,
        };
        judge.verifier(judge.profile, Knobs::new())?;
        Ok(judge)
    }

    pub(crate) async fn judge(&self, caught: &Caught) -> Judgement {
        let (verifier, loose) = match (self.verifier(self.profile, Knobs::new()), self.loose()) {
            (Ok(verifier), Ok(loose)) => (verifier, loose),
            (Err(error), _) | (_, Err(error)) => return Judgement::no_request(error.to_string()),
        };
        if self.profile == Profile::S3 && form::is_one(&caught.parts) {
            return self.judge_form(&verifier, caught).await;
        }
        let parsed = verifier.parse(&caught.parts);
        let verdict = match &parsed {
            Ok(signed) => {
                self.verdict(&verifier, signed, caught).map_or_else(Verdict::Refused, |()| Verdict::Accepted)
            }
            Err(reason) => Verdict::Refused(reason.clone()),
        };
        // What is refused for its scope or path can still be shown.
        let shown = parsed.or_else(|_| loose.parse(&caught.parts)).ok();
        let cause = match &verdict {
            Verdict::Refused(reason) => causes::likely(self, caught, reason),
            Verdict::Accepted | Verdict::NoRequest(_) => None,
        };
        Judgement {
            carrier: shown.as_ref().map(SignedRequest::carrier),
            payload_mode: shown.as_ref().map(SignedRequest::payload_mode),
            preimage: shown.and_then(|signed| signed.preimage(Some(caught.body_sha256))),
            policy: None,
            verdict,
            cause,
        }
    }

    async fn judge_form(&self, verifier: &Verifier, caught: &Caught) -> Judgement {
        let form = Form::read(verifier, caught).await;
        let verdict = form.as_ref().map_err(Clone::clone).and_then(|form| self.form(verifier, form));
        let verdict = verdict.map_or_else(Verdict::Refused, |()| Verdict::Accepted);
        let cause = match &verdict {
            Verdict::Refused(Reason::SignatureMismatch) => Some(
                "the secret is another one, or the policy was changed after signing: compare it, in base64, with the \
                 client's own"
                    .into(),
            ),
            Verdict::Refused(reason) => causes::likely(self, caught, reason),
            Verdict::Accepted | Verdict::NoRequest(_) => None,
        };
        let policy = form.ok().map(|form| form.policy);
        Judgement {
            carrier: Some(Carrier::PostForm),
            payload_mode: None,
            preimage: None,
            policy,
            verdict,
            cause,
        }
    }

    fn form(&self, verifier: &Verifier, form: &Form) -> Result<(), Reason> {
        let signed = verifier.parse_form(&form.fields)?;
        let key = self.key(signed.access_key(), signed.session_token())?;
        let (_, sizes) = verifier.verify_form(&signed, key.as_ref(), self.now)?.into_parts();
        let mut check = sizes.into_body_check();
        check.push(form.file.clone())?;
        check.finish()
    }

    /// A text of the client's without the secret, which a client may have sent where its access key id belongs.
    pub(crate) fn without_secret(&self, text: String) -> String {
        const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
        let Keys::One { secret, .. } = &self.keys else { return text };
        let secret = secret.expose();
        let escaped = Secret::new(utf8_percent_encode(secret, UNRESERVED).to_string());
        if secret.is_empty() {
            return text;
        }
        text.replace(secret, "<secret>").replace(escaped.expose(), "<secret>")
    }

    /// Whether the request would be accepted if its head were `parts`, by `profile` and with rules loosened.
    pub(crate) fn would_accept(
        &self,
        caught: &Caught,
        parts: &Parts,
        profile: Profile,
        knobs: Knobs,
    ) -> bool {
        let Ok(verifier) = self.verifier(profile, knobs) else { return false };
        verifier.parse(parts).is_ok_and(|signed| self.head(&verifier, &signed, caught).is_ok())
    }

    fn verifier(&self, profile: Profile, knobs: Knobs) -> Result<Verifier, BuildError> {
        let builder =
            Verifier::builder().region(self.region.as_str()).service(self.service.as_str()).accept_sigv4a();
        lenient(builder.danger(knobs), profile).build()
    }

    /// Reads what others refuse to read.
    fn loose(&self) -> Result<Verifier, BuildError> {
        let builder = Verifier::builder().any_region().any_service().accept_sigv4a();
        let knobs = Knobs::new().accept_non_normal_paths();
        lenient(builder.danger(knobs), self.profile).build()
    }

    fn verdict(
        &self,
        verifier: &Verifier,
        signed: &SignedRequest<'_>,
        caught: &Caught,
    ) -> Result<(), Reason> {
        let head = self.head(verifier, signed, caught)?;
        let mut check = head.into_body_check();
        let judged = check.push(caught.body.clone()).and_then(|()| check.finish());
        match judged {
            Err(_) if !caught.is_complete => Err(Reason::IncompleteBody),
            judged => judged,
        }
    }

    fn head(
        &self,
        verifier: &Verifier,
        signed: &SignedRequest<'_>,
        caught: &Caught,
    ) -> Result<VerifiedHead, Reason> {
        let key = self.key(signed.access_key(), signed.session_token())?;
        match signed.needs_body_hash() {
            true => verifier.verify_with_body_hash(signed, key.as_ref(), self.now, caught.body_sha256),
            false => verifier.verify(signed, key.as_ref(), self.now),
        }
    }

    /// The key of the request's access key id and session token, if there is one.
    fn key(&self, id: &str, token: Option<&str>) -> Result<Option<ResolvedKey>, Reason> {
        match &self.keys {
            Keys::One { access_key, .. } if access_key != id => Ok(None),
            Keys::One { key, token: own, .. } => match (own, token) {
                (Some(ours), Some(theirs)) if ours.expose() != theirs => Err(Reason::InvalidToken),
                _ => Ok(Some(key.clone())),
            },
            Keys::Sealed(sessions) => {
                let Some(token) = token else { return Ok(None) };
                let mut scratch = Scratch::new();
                let opened = sessions.open(id, token, self.now, &mut scratch);
                let session = opened.map_err(|error| match error {
                    OpenError::Expired => Reason::ExpiredToken,
                    _ => Reason::InvalidToken,
                })?;
                let secret = session.secret_access_key();
                Ok(Some(
                    ResolvedKey::new(secret.expose(), KeyKind::Temporary, 0)
                        .not_after(session.claims().expires()),
                ))
            }
        }
    }
}

/// Services other than S3 may take unsigned payloads too; STS never does.
fn lenient(builder: VerifierBuilder, profile: Profile) -> VerifierBuilder {
    let builder = builder.profile(profile);
    if profile == Profile::Sts { builder } else { builder.unsigned_payload(UnsignedPayload::Allow) }
}
