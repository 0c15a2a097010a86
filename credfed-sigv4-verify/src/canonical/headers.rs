//! Canonical header values: trimmed, inner runs of blanks folded.

use crate::scratch::Sink;

/// `value` without the blanks and tabs around it.
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    let mut value = value;
    if let [b'!'..=0xff, .., b'!'..=0xff] = value {
        return value;
    }
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Appends a trimmed value, each run of blanks and tabs as one blank. The line ends of an obsolete
/// fold count as blanks; no `http::HeaderValue` holds one, so that is for completeness only.
pub(crate) fn write_folded(out: &mut impl Sink, value: &[u8]) {
    if !needs_folding(value) {
        out.put(value);
        return;
    }
    let mut blank = false;
    for &byte in value {
        if is_blank(byte) {
            blank = true;
            continue;
        }
        if std::mem::take(&mut blank) {
            out.put_byte(b' ');
        }
        out.put_byte(byte);
    }
}

fn needs_folding(value: &[u8]) -> bool {
    value.windows(2).any(|pair| is_blank(pair[0]) && (pair[0] != b' ' || is_blank(pair[1])))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_runs_and_keeps_the_rest() {
        for (value, expected) in [
            ("", ""),
            ("  ", ""),
            (" a ", "a"),
            ("\ta b\t", "a b"),
            ("a  b", "a b"),
            ("a\tb", "a b"),
            ("a \t b c", "a b c"),
            ("\"a   b\"", "\"a b\""),
            ("value1\r\n  value2\n\tvalue3", "value1 value2 value3"),
        ] {
            let mut out = Vec::new();
            write_folded(&mut out, trim(value.as_bytes()));
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{value:?}");
        }
    }
}
