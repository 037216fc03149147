//! One file of an image's chain, and its cached tables. Threads that serve requests look clusters up here, in memory;
//! for what is not cached they ask the image's own threads, which alone change the tables.

use super::entry::{self, Cluster};
use super::file::ImageFile;
use super::header::Header;
use crate::sync::{read, write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, RwLock};

/// The most memory for the cached L2 tables of one file; at least `MIN_TABLES` are kept.
const CACHE_BYTES: u64 = 64 << 20;
const MIN_TABLES: u64 = 8;

/// An L2 table in memory.
pub struct Table {
    /// Offset in its file.
    pub offset: AtomicU64,
    pub entries: Box<[AtomicU64]>,
    /// The file's values of invalid entries, by index. In memory they are `DAMAGED`.
    damaged: Vec<(usize, u64)>,
    /// Used since the last check.
    used: AtomicBool,
}

impl Table {
    /// `check` returns an entry, or `DAMAGED` in its place.
    pub fn new(offset: u64, raw: Vec<u64>, check: impl Fn(u64) -> u64) -> Arc<Table> {
        let entries: Box<[AtomicU64]> = raw.iter().map(|entry| AtomicU64::new(check(*entry))).collect();
        let is_damaged = |(index, _): &(usize, u64)| entries[*index].load(Relaxed) == entry::DAMAGED;
        let damaged = raw.into_iter().enumerate().filter(is_damaged).collect();
        Arc::new(Table { offset: AtomicU64::new(offset), entries, damaged, used: AtomicBool::new(true) })
    }

    /// The entry as the file should have it.
    pub fn raw(&self, index: usize) -> u64 {
        match self.entries[index].load(Acquire) {
            entry::DAMAGED => self.damaged.iter().find(|(at, _)| *at == index).map_or(0, |(_, entry)| *entry),
            entry => entry,
        }
    }
}

/// The cached state of an L1 entry.
#[derive(Clone)]
pub enum Slot {
    Unknown,
    Absent,
    Table(Arc<Table>),
    /// It points to a place where no table can be.
    Damaged,
}

pub struct Tables {
    pub cluster_bits: u32,
    pub l2_bits: u32,
    pub has_zero: bool,
    slots: RwLock<Vec<Slot>>,
    loaded: AtomicU64,
}

pub enum Kind {
    /// The file's bytes as of when it was opened.
    Raw,
    Qcow2(Tables),
}

pub struct Layer {
    pub file: ImageFile,
    /// Size of the disk in it.
    pub size: AtomicU64,
    pub kind: Kind,
}

/// What a layer has from some byte on. The number of bytes comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// At this offset of the file. `writable` if it may be written in place.
    Data {
        offset: u64,
        writable: bool,
    },
    Zeros,
    /// The next layer decides.
    Absent,
    /// In a compressed cluster.
    Compressed {
        offset: u64,
        len: u64,
    },
    /// The tables must be loaded first.
    Unknown,
    Damaged,
}

impl Tables {
    pub fn new(header: &Header) -> Tables {
        Tables {
            cluster_bits: header.cluster_bits,
            l2_bits: header.l2_bits(),
            has_zero: header.version >= 3,
            slots: RwLock::default(),
            loaded: AtomicU64::new(0),
        }
    }

    pub fn cluster_bytes(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// The L1 and L2 indices of a byte.
    pub fn indices(&self, start: u64) -> (usize, usize) {
        let cluster = start >> self.cluster_bits;
        ((cluster >> self.l2_bits) as usize, (cluster & ((1 << self.l2_bits) - 1)) as usize)
    }

    pub fn slot(&self, l1_index: usize) -> Slot {
        read(&self.slots).get(l1_index).cloned().unwrap_or(Slot::Unknown)
    }

    pub fn cluster(&self, entry: u64) -> Cluster {
        entry::cluster(entry, self.cluster_bits, self.has_zero)
    }

    /// Starts caching: `l1` has for each L1 entry whether there is a table.
    pub fn begin(&self, l1: impl Iterator<Item = u64>) {
        let slot = |entry: u64| if entry & entry::OFFSET == 0 { Slot::Absent } else { Slot::Unknown };
        *write(&self.slots) = l1.map(slot).collect();
        self.loaded.store(0, SeqCst);
    }

    /// Forgets everything.
    pub fn forget(&self) {
        self.begin(std::iter::empty());
    }

    /// Caches a table. If there are too many, others are evicted, except those that `keeps` accepts.
    pub fn set(&self, l1_index: usize, slot: Slot, keeps: impl Fn(usize) -> bool) {
        let mut slots = write(&self.slots);
        if slots.len() <= l1_index {
            slots.resize(l1_index + 1, Slot::Absent);
        }
        let added = u64::from(matches!(slot, Slot::Table(_)));
        let removed = u64::from(matches!(slots[l1_index], Slot::Table(_)));
        slots[l1_index] = slot;
        let loaded = self.loaded.fetch_add(added, SeqCst) + added;
        self.loaded.fetch_sub(removed, SeqCst);
        let most = (CACHE_BYTES >> self.cluster_bits).max(MIN_TABLES);
        if loaded - removed > most {
            self.evict(&mut slots, |index| index == l1_index || keeps(index));
        }
    }

    /// Evicts tables that were not used since the last eviction.
    fn evict(&self, slots: &mut [Slot], keeps: impl Fn(usize) -> bool) {
        let mut spared = None;
        for (index, slot) in slots.iter_mut().enumerate() {
            let Slot::Table(table) = &*slot else { continue };
            if keeps(index) {
                continue;
            }
            if table.used.swap(false, Relaxed) {
                spared = spared.or(Some(index));
            } else {
                *slot = Slot::Unknown;
                self.loaded.fetch_sub(1, SeqCst);
                return;
            }
        }
        if let Some(index) = spared {
            slots[index] = Slot::Unknown;
            self.loaded.fetch_sub(1, SeqCst);
        }
    }

    /// From `start` on, for at least 1 and at most `len` bytes.
    fn find(&self, start: u64, len: u64) -> (Found, u64) {
        let within = start & (self.cluster_bytes() - 1);
        let (l1_index, l2_index) = self.indices(start);
        let table_bytes = self.cluster_bytes() << self.l2_bits;
        let table_left = table_bytes - (start & (table_bytes - 1));
        let slots = read(&self.slots);
        let table = match slots.get(l1_index) {
            Some(Slot::Table(table)) => table,
            Some(Slot::Absent) => return (Found::Absent, len.min(table_left)),
            Some(Slot::Damaged) => return (Found::Damaged, len.min(table_left)),
            Some(Slot::Unknown) | None => return (Found::Unknown, len),
        };
        if !table.used.load(Relaxed) {
            table.used.store(true, Relaxed);
        }
        let at = |index: usize| self.found(table.entries[index].load(Acquire));
        let first = at(l2_index);
        let mut run = self.cluster_bytes() - within;
        let mut index = l2_index + 1;
        while run < len && index < table.entries.len() && follows(first, run + within, at(index)) {
            run += self.cluster_bytes();
            index += 1;
        }
        let found = match first {
            Found::Data { offset, writable } => Found::Data { offset: offset + within, writable },
            other => other,
        };
        (found, run.min(len))
    }

    fn found(&self, entry: u64) -> Found {
        match self.cluster(entry) {
            Cluster::Absent => Found::Absent,
            Cluster::Zero { .. } => Found::Zeros,
            Cluster::Data { offset, copied } => Found::Data { offset, writable: copied },
            Cluster::Compressed { offset, len } => Found::Compressed { offset, len },
            Cluster::Damaged => Found::Damaged,
        }
    }
}

/// Whether a cluster `bytes` after `first` continues it.
fn follows(first: Found, bytes: u64, next: Found) -> bool {
    match (first, next) {
        (Found::Data { offset, writable }, Found::Data { offset: next, writable: next_writable }) => {
            next == offset + bytes && writable == next_writable
        }
        (Found::Zeros, Found::Zeros) | (Found::Absent, Found::Absent) => true,
        _ => false,
    }
}

impl Layer {
    pub fn size(&self) -> u64 {
        self.size.load(SeqCst)
    }

    /// From `start` on, for at least 1 and at most `len` bytes.
    pub fn find(&self, start: u64, len: u64) -> (Found, u64) {
        let size = self.size();
        if start >= size {
            return (Found::Zeros, len);
        }
        let len = len.min(size - start);
        match &self.kind {
            Kind::Raw => (Found::Data { offset: start, writable: false }, len),
            Kind::Qcow2(tables) => tables.find(start, len),
        }
    }
}

/// What a chain has from `start` on, with the index of the layer that has it.
pub fn find_in_chain(layers: &[Layer], start: u64, len: u64) -> (usize, Found, u64) {
    let mut len = len;
    for (index, layer) in layers.iter().enumerate() {
        let (found, run) = layer.find(start, len);
        len = run;
        if found != Found::Absent {
            return (index, found, len);
        }
    }
    (0, Found::Zeros, len)
}
