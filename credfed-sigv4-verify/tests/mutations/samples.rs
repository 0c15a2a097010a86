//! Valid requests of every kind, signed by aws-sigv4: the one generator of the property tests and of the long run.
#![allow(dead_code, reason = "each test file uses its share")]

use std::collections::BTreeSet;
use std::time::SystemTime;

use aws_sigv4::http_request::SignableBody;
use aws_sigv4::sign::v4;
use bytes::Bytes;
use credfed_sigv4_verify::{Carrier, Profile, ResolvedKey};
use http::request::Parts;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;

use crate::support::chunked::{Form, Mode, by_aws};
use crate::support::post::{Sent, Unsigned, exact, starts_with};
use crate::support::{self, Signer, TOKEN};

/// A valid request, and what its operators have to know of it.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// For the report.
    pub(crate) kind: &'static str,
    pub(crate) profile: Profile,
    pub(crate) carrier: Carrier,
    pub(crate) arrival: Arrival,
    /// Whether the signature covers the body.
    pub(crate) covers_body: bool,
    /// The names of the signed headers.
    pub(crate) signed: Vec<String>,
    /// The body piece by piece, where it is chunked.
    pub(crate) upload: Option<Upload>,
}

/// A request as it arrives, the moment, and the key that belongs to its access key.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) message: Message,
    pub(crate) now: SystemTime,
    pub(crate) key: ResolvedKey,
}

#[derive(Debug, Clone)]
pub(crate) enum Message {
    Request { parts: Box<Parts>, body: Bytes },
    Form(Box<Sent>),
}

/// A chunked body: a size line, data and CRLF per chunk, the last size line, the trailer's lines, the last CRLF.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) mode: Mode,
    pub(crate) chunks: usize,
    pub(crate) pieces: Vec<Vec<u8>>,
}

impl Sample {
    pub(crate) fn parts(&self) -> Option<&Parts> {
        match &self.arrival.message {
            Message::Request { parts, .. } => Some(parts),
            Message::Form(_) => None,
        }
    }

    pub(crate) fn body(&self) -> Option<&Bytes> {
        match &self.arrival.message {
            Message::Request { body, .. } => Some(body),
            Message::Form(_) => None,
        }
    }

    pub(crate) fn form(&self) -> Option<&Sent> {
        match &self.arrival.message {
            Message::Form(form) => Some(form),
            Message::Request { .. } => None,
        }
    }
}

/// Any request: with headers, presigned, chunked, or a form.
pub(crate) fn sample() -> impl Strategy<Value = Sample> {
    prop_oneof![
        6 => signed().prop_map(|signed| signed.sample),
        3 => upload(),
        2 => form().prop_map(form_sample),
    ]
}

/// A request that is not chunked, with what signed it.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) signer: Signer,
    pub(crate) parts: Parts,
    pub(crate) body: Vec<u8>,
    pub(crate) sample: Sample,
}

pub(crate) fn signed() -> impl Strategy<Value = Signed> {
    let body = text("[ -~]{0,40}");
    let shape = (0..4_u8, any::<bool>(), prop::option::of(text("[A-Za-z0-9+/=]{1,60}")), any::<bool>());
    (shape, select(vec!["GET", "PUT", "POST", "DELETE"]), paths(), query(), headers(), body).prop_map(
        |((profile, presigned, token, unsigned), method, (normal, any), query, headers, body)| {
            let carrier = if presigned { Carrier::Presigned } else { Carrier::Header };
            let mut signer = match profile {
                0 => Signer::s3(carrier),
                1 | 2 => Signer::general(carrier),
                _ => Signer::sts(carrier),
            };
            if profile == 2 {
                signer.profile = Profile::General { normalize: false };
            }
            signer.token = token;
            let is_s3 = profile == 0;
            let path = if matches!(profile, 0 | 2) { any } else { normal };
            let request = request(method, &format!("{path}{query}"), &headers);
            let unsigned = is_s3 && (presigned || unsigned);
            let payload = match unsigned {
                true => SignableBody::UnsignedPayload,
                false => SignableBody::Bytes(body.as_bytes()),
            };
            let parts = signer.sign_body(request, payload);
            let kind = match (profile, presigned, unsigned) {
                (0, false, false) => "s3, header",
                (0, false, true) => "s3, header, unsigned payload",
                (0, true, _) => "s3, presigned",
                (1, false, _) => "general, header",
                (1, true, _) => "general, presigned",
                (2, false, _) => "general raw path, header",
                (2, true, _) => "general raw path, presigned",
                (_, false, _) => "sts, header",
                (_, true, _) => "sts, presigned",
            };
            let sample = Sample {
                kind,
                profile: signer.profile,
                carrier,
                signed: signed_names(&parts, carrier),
                arrival: Arrival {
                    message: Message::Request {
                        parts: Box::new(parts.clone()),
                        body: Bytes::copy_from_slice(body.as_bytes()),
                    },
                    now: support::now(),
                    key: signer.key(),
                },
                covers_body: !unsigned,
                upload: None,
            };
            Signed { signer, parts, body: body.into_bytes(), sample }
        },
    )
}

/// An upload in chunks, which aws-sigv4 signs too.
fn upload() -> impl Strategy<Value = Sample> {
    let data = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(select(b"\r\n0;:".as_slice()), 0..60),
    ];
    let shape = (select(Mode::ALL.as_slice()), select([Form::Sdk, Form::MinioGo].as_slice()), any::<bool>());
    (shape, data, 1..200_usize, (paths(), query(), headers(), 0..5_usize)).prop_map(
        |((mode, form, session), data, size, ((_, path), query, headers, checksum))| {
            let mut signer = Signer::s3(Carrier::Header);
            signer.token = session.then(|| TOKEN.to_owned());
            let request = request("PUT", &format!("{path}{query}"), &headers);
            // Not dozens of chunks.
            let size = size.max(data.len() / 6);
            let (parts, pieces) = by_aws(&signer, request, mode, form, checksum, &data, size);
            let kind = match (mode, form) {
                (Mode::SignedChunks, _) => "s3, signed chunks",
                (Mode::SignedTrailer, Form::Sdk) => "s3, signed chunks and trailer",
                (Mode::SignedTrailer, Form::MinioGo) => "s3, signed chunks and trailer as minio-go",
                (Mode::UnsignedTrailer, Form::Sdk) => "s3, unsigned chunks",
                (Mode::UnsignedTrailer, Form::MinioGo) => "s3, unsigned chunks as minio-go",
            };
            Sample {
                kind,
                profile: Profile::S3,
                carrier: Carrier::Header,
                signed: signed_names(&parts, Carrier::Header),
                arrival: Arrival {
                    message: Message::Request { parts: Box::new(parts), body: Bytes::from(pieces.concat()) },
                    now: support::now(),
                    key: signer.key(),
                },
                covers_body: true,
                upload: Some(Upload { mode, chunks: data.chunks(size).len(), pieces }),
            }
        },
    )
}

/// A form with fields of random names and values, each matched exactly or by its whole value as a prefix; one to be
/// ignored. The signature is aws-sigv4's.
pub(crate) fn form() -> impl Strategy<Value = Sent> {
    let fields = prop::collection::btree_map(
        text("x-amz-meta-[a-z]{1,6}"),
        (text("[ -~]{1,20}"), any::<bool>()),
        0..5,
    );
    (text("[a-zA-Z0-9/._ é-]{1,20}"), fields, any::<bool>(), any::<bool>(), 0..1000_u64).prop_map(
        |(key, fields, by_name, session, size)| {
            // A name without directories: the part that counts is all of it.
            let name = key.replace('/', "-");
            let (sent_key, judged) = match by_name {
                true => ("user/${filename}", format!("user/{name}")),
                false => (key.as_str(), key.clone()),
            };
            let mut form = Unsigned::keyed(sent_key, &exact("key", &judged))
                .field("x-ignore-this", "one")
                .condition(&format!("[\"content-length-range\",{size},{size}]"));
            for (name, (value, by_prefix)) in &fields {
                let condition = if *by_prefix { starts_with(name, value) } else { exact(name, value) };
                form = form.field(name, value).condition(&condition);
            }
            if session {
                form = form.token(TOKEN);
            }
            let sent = form.sign().filename(by_name.then_some(name.as_str())).size(size);
            let policy = sent.value("policy").to_owned();
            let key = v4::generate_signing_key(support::SECRET, support::now(), "us-east-1", "s3");
            sent.with("x-amz-signature", &v4::calculate_signature(key, policy.as_bytes()))
        },
    )
}

pub(crate) fn form_sample(form: Sent) -> Sample {
    let session = form.fields.iter().any(|(name, _)| name == "x-amz-security-token");
    Sample {
        kind: "s3, form",
        profile: Profile::S3,
        carrier: Carrier::PostForm,
        arrival: Arrival {
            message: Message::Form(Box::new(form)),
            now: support::now(),
            key: if session { support::session_key() } else { support::static_key() },
        },
        covers_body: false,
        signed: Vec::new(),
        upload: None,
    }
}

/// Normal paths, encoded as clients encode them.
pub(crate) fn path() -> impl Strategy<Value = String> {
    paths().prop_map(|(normal, _)| normal)
}

/// A normal path, and one with empty segments and dots.
fn paths() -> impl Strategy<Value = (String, String)> {
    let normal = text("([A-Za-z0-9_~-]|%20|%2F|%25|%E1%88%B4){1,8}");
    let segment = (normal, prop::option::weighted(0.15, select(vec!["", ".", "..", "...", "%2B"])));
    prop::collection::vec(segment, 0..4).prop_map(|segments| {
        let normal: Vec<_> = segments.iter().map(|(segment, _)| segment.as_str()).collect();
        let any: Vec<_> = segments.iter().map(|(segment, odd)| odd.unwrap_or(segment)).collect();
        (format!("/{}", normal.join("/")), format!("/{}", any.join("/")))
    })
}

pub(crate) fn query() -> impl Strategy<Value = String> {
    let pair = text("([a-z]|%20|%2F){1,4}(=([A-Za-z0-9-]|%2B|%3D|%26|%20){0,6})?");
    prop::collection::vec(pair, 0..4).prop_map(|pairs| match pairs.len() {
        0 => String::new(),
        _ => format!("?{}", pairs.join("&")),
    })
}

/// Headers that aws-sigv4 signs, but for the last two, which it leaves out.
fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = text("(range|content-type|x-test-[ab]|x-test-a|x-amz-meta-[ab]|user-agent|x-amzn-trace-id)");
    prop::collection::vec((name, text("([!-~]([ !-~]{0,7}[!-~])?)?")), 0..5).prop_map(|headers| {
        let mut single = BTreeSet::new();
        headers
            .into_iter()
            // HTTP gives these one value; what is signed twice has to be joined by the signer, which aws-sigv4 does.
            .filter(|(name, _)| {
                name.starts_with("x-test") || name.contains("meta") || single.insert(name.clone())
            })
            .collect()
    })
}

fn request(method: &str, target: &str, headers: &[(String, String)]) -> http::Request<()> {
    let mut builder =
        http::Request::builder().method(method).uri(format!("https://bucket.example.com{target}"));
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    builder.body(()).unwrap()
}

fn signed_names(parts: &Parts, carrier: Carrier) -> Vec<String> {
    let text = match carrier {
        Carrier::Presigned => {
            parts.uri.query().unwrap().split("X-Amz-SignedHeaders=").nth(1).unwrap().replace("%3B", ";")
        }
        _ => parts.headers["authorization"].to_str().unwrap().split("SignedHeaders=").nth(1).unwrap().into(),
    };
    text.split([',', '&']).next().unwrap().split(';').map(str::to_owned).collect()
}

/// Compiled once, not for every value.
fn text(pattern: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(pattern).unwrap()
}
