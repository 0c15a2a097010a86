use std::sync::atomic::{AtomicUsize, Ordering};

use credfed_core::VirtualRuntime;
use credfed_sigv4_verify::{KeyKind, ResolvedKey};

use super::*;

const GOOD: &str = "AKIAREMOTEKEY0000001";
const SECOND: Duration = Duration::from_secs(1);

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
}

/// A service elsewhere: it knows keys that begin with `AKIAREMOTE`, takes as long as it is told, and can be down.
#[derive(Clone)]
struct Elsewhere {
    runtime: VirtualRuntime,
    calls: Arc<AtomicUsize>,
    delay: Duration,
    down: Arc<std::sync::atomic::AtomicBool>,
}

impl Elsewhere {
    fn new(runtime: &VirtualRuntime, delay: Duration) -> Self {
        Self { runtime: runtime.clone(), calls: Arc::default(), delay, down: Arc::default() }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl LookUpKey for Elsewhere {
    type Claims = String;

    fn look_up(
        &self,
        request: RemoteRequest,
    ) -> impl Future<Output = Result<Resolved<String>, ResolveError>> + Send + 'static {
        let this = self.clone();
        async move {
            this.calls.fetch_add(1, Ordering::SeqCst);
            if !this.delay.is_zero() {
                this.runtime.sleep(this.delay).await;
            }
            if this.down.load(Ordering::SeqCst) {
                return Err(ResolveError::Unavailable);
            }
            match request.access_key.starts_with("AKIAREMOTE") {
                true => {
                    let key = ResolvedKey::new(request.access_key.clone(), KeyKind::Static, 1);
                    Ok(Resolved::new(key, request.access_key))
                }
                false => Err(ResolveError::Unknown),
            }
        }
    }
}

fn keys(delay: Duration) -> (VirtualRuntime, Elsewhere, RemoteKeys<Elsewhere>) {
    let runtime = VirtualRuntime::new(noon());
    let source = Elsewhere::new(&runtime, delay);
    let keys = RemoteKeys::builder(source.clone())
        .runtime(runtime.clone())
        .capacity(50)
        .per_second(20)
        .ttl(60 * SECOND)
        .negative_ttl(10 * SECOND)
        .deadline(3 * SECOND)
        .build();
    (runtime, source, keys)
}

fn ask(keys: &RemoteKeys<Elsewhere>, access_key: &str, token: Option<&str>) -> RemoteFuture<String> {
    let scope = credfed_sigv4_verify::Scope::parse("20261120/eu-west-1/s3/aws4_request");
    keys.resolve(KeyRequest::new(access_key, token, scope.expect("a scope"), noon()))
}

fn now(
    runtime: &VirtualRuntime,
    keys: &RemoteKeys<Elsewhere>,
    access_key: &str,
) -> Result<String, ResolveError> {
    let answer = runtime.block_on(ask(keys, access_key, None)).expect("an answer");
    answer.map(|resolved| resolved.claims)
}
