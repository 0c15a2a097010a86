//! What the payload of a session JWT says.
//!
//! | member | value |
//! |---|---|
//! | `iss`, `aud` | texts: those of the service |
//! | `sub` | the principal: the ARN of the role or user |
//! | `iat`, `exp` | seconds since 1970 |
//! | `jti` | the token's id: 48 hex digits |
//! | `key` | the key of the ring that leads to the secret access key: 16 hex digits |
//! | `kind` | `web-identity`, `assumed-role` or `session-token` |
//! | `session_name`, `subject`, `issuer`, `source_identity`, `policy` | texts, as the kind asks for them |
//! | `generation` | in decimal, as a text, since not every reader of JSON keeps 64 bits; 0 is left out |
//! | `tags` | a list of `[key, value, whether transitive]`; an empty one is left out |
//!
//! The limits are those of [`SessionClaims`], which every payload becomes.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::keyring::KeyId;
use crate::oidc::json::{Json, Object};
use crate::oidc::rules::{self, TimeRules};
use crate::session::claims::{ClaimsError, SessionClaims, SessionClaimsBuilder, SessionKind};
use crate::session::sealed::{ISSUED_AHEAD, OpenError};
use crate::session::token::TokenId;

const REQUIRED: [&str; 8] = ["iss", "aud", "sub", "iat", "exp", "jti", "key", "kind"];
const GENERATION: &str = "generation";
const TAGS: &str = "tags";

/// An optional text: its member, where the claims have it, and where the builder takes it.
type Text = (
    &'static str,
    fn(&SessionClaims) -> Option<&str>,
    fn(SessionClaimsBuilder, &str) -> SessionClaimsBuilder,
);

const TEXTS: [Text; 5] = [
    ("session_name", SessionClaims::session_name, |builder, text| builder.session_name(text)),
    ("subject", SessionClaims::subject, |builder, text| builder.subject(text)),
    ("issuer", SessionClaims::issuer, |builder, text| builder.issuer(text)),
    ("source_identity", SessionClaims::source_identity, |builder, text| builder.source_identity(text)),
    ("policy", SessionClaims::policy, |builder, text| builder.policy(text)),
];

/// What a payload says beside the claims of the session.
pub(super) struct Payload<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) id: TokenId,
    pub(super) key: KeyId,
}

impl<'a> Payload<'a> {
    /// The JSON of it, with the claims.
    pub(super) fn write(&self, claims: &SessionClaims) -> String {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
        put("iss", self.issuer.into());
        put("aud", self.audience.into());
        put("sub", claims.principal().into());
        put("iat", claims.as_ref().issued_second().into());
        put("exp", claims.as_ref().expires_second().into());
        put("jti", self.id.to_string().into());
        put("key", self.key.to_string().into());
        put("kind", name(claims.kind()).into());
        for (member, get, _) in TEXTS {
            if let Some(text) = get(claims) {
                put(member, text.into());
            }
        }
        if claims.generation() != 0 {
            put(GENERATION, claims.generation().to_string().into());
        }
        let tags: Vec<Value> = claims
            .tags()
            .map(|tag| Value::from(vec![Value::from(tag.key), tag.value.into(), tag.transitive.into()]))
            .collect();
        if !tags.is_empty() {
            put(TAGS, tags.into());
        }
        Value::Object(object).to_string()
    }

    /// Reads the payload of a genuine token. That it is not over is for the caller to judge, each time anew.
    pub(super) fn read(object: &'a Object, id: TokenId) -> Result<(Self, SessionClaims), OpenError> {
        let malformed = OpenError::Claims(ClaimsError::Malformed);
        let known = |name: &str| {
            REQUIRED.contains(&name)
                || TEXTS.iter().any(|(member, ..)| *member == name)
                || [GENERATION, TAGS].contains(&name)
        };
        if !object.iter().all(|(name, _)| known(name)) {
            return Err(malformed);
        }
        let text = |name: &'static str| rules::text(object, name).map_err(|_| malformed);
        let key = KeyId::parse(text("key")?.as_bytes()).ok_or(malformed)?;
        let payload = Self { issuer: text("iss")?, audience: text("aud")?, id, key };

        let kind = kind(text("kind")?).ok_or(malformed)?;
        let (issued, expires) = times(object)?;
        let mut builder = SessionClaims::builder(kind, text("sub")?, issued, expires);
        for (member, _, set) in TEXTS {
            if object.get(member).is_some() {
                builder = set(builder, text(member)?);
            }
        }
        if object.get(GENERATION).is_some() {
            builder = builder.generation(generation(text(GENERATION)?).ok_or(malformed)?);
        }
        if let Some(tags) = object.get(TAGS) {
            builder = with_tags(builder, tags).ok_or(malformed)?;
        }
        Ok((payload, builder.build().map_err(OpenError::Claims)?))
    }
}

/// `iat` and `exp`, as far as they can be judged for good: that there are both, of their type, in their order.
fn times(object: &Object) -> Result<(SystemTime, SystemTime), OpenError> {
    // How long a session may live is for whoever mints it to say.
    let rules = TimeRules { leeway: ISSUED_AHEAD, longest: Duration::MAX, require_issued: true };
    // By the token's own clock: the time now is asked about afterwards, whether the token is remembered or not.
    let issued = match object.get("iat") {
        Some(Json::Number(number)) => number.as_seconds(),
        _ => None,
    };
    let issued = issued.ok_or(OpenError::Claims(ClaimsError::Times))?;
    let issued = SystemTime::UNIX_EPOCH + Duration::from_secs(issued);
    let times = rules.check(object, issued).map_err(|_| OpenError::Claims(ClaimsError::Times))?;
    Ok((issued, times.expires))
}

fn with_tags(mut builder: SessionClaimsBuilder, tags: &Json) -> Option<SessionClaimsBuilder> {
    for tag in tags.as_list()? {
        let [Json::Text(key), Json::Text(value), Json::Bool(transitive)] = tag.as_list()? else {
            return None;
        };
        builder = builder.tag(key, value, *transitive);
    }
    Some(builder)
}

/// Its one form: no sign, no zero before it.
fn generation(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    (number.to_string() == text).then_some(number)
}

fn name(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::WebIdentity => "web-identity",
        SessionKind::AssumedRole => "assumed-role",
        SessionKind::SessionToken => "session-token",
    }
}

fn kind(text: &str) -> Option<SessionKind> {
    [SessionKind::WebIdentity, SessionKind::AssumedRole, SessionKind::SessionToken]
        .into_iter()
        .find(|kind| name(*kind) == text)
}
