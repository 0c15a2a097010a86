//! reqsign-core: the cache within `Signer`, with the AWS credential of reqsign-aws-v4, whose freshness rule is
//! the one in use.
//!
//! No public path hands out the cached credential, so a request is signed by a signer that only reads it. The
//! clone of the (empty) request head that `Signer::sign` makes is part of the price, and is shown alone too.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::request::Parts;
use reqsign_aws_v4::Credential;
use reqsign_core::time::Timestamp;
use reqsign_core::{Context, Error, ProvideCredential, Result, SignRequest, Signer};

use crate::peer::{Hit, Peer, at_once};
use crate::source::Source;

struct Reqsign(Signer<Credential>);

#[derive(Debug)]
struct Scripted(Arc<Source>);

#[derive(Debug)]
struct Reads;

pub fn new(source: Arc<Source>) -> Arc<dyn Peer> {
    Arc::new(Reqsign(Signer::new(Context::new(), Scripted(source), Reads)))
}

impl Peer for Reqsign {
    fn get(&self) -> BoxFuture<'_, std::result::Result<(), String>> {
        async {
            let mut head = head();
            self.0.sign(&mut head, None).await.map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn hits(self: Arc<Self>) -> Vec<Hit> {
        let cloned = head();
        // Each thread signs a head of its own: no sharing that is not the peer's.
        let sign = move |times| {
            let mut head = head();
            (0..times).filter(|_| sign_one(&self.0, &mut head)).count()
        };
        vec![
            Hit { name: "`Signer::sign` that only reads", run: Box::new(sign) },
            Hit::new("(of it: cloning the request head)", move || {
                black_box(black_box(&cloned).clone()).headers.is_empty()
            }),
        ]
    }
}

fn head() -> Parts {
    http::Request::new(()).into_parts().0
}

fn sign_one(signer: &Signer<Credential>, head: &mut Parts) -> bool {
    at_once(black_box(signer).sign(head, None)).is_ok()
}

impl ProvideCredential for Scripted {
    type Credential = Credential;

    async fn provide_credential(&self, _: &Context) -> Result<Option<Credential>> {
        let keys = self.0.call().await.map_err(|down| Error::unexpected(down.to_string()))?;
        let expires = DateTime::<Utc>::from(keys.expires_at).timestamp_millis();
        Ok(Some(Credential {
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            session_token: Some(keys.session_token),
            expires_in: Some(Timestamp::from_millisecond(expires)?),
        }))
    }
}

impl SignRequest for Reads {
    type Credential = Credential;

    async fn sign_request(
        &self,
        _: &Context,
        _: &mut Parts,
        credential: Option<&Credential>,
        _: Option<Duration>,
    ) -> Result<()> {
        black_box(credential.map(|keys| keys.access_key_id.len()));
        Ok(())
    }
}
