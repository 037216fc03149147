//! Entries of L1 and L2 tables (qcow2, "Cluster mapping").

/// The cluster's refcount is exactly one: it may be written in place.
pub const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// It reads as zeros, whatever is at its offset (version 3).
pub const ZERO: u64 = 1;
pub const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// Replaces an invalid entry. No valid entry is both compressed and `COPIED`.
pub const DAMAGED: u64 = u64::MAX;

/// What an L2 entry describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// The backing file's content.
    Absent,
    /// Zeros. `offset` of the cluster that is allocated anyway, or 0.
    Zero {
        offset: u64,
        copied: bool,
    },
    Data {
        offset: u64,
        copied: bool,
    },
    /// The compressed data is in the `len` bytes from `offset` on.
    Compressed {
        offset: u64,
        len: u64,
    },
    Damaged,
}

/// Parses an L2 entry of an image with clusters of 2^`cluster_bits` bytes, of a version with or without zero clusters.
pub fn cluster(entry: u64, cluster_bits: u32, has_zero: bool) -> Cluster {
    if entry == DAMAGED {
        return Cluster::Damaged;
    }
    if entry & COMPRESSED != 0 {
        let size_shift = 62 - (cluster_bits - 8);
        let offset = entry & ((1 << size_shift) - 1);
        let sectors = (entry & (COMPRESSED - 1)) >> size_shift;
        let damaged = entry & COPIED != 0 || offset == 0;
        let len = (sectors + 1) * 512 - offset % 512;
        return if damaged { Cluster::Damaged } else { Cluster::Compressed { offset, len } };
    }
    let (offset, copied) = (entry & OFFSET, entry & COPIED != 0);
    if offset & ((1 << cluster_bits) - 1) != 0 || (copied && offset == 0) {
        return Cluster::Damaged;
    }
    match entry & ZERO != 0 {
        true if has_zero => Cluster::Zero { offset, copied },
        true => Cluster::Damaged,
        false if offset == 0 => Cluster::Absent,
        false => Cluster::Data { offset, copied },
    }
}

/// The host clusters that an entry holds references to: the index of the first, and the count.
pub fn references(cluster: Cluster, cluster_bits: u32) -> (u64, u64) {
    match cluster {
        Cluster::Data { offset, .. } | Cluster::Zero { offset, .. } if offset != 0 => {
            (offset >> cluster_bits, 1)
        }
        Cluster::Compressed { offset, len } => {
            let (first, last) = (offset >> cluster_bits, (offset + len - 1) >> cluster_bits);
            (first, last - first + 1)
        }
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_decoded_as_specified() {
        let read = |entry| cluster(entry, 16, true);
        assert_eq!(read(0), Cluster::Absent);
        assert_eq!(read(COPIED | 0x50000), Cluster::Data { offset: 0x50000, copied: true });
        assert_eq!(read(0x50000), Cluster::Data { offset: 0x50000, copied: false });
        assert_eq!(read(1), Cluster::Zero { offset: 0, copied: false });
        assert_eq!(read(COPIED | 0x50001), Cluster::Zero { offset: 0x50000, copied: true });
        assert_eq!(read(COPIED | 0x50200), Cluster::Damaged);
        assert_eq!(read(COPIED), Cluster::Damaged);
        assert_eq!(cluster(1, 16, false), Cluster::Damaged);
        // 64 KiB clusters: the size is in bits 54 to 61.
        let compressed = 1 << 62 | 2 << 54 | 0x50010;
        assert_eq!(read(compressed), Cluster::Compressed { offset: 0x50010, len: 3 * 512 - 16 });
        assert_eq!(read(compressed | COPIED), Cluster::Damaged);
        assert_eq!(references(read(1 << 62 | 2 << 54 | 0x5fe10), 16), (5, 2));
    }
}
