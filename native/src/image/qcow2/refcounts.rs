//! The reference counts of an image's clusters (qcow2, "Host cluster management"), cached as needed, and the allocation
//! of clusters. Changes reach the file when `flush.rs` writes them.

use super::entry::OFFSET;
use super::file::ImageFile;
use super::header::{Header, be64};
use super::trouble::{Trouble, corrupt};
use std::collections::{BTreeMap, BTreeSet};

type Result<T> = std::result::Result<T, Trouble>;

/// The most clusters in a file, so that an image can't cause endless counting.
const MAX_CLUSTERS: u64 = 1 << 47;
pub const SECTOR: usize = 512;

pub struct Refcounts {
    order: u32,
    pub cluster_bits: u32,
    pub table_offset: u64,
    /// Offsets of the blocks, 0 for missing ones.
    pub table: Vec<u64>,
    pub blocks: BTreeMap<usize, Vec<u8>>,
    /// Sectors of blocks, and entries of the table, that the file lacks.
    pub dirty: BTreeSet<(usize, usize)>,
    pub table_dirty: BTreeSet<usize>,
    /// The table must move first; its old offset and its number of clusters.
    pub moved_from: Option<(u64, u64)>,
    /// No cluster below this one is free.
    cursor: u64,
    /// Clusters of tables, which no other entry may refer to.
    pub metadata: BTreeSet<u64>,
    /// Bytes of the file that tables may refer to.
    pub end: u64,
}

impl Refcounts {
    pub fn load(file: &ImageFile, header: &Header, end: u64) -> Result<Refcounts> {
        let bytes = (header.refcount_table_clusters as usize) << header.cluster_bits;
        let mut raw = vec![0; bytes];
        file.read(header.refcount_table_offset, &mut raw)?;
        let table: Vec<u64> = raw.chunks_exact(8).map(|entry| be64(entry, 0)).collect();
        let mut refcounts = Refcounts {
            order: header.refcount_order,
            cluster_bits: header.cluster_bits,
            table_offset: header.refcount_table_offset,
            table,
            blocks: BTreeMap::new(),
            dirty: BTreeSet::new(),
            table_dirty: BTreeSet::new(),
            moved_from: None,
            cursor: 0,
            metadata: BTreeSet::new(),
            end,
        };
        refcounts.reserve("header", 0, 1)?;
        refcounts.reserve("refcount table", header.refcount_table_offset, bytes as u64)?;
        for index in 0..refcounts.table.len() {
            let offset = refcounts.table[index];
            if offset != 0 {
                refcounts.check_place("refcount block", offset)?;
                refcounts.reserve("refcount block", offset, 1)?;
            }
        }
        Ok(refcounts)
    }

    /// Checks the place of a table of one cluster.
    pub fn check_place(&self, what: &str, offset: u64) -> Result<()> {
        let aligned = offset & ((1 << self.cluster_bits) - 1) == 0 && offset & !OFFSET == 0;
        if aligned && offset != 0 && offset < self.end {
            return Ok(());
        }
        Err(corrupt(format!("a {what} is at {offset:#x}, which is not a valid offset")))
    }

    /// Reserves the clusters of `len` bytes of metadata, which nothing else may use.
    pub fn reserve(&mut self, what: &str, offset: u64, len: u64) -> Result<()> {
        let first = offset >> self.cluster_bits;
        let count = len.div_ceil(1 << self.cluster_bits);
        for cluster in first..first + count {
            if !self.metadata.insert(cluster) {
                return Err(corrupt(format!("the {what} at {offset:#x} overlaps other tables")));
            }
        }
        Ok(())
    }

    /// Refcounts per block.
    fn per_block(&self) -> u64 {
        1 << (self.cluster_bits + 3 - self.order)
    }

    fn place(&self, cluster: u64) -> (usize, u64) {
        ((cluster / self.per_block()) as usize, cluster % self.per_block())
    }

    /// Loads the block. Returns false if there is none.
    fn have_block(&mut self, file: &ImageFile, index: usize) -> Result<bool> {
        if self.blocks.contains_key(&index) {
            return Ok(true);
        }
        let offset = self.table.get(index).copied().unwrap_or(0);
        if offset == 0 {
            return Ok(false);
        }
        let mut block = vec![0; 1 << self.cluster_bits];
        file.read(offset, &mut block)?;
        self.blocks.insert(index, block);
        Ok(true)
    }

    pub fn get(&mut self, file: &ImageFile, cluster: u64) -> Result<u64> {
        let (index, at) = self.place(cluster);
        if !self.have_block(file, index)? {
            return Ok(0);
        }
        Ok(get(&self.blocks[&index], self.order, at as usize))
    }

    fn set(&mut self, file: &ImageFile, cluster: u64, value: u64) -> Result<()> {
        let (index, at) = self.place(cluster);
        if self.order < 6 && value >> (1 << self.order) != 0 {
            return Err(corrupt(format!(
                "cluster {cluster} has more references than its refcount can count"
            )));
        }
        if !self.have_block(file, index)? {
            return Err(corrupt(format!("cluster {cluster} is in use, but has no refcount")));
        }
        let block = self.blocks.get_mut(&index).expect("a block in memory");
        set(block, self.order, at as usize, value);
        let byte = (at as usize) << self.order >> 3;
        self.dirty.insert((index, byte / SECTOR));
        Ok(())
    }

    /// Allocates `count` contiguous clusters. Returns the first one.
    pub fn allocate(&mut self, file: &ImageFile, count: u64) -> Result<u64> {
        let mut first = self.cursor;
        let mut run = 0;
        while run < count {
            let cluster = first + run;
            if cluster >= MAX_CLUSTERS {
                return Err(libc::EFBIG.into());
            }
            let (index, _) = self.place(cluster);
            if !self.have_block(file, index)? {
                self.add_block(file, index)?;
            }
            if self.get(file, cluster)? == 0 {
                run += 1;
            } else {
                first = cluster + 1;
                run = 0;
                if count == 1 {
                    self.cursor = first;
                }
            }
        }
        for cluster in first..first + count {
            if self.metadata.contains(&cluster) {
                return Err(corrupt(format!("cluster {cluster} has a table in it, but counts as free")));
            }
            self.set(file, cluster, 1)?;
        }
        if count == 1 {
            self.cursor = first + 1;
        }
        self.end = self.end.max((first + count) << self.cluster_bits);
        Ok(first)
    }

    /// Drops one reference. Returns whether it was the last one.
    pub fn release(&mut self, file: &ImageFile, cluster: u64) -> Result<bool> {
        let count = self.get(file, cluster)?;
        if count == 0 {
            return Err(corrupt(format!("cluster {cluster} is in use, but counts as free")));
        }
        self.set(file, cluster, count - 1)?;
        if count == 1 {
            self.cursor = self.cursor.min(cluster);
            self.metadata.remove(&cluster);
        }
        Ok(count == 1)
    }

    /// Adds the block for clusters that have none, all of which are free; it goes into the first of them.
    fn add_block(&mut self, file: &ImageFile, index: usize) -> Result<()> {
        if index >= self.table.len() {
            return self.grow(file, index);
        }
        let cluster = index as u64 * self.per_block();
        self.insert_block(index, cluster)?;
        self.set(file, cluster, 1)?;
        self.end = self.end.max((cluster + 1) << self.cluster_bits);
        Ok(())
    }

    fn insert_block(&mut self, index: usize, cluster: u64) -> Result<()> {
        let bytes = 1usize << self.cluster_bits;
        self.reserve("new refcount block", cluster << self.cluster_bits, 1)?;
        self.table[index] = cluster << self.cluster_bits;
        self.table_dirty.insert(index);
        self.blocks.insert(index, vec![0; bytes]);
        self.dirty.extend((0..bytes / SECTOR).map(|sector| (index, sector)));
        Ok(())
    }

    /// Replaces the table with a larger one, at the start of the clusters that the old one can't refer to.
    fn grow(&mut self, file: &ImageFile, index: usize) -> Result<()> {
        let per_cluster = (1usize << self.cluster_bits) / 8;
        let old_clusters = (self.table.len() / per_cluster) as u64;
        if self.moved_from.is_some() {
            // One move at a time: the next flush completes it.
            return Err(libc::EAGAIN.into());
        }
        let first = self.table.len() as u64 * self.per_block();
        // Twice the size, and room for the blocks that the new clusters need.
        let clusters = (2 * old_clusters).max((index as u64 + 1).div_ceil(per_cluster as u64)) + 1;
        let mut blocks = 1;
        while blocks * self.per_block() < clusters + blocks {
            blocks += 1;
        }
        let old = (self.table_offset, old_clusters);
        let block_index = self.table.len();
        self.table.resize(clusters as usize * per_cluster, 0);
        for block in 0..blocks {
            self.insert_block(block_index + block as usize, first + clusters + block)?;
        }
        self.reserve("new refcount table", first << self.cluster_bits, clusters << self.cluster_bits)?;
        for cluster in first..first + clusters + blocks {
            self.set(file, cluster, 1)?;
        }
        self.table_offset = first << self.cluster_bits;
        self.moved_from = Some(old);
        self.end = self.end.max((first + clusters + blocks) << self.cluster_bits);
        Ok(())
    }
}

/// Refcount `at` of a block whose refcounts have 2^order bits: those smaller than a byte start at its least significant
/// bits, larger ones are big-endian.
fn get(block: &[u8], order: u32, at: usize) -> u64 {
    if order < 3 {
        let (per_byte, bits) = (8 >> order, 1 << order);
        let shift = at % per_byte * bits;
        return u64::from(block[at / per_byte]) >> shift & ((1 << bits) - 1);
    }
    let bytes = 1usize << (order - 3);
    block[at * bytes..(at + 1) * bytes].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn set(block: &mut [u8], order: u32, at: usize, value: u64) {
    if order < 3 {
        let (per_byte, bits) = (8 >> order, 1 << order);
        let shift = at % per_byte * bits;
        let mask = ((1u16 << bits) - 1) as u8;
        let byte = &mut block[at / per_byte];
        *byte = *byte & !(mask << shift) | (value as u8 & mask) << shift;
        return;
    }
    let bytes = 1usize << (order - 3);
    block[at * bytes..(at + 1) * bytes].copy_from_slice(&value.to_be_bytes()[8 - bytes..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refcounts_of_every_width_are_read_and_written() {
        for order in 0..=6 {
            let mut block = vec![0; 512];
            let count = 4096usize >> order;
            let most = if order == 6 { u64::MAX } else { (1 << (1 << order)) - 1 };
            for at in (0..count).step_by(3) {
                set(&mut block, order, at, most);
            }
            for at in 0..count {
                assert_eq!(get(&block, order, at), if at % 3 == 0 { most } else { 0 }, "order {order}, {at}");
            }
        }
        let mut block = vec![0; 512];
        set(&mut block, 4, 1, 0x0102);
        set(&mut block, 1, 0, 2);
        assert_eq!(block[..4], [2, 0, 1, 2]);
    }
}
