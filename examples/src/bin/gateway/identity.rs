//! The gateway as an OpenID provider: whom it says that it is, and what it says of its visitors.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use credfed_core::oidc::{
    Algorithm, AssertionClaims, Issuer, IssuerAssertions, IssuerState, IssuerStateFile, LocalSigner, Network,
};
use credfed_core::runtime::TokioRuntime;
use credfed_core::{Clock, SystemClock};
use credfed_tower::oidc::OidcDiscovery;
use tokio::net::TcpListener;
use url::{Host, Url};

use crate::background::Background;
use crate::cli::IssuerSettings;
use crate::config_file::of_program;
use crate::serve;

/// How often files of keys are read again. A new key has to be announced for longer than that before it is used.
pub(crate) const RELOAD_EVERY: Duration = Duration::from_secs(1);

/// Signs assertions. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    issuer: Issuer,
    subject: String,
}

impl Identity {
    /// As the command line says: with the keys of a file that is watched while this process runs, or with one that is
    /// made now. RS256, since there are relying parties that know nothing else.
    pub(crate) fn open(settings: &IssuerSettings) -> Result<Self, Box<dyn Error>> {
        let file = settings.state.clone().map(IssuerStateFile::new);
        let state = match &file {
            Some(file) => file.read().map_err(|error| match &settings.state {
                Some(path) => of_program("--issuer-state", path, "issuer", &error),
                None => error.to_string(),
            })?,
            None => IssuerState::new(LocalSigner::generate(Algorithm::Rs256)?, SystemClock.wall()),
        };
        let issuer = Issuer::builder(&settings.url)
            .network(network(&settings.url))
            .state(state)
            .build()
            .map_err(|error| format!("--issuer: {error}"))?;
        if let Some(file) = file {
            tokio::spawn(file.watch(issuer.clone(), Arc::new(TokioRuntime), RELOAD_EVERY));
        }
        Ok(Self { issuer, subject: settings.subject.clone() })
    }

    pub(crate) fn url(&self) -> &str {
        self.issuer.url()
    }

    /// Assertions about the gateway itself.
    pub(crate) fn of_the_gateway(&self, audience: &str) -> IssuerAssertions {
        self.of(&self.subject, audience)
    }

    pub(crate) fn of(&self, subject: &str, audience: &str) -> IssuerAssertions {
        self.issuer.assertions(AssertionClaims::new(subject, audience))
    }

    /// The documents that relying parties read. They may keep them for no longer than a rotation takes.
    pub(crate) fn discovery(&self) -> OidcDiscovery {
        OidcDiscovery::new(self.issuer.clone()).max_age(Duration::from_secs(60))
    }
}

/// An OpenID provider on a loopback port of its own, for the cloud that is inside.
#[derive(Debug)]
pub(crate) struct LocalProvider {
    identity: Identity,
    _serving: Background,
}

impl LocalProvider {
    pub(crate) async fn start(subject: &str) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = issuer_at(listener.local_addr()?);
        let identity = Identity::open(&IssuerSettings { url, state: None, subject: subject.to_owned() })?;
        let serving = Background::spawn(serve::until_dropped(listener, identity.discovery()));
        Ok(Self { identity, _serving: serving })
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }
}

fn issuer_at(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// An issuer on this machine may do without TLS; every other one has it.
pub(crate) fn network(url: &str) -> Network {
    let local = Url::parse(url).is_ok_and(|url| match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    });
    if local { Network::Loopback } else { Network::Public }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_does_without_tls() {
        for local in ["http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:8014", "http://localhost:8014"]
        {
            assert_eq!(network(local), Network::Loopback, "{local}");
        }
        for other in [
            "https://gateway.example",
            "http://10.0.0.1",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://[::ffff:127.0.0.1]",
            "no url",
        ] {
            assert_eq!(network(other), Network::Public, "{other}");
        }
    }
}
