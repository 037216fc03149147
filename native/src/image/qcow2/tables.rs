//! The tables of an image, for the threads that change them, one at a time. This part loads tables and reads content.

use super::compressed::expand;
use super::entry::{self, Cluster, OFFSET};
use super::header::{Compression, Header, be32, be64};
use super::layer::{Found, Kind, Layer, Slot, Table, Tables, find_in_chain};
use super::pins::Pins;
use super::refcounts::Refcounts;
use super::trouble::{Trouble, corrupt};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

pub type Result<T> = std::result::Result<T, Trouble>;

/// Decompressed clusters to cache: guests read them in small parts.
const KEPT_CLUSTERS: usize = 8;

/// A file of the chain whose tables can be loaded.
pub struct Source {
    compression: Compression,
    pub l1: Vec<u64>,
    /// Bytes of the file that tables may refer to.
    end: u64,
}

/// What is needed to change the image.
pub struct Changes {
    pub header: Header,
    pub refcounts: Refcounts,
    /// L1 entries, and sectors of L2 tables, that the file lacks.
    pub l1_dirty: BTreeSet<usize>,
    pub l2_dirty: BTreeSet<(usize, usize)>,
    /// References that are no longer needed once the tables are in the file: the first cluster, the count, and the
    /// epoch in which they were dropped.
    pub dropped: Vec<(u64, u64, u64)>,
}

pub struct Editor {
    pub layers: Arc<[Layer]>,
    pub pins: Arc<Pins>,
    pub readonly: bool,
    /// By layer, once it has been used.
    sources: Vec<Option<Source>>,
    /// Changes to the first file, if it is writable.
    changes: Option<Changes>,
    expanded: VecDeque<(usize, u64, Arc<Vec<u8>>)>,
    /// Why writes are refused.
    pub corrupt: Option<String>,
}

impl Editor {
    pub fn new(layers: Arc<[Layer]>, pins: Arc<Pins>, readonly: bool) -> Editor {
        let sources = layers.iter().map(|_| None).collect();
        Editor { layers, pins, readonly, sources, changes: None, expanded: VecDeque::new(), corrupt: None }
    }

    /// Forgets what is in memory, all of which is in the file.
    pub fn forget(&mut self) {
        self.sources.iter_mut().for_each(|source| *source = None);
        self.changes = None;
        self.expanded.clear();
        for layer in self.layers.iter() {
            if let Kind::Qcow2(tables) = &layer.kind {
                tables.forget();
            }
        }
    }

    pub fn is_loaded(&self) -> bool {
        self.changes.is_some()
    }

    /// The first file's tables, the only ones that change.
    pub fn top(&self) -> &Tables {
        match &self.layers[0].kind {
            Kind::Qcow2(tables) => tables,
            Kind::Raw => unreachable!("the first file of such a chain is a qcow2 image"),
        }
    }

    /// The first file's L1 table.
    pub fn l1(&mut self) -> &mut Vec<u64> {
        &mut self.sources[0].as_mut().expect("a layer that is in use").l1
    }

    /// Only after `have_changes`.
    pub fn changes(&mut self) -> &mut Changes {
        self.changes.as_mut().expect("an image whose refcounts are loaded")
    }

    fn have_source(&mut self, index: usize) -> Result<()> {
        let layer = &self.layers[index];
        let Kind::Qcow2(tables) = &layer.kind else { return Ok(()) };
        if self.sources[index].is_some() {
            return Ok(());
        }
        let header = Header::read(&layer.file).map_err(corrupt)?;
        let writes = index == 0 && !self.readonly;
        if header.cluster_bits != tables.cluster_bits || header.refusal(!writes).is_some() {
            return Err(corrupt("its header has changed".into()));
        }
        let mut raw = vec![0; header.l1_entries as usize * 8];
        layer.file.read(header.l1_offset, &mut raw)?;
        let l1: Vec<u64> = raw.chunks_exact(8).map(|entry| be64(entry, 0)).collect();
        let end = layer.file.len()?.next_multiple_of(header.cluster_bytes());
        tables.begin(l1.iter().copied());
        self.sources[index] = Some(Source { compression: header.compression, l1, end });
        if index == 0 {
            layer.size.store(header.size, std::sync::atomic::Ordering::SeqCst);
        }
        Ok(())
    }

    /// Loads what is needed to change the first file.
    pub fn have_changes(&mut self) -> Result<()> {
        if self.readonly {
            return Err(libc::EROFS.into());
        }
        if self.corrupt.is_some() {
            return Err(libc::EIO.into());
        }
        self.have_source(0)?;
        if self.changes.is_some() {
            return Ok(());
        }
        let file = &self.layers[0].file;
        let mut header = Header::read(file).map_err(corrupt)?;
        let source = self.sources[0].as_ref().expect("a layer that is in use");
        let mut refcounts = Refcounts::load(file, &header, source.end)?;
        refcounts.reserve("L1 table", header.l1_offset, source.l1.len() as u64 * 8)?;
        for entry in &source.l1 {
            let offset = entry & OFFSET;
            if offset != 0 {
                refcounts.check_place("L2 table", offset)?;
                refcounts.reserve("L2 table", offset, 1)?;
            }
        }
        reserve_snapshots(&self.layers[0], &header, &mut refcounts)?;
        if header.autoclear != 0 {
            // This code does not maintain the features that the bits stand for.
            file.write(super::header::field::AUTOCLEAR, &0u64.to_be_bytes())?;
            file.sync()?;
            header.autoclear = 0;
        }
        self.changes = Some(Changes {
            header,
            refcounts,
            l1_dirty: BTreeSet::new(),
            l2_dirty: BTreeSet::new(),
            dropped: Vec::new(),
        });
        // Entries are checked against the other tables as they are loaded.
        let l1 = self.sources[0].as_ref().expect("a layer that is in use").l1.clone();
        self.top().begin(l1.into_iter());
        Ok(())
    }

    /// Loads the table of an L1 entry of a layer.
    pub fn load(&mut self, index: usize, l1_index: usize) -> Result<Slot> {
        if index == 0 && !self.readonly && self.corrupt.is_none() {
            self.have_changes()?;
        }
        self.have_source(index)?;
        let layers = self.layers.clone();
        let Kind::Qcow2(tables) = &layers[index].kind else { return Err(libc::EINVAL.into()) };
        match tables.slot(l1_index) {
            Slot::Unknown => {}
            slot => return Ok(slot),
        }
        let source = self.sources[index].as_ref().expect("a layer that is in use");
        let entry = source.l1.get(l1_index).copied().unwrap_or(0);
        let offset = entry & OFFSET;
        let slot = match offset {
            0 => Slot::Absent,
            _ if offset & (tables.cluster_bytes() - 1) != 0 || offset >= self.end(index) => Slot::Damaged,
            _ => {
                let mut raw = vec![0; tables.cluster_bytes() as usize];
                layers[index].file.read(offset, &mut raw)?;
                let entries = raw.chunks_exact(8).map(|entry| be64(entry, 0)).collect();
                Slot::Table(Table::new(offset, entries, |entry| self.checked(index, tables, entry)))
            }
        };
        self.enter(index, tables, l1_index, slot.clone());
        Ok(slot)
    }

    /// Caches a table of the first file that the file lacks.
    pub fn enter_table(&self, l1_index: usize, offset: u64, entries: Vec<u64>) -> Arc<Table> {
        let table = Table::new(offset, entries, |entry| self.checked(0, self.top(), entry));
        self.enter(0, self.top(), l1_index, Slot::Table(table.clone()));
        table
    }

    /// Tables that the file lacks stay in memory.
    fn enter(&self, index: usize, tables: &Tables, l1_index: usize, slot: Slot) {
        let dirty = self.changes.as_ref().filter(|_| index == 0).map(|changes| &changes.l2_dirty);
        tables.set(l1_index, slot, |at| {
            dirty.is_some_and(|dirty| dirty.range((at, 0)..(at + 1, 0)).next().is_some())
        });
    }

    /// Bytes of the file of a layer that its tables may refer to.
    fn end(&self, index: usize) -> u64 {
        match &self.changes {
            Some(changes) if index == 0 => changes.refcounts.end,
            _ => self.sources[index].as_ref().map_or(0, |source| source.end),
        }
    }

    /// The entry, or `DAMAGED` if it is invalid: the cluster then reads as an error, and nothing
    /// is written to where it points.
    fn checked(&self, index: usize, tables: &Tables, entry: u64) -> u64 {
        let cluster = tables.cluster(entry);
        let (first, count) = entry::references(cluster, tables.cluster_bits);
        let beyond = count > 0 && first.saturating_mul(tables.cluster_bytes()) >= self.end(index);
        let metadata =
            self.changes.as_ref().filter(|_| index == 0).map(|changes| &changes.refcounts.metadata);
        let overlaps =
            metadata.is_some_and(|metadata| (first..first + count).any(|at| metadata.contains(&at)));
        if cluster == Cluster::Damaged || beyond || overlaps { entry::DAMAGED } else { entry }
    }

    /// What the chain has from `start` on, after loading the tables needed to locate it.
    pub fn find(&mut self, from: usize, start: u64, len: u64) -> Result<(usize, Found, u64)> {
        loop {
            let layers = self.layers.clone();
            let (at, found, run) = find_in_chain(&layers[from..], start, len);
            if found != Found::Unknown {
                return Ok((from + at, found, run));
            }
            let Kind::Qcow2(tables) = &layers[from + at].kind else { return Err(libc::EIO.into()) };
            self.load(from + at, tables.indices(start).0)?;
        }
    }

    /// Reads the content of the layers from `from` on.
    pub fn read(&mut self, from: usize, start: u64, bytes: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let at = start + done as u64;
            let (layer, found, run) = self.find(from, at, (bytes.len() - done) as u64)?;
            let part = &mut bytes[done..done + run as usize];
            match found {
                Found::Data { offset, .. } => self.layers[layer].file.read(offset, part)?,
                Found::Compressed { .. } => {
                    let cluster = self.expanded(layer, at)?;
                    let within = at as usize & (cluster.len() - 1);
                    part.copy_from_slice(&cluster[within..within + part.len()]);
                }
                Found::Damaged => return Err(libc::EIO.into()),
                _ => part.fill(0),
            }
            done += run as usize;
        }
        Ok(())
    }

    /// The decompressed cluster of a layer that contains the byte at `start`.
    pub fn expanded(&mut self, layer: usize, start: u64) -> Result<Arc<Vec<u8>>> {
        let layers = self.layers.clone();
        let Kind::Qcow2(tables) = &layers[layer].kind else { return Err(libc::EIO.into()) };
        let (Found::Compressed { offset, len }, _) = layers[layer].find(start, 1) else {
            return Err(libc::EIO.into());
        };
        let known = self.expanded.iter().find(|(of, at, _)| (*of, *at) == (layer, offset));
        if let Some((_, _, cluster)) = known {
            return Ok(cluster.clone());
        }
        let mut data = vec![0; len as usize];
        let count = layers[layer].file.read_to_end(offset, &mut data)?;
        let compression = self.sources[layer].as_ref().map_or(Compression::Zlib, |source| source.compression);
        let cluster = expand(compression, &data[..count], tables.cluster_bytes() as usize);
        let cluster = Arc::new(cluster.ok_or(Trouble::from(libc::EIO))?);
        self.expanded.push_front((layer, offset, cluster.clone()));
        self.expanded.truncate(KEPT_CLUSTERS);
        Ok(cluster)
    }

    /// Forgets the decompressed clusters at this offset of the first file, which are gone.
    pub fn forget_expanded(&mut self, offset: u64) {
        self.expanded.retain(|(layer, at, _)| (*layer, *at) != (0, offset));
    }
}

/// Reserves the clusters of the snapshot table, and of the snapshots' L1 tables.
fn reserve_snapshots(layer: &Layer, header: &Header, refcounts: &mut Refcounts) -> Result<()> {
    let mut at = header.snapshots_offset;
    let mut noted = Vec::new();
    for _ in 0..header.snapshots {
        let mut entry = [0; 40];
        layer.file.read(at, &mut entry)?;
        let (l1_offset, l1_entries) = (be64(&entry, 0), be32(&entry, 8));
        if l1_entries > 4 << 20 {
            return Err(corrupt(format!("the L1 table of a snapshot has {l1_entries} entries")));
        }
        if l1_entries > 0 {
            refcounts.check_place("snapshot's L1 table", l1_offset)?;
            noted.push((l1_offset, u64::from(l1_entries) * 8));
        }
        let names = u64::from(u16::from_be_bytes([entry[12], entry[13]]))
            + u64::from(u16::from_be_bytes([entry[14], entry[15]]));
        let extra = u64::from(be32(&entry, 36));
        at = (at + 40 + extra + names).next_multiple_of(8);
        if at - header.snapshots_offset > 64 << 20 {
            return Err(corrupt("its table of snapshots has more than 64 MiB".into()));
        }
    }
    if header.snapshots > 0 {
        refcounts.reserve("table of snapshots", header.snapshots_offset, at - header.snapshots_offset)?;
    }
    for (offset, len) in noted {
        refcounts.reserve("L1 table of a snapshot", offset, len)?;
    }
    Ok(())
}
