//! Name resolution that keeps a client within its [`Reach`].

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{BoxError, Reach};

type Lookup = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// Resolves names and gives only addresses within reach; the client connects to those and to no others. A name of
/// which one address is out of reach is refused whole: an honest name has no such addresses.
#[derive(Clone)]
pub(super) struct GuardedResolver {
    reach: Reach,
    lookup: Arc<dyn Fn(String) -> Lookup + Send + Sync>,
}

impl GuardedResolver {
    pub(super) fn new(reach: Reach) -> Self {
        Self::with(reach, |name| {
            Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })
        })
    }

    fn with(reach: Reach, lookup: impl Fn(String) -> Lookup + Send + Sync + 'static) -> Self {
        Self { reach, lookup: Arc::new(lookup) }
    }

    /// Checks a URL's host if it is an address, which no resolver is asked about. The host is that of a parsed
    /// URL: all spellings of an IPv4 address have become one.
    pub(super) fn check_literal(&self, host: Option<&str>) -> Result<(), BoxError> {
        let host = host.unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(address) if !self.reach.allows(address) => Err(out_of_reach()),
            _ => Ok(()),
        }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.lookup)(name.as_str().to_owned());
        let reach = self.reach;
        Box::pin(async move {
            let found = found.await?;
            if !found.iter().all(|address| reach.allows(address.ip())) {
                return Err(out_of_reach());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn out_of_reach() -> BoxError {
    "the address of the host is not within reach of this client".into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::executor::block_on;

    use super::*;

    fn resolver(
        reach: Reach,
        answers: &'static [&'static [&'static str]],
    ) -> (GuardedResolver, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let resolver = GuardedResolver::with(reach, move |_| {
            let answer = answers[count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)];
            let found = answer.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
            Box::pin(std::future::ready(Ok(found)))
        });
        (resolver, asked)
    }

    fn resolve(resolver: &GuardedResolver) -> Option<Vec<String>> {
        let found = block_on(resolver.resolve("issuer.example".parse().unwrap())).ok()?;
        Some(found.map(|address| address.ip().to_string()).collect())
    }

    #[test]
    fn a_name_with_one_address_out_of_reach_is_refused_whole() {
        let (public, _) = resolver(Reach::Public, &[&["1.1.1.1", "2606:4700::1"]]);
        assert_eq!(resolve(&public).unwrap(), ["1.1.1.1", "2606:4700::1"]);
        for bad in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"] {
            let answers: &'static [&'static str] = vec!["1.1.1.1", bad].leak();
            let (mixed, _) = resolver(Reach::Public, vec![answers].leak());
            assert_eq!(resolve(&mixed), None, "{bad}");
        }
    }

    #[test]
    fn a_name_that_is_rebound_is_never_connected_to_where_it_was_rebound() {
        // The client connects to what this gave it, so there is one look-up for one connection: the second
        // answer is checked like the first.
        let (rebound, asked) = resolver(Reach::Public, &[&["1.1.1.1"], &["127.0.0.1"]]);
        assert_eq!(resolve(&rebound).unwrap(), ["1.1.1.1"]);
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(resolve(&rebound), None);
    }

    #[test]
    fn addresses_in_urls_are_checked_in_all_spellings() {
        let guard = GuardedResolver::new(Reach::Public);
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0251.0376.0251.0376/",
            "http://[::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://169.254.169.254./",
        ] {
            let url = reqwest::Url::parse(url).unwrap();
            assert!(guard.check_literal(url.host_str()).is_err(), "{url}");
        }
        for url in ["https://1.1.1.1/", "https://[2606:4700::1]/", "https://issuer.example/"] {
            let url = reqwest::Url::parse(url).unwrap();
            assert!(guard.check_literal(url.host_str()).is_ok(), "{url}");
        }
    }
}
