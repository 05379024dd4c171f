//! Network byte order, checked once.

/// Reads the first octets of `bytes` as a big-endian integer. Callers have checked the length.
macro_rules! be {
    ($($(#[$doc:meta])* $name:ident -> $int:ty),+) => {$(
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name(bytes: &[u8], offset: usize) -> $int {
            const WIDTH: usize = size_of::<$int>();
            let mut octets = [0; WIDTH];
            octets.copy_from_slice(&bytes[offset..offset + WIDTH]);
            <$int>::from_be_bytes(octets)
        }
    )+};
}

be! {
    /// Two octets at `offset`.
    be16 -> u16,
    /// Four octets at `offset`.
    be32 -> u32
}

/// A whole slice as an unsigned integer: the low 64 bits, and whether anything above them was set.
#[inline(always)]
pub(crate) fn be_uint(bytes: &[u8]) -> (u64, bool) {
    let (high, low) = bytes.split_at(bytes.len().saturating_sub(8));
    let mut octets = [0; 8];
    octets[8 - low.len()..].copy_from_slice(low);
    (
        u64::from_be_bytes(octets),
        high.iter().any(|&octet| octet != 0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_width_reads_as_an_unsigned_integer() {
        assert_eq!(be_uint(&[]), (0, false));
        assert_eq!(be_uint(&[1, 2, 3]), (0x01_0203, false));
        assert_eq!(be_uint(&[0, 1, 0, 0, 0, 0, 0, 0, 0]), (1 << 56, false));
        assert_eq!(be_uint(&[1, 0, 0, 0, 0, 0, 0, 0, 5]), (5, true));
    }
}
