//! Reads what the service answers. Nothing but a whole and valid answer is a credential.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, DATE, HeaderMap};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zeroize::Zeroizing;

use super::error;
use super::request::Role;
use crate::date::{http_date, rfc3339};
use crate::transport::retry::Failed;
use crate::{AwsCredentials, Expiring, ProviderError, Secret};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const LONGEST: usize = 64 * 1024;
const DEEPEST: usize = 8;

/// What may be added to the lifetime that was asked for: clocks and rounding.
const TOLERANCE: Duration = Duration::from_secs(300);
/// The longest lifetime that any of the known services gives unasked (MinIO).
const LONGEST_UNASKED: Duration = Duration::from_secs(7 * 86_400);

/// What an answer is measured against.
pub(super) struct Expected<'a> {
    pub(super) action: &'a str,
    pub(super) role: &'a Role,
    /// What the request held and no error may repeat.
    pub(super) secrets: &'a [&'a str],
    /// The local clock; it counts only where the server gives no date.
    pub(super) now: SystemTime,
}

/// The credential of an answer, or what the answer stands for.
pub(super) fn parse(
    response: &http::Response<Bytes>,
    expected: &Expected<'_>,
) -> Result<Expiring<AwsCredentials>, Failed> {
    let (status, headers, body) = (response.status(), response.headers(), response.body());
    if body.len() > LONGEST {
        return Err(ProviderError::transient("the answer is longer than 65536 bytes").into());
    }
    if status.is_redirection() {
        return Err(ProviderError::rejected("the service answered with a redirect").into());
    }
    if status != StatusCode::OK {
        return Err(error::refusal(status, headers, body, expected.secrets));
    }
    if !is_xml(headers) {
        return Err(ProviderError::transient("the answer is not XML").into());
    }
    let fields = match credentials(body, expected.action) {
        Err(Malformed::Root) if refusal(body).is_some_and(|refusal| refusal.code.is_some()) => {
            return Err(error::refusal(status, headers, body, expected.secrets));
        }
        fields => fields.map_err(error::unreadable)?,
    };
    if !expected.role.is_user(&fields.user_arn) {
        let why = "the credential is of another role or session than was asked for";
        return Err(ProviderError::transient(why).into());
    }
    let credential = Expiring::at(fields.credentials, fields.expiration);
    let credential = match server_date(headers) {
        Some(date) => credential.with_server_date(date),
        None => credential,
    };
    let most =
        expected.role.duration.map_or(LONGEST_UNASKED, |asked| Duration::from_secs(asked.into()) + TOLERANCE);
    match credential.lifetime(expected.now) {
        Some(Duration::ZERO) | None => {
            Err(ProviderError::transient("the credential had expired when it arrived").into())
        }
        Some(lifetime) if lifetime > most => {
            Err(ProviderError::transient("the credential lasts longer than was asked for").into())
        }
        Some(_) => Ok(credential),
    }
}

/// The server's own clock, as an answer shows it.
pub(super) fn server_date(headers: &HeaderMap) -> Option<SystemTime> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

fn is_xml(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(first), None) = (types.next().and_then(|value| value.to_str().ok()), types.next()) else {
        return false;
    };
    let kind = first.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/xml") || kind.eq_ignore_ascii_case("application/xml")
}

/// Why an answer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// It is not well-formed, or not whole.
    Xml,
    /// It holds something that has no business there.
    Kind(&'static str),
    /// It is another document.
    Root,
    Missing(&'static str),
    Twice(&'static str),
    Value(&'static str),
}

struct Fields {
    /// Whose they are; not every service says.
    user_arn: Zeroizing<String>,
    credentials: AwsCredentials,
    expiration: SystemTime,
}

fn credentials(body: &[u8], action: &str) -> Result<Fields, Malformed> {
    let (root, result) = (format!("{action}Response"), format!("{action}Result"));
    let path = |of: &'static str, field: &'static str| Path {
        steps: [&root, &result, of, field],
        length: 4,
        name: field,
    };
    let [user, id, secret, token, expiration] = read(
        body,
        &[
            path("AssumedRoleUser", "Arn"),
            path("Credentials", "AccessKeyId"),
            path("Credentials", "SecretAccessKey"),
            path("Credentials", "SessionToken"),
            path("Credentials", "Expiration"),
        ],
    )?;
    let id = whole(id, "AccessKeyId", 128)?;
    let secret = whole(secret, "SecretAccessKey", 1_024)?;
    let token = whole(token, "SessionToken", LONGEST)?;
    let expiration = whole(expiration, "Expiration", 64)?;
    let expiration = rfc3339(&expiration).ok_or(Malformed::Value("Expiration"))?;
    let credentials =
        AwsCredentials::new(id.as_str(), Secret::new(secret.as_str()), Some(Secret::new(token.as_str())));
    Ok(Fields { user_arn: user.unwrap_or_default(), credentials, expiration })
}

/// A field that is there and can travel in a header: printable ASCII without blanks.
fn whole(
    field: Option<Zeroizing<String>>,
    name: &'static str,
    most: usize,
) -> Result<Zeroizing<String>, Malformed> {
    let text = field.ok_or(Malformed::Missing(name))?;
    if (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text);
    }
    Err(Malformed::Value(name))
}

/// What the service says of a refusal.
#[derive(Default)]
pub(super) struct Refusal {
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) request_id: Option<String>,
}

/// Reads `<ErrorResponse><Error>…` and S3's plain `<Error>…`; `None` if it is neither.
pub(super) fn refusal(body: &[u8]) -> Option<Refusal> {
    let path = |steps: [&'static str; 4], length| Path { steps, length, name: steps[length - 1] };
    let nested = [
        path(["ErrorResponse", "Error", "Code", ""], 3),
        path(["ErrorResponse", "Error", "Message", ""], 3),
        path(["ErrorResponse", "RequestId", "", ""], 2),
        path(["ErrorResponse", "ResponseMetadata", "RequestId", ""], 3),
    ];
    let plain = [
        path(["Error", "Code", "", ""], 2),
        path(["Error", "Message", "", ""], 2),
        path(["Error", "RequestId", "", ""], 2),
        path(["Error", "ResponseMetadata", "RequestId", ""], 3),
    ];
    if body.len() > LONGEST {
        return None;
    }
    let [code, message, id, other] = read(body, &nested).or_else(|_| read(body, &plain)).ok()?;
    let text = |field: Option<Zeroizing<String>>| field.map(|mut text| std::mem::take(&mut *text));
    Some(Refusal { code: text(code), message: text(message), request_id: text(id.or(other)) })
}

/// The way from the root to a field.
struct Path<'a> {
    steps: [&'a str; 4],
    length: usize,
    name: &'static str,
}

impl<'a> Path<'a> {
    fn steps(&self) -> &[&'a str] {
        &self.steps[..self.length]
    }
}

/// The texts of these fields. All paths have one root, and no element on any of them may be there twice: two halves
/// of two credentials do not make one.
fn read<const N: usize>(
    body: &[u8],
    paths: &[Path<'_>; N],
) -> Result<[Option<Zeroizing<String>>; N], Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::Xml)?;
    let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut place: Vec<String> = Vec::new();
    let mut seen: Vec<Vec<String>> = Vec::new();
    let mut fields = [const { None }; N];
    let mut first = true;
    loop {
        let event = reader.read_event().map_err(|_| Malformed::Xml)?;
        let (opened, closed) = match &event {
            Event::Start(_) => (true, false),
            Event::Empty(_) => (true, true),
            Event::End(_) => (false, true),
            _ => (false, false),
        };
        let here = paths.iter().position(|path| is_at(&place, path.steps()));
        match &event {
            Event::Start(element) | Event::Empty(element) => {
                if here.is_some() {
                    return Err(Malformed::Kind("an element within a field"));
                }
                enter(&mut place, element, &mut seen, paths)?;
                if let Some(at) = paths.iter().position(|path| is_at(&place, path.steps())) {
                    fields[at] = Some(Zeroizing::new(String::with_capacity(text.len())));
                }
            }
            Event::Text(piece) => {
                let piece = utf8(&**piece)?;
                match here.and_then(|at| fields[at].as_mut()) {
                    Some(field) => field.push_str(piece),
                    None if piece.trim_ascii().is_empty() => {}
                    None if leads_to_a_field(&place, paths) => {
                        return Err(Malformed::Kind("text outside of its fields"));
                    }
                    None => {}
                }
            }
            Event::GeneralRef(reference) => {
                let meant = match reference.resolve_char_ref().map_err(|_| Malformed::Xml)? {
                    Some(meant) => meant,
                    None => entity(utf8(&**reference)?).ok_or(Malformed::Kind("an entity of its own"))?,
                };
                match here.and_then(|at| fields[at].as_mut()) {
                    Some(field) => field.push(meant),
                    None if leads_to_a_field(&place, paths) => {
                        return Err(Malformed::Kind("text outside of its fields"));
                    }
                    None => {}
                }
            }
            Event::Decl(_) if first => {}
            Event::Decl(_) => return Err(Malformed::Kind("a second declaration")),
            Event::DocType(_) => return Err(Malformed::Kind("a document type")),
            Event::PI(_) => return Err(Malformed::Kind("a processing instruction")),
            Event::CData(_) => return Err(Malformed::Kind("a CDATA section")),
            Event::Comment(_) => return Err(Malformed::Kind("a comment")),
            Event::Eof if place.is_empty() && !seen.is_empty() => return Ok(fields),
            Event::Eof => return Err(Malformed::Xml),
            Event::End(_) => {}
        }
        if closed && place.pop().is_none() {
            return Err(Malformed::Xml);
        }
        first = first && !opened && matches!(&event, Event::Text(_));
    }
}

fn enter<const N: usize>(
    place: &mut Vec<String>,
    element: &BytesStart<'_>,
    seen: &mut Vec<Vec<String>>,
    paths: &[Path<'_>; N],
) -> Result<(), Malformed> {
    if place.len() >= DEEPEST {
        return Err(Malformed::Kind("too many levels"));
    }
    let name = utf8(element.name().0)?;
    let root = place.is_empty();
    if root && (!seen.is_empty() || paths.iter().all(|path| path.steps[0] != name)) {
        return Err(Malformed::Root);
    }
    // Only a declaration of the namespace may be there, so the first attribute that is none ends it.
    for attribute in element.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| Malformed::Xml)?;
        let declares = utf8(attribute.key.0)? == "xmlns";
        if !declares {
            return Err(Malformed::Kind("an attribute"));
        }
        if utf8(&*attribute.value)? != NAMESPACE {
            return Err(Malformed::Root);
        }
    }
    place.push(name.to_owned());
    if leads_to_a_field(place, paths) {
        if seen.contains(place) {
            let field = paths.iter().find(|path| is_at(place, path.steps()));
            return Err(Malformed::Twice(field.map_or("credential", |path| path.name)));
        }
        seen.push(place.clone());
    }
    Ok(())
}

fn is_at(place: &[String], steps: &[&str]) -> bool {
    place.len() == steps.len() && place.iter().zip(steps).all(|(name, step)| name == step)
}

/// Whether this place is on the way to a field, or is one.
fn leads_to_a_field<const N: usize>(place: &[String], paths: &[Path<'_>; N]) -> bool {
    paths.iter().any(|path| path.steps().get(..place.len()).is_some_and(|steps| is_at(place, steps)))
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

/// The parser's versions differ in whether they hold bytes or text.
fn utf8<T: AsRef<[u8]> + ?Sized>(text: &T) -> Result<&str, Malformed> {
    std::str::from_utf8(text.as_ref()).map_err(|_| Malformed::Xml)
}
