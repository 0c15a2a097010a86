//! The gateway put together: verify, authorise, strip, sign, forward; and STS for its callers.

use std::error::Error;

use credfed_core::Secret;
use credfed_core::session::{Revocation, SealedSessions};
use credfed_sigv4_verify::{Profile, Verifier};
use credfed_tower::oidc::OidcDiscovery;
use credfed_tower::sts::StsService;
use credfed_tower::{
    ByShape, ByShapeError, SealedSessionResolver, SignSigV4Layer, StaticKeys, StripCredentials,
    VerifySigV4Layer,
};
use tower::ServiceBuilder;

use crate::answer::Settle;
use crate::endpoint::Region;
use crate::forward::Forward;
use crate::front::Front;
use crate::journal;
use crate::keys::Key;
use crate::linger::Linger;
use crate::policy::{Holder, Policy};
use crate::roles::Inbound;
use crate::serve::Serves;
use crate::upstream::Upstream;

/// Whom the gateway lets in.
#[derive(Default)]
pub(crate) struct Callers {
    pub(crate) keys: Vec<Key>,
    /// Roles, and the sessions that are given out for them.
    pub(crate) sts: Option<(Inbound, SealedSessions)>,
    pub(crate) revocation: Revocation,
}

impl Callers {
    /// How many roles can be assumed.
    pub(crate) fn roles(&self) -> usize {
        self.sts.as_ref().map_or(0, |(inbound, _)| inbound.rights.len())
    }
}

/// The service that callers meet.
pub(crate) fn service(
    upstream: &Upstream,
    region: &Region,
    callers: Callers,
    discovery: Option<OidcDiscovery>,
) -> Result<impl Serves, Box<dyn Error>> {
    let Callers { keys, sts, revocation } = callers;
    let users: Vec<_> =
        keys.into_iter().map(|key| (key.secret, Holder::new(key.access_key_id, key.rights))).collect();
    let (sts, policy, sessions) = match sts {
        None => (None, Policy::default(), None),
        Some((inbound, sessions)) => {
            let Inbound { account, issuers, tagging, naming, roles, rights, .. } = inbound;
            let policy = Policy::new(&account, users.iter().map(|(_, holder)| holder), rights);
            let resolver = SealedSessionResolver::new(sessions.clone()).revocation(revocation);
            let callers = resolve(&users, Some(&resolver))?;
            let sts = StsService::builder(account, sessions, callers)
                .issuers(issuers)
                .roles(roles)
                .hook(policy.existing());
            let sts = tagging.into_iter().fold(sts, |sts, issuer| sts.session_tags_from(issuer));
            let sts = naming.into_iter().fold(sts, |sts, issuer| sts.source_identity_from(issuer));
            (Some(sts.build()?), policy, Some(resolver))
        }
    };
    let verifier =
        Verifier::builder().profile(Profile::S3).region(region.as_str()).accept_sigv4a().build()?;
    let sign = SignSigV4Layer::new(upstream.credentials.clone(), upstream.region.as_str(), "s3")
        .upstream(&upstream.endpoint.uri()?)?;
    let s3 = ServiceBuilder::new()
        .layer(VerifySigV4Layer::new(verifier, resolve(&users, sessions.as_ref())?, policy))
        .map_request(journal::note_verified)
        .layer(StripCredentials::new())
        .layer_fn(Settle::new)
        .layer(sign)
        .service(Forward::to(&upstream.endpoint)?);
    Ok(ServiceBuilder::new().layer(journal::layer()).layer_fn(Linger::new).service(Front {
        discovery,
        sts,
        s3,
    }))
}

/// Long-lived keys, and sessions if there are any: told apart by their shape.
fn resolve(
    users: &[(Secret, Holder)],
    sessions: Option<&SealedSessionResolver>,
) -> Result<ByShape<Holder>, ByShapeError> {
    let keys = users.iter().fold(StaticKeys::new(), |keys, (secret, holder)| {
        keys.with_key(holder.name(), secret.clone(), holder.clone())
    });
    let callers = ByShape::new().static_keys(keys)?;
    Ok(match sessions {
        Some(sessions) => callers.sealed(sessions.clone()),
        None => callers,
    })
}
