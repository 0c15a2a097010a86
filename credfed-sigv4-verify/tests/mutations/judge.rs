//! The real verifier, by the rules of each profile.

use credfed_sigv4_verify::{Profile, Reason, Verifier, VerifierBuilder};
use sha2::{Digest, Sha256};

use super::samples::{Arrival, Message};
use crate::support::ACCESS_KEY;

/// Verifiers that serve what the samples are signed for.
pub(crate) struct Verifiers {
    /// With every rule as it comes. Keys are derived once.
    strict: [Verifier; 4],
    /// The same, and keys are derived each time.
    cold: [Verifier; 4],
    /// Serving every region and service, so that the signature alone covers them.
    anywhere: [Verifier; 4],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Strict,
    Cold,
    Anywhere,
}

impl Verifiers {
    pub(crate) fn new() -> Self {
        let here = |service: &'static str| {
            move |builder: VerifierBuilder| builder.region("us-east-1").service(service)
        };
        let each = |change: &dyn Fn(VerifierBuilder, &'static str) -> VerifierBuilder| {
            PROFILES.map(|(profile, service)| {
                change(Verifier::builder().profile(profile), service).build().unwrap()
            })
        };
        Self {
            strict: each(&|builder, service| here(service)(builder)),
            cold: each(&|builder, service| here(service)(builder).cached_keys(0)),
            anywhere: each(&|builder, _| builder.any_region().any_service()),
        }
    }

    pub(crate) fn verdict(&self, by: By, profile: Profile, arrival: &Arrival) -> Result<(), Reason> {
        let verifiers = match by {
            By::Strict => &self.strict,
            By::Cold => &self.cold,
            By::Anywhere => &self.anywhere,
        };
        let at = PROFILES.iter().position(|(known, _)| *known == profile).unwrap();
        verdict(&verifiers[at], arrival)
    }
}

const PROFILES: [(Profile, &str); 4] = [
    (Profile::S3, "s3"),
    (Profile::General { normalize: true }, "service"),
    (Profile::General { normalize: false }, "service"),
    (Profile::Sts, "sts"),
];

/// Head and body. The key is found for its own access key alone.
fn verdict(verifier: &Verifier, arrival: &Arrival) -> Result<(), Reason> {
    let Arrival { message, now, key } = arrival;
    let (parts, body) = match message {
        Message::Form(form) => return form.verify_at(verifier, Some(key), *now).map(drop),
        Message::Request { parts, body } => (parts, body),
    };
    let request = verifier.parse(parts)?;
    let key = Some(key).filter(|_| request.access_key() == ACCESS_KEY);
    if request.needs_body_hash() {
        return verifier.verify_with_body_hash(&request, key, *now, Sha256::digest(body).into()).map(drop);
    }
    let mut check = verifier.verify(&request, key, *now)?.into_body_check();
    check.push(body.clone())?;
    while check.pop().is_some() {}
    check.finish()
}
