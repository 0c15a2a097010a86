//! A signature on the wire: DER in lower-case hex, one spelling for each and no other.

/// Bytes of the longest one in DER.
const LONGEST_DER: usize = 2 + 2 * (2 + 33);

/// Hex digits of the longest one, and the length to which those of chunks are padded.
pub(crate) const PADDED: usize = 2 * LONGEST_DER;

/// What chunks' signatures are padded with.
const PADDING: u8 = b'*';

/// What the client sent: two numbers from 1 to the order of the group, exclusively.
#[derive(Clone, Copy)]
pub(crate) struct Signature(p256::ecdsa::Signature);

impl Signature {
    /// Reads the digits, all of them.
    pub(crate) fn from_hex(text: &[u8]) -> Option<Self> {
        let (pairs, []) = text.as_chunks::<2>() else { return None };
        let mut der = [0; LONGEST_DER];
        let der = der.get_mut(..pairs.len())?;
        for (byte, [high, low]) in der.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Self::from_der(der)
    }

    /// Reads the digits and the padding behind them: 144 characters together, or it is none. Gives the digits too.
    pub(crate) fn from_padded(text: &[u8]) -> Option<(Self, &[u8])> {
        if text.len() != PADDED {
            return None;
        }
        let end = text.iter().position(|&byte| byte == PADDING).unwrap_or(PADDED);
        let (digits, padding) = text.split_at(end);
        if padding.iter().any(|&byte| byte != PADDING) {
            return None;
        }
        Self::from_hex(digits).map(|signature| (signature, digits))
    }

    /// Appends the digits that it was read from.
    pub(crate) fn write_hex(&self, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let (r, s) = self.0.split_bytes();
        let [r, s] = [&*r, &*s].map(magnitude);
        let lengths = [r, s].map(|number| number.len() + usize::from(needs_zero(number)));
        let mut put = |byte: u8| out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        // Each is 33 at most.
        let length = |length: usize| u8::try_from(length).unwrap_or_default();
        put(SEQUENCE);
        put(length(lengths[0] + lengths[1] + 4));
        for (number, bytes) in [r, s].into_iter().zip(lengths) {
            put(INTEGER);
            put(length(bytes));
            if needs_zero(number) {
                put(0);
            }
            number.iter().copied().for_each(&mut put);
        }
    }

    pub(super) fn as_scalars(&self) -> &p256::ecdsa::Signature {
        &self.0
    }

    /// `SEQUENCE { r INTEGER, s INTEGER }` of RFC 3279, 2.2.3, in DER: every length as short as it can be.
    fn from_der(der: &[u8]) -> Option<Self> {
        // A length of 128 and more, which would take another form, is none that a signature has.
        let [SEQUENCE, length, body @ ..] = der else { return None };
        if usize::from(*length) != body.len() {
            return None;
        }
        let (r, rest) = integer(body)?;
        let (s, []) = integer(rest)? else { return None };
        p256::ecdsa::Signature::from_scalars(r, s).ok().map(Self)
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// A positive integer of at most 32 bytes, and what follows it.
fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [INTEGER, length, rest @ ..] = der else { return None };
    let (bytes, rest) = rest.split_at_checked(usize::from(*length))?;
    let number = match bytes {
        [0, number @ ..] if needs_zero(number) => number,
        // A zero that is not needed, or a negative number.
        [0 | 0x80.., ..] | [] => return None,
        number => number,
    };
    let mut padded = [0; 32];
    padded.get_mut(32_usize.checked_sub(number.len())?..)?.copy_from_slice(number);
    Some((padded, rest))
}

/// Whether a number would be negative without a zero before it.
fn needs_zero(number: &[u8]) -> bool {
    number.first().is_some_and(|&first| first >= 0x80)
}

fn magnitude(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    &number[zeros..]
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From AWS's test suite, get-vanilla: `r` of 32 bytes, `s` of 32 with a zero before them.
    const GOOD: &str = "3045022018b4e277d0281864beb51d3600e23f88510ea5031d68ddfbb68614b82a5eb7d2022100effb9c5f22ed9\
                        ef3ae0ab243d21f06bce82365bbb79529a07b6888c343ae5f8c";

    fn read(text: &str) -> Option<Signature> {
        Signature::from_hex(text.as_bytes())
    }

    fn written(signature: &Signature) -> String {
        let mut out = Vec::new();
        signature.write_hex(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_was_read_is_written_again() {
        let (small, large) = ("01", "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550");
        for text in [
            GOOD.to_owned(),
            format!("30060201{small}0201{small}"),
            format!("3026022100{large}0201{small}"),
            format!("3046022100{large}022100{large}"),
            "300802020080".to_owned() + "02020100",
        ] {
            assert_eq!(read(&text).map(|signature| written(&signature)), Some(text));
        }
        assert_eq!(format!("3046022100{large}022100{large}").len(), PADDED);
    }

    #[test]
    fn no_other_encoding_is_read() {
        let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
        let [r, s] = [&GOOD[8..72], &GOOD[78..]];
        for (text, why) in [
            (String::new(), "nothing"),
            (GOOD[..GOOD.len() - 1].to_owned(), "half a byte"),
            (GOOD[..GOOD.len() - 2].to_owned(), "cut short"),
            (format!("{GOOD}00"), "a byte behind it"),
            (format!("3046022018b4{}00", &GOOD[12..]), "a byte behind it, counted"),
            (GOOD.to_uppercase(), "upper case"),
            (GOOD.replacen('c', "C", 1), "one digit in upper case"),
            (format!("{GOOD} "), "a blank"),
            (format!("{GOOD}*"), "padding"),
            (format!("0x{GOOD}"), "a prefix"),
            (GOOD.replacen("3045", "3145", 1), "a set"),
            (GOOD.replacen("3045", "3044", 1), "too short a length"),
            (GOOD.replacen("3045", "3046", 1), "too long a length"),
            (format!("308145{}", &GOOD[4..]), "a long form of the length"),
            (format!("3080{}0000", &GOOD[4..]), "an indefinite length"),
            (format!("30460281{}", &GOOD[6..]), "a long form of an integer's length"),
            (format!("3046022100{r}022100{s}"), "a zero that is not needed"),
            (format!("3044{}0220{s}", &GOOD[4..72]), "a negative number"),
            (format!("3047{}02220000{s}", &GOOD[4..72]), "two zeros"),
            (format!("3025{}020100", &GOOD[4..72]), "zero"),
            (format!("3024{}0200", &GOOD[4..72]), "no number"),
            (format!("3045022100{order}0220{r}"), "the order itself"),
            (format!("3046{}02220100{s}", &GOOD[4..72]), "33 bytes"),
            (format!("3045{}032100{s}", &GOOD[4..72]), "no integer"),
            (GOOD[4..].to_owned(), "no sequence"),
            (format!("3022{}", &GOOD[4..72]), "one number"),
            (format!("3048{}020101", &GOOD[4..]), "three numbers"),
            ("0".repeat(64), "an HMAC"),
            ("ab".repeat(LONGEST_DER + 1), "too long"),
        ] {
            assert!(read(&text).is_none(), "{why}: {text}");
        }
    }

    #[test]
    fn padding_fills_144_characters_and_stands_behind() {
        let padded = |text: &str| {
            let (signature, digits) = Signature::from_padded(text.as_bytes())?;
            assert_eq!(written(&signature).as_bytes(), digits);
            Some(written(&signature))
        };
        let right = format!("{GOOD:*<144}");
        assert_eq!(padded(&right), Some(GOOD.to_owned()));
        let longest = format!("3046022100{0}022100{0}", &GOOD[78..]);
        assert_eq!(padded(&longest), Some(longest.clone()));
        for text in [
            GOOD.to_owned(),
            format!("{GOOD:*<143}"),
            format!("{GOOD:*<145}"),
            format!("{GOOD:*>144}"),
            format!("{GOOD:*^144}"),
            format!("{GOOD: <144}"),
            format!("{GOOD:0<144}"),
            right.replacen("**", "*0", 1),
            right.replacen('4', "*", 1),
            "*".repeat(144),
        ] {
            assert_eq!(padded(&text), None, "{text}");
        }
    }
}
