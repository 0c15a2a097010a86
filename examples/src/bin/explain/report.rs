//! A judgement in text and in JSON.

use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use credfed_sigv4_verify::{Carrier, PayloadMode, Protocol};
use serde::Serialize;

use crate::judge::{Judge, Judgement, Verdict};

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    verdict: &'static str,
    code: Option<&'static str>,
    status: u16,
    rule: Option<u8>,
    reason: Option<String>,
    canonical_request: Option<String>,
    string_to_sign: Option<&'a str>,
}

pub(crate) fn json(
    out: &mut impl Write,
    file: &str,
    judge: &Judge,
    judgement: &Judgement,
    (protocol, redact): (Protocol, bool),
) -> io::Result<()> {
    let json = serde_json::to_string(&line(file, judge, judgement, (protocol, redact)))?;
    // A terminal obeys control characters beyond ASCII too, which JSON leaves as they are.
    for character in json.chars() {
        if is_harmless(character) {
            write!(out, "{character}")?;
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
    }
    writeln!(out)
}

pub(crate) fn text(
    out: &mut impl Write,
    file: &str,
    judge: &Judge,
    judgement: &Judgement,
    (protocol, redact): (Protocol, bool),
) -> io::Result<()> {
    let line = line(file, judge, judgement, (protocol, redact));
    writeln!(out, "{}", visible(file))?;
    if let Some(carrier) = judgement.carrier {
        writeln!(out, "  carrier   {}", carrier_name(carrier))?;
    }
    if let Some(mode) = &judgement.payload_mode {
        writeln!(out, "  payload   {}", payload_name(mode))?;
    }
    match line.code {
        Some(code) => writeln!(out, "  verdict   {}: {code}, {}", line.verdict, line.status)?,
        None => writeln!(out, "  verdict   {}", line.verdict)?,
    }
    match (line.rule, &line.reason) {
        (Some(rule), Some(reason)) => {
            writeln!(out, "  reason    {} (rule {rule})", visible(reason))?;
        }
        (None, Some(reason)) => writeln!(out, "  reason    {}", visible(reason))?,
        (_, None) => {}
    }
    let policy = judgement.policy.as_deref().filter(|_| line.string_to_sign.is_some()).and_then(decoded);
    let texts = [
        ("canonical request", line.canonical_request.as_deref()),
        ("policy", policy.as_deref()),
        ("string to sign", line.string_to_sign),
    ];
    for (name, text) in texts {
        let Some(text) = text else { continue };
        writeln!(out, "  {name}")?;
        for line in text.split('\n') {
            writeln!(out, "    | {}", visible(line))?;
        }
    }
    Ok(())
}

fn line<'a>(
    file: &'a str,
    judge: &Judge,
    judgement: &'a Judgement,
    (protocol, redact): (Protocol, bool),
) -> Line<'a> {
    let (verdict, code, status, rule, reason) = match &judgement.verdict {
        Verdict::Accepted => ("accepted", None, 200, None, None),
        Verdict::Refused(reason) => (
            "refused",
            Some(reason.code(protocol)),
            reason.status(protocol).as_u16(),
            reason.rule(),
            Some(match &judgement.cause {
                Some(cause) => format!("{reason}: {cause}"),
                None => reason.to_string(),
            }),
        ),
        Verdict::NoRequest(why) => ("refused", Some("BadRequest"), 400, None, Some(why.clone())),
    };
    let preimage = judgement.preimage.as_ref();
    Line {
        file,
        verdict,
        code,
        status,
        rule,
        reason: reason.map(|reason| judge.without_secret(reason)),
        canonical_request: preimage.map(|preimage| {
            judge.without_secret(match redact {
                true => preimage.redacted(),
                false => preimage.canonical_request().into_owned(),
            })
        }),
        string_to_sign: match (&judgement.policy, preimage) {
            // A policy may hold a session token.
            (Some(_), _) if redact => None,
            (Some(policy), _) => {
                let has_secret =
                    decoded(policy).is_some_and(|text| judge.without_secret(text.clone()) != text);
                (!has_secret).then_some(policy)
            }
            (None, preimage) => preimage.map(|preimage| preimage.string_to_sign()),
        },
    }
}

/// A policy as JSON.
fn decoded(policy: &str) -> Option<String> {
    STANDARD.decode(policy).ok().map(|policy| String::from_utf8_lossy(&policy).into_owned())
}

fn carrier_name(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Header => "Authorization header",
        Carrier::Presigned => "presigned query",
        Carrier::PostForm => "POST form",
        _ => "another one",
    }
}

fn payload_name(mode: &PayloadMode) -> &'static str {
    match mode {
        PayloadMode::Sha256(_) => "the body's SHA-256 is signed",
        PayloadMode::Unsigned => "not signed (UNSIGNED-PAYLOAD)",
        PayloadMode::BodyHash => "the body's SHA-256 is signed, and not sent",
        PayloadMode::Chunked(chunked) if chunked.is_signed() => "in chunks, each of them signed",
        PayloadMode::Chunked(_) => "in chunks that are not signed, with a checksum behind them",
        _ => "another one",
    }
}

/// A text for a terminal: as it is, but for what would not be seen, or do something.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            harmless if is_harmless(harmless) => shown.push(harmless),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

fn is_harmless(character: char) -> bool {
    matches!(character, ' '..='~') || character.escape_debug().eq([character])
}
