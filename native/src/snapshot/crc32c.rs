//! CRC32C (Castagnoli, RFC 3720 appendix B.4), using the CPU's instruction if available.

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ POLYNOMIAL };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// Extends the checksum `crc` of the preceding bytes, 0 at first, with `bytes`.
pub fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    if is_x86_feature_detected!("sse4.2") {
        // SAFETY: the CPU has the instruction.
        unsafe { by_instruction(crc, bytes) }
    } else {
        by_table(crc, bytes)
    }
}

fn by_table(crc: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!crc, |crc, byte| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)])
}

#[target_feature(enable = "sse4.2")]
fn by_instruction(crc: u32, bytes: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    let word = |word: &[u8]| u64::from_le_bytes(word.try_into().expect("8 bytes"));
    let crc = words.fold(u64::from(!crc), |crc, bytes| _mm_crc32_u64(crc, word(bytes)));
    !rest.iter().fold(crc as u32, |crc, byte| _mm_crc32_u8(crc, *byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // RFC 3720 appendix B.4.
        let ascending: Vec<u8> = (0..32).collect();
        for (bytes, crc) in [
            (vec![0; 32], 0x8a91_36aa),
            (vec![0xff; 32], 0x62a8_ab43),
            (ascending, 0x46dd_794e),
            (b"123456789".to_vec(), 0xe306_9283),
            (vec![], 0),
        ] {
            assert_eq!(crc32c(0, &bytes), crc);
            assert_eq!(by_table(0, &bytes), crc);
        }
    }

    #[test]
    fn instruction_and_table_agree_for_any_chunks() {
        let bytes: Vec<u8> = (0..1000u32).map(|at| (at * at / 8) as u8).collect();
        let whole = by_table(0, &bytes);
        for cut in 0..bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(crc32c(crc32c(0, first), second), whole);
        }
    }
}
