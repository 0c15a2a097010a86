//! What stands before S3 at the same address: the documents of an OpenID provider and the STS endpoint. Each request
//! goes to exactly one of the three, by its head alone, before anything is verified.

use std::convert::Infallible;
use std::error::Error;
use std::task::{Context, Poll};

use bytes::Bytes;
use credfed_sigv4_verify::Protocol;
use credfed_tower::oidc::OidcDiscovery;
use credfed_tower::sts::StsService;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use http::{Request, Response};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either};
use tower::{Service, ServiceExt};

/// The services at one address. What is not there answers as S3 does.
#[derive(Clone, Debug)]
pub(crate) struct Front<S> {
    pub(crate) discovery: Option<OidcDiscovery>,
    pub(crate) sts: Option<StsService>,
    pub(crate) s3: S,
}

/// S3's own body as it streams, or a document that is in memory.
pub(crate) type FrontBody<B> = Either<B, UnsyncBoxBody<Bytes, Infallible>>;

impl<S, Q, B> Service<Request<Q>> for Front<S>
where
    S: Service<Request<Q>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    Q: Body<Data = Bytes> + Send + 'static,
    Q::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Send + 'static,
{
    type Response = Response<FrontBody<B>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let discovery = self.discovery.clone().filter(|discovery| discovery.handles(&parts));
        let sts = self.sts.clone().filter(|_| StsService::handles(&parts));
        let request = Request::from_parts(parts, body);
        if let Some(discovery) = discovery {
            return small(discovery.oneshot(request));
        }
        if let Some(sts) = sts {
            return small(sts.oneshot(request).map_ok(of_sts));
        }
        let s3 = self.s3.clone().oneshot(request);
        async move { Ok(s3.await?.map(Either::Left)) }.boxed()
    }
}

/// Says in which protocol it is, for the log: one refusal has a code in each.
fn of_sts<B>(mut answer: Response<B>) -> Response<B> {
    answer.extensions_mut().insert(Protocol::Query);
    answer
}

fn small<F, D, B>(answer: F) -> BoxFuture<'static, Result<Response<FrontBody<B>>, Infallible>>
where
    F: Future<Output = Result<Response<D>, Infallible>> + Send + 'static,
    D: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    async move { Ok(answer.await?.map(|body| Either::Right(body.boxed_unsync()))) }.boxed()
}

#[cfg(test)]
mod tests {
    use credfed_core::keyring::{KeyRing, SharedKeyRing};
    use credfed_core::session::SealedSessions;
    use credfed_core::{Clock, SystemClock};
    use credfed_sigv4_verify::{Profile, Verifier};
    use credfed_tower::sts::Account;
    use credfed_tower::{ByShape, VerifySigV4Layer};
    use http::StatusCode;
    use http_body_util::Full;
    use tower::{ServiceBuilder, service_fn};

    use super::*;
    use crate::cli::IssuerSettings;
    use crate::identity::Identity;
    use crate::journal;
    use crate::policy::{Holder, Policy};

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

    /// What came of a request, and the code that the log has for it.
    #[derive(Debug)]
    struct Answer {
        status: StatusCode,
        body: String,
        logged: Option<&'static str>,
    }

    #[derive(Debug, PartialEq, Eq)]
    enum By {
        Discovery,
        Sts,
        S3,
    }

    impl Answer {
        fn by(&self) -> By {
            match &self.body {
                body if body.starts_with('{') => By::Discovery,
                body if body.contains("<ErrorResponse xmlns=\"https://sts.amazonaws.com/") => By::Sts,
                body if body.contains("<Error><Code>") => By::S3,
                body => panic!("nobody answers so: {} {body}", self.status),
            }
        }

        fn code(&self) -> &str {
            let code = self.body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
            code.map_or("", |(code, _)| code)
        }
    }

    fn documents() -> OidcDiscovery {
        let url = "https://gateway.example".to_owned();
        let settings = IssuerSettings { url, state: None, subject: "gateway".to_owned() };
        Identity::open(&settings).unwrap().discovery()
    }

    /// Asks the services at one address: S3 behind its verifying layer, and with the documents STS as well.
    async fn ask(
        documents: Option<&OidcDiscovery>,
        request: http::request::Builder,
        body: &'static str,
    ) -> Answer {
        let request = request.header("host", "gateway.example").body(Full::from(body)).unwrap();
        let ring = SharedKeyRing::new(KeyRing::generate(SystemClock.wall()).unwrap());
        let sessions = SealedSessions::new("front", ring);
        let account = Account::new("000000000000").unwrap();
        let sts = StsService::builder(account, sessions, ByShape::<Holder>::new()).build().unwrap();
        let verifier = Verifier::builder().profile(Profile::S3).region("us-east-1").build().unwrap();
        let s3 = ServiceBuilder::new()
            .layer(VerifySigV4Layer::new(verifier, ByShape::<Holder>::new(), Policy::default()))
            .service(service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }));
        let front = Front { discovery: documents.cloned(), sts: documents.map(|_| sts), s3 };
        let answer = front.oneshot(request).await.unwrap();
        let (status, logged) = (answer.status(), journal::refusal(&answer).map(|(code, _)| code));
        let body = match answer.into_body() {
            Either::Left(body) => body.collect().await.ok().unwrap().to_bytes(),
            Either::Right(body) => body.collect().await.unwrap().to_bytes(),
        };
        Answer { status, body: String::from_utf8(body.to_vec()).unwrap(), logged }
    }

    fn post(target: &str) -> http::request::Builder {
        Request::post(target).header(FORM.0, FORM.1)
    }

    #[tokio::test]
    async fn a_request_goes_to_one_of_the_three_by_its_head_alone() {
        const WHO: &str = "Action=GetCallerIdentity&Version=2011-06-15";
        let documents = documents();
        for (request, body, by) in [
            (post("/"), WHO, By::Sts),
            // What the body says is not looked at before that.
            (post("/"), "no form at all", By::Sts),
            (Request::get(format!("/?{WHO}")), "", By::Sts),
            (Request::post(format!("/?{WHO}")), "", By::Sts),
            // A signature for S3 leads nowhere else.
            (post("/").header("authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/s3/d"), WHO, By::Sts),
            (Request::get("/"), "", By::S3),
            (Request::get("/?x-id=ListBuckets"), "", By::S3),
            (post("/?delete"), "", By::S3),
            (Request::post("/"), WHO, By::S3),
            (post("/bucket"), WHO, By::S3),
            (Request::get(format!("/bucket?{WHO}")), "", By::S3),
            (Request::put(format!("/?{WHO}")), "", By::S3),
            (Request::get("/.well-known/openid-configuration"), "", By::Discovery),
            (Request::get("/.well-known/jwks.json?x=y"), "", By::Discovery),
            (Request::get("/.well-known/other"), "", By::S3),
            (Request::get("/bucket/.well-known/jwks.json"), "", By::S3),
        ] {
            let asked = format!("{:?} {:?}", request.method_ref(), request.uri_ref());
            let answer = ask(Some(&documents), request, body).await;
            assert_eq!(answer.by(), by, "{asked}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_answered_as_by_s3() {
        for request in [
            post("/"),
            Request::get("/?Action=GetCallerIdentity&Version=2011-06-15"),
            Request::get("/.well-known/openid-configuration"),
            Request::get("/.well-known/jwks.json"),
        ] {
            let answer = ask(None, request, "").await;
            assert_eq!((answer.by(), answer.status), (By::S3, StatusCode::FORBIDDEN), "{answer:?}");
        }
    }

    /// A wrong signature has one code at S3 and another one at STS.
    #[tokio::test]
    async fn the_log_has_the_code_that_was_answered() {
        const STALE: &str = "AWS4-HMAC-SHA256 Credential=AKIANOBODY/20200101/us-east-1/SERVICE/aws4_request, \
                             SignedHeaders=host;x-amz-date, Signature=";
        let (documents, signature) = (documents(), "0".repeat(64));
        let signed = |request: http::request::Builder, service| {
            let authorization = format!("{}{signature}", STALE.replace("SERVICE", service));
            request.header("authorization", authorization).header("x-amz-date", "20200101T000000Z")
        };
        let mut codes = Vec::new();
        for request in [
            signed(post("/?Action=GetCallerIdentity&Version=2011-06-15"), "sts"),
            signed(Request::get("/"), "s3").header("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            Request::get("/?Action=GetCallerIdentity&Version=2011-06-15"),
            Request::get("/?Action=GetCallerIdentity&Version=2011-06-15")
                .header("authorization", "Basic eA=="),
            Request::get("/?Action=Nonsense&Version=2011-06-15"),
            Request::get("/"),
        ] {
            let answer = ask(Some(&documents), request, "").await;
            assert_eq!(answer.logged, Some(answer.code()), "{answer:?}");
            codes.push(answer.code().to_owned());
        }
        assert_eq!(codes[0], "SignatureDoesNotMatch");
        assert_eq!(codes[1], "RequestTimeTooSkewed");
    }
}
