//! The nearest likely cause of a refusal. For a signature that does not match, what commonly happens to requests is
//! undone, one thing at a time, until it does.

use credfed_sigv4_verify::danger::Knobs;
use credfed_sigv4_verify::{Malformed, Profile, Reason};
use http::request::Parts;
use http::{HeaderValue, Method, Uri};
use sha2::{Digest, Sha256};

use crate::judge::Judge;
use crate::raw::Caught;

pub(crate) fn likely(judge: &Judge, caught: &Caught, reason: &Reason) -> Option<String> {
    Some(match reason {
        Reason::SignatureMismatch => mismatch(judge, caught),
        Reason::WrongRegion { expected, .. } if caught.is_asymmetric() => {
            format!(
                "x-amz-region-set names other regions; have the client sign for {expected} too, or for * \
                 (names are taken to the letter: us-* is none)"
            )
        }
        Reason::Malformed(_, Malformed::RegionSet) => {
            "SigV4A names the regions that it is for in x-amz-region-set, separated by commas".into()
        }
        Reason::Malformed(_, Malformed::CredentialWithoutRegion) => {
            "the scope of SigV4A has no region: date, service and aws4_request are all".into()
        }
        Reason::Malformed(_, Malformed::EcdsaSignature) => {
            "an HMAC under the name of SigV4A, or a signature that was cut or padded".into()
        }
        Reason::InvalidPayloadMode if caught.is_asymmetric() => {
            "the chunks have to be signed with SigV4A as the head is".into()
        }
        Reason::WrongRegion { expected, .. } => {
            format!("the client signs for another region; have it use {expected}")
        }
        Reason::WrongService { expected, .. } => {
            format!("the client signs for another service; have it use {expected}")
        }
        Reason::ClockSkew { .. } => {
            "the client's clock is off, or the request was caught long ago (see --now)".into()
        }
        Reason::PresignedExpired { .. } => "the URL was used after its time (see --now)".into(),
        Reason::PresignedNotYetValid { .. } => {
            "the clock of whoever made the URL is ahead (see --now)".into()
        }
        Reason::UnknownKey => {
            "the request was signed with another access key, or comes without its session token".into()
        }
        Reason::TokenWithStaticKey => {
            "the key is a long-lived one; a temporary one needs --session-token here".into()
        }
        Reason::TokenMissing => {
            "the client lost the session token; it goes with every request, signed".into()
        }
        Reason::InvalidToken => {
            "another session's token, or one that was sealed by another ring or issuer".into()
        }
        Reason::UnsignedHeaders(names) if names.iter().any(|name| &**name == "x-amz-security-token") => {
            "the session token was added after signing".into()
        }
        Reason::UnsignedHeaders(_) => "added after signing, by a proxy or by whoever holds the URL".into(),
        Reason::SignedHeaderMissing => "a proxy took a signed header away".into(),
        Reason::MalformedRequest(Malformed::NonNormalPath) => {
            "the signature would also fit the path without its empty and dot segments; have the client send that one"
                .into()
        }
        Reason::BodyMismatch if caught.body.is_empty() => {
            "the body was lost on the way, or is not in the file".into()
        }
        Reason::MalformedChunk | Reason::DecodedLengthMismatch | Reason::ChunkSignatureMismatch => {
            "the body was changed after signing, or decoded: it has to come in the chunks that the client made".into()
        }
        Reason::MalformedTrailer | Reason::TrailerSignatureMismatch => {
            "what follows the last chunk was changed after signing, or is not what x-amz-trailer names".into()
        }
        Reason::BodyMismatch => "the body was changed after signing, or its content coding was".into(),
        _ => return None,
    })
}

/// A request as it may have been when it was signed.
struct Guess {
    parts: Parts,
    profile: Profile,
    knobs: Knobs,
    cause: String,
}

fn mismatch(judge: &Judge, caught: &Caught) -> String {
    let guesses = rules(judge, caught)
        .chain(methods(judge, caught))
        .chain(hosts(judge, caught))
        .chain(targets(judge, caught))
        .chain(region_sets(judge, caught))
        .chain(payloads(judge, caught))
        .chain(headers(judge, caught));
    for guess in guesses {
        if judge.would_accept(caught, &guess.parts, guess.profile, guess.knobs) {
            return guess.cause;
        }
    }
    "the secret is another one, or a signed header, the path or the query was changed: compare the canonical request \
     with the client's own"
        .into()
}

/// Other rules of signing.
fn rules(judge: &Judge, caught: &Caught) -> impl Iterator<Item = Guess> {
    let parts = caught.parts.clone();
    let profiles = [
        (Profile::S3, "as for S3, the path escaped once and not normalised (--profile s3)"),
        (
            Profile::General { normalize: true },
            "with the path normalised and escaped twice (--profile general)",
        ),
        (
            Profile::General { normalize: false },
            "with the path escaped twice and not normalised (--profile general-raw-path)",
        ),
    ];
    let own = judge.profile;
    let other = parts.clone();
    let by_profile =
        profiles.into_iter().filter(move |&(profile, _)| profile != own).map(move |(profile, how)| Guess {
            parts: other.clone(),
            profile,
            knobs: Knobs::new(),
            cause: format!("it was signed {how}"),
        });
    let after = Guess {
        parts,
        profile: own,
        knobs: Knobs::new().token_outside_signature(),
        cause: "the session token was added after signing".into(),
    };
    by_profile.chain([after])
}

fn methods(judge: &Judge, caught: &Caught) -> impl Iterator<Item = Guess> {
    let methods = [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE];
    methods.into_iter().filter(|method| caught.parts.method != method).map(|method| {
        guess(judge, caught, format!("it was signed for the method {method}"), |parts| {
            parts.method = method;
        })
    })
}

/// Hosts that a proxy may have had in place of the one that is there.
fn hosts(judge: &Judge, caught: &Caught) -> impl Iterator<Item = Guess> {
    let text = |name: &str| caught.parts.headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or_default();
    let bare = host.rsplit_once(':').map_or(host, |(bare, _)| bare);
    let forwarded = ["x-forwarded-host", "x-original-host"].into_iter().filter_map(text);
    let ports = [80, 443, 8080, 8443, 9000].map(|port| format!("{bare}:{port}"));
    let aws = [
        format!("{}.amazonaws.com", judge.service),
        format!("{}.{}.amazonaws.com", judge.service, judge.region),
    ];
    let hosts: Vec<_> =
        forwarded.map(str::to_owned).chain([bare.to_owned()]).chain(ports).chain(aws).collect();
    hosts.into_iter().filter_map(move |host| {
        let value = HeaderValue::from_str(&host).ok()?;
        let cause = format!("it was signed for the host {host}, which a proxy changed");
        Some(guess(judge, caught, cause, |parts| {
            parts.headers.insert("host", value);
        }))
    })
}

/// Paths and queries that a proxy may have written anew.
fn targets(judge: &Judge, caught: &Caught) -> impl Iterator<Item = Guess> {
    let (path, query) = (caught.parts.uri.path(), caught.parts.uri.query());
    let targets = [
        (decoded(path), query.map(str::to_owned), "the path was escaped once more on the way"),
        (Some(path.replace('%', "%25")), query.map(str::to_owned), "the path was unescaped on the way"),
        (
            path.strip_suffix('/').map(str::to_owned),
            query.map(str::to_owned),
            "a slash was added to the path",
        ),
        (Some(format!("{path}/")), query.map(str::to_owned), "the slash at the end of the path was lost"),
        (
            Some(path.to_owned()),
            query.map(|query| query.replace('+', "%2B")),
            "a plus sign in the query was not escaped",
        ),
        (
            Some(path.to_owned()),
            query.map(|query| query.replace("%20", "%2B")),
            "a plus sign in the query became a blank",
        ),
        (Some(path.to_owned()), None, "the query was added after signing"),
    ];
    targets.into_iter().filter_map(move |(path, query, cause)| {
        let target = match query {
            Some(query) => format!("{}?{query}", path?),
            None => path?,
        };
        let target: Uri = target.parse().ok().filter(|target| *target != caught.parts.uri)?;
        Some(guess(judge, caught, cause.into(), |parts| parts.uri = target))
    })
}

/// Other sets of regions.
fn region_sets(judge: &Judge, caught: &Caught) -> impl Iterator<Item = Guess> {
    let sent = caught.parts.headers.get("x-amz-region-set").filter(|_| caught.is_asymmetric());
    let sets = ["*", judge.region.as_str()].into_iter().filter_map(|set| {
        let value = HeaderValue::from_str(set).ok().filter(|value| sent.is_some_and(|sent| sent != value))?;
        let cause = format!("it was signed for the regions {set}; x-amz-region-set was changed on the way");
        Some(guess(judge, caught, cause, |parts| {
            parts.headers.insert("x-amz-region-set", value);
        }))
    });
    sets.collect::<Vec<_>>().into_iter()
}

/// Other payload lines: the body's real hash, nothing's, none.
fn payloads(judge: &Judge, caught: &Caught) -> impl Iterator<Item = Guess> {
    let hashes = [
        (
            hex(&caught.body),
            "x-amz-content-sha256 was changed after signing; the body is the one that was signed",
        ),
        (hex(b""), "it was signed as if it had no body"),
        ("UNSIGNED-PAYLOAD".to_owned(), "it was signed with UNSIGNED-PAYLOAD in place of the body's hash"),
    ];
    hashes.into_iter().filter_map(move |(line, cause)| {
        let value = HeaderValue::from_str(&line).ok()?;
        Some(guess(judge, caught, cause.into(), |parts| {
            parts.headers.insert("x-amz-content-sha256", value);
        }))
    })
}

/// Values of common headers that servers, proxies and clients disagree on.
fn headers(judge: &Judge, caught: &Caught) -> impl Iterator<Item = Guess> {
    let content_type = caught.parts.headers.get("content-type").and_then(|value| value.to_str().ok());
    let without_parameters =
        content_type.and_then(|value| value.split_once(';')).map(|(kind, _)| kind.trim());
    let length = caught.body.len().to_string();
    let changed = [
        ("content-type", without_parameters.unwrap_or_default()),
        ("content-type", "application/octet-stream"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-type", ""),
        ("content-length", length.as_str()),
        ("content-length", "0"),
        ("accept-encoding", "identity"),
        ("accept-encoding", "gzip"),
        ("accept-encoding", ""),
        ("accept", "*/*"),
        ("user-agent", ""),
        ("expect", "100-continue"),
        ("content-md5", ""),
    ];
    let guesses: Vec<_> = changed
        .into_iter()
        .filter_map(|(name, value)| {
            let sent = caught.parts.headers.get(name)?;
            let value = HeaderValue::from_str(value).ok().filter(|value| value != sent)?;
            Some(guess(judge, caught, format!("the signed header {name} was changed on the way"), |parts| {
                parts.headers.insert(name, value);
            }))
        })
        .collect();
    guesses.into_iter()
}

fn guess(judge: &Judge, caught: &Caught, cause: String, change: impl FnOnce(&mut Parts)) -> Guess {
    let mut parts = caught.parts.clone();
    change(&mut parts);
    Guess { parts, profile: judge.profile, knobs: Knobs::new(), cause }
}

fn decoded(path: &str) -> Option<String> {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    (decoded != path).then(|| decoded.into_owned())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
