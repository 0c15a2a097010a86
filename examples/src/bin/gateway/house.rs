//! Everything that a gateway consists of, put together from its settings.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use credfed_core::keyring::{KeyRing, KeyRingFile, SharedKeyRing};
use credfed_core::runtime::TokioRuntime;
use credfed_core::session::{Revocation, SealedSessions};
use credfed_core::{Clock, SystemClock};
use credfed_tower::oidc::OidcDiscovery;

use crate::cli::Settings;
use crate::config_file::of_program;
use crate::gateway::Callers;
use crate::identity::{Identity, LocalProvider, RELOAD_EVERY};
use crate::keys::{self, Key};
use crate::roles;
use crate::upstream::Upstream;
use crate::visitors::{self, Visitors};

const STRANGER: &str = "a trust names a key that is not in the file of --keys, and admits nobody by it: correct the \
                        name, add the key, or take it out";

/// The parts; those that run by themselves do so for as long as this lives.
pub(crate) struct House {
    pub(crate) upstream: Upstream,
    pub(crate) callers: Callers,
    /// The documents that the world reads, if the gateway is an OpenID provider to it.
    pub(crate) discovery: Option<OidcDiscovery>,
    /// With an upstream that is inside.
    pub(crate) visitors: Option<Visitors>,
    /// The key that was made because nobody named any.
    pub(crate) made: Option<Key>,
    _provider: Option<LocalProvider>,
}

impl House {
    pub(crate) async fn build(settings: &mut Settings) -> Result<Self, Box<dyn Error>> {
        let identity = settings.issuer.as_ref().map(Identity::open).transpose()?;
        let discovery = identity.as_ref().map(Identity::discovery);
        let (upstream, provider) = match settings.upstream.take() {
            Some(external) => (Upstream::elsewhere(external, identity.as_ref())?, None),
            None => {
                let provider = LocalProvider::start("gateway").await?;
                (Upstream::inside(&settings.region, provider.identity()).await?, Some(provider))
            }
        };
        let inbound = match (&settings.roles, &provider) {
            (Some(file), _) => Some(roles::read(file).map_err(|error| format!("--roles: {error}"))?),
            (None, Some(provider)) => Some(visitors::inbound(provider.identity())?),
            (None, None) => None,
        };
        let visitors = match (&settings.roles, &provider) {
            (None, Some(provider)) => Some(Visitors::start(provider.identity()).await?),
            _ => None,
        };
        let (keys, made) = match (&settings.keys, &settings.roles) {
            (Some(file), _) => (keys::read(file).map_err(|error| format!("--keys: {error}"))?, None),
            (None, Some(_)) => (Vec::new(), None),
            (None, None) => {
                let key = Key::generate()?;
                (vec![key.clone()], Some(key))
            }
        };
        if let (Some(file), Some(inbound)) = (&settings.roles, &inbound) {
            for line in inbound.lines_of_strangers(&keys) {
                tracing::warn!(file = %file.display(), line, "{STRANGER}");
            }
        }
        let sts = match inbound {
            Some(inbound) => {
                // Replicas of one gateway have the account in common, and the ring.
                let issuer = format!("credfed-gateway/{}", inbound.account.id());
                let sessions = SealedSessions::new(&issuer, ring(settings.token_ring.as_deref())?);
                Some((inbound, sessions))
            }
            None if settings.token_ring.is_some() => {
                return Err("--token-ring needs --roles: without roles there are no sessions".into());
            }
            None => None,
        };
        let callers = Callers { keys, sts, revocation: Revocation::new() };
        Ok(Self { upstream, callers, discovery, visitors, made, _provider: provider })
    }
}

/// The ring of a file, which is watched while this process runs; or one that is made now.
fn ring(file: Option<&Path>) -> Result<SharedKeyRing, Box<dyn Error>> {
    let Some(path) = file else {
        return Ok(SharedKeyRing::new(KeyRing::generate(SystemClock.wall())?));
    };
    let file = KeyRingFile::new(path);
    let read = file.read().map_err(|error| of_program("--token-ring", path, "keyring", &error))?;
    let ring = SharedKeyRing::new(read);
    tokio::spawn(file.watch(ring.clone(), Arc::new(TokioRuntime), RELOAD_EVERY));
    Ok(ring)
}
