//! Everything that a gateway consists of, put together from its settings.

use std::error::Error;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use credfed_core::keyring::{KeyRing, KeyRingFile, SharedKeyRing};
use credfed_core::runtime::TokioRuntime;
use credfed_core::session::{Revocation, SealedSessions};
use credfed_core::{Clock, SystemClock};
use credfed_tower::oidc::OidcDiscovery;
use tokio::task::JoinHandle;

use crate::cli::Settings;
use crate::config_file::of_program;
use crate::endpoint::Region;
use crate::gateway::{self, Callers};
use crate::identity::{Identity, LocalProvider, RELOAD_EVERY};
use crate::keys::{self, Key};
use crate::serve::Port;
use crate::upstream::{self, Upstream};
use crate::visitors::{self, Visitors};
use crate::{roles, serve};

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

    /// Lets callers in, and waits until the upstream has given a credential or said that there is none. `None` if
    /// `stop` came first.
    pub(crate) async fn open(
        &mut self,
        port: impl Into<Port>,
        region: &Region,
        stop: impl Future<Output = ()> + Send + 'static,
        hurry: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Option<JoinHandle<()>>, Box<dyn Error>> {
        let callers = std::mem::take(&mut self.callers);
        let service = gateway::service(&self.upstream, region, callers, self.discovery.take())?;
        // Whoever gives out the credential may want to read the gateway's own keys first, so it serves already.
        let mut serving = tokio::spawn(serve::serve(port.into(), service, stop, hurry));
        tokio::select! {
            checked = self.upstream.check(&TokioRuntime) => {
                checked.map_err(|error| upstream::advice(&error))?;
                Ok(Some(serving))
            }
            ended = &mut serving => Ok(ended.map(|()| None)?),
        }
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::future::{pending, ready};
    use std::net::{Ipv4Addr, SocketAddr};
    use std::path::PathBuf;

    use credfed_core::AwsCredentials;
    use http::Request;
    use tempfile::TempDir;
    use tokio::net::TcpListener;

    use super::*;
    use crate::background::Background;
    use crate::cli::{ExternalUpstream, IssuerSettings, RoleSettings, UpstreamCredentials};
    use crate::cloud::Cloud;
    use crate::endpoint::Endpoint;
    use crate::probe;

    const KEYS: &str = "[[key]]\naccess_key_id = 'operator'\nsecret_access_key = '0123456789abcdef'\n\
                        list_buckets = true\n";
    const ROLES: &str = "[[role]]\nname = 'auditor'\n[[role.trust]]\nkeys = ['operator']\n[[role.allow]]\n\
                         bucket = '*'\nactions = ['read']\n";

    fn settings() -> Settings {
        Settings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            region: Region::parse("eu-west-1", "--region").unwrap(),
            upstream: None,
            issuer: None,
            keys: None,
            roles: None,
            token_ring: None,
            self_test: false,
        }
    }

    fn at(url: &str) -> Endpoint {
        Endpoint::parse(url, "--upstream").unwrap()
    }

    fn external(endpoint: Endpoint, credentials: UpstreamCredentials) -> Option<ExternalUpstream> {
        Some(ExternalUpstream { endpoint, region: settings().region, credentials })
    }

    fn key(key: &Key) -> AwsCredentials {
        AwsCredentials::new(key.access_key_id.as_str(), key.secret.clone(), None)
    }

    fn file(folder: &TempDir, name: &str, text: &str) -> Option<PathBuf> {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        Some(path)
    }

    async fn listen(settings: &Settings) -> (TcpListener, Endpoint) {
        let listener = TcpListener::bind(settings.listen).await.unwrap();
        let endpoint = Endpoint::local(listener.local_addr().unwrap()).unwrap();
        (listener, endpoint)
    }

    async fn refused(mut settings: Settings) -> String {
        House::build(&mut settings).await.err().unwrap().to_string()
    }

    #[tokio::test]
    async fn nothing_is_needed_to_serve_a_key_and_visitors() {
        let mut settings = settings();
        let mut house = House::build(&mut settings).await.unwrap();
        assert_eq!((house.callers.keys.len(), house.callers.roles()), (1, 1));
        let (made, token) =
            (key(house.made.as_ref().unwrap()), house.visitors.as_ref().unwrap().token_file.clone());
        let (listener, endpoint) = listen(&settings).await;
        let serving = house.open(listener, &settings.region, pending(), pending()).await.unwrap().unwrap();
        let _serving = Background::from(serving);
        let (status, body) = probe::ask(&endpoint, &settings.region, made, Request::get("/")).await;
        assert_eq!(status, 200, "{body}");
        assert!(fs::read_to_string(&token).unwrap().starts_with("ey"));
        drop(house);
        assert!(!token.exists(), "the web identity goes with the gateway");
    }

    #[tokio::test]
    async fn files_take_the_place_of_what_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let mut both = Settings {
            keys: file(&folder, "keys.toml", KEYS),
            roles: file(&folder, "roles.toml", ROLES),
            ..settings()
        };
        let house = House::build(&mut both).await.unwrap();
        assert_eq!(
            house.callers.keys.iter().map(|key| key.access_key_id.as_str()).collect::<Vec<_>>(),
            ["operator"]
        );
        assert!(house.made.is_none() && house.visitors.is_none() && house.callers.roles() == 1);

        let mut roles = Settings { roles: both.roles.clone(), ..settings() };
        let house = House::build(&mut roles).await.unwrap();
        assert!(house.made.is_none() && house.visitors.is_none() && house.callers.keys.is_empty());

        let mut keys = Settings { keys: both.keys.clone(), ..settings() };
        let house = House::build(&mut keys).await.unwrap();
        assert!(house.made.is_none() && house.visitors.is_some() && house.callers.keys.len() == 1);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_is_named_with_its_option() {
        let folder = tempfile::tempdir().unwrap();
        let garbled = || file(&folder, "garbled", "[[[");
        let said = refused(Settings { keys: garbled(), ..settings() }).await;
        assert!(said.starts_with("--keys: ") && said.contains("garbled, line 1: "), "{said}");
        let said = refused(Settings { roles: garbled(), ..settings() }).await;
        assert!(said.starts_with("--roles: ") && said.contains("garbled, line 1: "), "{said}");
        let said = refused(Settings { token_ring: garbled(), ..settings() }).await;
        assert!(said.starts_with("--token-ring: ") && !said.contains("keyring new"), "{said}");
        let missing = Some(folder.path().join("missing"));
        let said = refused(Settings { token_ring: missing.clone(), ..settings() }).await;
        assert!(said.starts_with("--token-ring: ") && said.contains("`keyring new "), "{said}");
        let issuer = IssuerSettings {
            url: "https://gateway.example".to_owned(),
            state: missing,
            subject: "gateway".to_owned(),
        };
        let said = refused(Settings { issuer: Some(issuer), ..settings() }).await;
        assert!(said.starts_with("--issuer-state: ") && said.contains("`issuer new "), "{said}");
    }

    #[tokio::test]
    async fn a_ring_without_roles_is_a_mistake() {
        let upstream = external(at("http://127.0.0.1:9"), UpstreamCredentials::Environment);
        let said = refused(Settings { upstream, token_ring: Some("ring.json".into()), ..settings() }).await;
        assert!(said.contains("--token-ring needs --roles"), "{said}");
    }

    /// The upstream reads the keys of the gateway's issuer from the gateway itself, which therefore has to serve
    /// before it has a credential.
    #[tokio::test]
    async fn the_gateways_own_keys_are_served_before_it_asks_for_a_credential() {
        let mut settings = settings();
        let (listener, endpoint) = listen(&settings).await;
        let issuer = IssuerSettings { url: endpoint.to_string(), state: None, subject: "gateway".to_owned() };
        // Of this one the cloud takes the address alone.
        let elsewhere = Identity::open(&issuer).unwrap();
        let cloud = Cloud::start(&settings.region, &elsewhere).await.unwrap();
        settings.upstream = external(cloud.endpoint().clone(), UpstreamCredentials::Federated(cloud.role()));
        settings.issuer = Some(issuer);
        let mut house = House::build(&mut settings).await.unwrap();
        assert!(house.discovery.is_some() && house.visitors.is_none());
        let made = key(house.made.as_ref().unwrap());
        let serving = house.open(listener, &settings.region, pending(), pending()).await.unwrap().unwrap();
        let _serving = Background::from(serving);
        assert_eq!(house.upstream.credentials.status().generation, 1, "there is a credential from the start");
        let (status, body) = probe::ask(&endpoint, &settings.region, made, Request::get("/")).await;
        assert_eq!(status, 200, "{body}");
    }

    #[tokio::test]
    async fn who_is_stopped_before_the_upstream_answered_just_ends() {
        // It takes connections and never says a word.
        let (_silent, sts) = listen(&settings()).await;
        let role = RoleSettings {
            sts,
            role_arn: "arn:aws:iam::123456789012:role/gateway".to_owned(),
            session_name: "gateway".to_owned(),
            session_seconds: None,
            audience: "sts".to_owned(),
        };
        let issuer = IssuerSettings {
            url: "https://gateway.example".to_owned(),
            state: None,
            subject: "gateway".to_owned(),
        };
        let upstream = external(at("http://127.0.0.1:9"), UpstreamCredentials::Federated(role));
        let mut settings = Settings { upstream, issuer: Some(issuer), ..settings() };
        let mut house = House::build(&mut settings).await.unwrap();
        let (listener, _) = listen(&settings).await;
        let opened = house.open(listener, &settings.region, ready(()), pending()).await.unwrap();
        assert!(opened.is_none());
    }
}
