//! Writing tables to the file, in an order that keeps the file a valid image even if the process or the host dies at
//! any point: data before the tables that refer to it, refcounts before the references that they count, and references
//! are removed before their refcounts drop. An interruption only leaks clusters.

use super::header::{field, incompatible};
use super::layer::Slot;
use super::refcounts::SECTOR;
use super::tables::{Editor, Result};
use std::sync::atomic::Ordering::Acquire;

/// Entries in one sector of a table.
const PER_SECTOR: usize = SECTOR / 8;

impl Editor {
    /// Whether memory has changes that the file lacks.
    pub fn is_dirty(&mut self) -> bool {
        if !self.is_loaded() {
            return false;
        }
        let changes = self.changes();
        !(changes.l1_dirty.is_empty()
            && changes.l2_dirty.is_empty()
            && changes.dropped.is_empty()
            && changes.refcounts.dirty.is_empty()
            && changes.refcounts.table_dirty.is_empty()
            && changes.refcounts.moved_from.is_none())
    }

    /// Durably writes all changes in memory to the file. May be retried after an error.
    pub fn write_tables(&mut self) -> Result<()> {
        if self.corrupt.is_some() || !self.is_dirty() {
            return Ok(());
        }
        let layers = self.layers.clone();
        let file = &layers[0].file;
        self.extend_file()?;
        // Data first, which tables in memory already refer to.
        file.sync()?;
        self.write_refcounts()?;
        let (new_tables, l2) = (!self.changes().l1_dirty.is_empty(), !self.changes().l2_dirty.is_empty());
        if l2 {
            self.write_l2()?;
            file.sync()?;
        }
        if new_tables {
            self.write_l1()?;
            file.sync()?;
        }
        self.changes().l2_dirty.clear();
        self.changes().l1_dirty.clear();
        self.release_dropped()?;
        self.write_refcounts()
    }

    /// Refuses all further writes, and marks the image as corrupt (version 3 has a flag for it).
    pub fn mark_corrupt(&mut self, reason: String) {
        if self.corrupt.is_some() {
            return;
        }
        self.corrupt = Some(reason);
        let file = &self.layers[0].file;
        if self.readonly || !self.top().has_zero {
            return;
        }
        let mut features = [0; 8];
        if file.read(field::INCOMPATIBLE, &mut features).is_ok() {
            features[7] |= incompatible::CORRUPT as u8;
            let _ = file.write(field::INCOMPATIBLE, &features);
            let _ = file.sync();
        }
    }

    /// Extends the file over every cluster that its tables refer to.
    fn extend_file(&mut self) -> Result<()> {
        let layers = self.layers.clone();
        let (file, end) = (&layers[0].file, self.changes().refcounts.end);
        if !file.is_block_device && file.len()? < end {
            file.extend(end)?;
        }
        Ok(())
    }

    fn write_refcounts(&mut self) -> Result<()> {
        let layers = self.layers.clone();
        let file = &layers[0].file;
        let refcounts = &mut self.changes().refcounts;
        if refcounts.dirty.is_empty() && refcounts.table_dirty.is_empty() && refcounts.moved_from.is_none() {
            return Ok(());
        }
        for (index, sector) in &refcounts.dirty {
            let at = sector * SECTOR;
            let offset = refcounts.table[*index] + at as u64;
            file.write(offset, &refcounts.blocks[index][at..at + SECTOR])?;
        }
        file.sync()?;
        if let Some((old, clusters)) = refcounts.moved_from {
            let raw: Vec<u8> = refcounts.table.iter().flat_map(|entry| entry.to_be_bytes()).collect();
            file.write(refcounts.table_offset, &raw)?;
            file.sync()?;
            let mut place = [0; 12];
            place[..8].copy_from_slice(&refcounts.table_offset.to_be_bytes());
            let new_clusters = (raw.len() >> refcounts.cluster_bits) as u32;
            place[8..].copy_from_slice(&new_clusters.to_be_bytes());
            file.write(field::REFCOUNT_TABLE, &place)?;
            file.sync()?;
            refcounts.moved_from = None;
            let bits = refcounts.cluster_bits;
            let now = self.pins.now();
            self.changes().dropped.push((old >> bits, clusters, now));
        } else if !refcounts.table_dirty.is_empty() {
            let sectors: std::collections::BTreeSet<usize> =
                refcounts.table_dirty.iter().map(|index| index / PER_SECTOR).collect();
            for sector in sectors {
                let raw = sector_of(&refcounts.table, sector);
                file.write(refcounts.table_offset + (sector * SECTOR) as u64, &raw)?;
            }
            file.sync()?;
        }
        let refcounts = &mut self.changes().refcounts;
        refcounts.dirty.clear();
        refcounts.table_dirty.clear();
        Ok(())
    }

    fn write_l2(&mut self) -> Result<()> {
        let dirty: Vec<(usize, usize)> = self.changes().l2_dirty.iter().copied().collect();
        let layers = self.layers.clone();
        for (l1_index, sector) in dirty {
            // A table that is dirty stays in memory.
            let Slot::Table(table) = self.top().slot(l1_index) else { return Err(libc::EIO.into()) };
            let first = sector * PER_SECTOR;
            let entries = first..(first + PER_SECTOR).min(table.entries.len());
            let raw: Vec<u8> = entries.flat_map(|index| table.raw(index).to_be_bytes()).collect();
            layers[0].file.write(table.offset.load(Acquire) + (first * 8) as u64, &raw)?;
        }
        Ok(())
    }

    fn write_l1(&mut self) -> Result<()> {
        let sectors: std::collections::BTreeSet<usize> =
            self.changes().l1_dirty.iter().map(|index| index / PER_SECTOR).collect();
        let offset = self.changes().header.l1_offset;
        let layers = self.layers.clone();
        for sector in sectors {
            let raw = sector_of(self.l1(), sector);
            layers[0].file.write(offset + (sector * SECTOR) as u64, &raw)?;
        }
        Ok(())
    }

    /// Releases the references that no request can still hold, and the space of clusters that have none left.
    fn release_dropped(&mut self) -> Result<()> {
        let now = self.pins.advance();
        let layers = self.layers.clone();
        let file = &layers[0].file;
        let changes = self.changes();
        let dropped = std::mem::take(&mut changes.dropped);
        let (free, held): (Vec<_>, Vec<_>) = dropped.into_iter().partition(|(_, _, at)| at + 2 <= now);
        changes.dropped = held;
        let bits = changes.refcounts.cluster_bits;
        for (first, count, _) in free {
            for cluster in first..first + count {
                if changes.refcounts.release(file, cluster)? {
                    // Freeing the space is optional.
                    let _ = file.punch(cluster << bits, 1 << bits);
                }
            }
        }
        Ok(())
    }
}

/// Sector `sector` of a table, in file format.
fn sector_of(table: &[u64], sector: usize) -> Vec<u8> {
    let first = sector * PER_SECTOR;
    let entries = &table[first..(first + PER_SECTOR).min(table.len())];
    entries.iter().flat_map(|entry| entry.to_be_bytes()).collect()
}
