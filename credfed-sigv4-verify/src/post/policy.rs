//! The policy document, read strictly: what is not known, is repeated or comes after the end is refused.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::error::Category;
use zeroize::Zeroizing;

use super::condition::Condition;
use crate::date::Date;
use crate::error::{PolicyFault, Reason};

/// A policy that reads as one.
pub(crate) struct Policy {
    pub(crate) expiration: SystemTime,
    pub(super) conditions: Vec<Condition>,
}

/// Both members are needed, each once; serde refuses repeated ones.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(borrow)]
    expiration: &'a str,
    conditions: Vec<Condition>,
}

impl Policy {
    /// Reads a policy from the text of its field: base64, with padding and without line breaks.
    pub(crate) fn parse(base64: &str) -> Result<Self, Reason> {
        let json = STANDARD.decode(base64).map_err(|_| fault(PolicyFault::Base64))?;
        let json = Zeroizing::new(json);
        // What serde says repeats values, so that only the kind of the error goes on. The types end after three
        // levels, and so does the recursion.
        let document: Document<'_> = serde_json::from_slice(&json).map_err(|error| {
            fault(match error.classify() {
                Category::Data => PolicyFault::Structure,
                Category::Io | Category::Syntax | Category::Eof => PolicyFault::Json,
            })
        })?;
        let expiration = instant(document.expiration).ok_or_else(|| fault(PolicyFault::Expiration))?;
        Ok(Self { expiration, conditions: document.conditions })
    }
}

fn fault(fault: PolicyFault) -> Reason {
    Reason::PolicyDocument(fault)
}

/// Reads exactly `YYYY-MM-DDTHH:MM:SSZ` (ISO 8601), with or without one to nine digits of a fraction.
fn instant(text: &str) -> Option<SystemTime> {
    let text = text.strip_suffix('Z')?;
    let (seconds, nanos) = match text.split_once('.') {
        Some((seconds, fraction)) => (seconds, nanos(fraction)?),
        None => (text, 0),
    };
    let seconds: &[u8; 19] = seconds.as_bytes().try_into().ok()?;
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1] = seconds
    else {
        return None;
    };
    let basic = [y0, y1, y2, y3, m0, m1, d0, d1, b'T', h0, h1, i0, i1, s0, s1, b'Z'];
    Date::basic(&basic)?.to_system_time().checked_add(Duration::from_nanos(nanos))
}

fn nanos(fraction: &str) -> Option<u64> {
    if !(1..=9).contains(&fraction.len()) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn parse(json: &str) -> Result<Policy, Reason> {
        Policy::parse(&STANDARD.encode(json))
    }

    #[test]
    fn expirations_are_read_with_and_without_a_fraction() {
        let at = UNIX_EPOCH + Duration::from_secs(1_451_476_800);
        assert_eq!(instant("2015-12-30T12:00:00Z"), Some(at));
        assert_eq!(instant("2015-12-30T12:00:00.000Z"), Some(at));
        assert_eq!(instant("2015-12-30T12:00:00.5Z"), Some(at + Duration::from_millis(500)));
        assert_eq!(instant("2015-12-30T12:00:00.000000001Z"), Some(at + Duration::from_nanos(1)));
    }

    #[test]
    fn anything_else_is_no_expiration() {
        for text in [
            "",
            "Z",
            "2015-12-30",
            "2015-12-30T12:00:00",
            "2015-12-30T12:00:00z",
            "2015-12-30t12:00:00Z",
            "2015-12-30 12:00:00Z",
            "2015-12-30T12:00:00+00:00",
            "2015-12-30T12:00:00.Z",
            "2015-12-30T12:00:00.0000000000Z",
            "2015-12-30T12:00:00.+1Z",
            "2015-12-30T12:00:00.1.2Z",
            "2015-12-30T12:00Z",
            "20151230T120000Z",
            "2015-13-30T12:00:00Z",
            "2015-02-29T12:00:00Z",
            "2015-12-30T24:00:00Z",
            "2015-12-30T12:00:60Z",
            "+015-12-30T12:00:00Z",
            " 2015-12-30T12:00:00Z",
            "2015-12-30T12:00:00Z ",
            "1969-12-31T23:59:59Z",
            "10000-01-01T00:00:00Z",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn only_a_policy_is_a_policy() {
        let structure = Reason::PolicyDocument(PolicyFault::Structure);
        let json = Reason::PolicyDocument(PolicyFault::Json);
        let expiration = "\"expiration\":\"2015-12-30T12:00:00Z\"";
        assert!(parse(&format!("{{{expiration},\"conditions\":[]}}")).is_ok());
        assert!(parse(&format!(" {{\"conditions\" : [ ] ,\n{expiration}}}\r\n\t")).is_ok());
        for (text, reason) in [
            (String::new(), &json),
            ("null".into(), &structure),
            ("[]".into(), &structure),
            ("\"\"".into(), &structure),
            ("{}".into(), &structure),
            (format!("{{{expiration}}}"), &structure),
            ("{\"conditions\":[]}".into(), &structure),
            (format!("{{{expiration},\"conditions\":null}}"), &structure),
            (format!("{{{expiration},\"conditions\":{{}}}}"), &structure),
            (format!("{{{expiration},\"CONDITIONS\":[]}}"), &structure),
            (format!("{{{expiration},\"conditions\":[],\"x\":1}}"), &structure),
            (format!("{{{expiration},\"conditions\":[],\"conditions\":[]}}"), &structure),
            (format!("{{{expiration},{expiration},\"conditions\":[]}}"), &structure),
            (format!("{{{expiration},\"conditions\":[[],[]]}}"), &structure),
            (format!("{{{expiration},\"conditions\":[]}}x"), &json),
            (format!("{{{expiration},\"conditions\":[]}}{{}}"), &json),
            (format!("{{{expiration},\"conditions\":[],}}"), &json),
            (format!("{{{expiration},\"conditions\":[]"), &json),
            (format!("\u{feff}{{{expiration},\"conditions\":[]}}"), &json),
            ("{\"expiration\":1,\"conditions\":[]}".into(), &structure),
        ] {
            assert_eq!(parse(&text).map(drop).as_ref(), Err(reason), "{text}");
        }
        let nested = format!("{{{expiration},\"conditions\":{}", "[".repeat(20_000));
        assert!(matches!(parse(&nested), Err(Reason::PolicyDocument(_))));
    }

    #[test]
    fn base64_has_one_spelling() {
        let text = STANDARD.encode("{\"expiration\":\"2015-12-30T12:00:00Z\",\"conditions\":[]}");
        assert!(text.ends_with('='));
        assert!(Policy::parse(&text).is_ok());
        let folded = format!("{}\r\n{}", &text[..20], &text[20..]);
        for other in
            [text.trim_end_matches('='), &format!("{text}="), &format!(" {text}"), &folded, "{}", "-_=="]
        {
            let refused = Policy::parse(other).map(drop);
            assert_eq!(refused, Err(Reason::PolicyDocument(PolicyFault::Base64)), "{other}");
        }
    }
}
