//! The XML of AWS's answers: one place that escapes.

use std::fmt::Write;

/// What the elements of STS stand in.
pub(crate) const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// `<name>value</name>`, the value escaped. `name` is one of ours.
pub(crate) fn element(xml: &mut String, name: &str, value: &str) {
    let _ = write!(xml, "<{name}>");
    for character in value.chars() {
        match character {
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '&' => xml.push_str("&amp;"),
            '"' => xml.push_str("&quot;"),
            '\'' => xml.push_str("&apos;"),
            // A parser would read it as a line feed.
            '\r' => xml.push_str("&#13;"),
            // XML 1.0 has no way to write these.
            '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => {
                xml.push('\u{FFFD}');
            }
            other => xml.push(other),
        }
    }
    let _ = write!(xml, "</{name}>");
}

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
