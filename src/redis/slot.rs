//! The slots of a cluster. Each primary owns some of them, and the hash tag of a key selects one.

/// Returns the slot of a hash tag: its CRC-16/XMODEM modulo the number of slots.
pub(super) fn slot_of(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        // The polynomial 0x1021 for a whole byte, without a table.
        let mut high = (crc >> 8) ^ u16::from(byte);
        high ^= high >> 4;
        (crc << 8) ^ (high << 12) ^ (high << 5) ^ high
    });
    crc & LAST_SLOT
}

/// The highest slot. The number of slots is a power of two.
pub(super) const LAST_SLOT: u16 = 16_383;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_known_tags_match_the_servers() {
        // `CLUSTER KEYSLOT` of Redis 7.0.
        for (tag, slot) in [("foo", 12_182), ("123456789", 12_739), ("", 0), ("user1000", 3_443)] {
            assert_eq!(slot_of(tag), slot, "{tag}");
        }
    }
}
