//! A judgement in text and in JSON.

use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use credfed_sigv4_verify::{Carrier, PayloadMode, Protocol};
use serde::Serialize;

use crate::judge::{Judgement, Verdict};

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
    judgement: &Judgement,
    protocol: Protocol,
    redact: bool,
) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &line(file, judgement, protocol, redact))?;
    writeln!(out)
}

pub(crate) fn text(
    out: &mut impl Write,
    file: &str,
    judgement: &Judgement,
    protocol: Protocol,
    redact: bool,
) -> io::Result<()> {
    let line = line(file, judgement, protocol, redact);
    writeln!(out, "{file}")?;
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
        (Some(rule), Some(reason)) => writeln!(out, "  reason    {reason} (rule {rule})")?,
        (None, Some(reason)) => writeln!(out, "  reason    {reason}")?,
        (_, None) => {}
    }
    let policy =
        judgement.policy.as_ref().filter(|_| !redact).and_then(|policy| STANDARD.decode(policy).ok());
    let policy = policy.map(|policy| String::from_utf8_lossy(&policy).into_owned());
    let texts = [
        ("canonical request", line.canonical_request.as_deref()),
        ("policy", policy.as_deref()),
        ("string to sign", line.string_to_sign),
    ];
    for (name, text) in texts {
        let Some(text) = text else { continue };
        writeln!(out, "  {name}")?;
        for line in text.split('\n') {
            writeln!(out, "    | {}", printable(line))?;
        }
    }
    Ok(())
}

/// Nothing of a caught request commands the terminal.
fn printable(line: &str) -> String {
    let quote = |c: char| matches!(c, '"' | '\'');
    line.chars()
        .flat_map(|c| quote(c).then_some(c).into_iter().chain(c.escape_debug().filter(move |_| !quote(c))))
        .collect()
}

fn line<'a>(file: &'a str, judgement: &'a Judgement, protocol: Protocol, redact: bool) -> Line<'a> {
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
        reason,
        canonical_request: preimage.map(|preimage| match redact {
            true => preimage.redacted(),
            false => preimage.canonical_request().into_owned(),
        }),
        string_to_sign: match (&judgement.policy, preimage) {
            // A policy may hold a session token.
            (Some(_), _) if redact => None,
            (Some(policy), _) => Some(policy),
            (None, preimage) => preimage.map(|preimage| preimage.string_to_sign()),
        },
    }
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
