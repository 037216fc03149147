//! Making clusters writable, which allocates and copies, and deallocating them. The guest's old data stays
//! readable until it writes: a new cluster has the old content before a table refers to it, and no request
//! waits for another one's data.

use super::entry::{self, COPIED, Cluster, ZERO};
use super::layer::{Slot, Table};
use super::refcounts::SECTOR;
use super::tables::{Editor, Result};
use super::trouble::corrupt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};

/// Entries in one sector of a table.
const PER_SECTOR: usize = SECTOR / 8;
/// Dropped references that trigger a flush even if the guest requests none.
const MAX_DROPPED: usize = 4096;

impl Editor {
    /// Allocates what is needed to write the `len` bytes from `start` on in place.
    pub fn make_writable(&mut self, start: u64, len: u64) -> Result<()> {
        self.have_changes()?;
        let cluster_bytes = self.top().cluster_bytes();
        let mut at = start & !(cluster_bytes - 1);
        while at < start + len {
            self.make_cluster_writable(at)?;
            at += cluster_bytes;
        }
        Ok(())
    }

    fn make_cluster_writable(&mut self, at: u64) -> Result<()> {
        let (l1_index, l2_index) = self.top().indices(at);
        let table = self.own_table(l1_index)?;
        let entry = table.entries[l2_index].load(Acquire);
        let old = self.top().cluster(entry);
        let cluster_bytes = self.top().cluster_bytes();
        match old {
            Cluster::Damaged => return Err(libc::EIO.into()),
            Cluster::Data { copied: true, .. } => return Ok(()),
            Cluster::Data { offset, copied: false } if self.is_sole(offset)? => {
                self.set(l1_index, &table, l2_index, offset | COPIED);
                return Ok(());
            }
            Cluster::Zero { offset, copied } if offset != 0 && (copied || self.is_sole(offset)?) => {
                self.layers[0].file.zero(offset, cluster_bytes)?;
                self.set(l1_index, &table, l2_index, offset | COPIED);
                return Ok(());
            }
            _ => {}
        }
        let content = self.content(at, old)?;
        let (offset, is_new) = self.allocate_cluster()?;
        let written = match content {
            Some(content) => self.layers[0].file.write(offset, &content),
            None if is_new => Ok(()),
            None => self.layers[0].file.zero(offset, cluster_bytes),
        };
        if let Err(errno) = written {
            self.drop_references(offset / cluster_bytes, 1);
            return Err(errno.into());
        }
        self.set(l1_index, &table, l2_index, offset | COPIED);
        self.drop_cluster(old);
        Ok(())
    }

    /// The content of a cluster that is to be copied; None for zeros.
    fn content(&mut self, at: u64, old: Cluster) -> Result<Option<Vec<u8>>> {
        let from = match old {
            Cluster::Zero { .. } => return Ok(None),
            Cluster::Absent => 1,
            _ => 0,
        };
        let mut content = vec![0; self.top().cluster_bytes() as usize];
        self.read(from, at, &mut content)?;
        let has_data = content.iter().any(|byte| *byte != 0);
        Ok(has_data.then_some(content))
    }

    /// The offset of a new cluster, and whether the file reads as zeros there.
    fn allocate_cluster(&mut self) -> Result<(u64, bool)> {
        let bits = self.top().cluster_bits;
        let layers = self.layers.clone();
        let end = self.changes().refcounts.end;
        let allocated = match self.changes().refcounts.allocate(&layers[0].file, 1) {
            Err(trouble) if trouble == libc::EAGAIN.into() => {
                // The refcount table must reach its new place first.
                self.write_tables()?;
                self.changes().refcounts.allocate(&layers[0].file, 1)
            }
            allocated => allocated,
        };
        let offset = allocated? << bits;
        Ok((offset, offset >= end && !layers[0].file.is_block_device))
    }

    fn is_sole(&mut self, offset: u64) -> Result<bool> {
        let layers = self.layers.clone();
        let cluster = offset >> self.top().cluster_bits;
        match self.changes().refcounts.get(&layers[0].file, cluster)? {
            0 => Err(corrupt(format!("cluster {cluster} is in use, but counts as free"))),
            count => Ok(count == 1),
        }
    }

    /// The L2 table of an L1 entry, not shared with a snapshot; created if there is none.
    fn own_table(&mut self, l1_index: usize) -> Result<Arc<Table>> {
        let slot = self.load(0, l1_index)?;
        let entry = self.l1().get(l1_index).copied().ok_or(libc::EIO)?;
        let entries: Vec<u64> = match slot {
            Slot::Table(table) if entry & COPIED != 0 => return Ok(table),
            Slot::Table(table) => {
                let offset = table.offset.load(Acquire);
                if self.is_sole(offset)? {
                    self.l1()[l1_index] = offset | COPIED;
                    self.changes().l1_dirty.insert(l1_index);
                    return Ok(table);
                }
                (0..table.entries.len()).map(|index| table.raw(index)).collect()
            }
            Slot::Absent => vec![0; 1 << self.top().l2_bits],
            Slot::Unknown | Slot::Damaged => return Err(libc::EIO.into()),
        };
        let sectors = entries.len().div_ceil(PER_SECTOR);
        let (offset, _) = self.allocate_cluster()?;
        let bits = self.top().cluster_bits;
        let changes = self.changes();
        changes.refcounts.reserve("new L2 table", offset, 1)?;
        changes.l1_dirty.insert(l1_index);
        changes.l2_dirty.extend((0..sectors).map(|sector| (l1_index, sector)));
        let old = std::mem::replace(&mut self.l1()[l1_index], offset | COPIED);
        let table = self.enter_table(l1_index, offset, entries);
        if old & entry::OFFSET != 0 {
            self.drop_references((old & entry::OFFSET) >> bits, 1);
        }
        Ok(table)
    }

    fn set(&mut self, l1_index: usize, table: &Table, l2_index: usize, entry: u64) {
        table.entries[l2_index].store(entry, Release);
        self.changes().l2_dirty.insert((l1_index, l2_index / PER_SECTOR));
    }

    /// Drops the table's reference to a cluster.
    fn drop_cluster(&mut self, old: Cluster) {
        if let Cluster::Compressed { offset, .. } = old {
            self.forget_expanded(offset);
        }
        let (first, count) = entry::references(old, self.top().cluster_bits);
        if count > 0 {
            self.drop_references(first, count);
        }
    }

    fn drop_references(&mut self, first: u64, count: u64) {
        let now = self.pins.now();
        self.changes().dropped.push((first, count, now));
    }

    /// Discards the bytes. Only whole clusters are deallocated.
    pub fn discard(&mut self, start: u64, len: u64) -> Result<()> {
        self.have_changes()?;
        let cluster_bytes = self.top().cluster_bytes();
        // The disk's last cluster may extend past its end.
        let size = self.layers[0].size();
        let end =
            if start + len >= size { (start + len).next_multiple_of(cluster_bytes) } else { start + len };
        let mut at = start.next_multiple_of(cluster_bytes);
        while at + cluster_bytes <= end {
            let has_backing = self.layers.len() > 1;
            if !has_backing || self.top().has_zero {
                at = self.zero_cluster(at, true)?;
            } else {
                at += cluster_bytes;
            }
        }
        self.limit_dropped()
    }

    /// Zeroes the bytes. With `unmap` the space may be deallocated.
    pub fn write_zeroes(&mut self, start: u64, len: u64, unmap: bool) -> Result<()> {
        self.have_changes()?;
        let cluster_bytes = self.top().cluster_bytes();
        let (end, size) = (start + len, self.layers[0].size());
        let mut at = start;
        while at < end {
            let cluster = at & !(cluster_bytes - 1);
            let whole = at == cluster && (end >= cluster + cluster_bytes || end >= size);
            if whole && (self.top().has_zero || self.layers.len() == 1) {
                at = self.zero_cluster(at, unmap || !self.top().has_zero)?;
            } else {
                let count = (cluster + cluster_bytes).min(end) - at;
                self.write_zeros_into(at, count)?;
                at += count;
            }
        }
        self.limit_dropped()
    }

    /// Writes zeros into part of a cluster, unless it already reads as zeros.
    fn write_zeros_into(&mut self, at: u64, len: u64) -> Result<()> {
        let mut present = vec![0; len as usize];
        self.read(0, at, &mut present)?;
        if present.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        self.make_writable(at, len)?;
        let (l1_index, l2_index) = self.top().indices(at);
        let table = self.own_table(l1_index)?;
        let entry = table.entries[l2_index].load(Acquire);
        let Cluster::Data { offset, copied: true } = self.top().cluster(entry) else {
            return Err(libc::EIO.into());
        };
        let within = at & (self.top().cluster_bytes() - 1);
        present.fill(0);
        Ok(self.layers[0].file.write(offset + within, &present)?)
    }

    /// Makes the cluster at `at` read as zeros. Returns where to continue: the bytes after it may have no table.
    fn zero_cluster(&mut self, at: u64, unmap: bool) -> Result<u64> {
        let (l1_index, l2_index) = self.top().indices(at);
        let cluster_bytes = self.top().cluster_bytes();
        let slot = self.load(0, l1_index)?;
        let has_backing = self.layers.len() > 1;
        if matches!(slot, Slot::Absent) && !has_backing {
            let table_bytes = cluster_bytes << self.top().l2_bits;
            return Ok((at / table_bytes + 1) * table_bytes);
        }
        let Slot::Table(present) = slot.clone() else {
            // To hide a backing file, an entry must mark the cluster as zeros.
            let table = self.own_table(l1_index)?;
            self.set(l1_index, &table, l2_index, ZERO);
            return Ok(at + cluster_bytes);
        };
        let entry = present.entries[l2_index].load(Acquire);
        let old = self.top().cluster(entry);
        let new = match old {
            Cluster::Damaged => return Err(libc::EIO.into()),
            Cluster::Absent if !has_backing => return Ok(at + cluster_bytes),
            Cluster::Zero { .. } if !unmap => return Ok(at + cluster_bytes),
            Cluster::Zero { offset: 0, .. } => return Ok(at + cluster_bytes),
            Cluster::Data { offset, copied: true } if !unmap => offset | COPIED | ZERO,
            _ if has_backing => ZERO,
            _ => 0,
        };
        let table = self.own_table(l1_index)?;
        self.set(l1_index, &table, l2_index, new);
        if new & entry::OFFSET == 0 {
            self.drop_cluster(old);
        }
        Ok(at + cluster_bytes)
    }

    fn limit_dropped(&mut self) -> Result<()> {
        if self.changes().dropped.len() > MAX_DROPPED { self.write_tables() } else { Ok(()) }
    }

    /// Gives the disk a larger size.
    pub fn grow(&mut self, size: u64) -> Result<()> {
        self.have_changes()?;
        let old = self.layers[0].size();
        if size < old || size % SECTOR as u64 != 0 || size > i64::MAX as u64 {
            return Err(libc::EINVAL.into());
        }
        let needed = self.changes().header.l1_entries_needed(size) as usize;
        if needed > (4 << 20) {
            return Err(libc::EFBIG.into());
        }
        if needed > self.l1().len() {
            self.move_l1(needed)?;
        }
        self.write_tables()?;
        // The backing file's data past the old end is not part of the disk.
        let hidden = self.layers.get(1).map_or(old, |layer| layer.size().min(size)).saturating_sub(old);
        self.layers[0].size.store(size, std::sync::atomic::Ordering::SeqCst);
        if hidden > 0 {
            self.write_zeroes(old, hidden, true)?;
        }
        // Neither is what follows the old end in its last cluster.
        let rest = old.next_multiple_of(self.top().cluster_bytes()).min(size) - old;
        if rest > 0 {
            self.write_zeroes(old, rest, false)?;
        }
        self.write_tables()?;
        let file = &self.layers[0].file;
        file.write(super::header::field::SIZE, &size.to_be_bytes())?;
        file.sync()?;
        self.changes().header.size = size;
        Ok(())
    }

    /// Writes the L1 table to clusters with room for that many entries.
    fn move_l1(&mut self, entries: usize) -> Result<()> {
        self.write_tables()?;
        let bits = self.top().cluster_bits;
        let layers = self.layers.clone();
        let file = &layers[0].file;
        let clusters = (entries as u64 * 8).div_ceil(1 << bits);
        let old_entries = self.l1().len();
        let first = self.changes().refcounts.allocate(file, clusters)?;
        self.changes().refcounts.reserve("new L1 table", first << bits, clusters << bits)?;
        let mut l1 = self.l1().clone();
        l1.resize(entries, 0);
        let mut raw: Vec<u8> = l1.iter().flat_map(|entry| entry.to_be_bytes()).collect();
        raw.resize((clusters << bits) as usize, 0);
        file.write(first << bits, &raw)?;
        self.write_tables()?;
        let mut place = [0; 12];
        place[..4].copy_from_slice(&(entries as u32).to_be_bytes());
        place[4..].copy_from_slice(&(first << bits).to_be_bytes());
        file.write(super::header::field::L1, &place)?;
        file.sync()?;
        let changes = self.changes();
        let old = std::mem::replace(&mut changes.header.l1_offset, first << bits);
        changes.header.l1_entries = entries as u32;
        *self.l1() = l1;
        let old_clusters = (old_entries as u64 * 8).div_ceil(1 << bits);
        if old_clusters > 0 {
            self.drop_references(old >> bits, old_clusters);
        }
        Ok(())
    }
}
