//! Keys that nobody drew at random.

use super::key::MASTER;

/// Whether a master key was obviously not drawn at random. A key that was is taken for one that was not once in
/// 2^44 at most (the bound is that of the first rule; the others add next to nothing):
///
/// 1. All bytes are printable ASCII or blanks: a passphrase, or the text of a key where its bytes belong.
/// 2. One value occurs more than ten times: a short key with padding, a constant.
/// 3. Fewer than twelve different values.
/// 4. A pattern of up to 16 bytes that repeats.
/// 5. Each byte differs from the one before by the same: counting up, counting down.
pub(super) fn is_obviously_not_random(key: &[u8; MASTER]) -> bool {
    is_text(key) || is_padded(key) || has_few_values(key) || repeats(key) || counts(key)
}

fn is_text(key: &[u8]) -> bool {
    key.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'))
}

fn is_padded(key: &[u8]) -> bool {
    key.iter().any(|value| key.iter().filter(|byte| *byte == value).count() > 10)
}

fn has_few_values(key: &[u8; MASTER]) -> bool {
    let mut values = *key;
    values.sort_unstable();
    let few = 1 + values.windows(2).filter(|pair| pair[0] != pair[1]).count() < 12;
    zeroize::Zeroize::zeroize(&mut values);
    few
}

fn repeats(key: &[u8]) -> bool {
    (1..=MASTER / 2).any(|period| key.iter().zip(key.iter().skip(period)).all(|(a, b)| a == b))
}

fn counts(key: &[u8]) -> bool {
    let step = |pair: &[u8]| pair[1].wrapping_sub(pair[0]);
    key.windows(3).all(|triple| step(&triple[..2]) == step(&triple[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn byte(number: usize) -> u8 {
        number.to_le_bytes()[0]
    }

    #[test]
    fn what_a_person_writes_is_told_from_what_a_machine_draws() {
        let from = |make: fn(usize) -> u8| std::array::from_fn::<u8, MASTER, _>(make);
        let weak = [
            [0; MASTER],
            [0xAB; MASTER],
            from(byte),
            from(|at| 255 - byte(at)),
            from(|at| byte(at * 3)),
            from(|at| if at % 2 == 0 { 0xDE } else { 0xAD }),
            from(|at| byte(at % 16 * 37) ^ 0x80),
            from(|at| if at < 21 { byte(at * at + 129) } else { 0 }),
            from(|at| [1, 250, 90, 7][at * at % 4]),
            *b"correct horse battery staple 123",
            *b"00112233445566778899aabbccddeeff",
            *b"a passphrase\nwith\ttabs and lines",
        ];
        for key in weak {
            assert!(is_obviously_not_random(&key), "{key:02x?}");
        }
        for _ in 0..20_000 {
            let mut key = [0; MASTER];
            getrandom::fill(&mut key).unwrap();
            assert!(!is_obviously_not_random(&key), "{key:02x?}");
        }
    }

    #[test]
    fn each_rule_finds_what_no_other_does() {
        let long_period: [u8; MASTER] = std::array::from_fn(|at| byte(at % 16 * 29 + 3));
        assert!(repeats(&long_period) && !has_few_values(&long_period) && !counts(&long_period));
        let counting: [u8; MASTER] = std::array::from_fn(byte);
        assert!(counts(&counting) && !repeats(&counting) && !is_padded(&counting) && !is_text(&counting));
        let few: [u8; MASTER] = std::array::from_fn(|at| byte(at * at % 11 * 21));
        assert!(has_few_values(&few) && !is_padded(&few) && !counts(&few));
    }
}
