//! Canonical header values: trimmed, inner runs of blanks folded.

/// `value` without the blanks and tabs around it.
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    let mut value = value;
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Appends a trimmed value, each run of blanks and tabs as one blank. The line ends of an obsolete
/// fold count as blanks; no `http::HeaderValue` holds one, so that is for completeness only.
pub(crate) fn write_folded(out: &mut Vec<u8>, value: &[u8]) {
    if !needs_folding(value) {
        out.extend_from_slice(value);
        return;
    }
    let mut blank = false;
    for &byte in value {
        if is_blank(byte) {
            blank = true;
            continue;
        }
        if std::mem::take(&mut blank) {
            out.push(b' ');
        }
        out.push(byte);
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
