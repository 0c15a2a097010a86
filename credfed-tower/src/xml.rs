//! The XML of AWS's answers: one place that escapes.

/// What the elements of STS stand in.
pub(crate) const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// `<name>value</name>`, the value escaped. `name` is one of ours.
pub(crate) fn element(xml: &mut String, name: &str, value: &str) {
    xml.reserve(2 * name.len() + value.len() + 5);
    xml.push('<');
    xml.push_str(name);
    xml.push('>');
    escape(xml, value);
    xml.push_str("</");
    xml.push_str(name);
    xml.push('>');
}

/// Copies what can stay as it is in whole runs.
fn escape(xml: &mut String, value: &str) {
    let mut rest = value;
    // An ASCII character or the first byte of a longer one: text can be taken apart before it.
    let suspect = |text: &str| text.bytes().position(|byte| SUSPECT[usize::from(byte)]);
    while let Some((plain, from)) = suspect(rest).and_then(|at| rest.split_at_checked(at)) {
        xml.push_str(plain);
        let mut characters = from.chars();
        match characters.next() {
            Some('<') => xml.push_str("&lt;"),
            Some('>') => xml.push_str("&gt;"),
            Some('&') => xml.push_str("&amp;"),
            Some('"') => xml.push_str("&quot;"),
            Some('\'') => xml.push_str("&apos;"),
            // A parser would read it as a line feed.
            Some('\r') => xml.push_str("&#13;"),
            // XML 1.0 has no way to write these.
            Some('\0'..='\x1F' | '\u{FFFE}' | '\u{FFFF}') => xml.push('\u{FFFD}'),
            Some(other) => xml.push(other),
            None => {}
        }
        rest = characters.as_str();
    }
    xml.push_str(rest);
}

/// The bytes that begin a character which may have to be written in another way.
const SUSPECT: [bool; 256] = {
    let mut suspect = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        suspect[byte] = byte != b'\t' as usize && byte != b'\n' as usize;
        byte += 1;
    }
    suspect[b'<' as usize] = true;
    suspect[b'>' as usize] = true;
    suspect[b'&' as usize] = true;
    suspect[b'"' as usize] = true;
    suspect[b'\'' as usize] = true;
    // U+FFFE and U+FFFF, among others.
    suspect[0xEF] = true;
    suspect
};

/// The error document of the query protocol.
pub(crate) fn query_error(is_ours: bool, code: &str, message: &str, request_id: &str) -> String {
    let mut xml = format!("<ErrorResponse xmlns=\"{STS_NAMESPACE}\"><Error>");
    element(&mut xml, "Type", if is_ours { "Receiver" } else { "Sender" });
    element(&mut xml, "Code", code);
    element(&mut xml, "Message", message);
    xml.push_str("</Error>");
    element(&mut xml, "RequestId", request_id);
    xml.push_str("</ErrorResponse>");
    xml
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rules, character by character.
    fn plainly(value: &str) -> String {
        let mut xml = String::new();
        for character in value.chars() {
            match character {
                '<' => xml.push_str("&lt;"),
                '>' => xml.push_str("&gt;"),
                '&' => xml.push_str("&amp;"),
                '"' => xml.push_str("&quot;"),
                '\'' => xml.push_str("&apos;"),
                '\r' => xml.push_str("&#13;"),
                '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => {
                    xml.push('\u{FFFD}');
                }
                other => xml.push(other),
            }
        }
        xml
    }

    fn same(value: &str) {
        let mut xml = String::from("<before/>");
        element(&mut xml, "Name", value);
        assert_eq!(xml, format!("<before/><Name>{}</Name>", plainly(value)));
    }

    #[test]
    fn each_character_is_written_by_the_rules() {
        for character in '\0'..=char::MAX {
            let text = String::from(character);
            let mut xml = String::new();
            escape(&mut xml, &text);
            assert_eq!(xml, plainly(&text), "{character:?}");
        }
    }

    proptest! {
        #[test]
        fn whole_runs_are_written_as_characters_one_by_one_would_be(
            value in "([a-z<>&\"'\\r\\n\\t\\x00-\\x1f\u{ef}\u{fffd}-\u{ffff}\u{1f600}]|\\PC){0,200}"
        ) {
            same(&value);
        }
    }
}
