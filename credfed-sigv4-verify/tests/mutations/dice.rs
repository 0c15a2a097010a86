//! Choices that follow from a seed: splitmix64.

#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `None` where there is nothing to choose from.
    pub(crate) fn index(&mut self, len: usize) -> Option<usize> {
        let len = u64::try_from(len).ok().filter(|&len| len > 0)?;
        usize::try_from(self.next() % len).ok()
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        self.index(of.len()).map(|at| &of[at])
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// A letter or digit other than `byte`, whatever its case.
    pub(crate) fn other_than(&mut self, byte: u8) -> u8 {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        loop {
            if let Some(&other) = self.pick(LETTERS)
                && !other.eq_ignore_ascii_case(&byte)
            {
                return other;
            }
        }
    }

    pub(crate) fn word(&mut self) -> String {
        let letters = 1 + self.next() % 6;
        (0..letters).map(|_| char::from(self.other_than(b'0'))).collect()
    }
}
