//! A request as far as it can be read without a key: which carrier, what it claims, what is signed.

mod fields;

use std::borrow::Cow;
use std::fmt;

use http::request::Parts;

use crate::authorization::{self, Algorithm, Authorization, Sent, Text};
use crate::canonical::{path, query};
use crate::chunked::Chunked;
use crate::connection::{Connection, Forwarded};
use crate::danger::Knobs;
use crate::date::Date;
use crate::error::{Malformed, Reason};
use crate::limits::{Limit, Limits};
use crate::payload::{PayloadLine, PayloadMode};
use crate::profile::{Profile, UnsignedPayload};
use crate::query::Kind;
use crate::regions::{self, Regions};
use crate::scope::{Credential, Scope};
use crate::scratch::Work;
use crate::signed_headers::{SignedHeaders, Slot};

use fields::Fields;
pub(crate) use fields::{agreed_host, is_field_byte};

/// Where the signature stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Carrier {
    /// The Authorization header.
    Header,
    /// The query of a presigned URL.
    Presigned,
    /// The fields of a POST form, see [`SignedForm`](crate::SignedForm). No [`SignedRequest`] has it.
    PostForm,
}

impl Carrier {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Header => "authorization header",
            Self::Presigned => "presigned query",
            Self::PostForm => "post form",
        }
    }
}

/// A request whose credentials were read and **not** verified: everything here is what the client
/// claims. It borrows the request, and nothing of it depends on a key.
///
/// Holds no secret of ours. It does hold the client's session token, which `Debug` leaves out and
/// which is wiped from its buffers on drop.
pub struct SignedRequest<'a> {
    pub(crate) parts: &'a Parts,
    /// Whose rules they are: a verifier's, or 0.
    pub(crate) reader: u64,
    pub(crate) profile: Profile,
    pub(crate) knobs: Knobs,
    pub(crate) forwarded: Option<Forwarded<'a>>,
    host: &'a [u8],
    pub(crate) work: Work,
    pub(crate) query_verbatim: bool,
    pub(crate) signed: SignedHeaders<'a>,
    signed_list: Text<'a>,
    /// Bytes of signed names and values.
    pub(crate) signed_bytes: usize,
    pub(crate) date: Date,
    /// Seconds; presigned requests only.
    pub(crate) expires: Option<u32>,
    pub(crate) signature: Sent,
    region_set: Option<Text<'a>>,
    carrier: Carrier,
    credential_text: Text<'a>,
    pub(crate) credential: Credential,
    token: Option<Text<'a>>,
    payload: PayloadMode,
    payload_line: Option<Text<'a>>,
}

/// Bytes of a method; the longest one registered has 17.
const LONGEST_METHOD: usize = 32;

/// What a request is read by. Two verifiers that agree on it read a request alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) profile: Profile,
    pub(crate) limits: Limits,
    pub(crate) unsigned_payload: UnsignedPayload,
    pub(crate) knobs: Knobs,
    pub(crate) accepts_sigv4a: bool,
}

impl Rules {
    /// Whether a payload may not be left unsigned.
    pub(crate) fn refuses_unsigned(&self, is_tls: impl FnOnce() -> bool) -> bool {
        match self.unsigned_payload {
            UnsignedPayload::Allow => false,
            UnsignedPayload::OverTls => !is_tls(),
            UnsignedPayload::Refuse => true,
        }
    }
}

impl<'a> SignedRequest<'a> {
    /// Reads a request by the rules of [`Profile::S3`] and the default [`Limits`].
    /// [`Verifier::parse`](crate::Verifier::parse) reads it by the verifier's own.
    ///
    /// # Errors
    /// The [`Reason`] for which no key could make this request acceptable.
    pub fn parse(parts: &'a Parts) -> Result<Self, Reason> {
        let rules = Rules {
            profile: Profile::S3,
            limits: Limits::default(),
            unsigned_payload: UnsignedPayload::Allow,
            knobs: Knobs::new(),
            accepts_sigv4a: false,
        };
        Self::parse_by(parts, (0, &rules), None, |_, _, _| Ok(()))
    }

    /// Reads a request for the verifier `reader` by its `rules`; `forwarded` is the host that a trusted proxy tells,
    /// `serves` judges carrier, regions and service.
    pub(crate) fn parse_by(
        parts: &'a Parts,
        (reader, rules): (u64, &Rules),
        forwarded: Option<Forwarded<'a>>,
        serves: impl FnOnce(Carrier, Regions<'_>, &[u8]) -> Result<(), Reason>,
    ) -> Result<Self, Reason> {
        let limits = &rules.limits;
        if parts.method.as_str().len() > LONGEST_METHOD {
            return Err(Reason::LimitExceeded(Limit::Method));
        }
        let path = parts.uri.path();
        if path.len() > limits.path_bytes {
            return Err(Reason::LimitExceeded(Limit::PathBytes));
        }
        path::check(path)?;

        let query = parts.uri.query().unwrap_or_default().as_bytes();
        // Everything decoded or lowered is shorter than where it comes from.
        let header_value = authorization_header(parts)?;
        let regions = if rules.accepts_sigv4a { regions::LONGEST } else { 0 };
        let capacity = 3 * query.len() + header_value.map_or(0, <[u8]>::len) + regions;
        let mut work = Work::take(if query.is_empty() { 0 } else { capacity });
        let query_verbatim = query.is_empty() || query::read(&mut work, query, limits)?;

        let presigned = authorization::presigned::is_present(&work.pairs);
        let (carrier, authorization, date_and_expires, query_token) = match (header_value, presigned) {
            (Some(_), true) => return Err(Reason::TwoCarriers),
            (Some(value), false) => {
                let authorization = authorization::header::parse(value, rules.accepts_sigv4a, &mut work)?;
                (Carrier::Header, authorization, None, None)
            }
            (None, true) => {
                let accepts_sigv4a = rules.accepts_sigv4a;
                let read = authorization::presigned::parse(query, query_verbatim, accepts_sigv4a, &mut work);
                let read = read.map_err(|reason| {
                    if is_version_2(&work, query) { Reason::SignatureVersion2 } else { reason }
                })?;
                (Carrier::Presigned, read.authorization, Some((read.date, read.expires)), read.token)
            }
            (None, false) => return Err(no_carrier(&work, query)),
        };

        let Authorization { credential_text, credential, signed_headers, signature, region_set } =
            authorization;
        let mut signed = SignedHeaders::default();
        let list = signed_headers.bytes(&work);
        signed.read(list, carrier, limits)?;
        let fields = Fields::collect(parts, &mut signed, list, carrier, rules, forwarded)?;
        fields::check_hoisted(parts, &work, query, carrier)?;

        let date = match date_and_expires {
            Some((date, _)) => date,
            None => fields.date()?,
        };
        if credential.scope_text(credential_text.bytes(&work))[..8] != *date.day() {
            return Err(Reason::ScopeDate(carrier));
        }
        let region_set = match signature.algorithm() {
            Algorithm::HmacSha256 => None,
            Algorithm::EcdsaP256Sha256 => Some(region_set_of(carrier, region_set, &fields)?),
        };
        let [region, service] = credential.names(credential_text.bytes(&work));
        let regions = region_set.as_ref().map(|set| set.bytes(&work));
        serves(carrier, Regions::read(region, regions, carrier)?, service)?;
        let region_set = region_set.map(|set| work.without_blanks(set));
        let header_token = fields.token.map(|token| (Text::Wire(token), fields.visible_token));
        let token = match query_token.or(header_token) {
            Some((token, visible)) => {
                check_token(token.bytes(&work), visible, carrier, limits)?;
                Some(token)
            }
            None => None,
        };
        let payload_line = match carrier {
            Carrier::Header => fields.content_sha256.map(Text::Wire),
            Carrier::Presigned | Carrier::PostForm => match fields::hoisted_content_sha256(&mut work, query)?
            {
                Some(line) => Some(line),
                None => fields.content_sha256.map(Text::Wire),
            },
        };
        let line = payload_line.as_ref().map(|line| line.bytes(&work));
        let payload = payload_mode(line, &fields, parts, (carrier, signature.algorithm()), rules)?;

        if query_verbatim {
            query::sort(&mut work.pairs, query);
        }
        if rules.profile.normalizes() && !rules.knobs.accept_non_normal_paths && !path::is_normal(path) {
            return Err(Reason::MalformedRequest(Malformed::NonNormalPath));
        }
        Ok(Self {
            parts,
            reader,
            profile: rules.profile,
            knobs: rules.knobs,
            forwarded,
            host: fields.host,
            work,
            query_verbatim,
            signed,
            signed_list: signed_headers,
            signed_bytes: fields.signed_bytes,
            date,
            expires: date_and_expires.map(|(_, expires)| expires),
            signature,
            region_set,
            carrier,
            credential_text,
            credential,
            token,
            payload,
            payload_line,
        })
    }

    /// The access key id that the client claims.
    pub fn access_key(&self) -> &str {
        ascii(self.credential.access_key(self.credential_bytes()))
    }

    /// The session token that came in the carrier.
    pub fn session_token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| ascii(token.bytes(&self.work)))
    }

    /// The scope that the client claims.
    pub fn scope(&self) -> Scope<'_> {
        self.credential.scope(self.credential_bytes())
    }

    /// Where the signature stands.
    pub fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// How it was signed.
    pub fn algorithm(&self) -> Algorithm {
        self.signature.algorithm()
    }

    /// The regions that a SigV4A signature is for: names separated by commas, without the blanks that a client may have
    /// put around them, `*` for all of them. `None` with another algorithm, whose region is in the [`scope`](Self::scope).
    pub fn region_set(&self) -> Option<&str> {
        self.region_set.as_ref().map(|set| ascii(set.bytes(&self.work)))
    }

    /// How the signature covers the body.
    pub fn payload_mode(&self) -> PayloadMode {
        self.payload
    }

    /// Whether the body has to be hashed before the signature can be checked: no x-amz-content-sha256
    /// outside S3. Then [`Verifier::verify_with_body_hash`](crate::Verifier::verify_with_body_hash) is
    /// the one to call, with a body of at most [`Limits::buffered_body`] bytes.
    pub fn needs_body_hash(&self) -> bool {
        self.payload == PayloadMode::BodyHash
    }

    /// The host that the signature covers, with its port if the client wrote one: Host, `:authority`, or what a trusted
    /// proxy tells of. Bytes that are not UTF-8 are read as Latin-1.
    pub fn host(&self) -> Cow<'a, str> {
        fields::header_text(self.host)
    }

    /// That host where a trusted proxy told of it, so that it is not the one in Host. The inner service must be given
    /// this one.
    pub fn forwarded_host(&self) -> Option<Cow<'a, str>> {
        self.forwarded.map(|_| self.host())
    }

    /// The path that the signature covers: the one on the wire, or its normal form under
    /// [`Knobs::accept_non_normal_paths`](crate::danger::Knobs::accept_non_normal_paths). The inner
    /// service must be given this one.
    pub fn normal_path(&self) -> Cow<'a, str> {
        if self.profile.normalizes() {
            path::normal(self.parts.uri.path())
        } else {
            Cow::Borrowed(self.parts.uri.path())
        }
    }

    /// The value of a header that the signature covers: the signed header, else (presigned only) the
    /// hoisted `x-amz-*` parameter of that name. `name` in any case. Repeated headers are joined with
    /// commas; bytes that are not UTF-8 are read as Latin-1, so that a header that is there is never
    /// `None`. Hoisted server-side-encryption parameters have no effect, as with AWS.
    pub fn effective_header(&self, name: &str) -> Option<Cow<'a, str>> {
        let list = self.signed_list();
        match self.signed.slots().iter().find(|slot| slot.name(list).eq_ignore_ascii_case(name.as_bytes())) {
            Some(slot) if slot.repeated => fields::joined(self.parts, name),
            Some(slot) => Some(fields::header_text(slot.value.unwrap_or_default())),
            None if self.carrier == Carrier::Presigned => {
                fields::effective_parameter(self.parts.uri.query()?, name)
            }
            None => None,
        }
    }

    /// Headers that are there and that the signature does not cover, by a rule that was loosened (`danger`). The inner
    /// service must not see them.
    pub fn exempted_headers(&self) -> impl Iterator<Item = &'static str> {
        let Knobs { behind_cloudfront, token_outside_signature, .. } = self.knobs;
        let loosened =
            [("x-amz-cf-id", behind_cloudfront), ("x-amz-security-token", token_outside_signature)];
        loosened.into_iter().filter(|(_, is_loosened)| *is_loosened).map(|(name, _)| name).filter(|name| {
            let is_signed = |slot: &Slot<'_>| slot.name(self.signed_list()) == name.as_bytes();
            self.parts.headers.contains_key(*name) && !self.signed.slots().iter().any(is_signed)
        })
    }

    /// The credential as one text, `access key/date/region/service/aws4_request`.
    pub(crate) fn credential_bytes(&self) -> &[u8] {
        self.credential_text.bytes(&self.work)
    }

    pub(crate) fn scope_text(&self) -> &[u8] {
        self.credential.scope_text(self.credential_bytes())
    }

    pub(crate) fn has_session_token(&self) -> bool {
        self.token.is_some()
    }

    /// The list of signed headers, in lower case.
    pub(crate) fn signed_list(&self) -> &[u8] {
        self.signed_list.bytes(&self.work)
    }

    /// The last line of the canonical request, where the client gave one.
    pub(crate) fn payload_line(&self) -> Option<&[u8]> {
        self.payload_line.as_ref().map(|line| line.bytes(&self.work))
    }
}

impl fmt::Debug for SignedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedRequest")
            .field("carrier", &self.carrier)
            .field("algorithm", &self.algorithm())
            .field("access_key", &self.access_key())
            .field("scope", &self.scope().as_str())
            .field("date", &self.date)
            .field("has_session_token", &self.token.is_some())
            .field("payload_mode", &self.payload)
            .finish_non_exhaustive()
    }
}

/// The one Authorization header.
fn authorization_header(parts: &Parts) -> Result<Option<&[u8]>, Reason> {
    let mut values = parts.headers.get_all(http::header::AUTHORIZATION).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Reason::MalformedRequest(Malformed::RepeatedHeader));
    }
    Ok(first.map(http::HeaderValue::as_bytes))
}

fn no_carrier(work: &Work, query: &[u8]) -> Reason {
    if is_version_2(work, query) { Reason::SignatureVersion2 } else { Reason::NoCredentials }
}

/// Whether a URL was signed by version 2, whose session token is `x-amz-security-token`, in that case.
fn is_version_2(work: &Work, query: &[u8]) -> bool {
    let is_of_4 = work.pairs.iter().any(|pair| matches!(pair.kind, Kind::Credential(_)));
    !is_of_4 && work.pairs.iter().any(|pair| pair.name(query) == b"AWSAccessKeyId")
}

/// An empty token is malformed, not absent; so is one that is not visible ASCII.
fn check_token(token: &[u8], visible: bool, carrier: Carrier, limits: &Limits) -> Result<(), Reason> {
    if token.len() > limits.session_token {
        return Err(Reason::LimitExceeded(Limit::SessionToken));
    }
    if token.is_empty() || !visible {
        return Err(Reason::Malformed(carrier, Malformed::Token));
    }
    Ok(())
}

/// The regions of a SigV4A request, in its carrier and nowhere else (rule 4).
fn region_set_of<'a>(
    carrier: Carrier,
    in_query: Option<Text<'a>>,
    fields: &Fields<'a>,
) -> Result<Text<'a>, Reason> {
    let missing = Reason::Malformed(carrier, Malformed::RegionSet);
    match (carrier, fields.region_set) {
        (Carrier::Header, set) => set.map(Text::Wire).ok_or(missing),
        (Carrier::Presigned | Carrier::PostForm, Some(_)) => Err(Reason::TwoCarriers),
        (Carrier::Presigned | Carrier::PostForm, None) => in_query.ok_or(missing),
    }
}

/// Rule 10. Nothing that is unsigned has a say in it: `fields` are covered by the signature.
fn payload_mode(
    line: Option<&[u8]>,
    fields: &Fields<'_>,
    parts: &Parts,
    (carrier, algorithm): (Carrier, Algorithm),
    rules: &Rules,
) -> Result<PayloadMode, Reason> {
    let line = match (line, rules.profile, carrier) {
        (Some(line), _, _) => Some(PayloadLine::parse(line)?),
        (None, Profile::S3, Carrier::Header) => return Err(Reason::MissingContentSha256),
        (None, Profile::S3, Carrier::Presigned | Carrier::PostForm) => Some(PayloadLine::Unsigned),
        (
            None,
            Profile::Sts | Profile::General { .. },
            Carrier::Header | Carrier::Presigned | Carrier::PostForm,
        ) => None,
    };
    if fields.trailer.is_some() && !matches!(line, Some(PayloadLine::Chunked { .. })) {
        return Err(Reason::MalformedTrailer);
    }
    let refuses_unsigned = rules.refuses_unsigned(|| Connection::is_tls(parts));
    Ok(match line {
        Some(PayloadLine::Sha256(hash)) => PayloadMode::Sha256(hash),
        Some(PayloadLine::Unsigned) if refuses_unsigned => return Err(Reason::UnsignedPayloadRefused),
        Some(PayloadLine::Unsigned) => PayloadMode::Unsigned,
        None => PayloadMode::BodyHash,
        Some(PayloadLine::Chunked { signed, has_trailer }) => {
            // S3's own, and the seed of its signatures is one in a header.
            if rules.profile != Profile::S3 || carrier != Carrier::Header {
                return Err(Reason::PayloadModeNotImplemented);
            }
            match signed {
                None if refuses_unsigned => return Err(Reason::UnsignedPayloadRefused),
                Some(Algorithm::EcdsaP256Sha256) if !rules.accepts_sigv4a => {
                    return Err(Reason::PayloadModeNotImplemented);
                }
                // Chunks are signed as the head is, which their chain begins with.
                Some(signed) if signed != algorithm => return Err(Reason::InvalidPayloadMode),
                Some(_) | None => {}
            }
            let signed = signed.is_some();
            let (length, trailer) = (fields.decoded_length, fields.trailer);
            PayloadMode::Chunked(Chunked::declared((signed, has_trailer), &parts.method, length, trailer)?)
        }
    })
}

/// What was found to be ASCII when it was read.
fn ascii(text: &[u8]) -> &str {
    str::from_utf8(text).unwrap_or_default()
}
