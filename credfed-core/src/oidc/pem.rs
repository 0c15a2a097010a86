//! PEM (RFC 7468), as strictly as keys and certificates are written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// One block: its label and its contents.
pub(super) struct Block {
    pub(super) label: String,
    pub(super) contents: Zeroizing<Vec<u8>>,
}

/// All blocks of a text. Text between them is passed over; `None` if a block is not whole.
pub(super) fn blocks(text: &str) -> Option<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|line| line.strip_suffix("-----")) else {
            continue;
        };
        let end = format!("-----END {label}-----");
        // Taken once in full: a text that grew would leave parts of a key behind.
        let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
        loop {
            match lines.next()? {
                line if line == end => break,
                line if line.starts_with("-----") => return None,
                line => base64.push_str(line),
            }
        }
        let mut contents = Zeroizing::new(vec![0; base64.len()]);
        let length = STANDARD.decode_slice(base64.as_bytes(), &mut contents).ok()?;
        contents.truncate(length);
        blocks.push(Block { label: label.to_owned(), contents });
    }
    Some(blocks)
}
