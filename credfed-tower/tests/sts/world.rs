//! A service with users, roles and issuers, and clients of it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_core::keyring::{KeyRing, SharedKeyRing};
use credfed_core::oidc::{
    Algorithm, AssertionClaims, Issuer, IssuerState, LocalSigner, TrustedIssuer, TrustedIssuers,
};
use credfed_core::session::{Scratch, SealedSessions, SessionClaims};
use credfed_core::{Secret, VirtualClock};
use credfed_tower::sts::{Account, IssuerFacts, Role, RoleTable, StsBody, StsService, StsServiceBuilder};
use credfed_tower::{ByShape, SealedSessionResolver, StaticKeys};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::events::Event;
use tower::ServiceExt;

use crate::support::{ACCESS_KEY, Signer, noon, origin_form, secret};

pub(crate) const ISSUER: &str = "https://id.example.org";
pub(crate) const GITHUB: &str = "https://token.actions.githubusercontent.com";
pub(crate) const AUDIENCE: &str = "sts.example.org";
pub(crate) const SUBJECT: &str = "workload:reader";
pub(crate) const NUMBER: &str = "123456789012";
pub(crate) const ALICE: &str = "arn:aws:iam::123456789012:user/alice";

pub(crate) type Keys = ByShape<&'static str>;

pub(crate) struct World {
    pub(crate) clock: VirtualClock,
    pub(crate) sessions: SealedSessions,
    pub(crate) sts: StsService,
}

pub(crate) fn account() -> Account {
    Account::new(NUMBER).unwrap()
}

pub(crate) fn role(name: &str) -> Role {
    Role::new(&account(), name).unwrap()
}

pub(crate) fn arn(role: &str) -> String {
    account().role_arn(role)
}

/// One key for each issuer, made once for the process.
pub(crate) fn issuer(url: &str) -> Issuer {
    static OURS: LazyLock<Issuer> = LazyLock::new(|| fresh_issuer(ISSUER));
    static GITHUBS: LazyLock<Issuer> = LazyLock::new(|| fresh_issuer(GITHUB));
    if url == ISSUER { OURS.clone() } else { GITHUBS.clone() }
}

pub(crate) fn fresh_issuer(url: &str) -> Issuer {
    let key = LocalSigner::generate(Algorithm::Es256).unwrap();
    Issuer::builder(url).state(IssuerState::new(key, noon() - Duration::from_secs(3600))).build().unwrap()
}

pub(crate) fn trusted() -> TrustedIssuers {
    let one = |url| {
        TrustedIssuer::builder(url)
            .audience(AUDIENCE)
            .audience("sts.other.org")
            .jwks(issuer(url).jwks(noon()))
    };
    TrustedIssuers::new([one(ISSUER).build().unwrap(), one(GITHUB).build().unwrap()]).unwrap()
}

/// A token about `subject`.
pub(crate) async fn token(claims: AssertionClaims) -> String {
    signed_token(ISSUER, claims).await
}

pub(crate) async fn signed_token(url: &str, claims: AssertionClaims) -> String {
    issuer(url).sign(&claims, noon()).await.unwrap().value().expose().to_owned()
}

pub(crate) fn claims() -> AssertionClaims {
    AssertionClaims::new(SUBJECT, AUDIENCE)
}

impl World {
    pub(crate) fn new(roles: impl IntoIterator<Item = Role>) -> Self {
        Self::with(roles, |builder| builder)
    }

    pub(crate) fn with(
        roles: impl IntoIterator<Item = Role>,
        change: impl FnOnce(StsServiceBuilder<Keys>) -> StsServiceBuilder<Keys>,
    ) -> Self {
        let roles = RoleTable::new(roles, &IssuerFacts::of(&trusted())).unwrap();
        let clock = VirtualClock::new(noon());
        let ring = SharedKeyRing::new(KeyRing::generate(noon() - Duration::from_secs(60)).unwrap());
        let sessions = SealedSessions::new("https://sts.example.org", ring);
        let statics = StaticKeys::new().with_key(ACCESS_KEY, Secret::new(secret()), "alice");
        let keys =
            ByShape::new().static_keys(statics).unwrap().sealed(SealedSessionResolver::new(sessions.clone()));
        let builder = StsService::builder(account(), sessions.clone(), keys)
            .issuers(trusted())
            .roles(roles)
            .clock(Arc::new(clock.clone()));
        Self { clock, sessions, sts: change(builder).build().unwrap() }
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        Answer::of(self.sts.clone().oneshot(request).await.unwrap()).await
    }

    /// An unsigned form.
    pub(crate) async fn post(&self, parameters: &[(&str, &str)]) -> Answer {
        self.send(form(parameters)).await
    }

    /// A form that `signer` signed.
    pub(crate) async fn signed(&self, signer: &Signer, parameters: &[(&str, &str)]) -> Answer {
        let request = form(parameters);
        let body = request.body().clone().collect().await.unwrap().to_bytes();
        self.send(origin_form(signer.sign(request, SignableBody::Bytes(&body)))).await
    }

    pub(crate) async fn web_identity(&self, role: &str, token: &str, more: &[(&str, &str)]) -> Answer {
        let arn = arn(role);
        let mut parameters = vec![
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", &*arn),
            ("RoleSessionName", "ci-run"),
            ("WebIdentityToken", token),
        ];
        parameters.extend_from_slice(more);
        self.post(&parameters).await
    }

    pub(crate) async fn assume(&self, signer: &Signer, role: &str, more: &[(&str, &str)]) -> Answer {
        let arn = arn(role);
        let mut parameters = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &*arn),
            ("RoleSessionName", "batch"),
        ];
        parameters.extend_from_slice(more);
        self.signed(signer, &parameters).await
    }

    pub(crate) async fn act(&self, signer: &Signer, action: &str, more: &[(&str, &str)]) -> Answer {
        let mut parameters = vec![("Action", action), ("Version", "2011-06-15")];
        parameters.extend_from_slice(more);
        self.signed(signer, &parameters).await
    }

    /// What the token of an answer says.
    pub(crate) fn opened(&self, answer: &Answer) -> SessionClaims {
        let mut scratch = Scratch::new();
        let (key, token) = (answer.text("AccessKeyId"), answer.text("SessionToken"));
        let now = credfed_core::Clock::wall(&self.clock);
        self.sessions.open(key, token, now, &mut scratch).expect("a session of ours").claims().to_owned()
    }
}

/// A user with a long-lived key.
pub(crate) fn alice() -> Signer {
    Signer { service: "sts".into(), region: "us-east-1".into(), ..Signer::default() }
}

pub(crate) fn form(parameters: &[(&str, &str)]) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::POST)
        .uri("http://sts.example.org/")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(Full::new(encoded(parameters).into()))
        .unwrap()
}

pub(crate) fn encoded(parameters: &[(&str, &str)]) -> String {
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<_> =
        parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

/// An answer, read by a strict parser.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Response<()>,
    pub(crate) xml: String,
    pub(crate) root: String,
    leaves: BTreeMap<String, String>,
}

impl Answer {
    pub(crate) async fn of(response: Response<StsBody>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Self::read(Response::from_parts(parts, ()), &bytes)
    }

    pub(crate) fn read(head: Response<()>, bytes: &[u8]) -> Self {
        let xml = String::from_utf8(bytes.to_vec()).unwrap();
        let (root, leaves) = if xml.is_empty() { Default::default() } else { leaves(&xml) };
        Self { head, xml, root, leaves }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// The text of the only element of that name.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {}", self.root))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.leaves.get(name).map(String::as_str)
    }

    pub(crate) fn code(&self) -> &str {
        self.find("Code").unwrap_or("none")
    }

    pub(crate) fn message(&self) -> &str {
        self.text("Message")
    }

    /// Status and code.
    pub(crate) fn verdict(&self) -> (u16, &str) {
        (self.status().as_u16(), self.code())
    }

    /// Signs as the session that the answer gives.
    pub(crate) fn signer(&self) -> Signer {
        assert_eq!(self.verdict(), (200, "none"), "{:?}", self.leaves);
        Signer {
            access_key: self.text("AccessKeyId").into(),
            secret: self.text("SecretAccessKey").into(),
            token: Some(self.text("SessionToken").into()),
            ..alice()
        }
    }

    /// Seconds from noon to the end of the session.
    pub(crate) fn lifetime(&self) -> u64 {
        let end = self.text("Expiration");
        let number = |range: std::ops::Range<usize>| end[range].parse::<u64>().unwrap();
        assert!(end.starts_with("2026-11-") && end.ends_with('Z') && end.len() == 20, "{end}");
        (number(8..10) - 20) * 86_400 + number(11..13) * 3600 + number(14..16) * 60 + number(17..19)
            - 12 * 3600
    }

    /// The answer without what differs between any two.
    pub(crate) fn without_request_id(&self) -> (u16, String) {
        (self.status().as_u16(), self.xml.replace(self.text("RequestId"), "id"))
    }
}

/// Root element and leaves by name; panics on anything but well-formed XML of elements and text, each name once.
pub(crate) fn leaves(xml: &str) -> (String, BTreeMap<String, String>) {
    let mut reader = quick_xml::Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let (mut path, mut root, mut leaves) = (Vec::<String>::new(), String::new(), BTreeMap::new());
    let (mut text, mut is_leaf) = (String::new(), false);
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(start) => {
                let name = String::from_utf8(start.name().as_ref().to_vec()).unwrap();
                if path.is_empty() {
                    assert!(root.is_empty(), "one root");
                    root.clone_from(&name);
                    let namespace = start.try_get_attribute("xmlns").unwrap().unwrap();
                    assert_eq!(&*namespace.value, b"https://sts.amazonaws.com/doc/2011-06-15/");
                }
                path.push(name);
                text.clear();
                is_leaf = true;
            }
            Event::Text(part) => text.push_str(&part.decode().unwrap()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().unwrap() {
                Some(character) => text.push(character),
                None => text.push_str(
                    quick_xml::escape::resolve_predefined_entity(&reference.decode().unwrap())
                        .expect("predefined"),
                ),
            },
            Event::End(_) => {
                let name = path.pop().unwrap();
                if is_leaf {
                    assert!(leaves.insert(name, std::mem::take(&mut text)).is_none(), "each name once");
                }
                is_leaf = false;
            }
            Event::Eof => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(path.is_empty());
    (root, leaves)
}
