//! The header of a qcow2 image, versions 2 and 3 (QEMU's docs/interop/qcow2.rst). It is
//! untrusted: everything is checked.

use super::file::ImageFile;

/// "QFI\xfb"
const MAGIC: u32 = 0x5146_49fb;
const V2_BYTES: usize = 72;
const V3_BYTES: usize = 104;
/// The smallest cluster: a header and its extensions fit in the first cluster.
const MIN_CLUSTER_BITS: u32 = 9;
const MAX_CLUSTER_BITS: u32 = 21;
/// The most that QEMU's implementation accepts.
const MAX_L1_BYTES: u64 = 32 << 20;
const MAX_REFCOUNT_TABLE_BYTES: u64 = 8 << 20;
const MAX_SNAPSHOTS: u32 = 65536;
const MAX_BACKING_NAME: u32 = 1023;

/// Bits of `incompatible`.
pub mod incompatible {
    pub const DIRTY: u64 = 1;
    pub const CORRUPT: u64 = 2;
    pub const DATA_FILE: u64 = 4;
    pub const COMPRESSION: u64 = 8;
    pub const EXTENDED_L2: u64 = 16;
}

const EXTENSION_END: u32 = 0;
const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
const EXTENSION_FEATURE_NAMES: u32 = 0x6803_f857;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Zlib,
    Zstd,
}

/// Byte offsets of the header fields that change while an image is in use.
pub mod field {
    pub const SIZE: u64 = 24;
    /// `l1_size`, followed by `l1_table_offset`.
    pub const L1: u64 = 36;
    /// `refcount_table_offset`, followed by `refcount_table_clusters`.
    pub const REFCOUNT_TABLE: u64 = 48;
    pub const INCOMPATIBLE: u64 = 72;
    pub const AUTOCLEAR: u64 = 88;
}

/// Lengths and offsets in bytes.
#[derive(Clone, Debug)]
pub struct Header {
    pub version: u32,
    pub cluster_bits: u32,
    pub size: u64,
    pub backing_name: Option<Vec<u8>>,
    pub backing_format: Option<Vec<u8>>,
    /// 0: none; 1: AES; 2: LUKS.
    pub crypt_method: u32,
    pub l1_entries: u32,
    pub l1_offset: u64,
    pub refcount_table_offset: u64,
    pub refcount_table_clusters: u32,
    pub snapshots: u32,
    pub snapshots_offset: u64,
    pub incompatible: u64,
    pub compatible: u64,
    pub autoclear: u64,
    /// A refcount has 2^order bits.
    pub refcount_order: u32,
    pub compression: Compression,
    /// Names of incompatible features that this version of vring does not support.
    pub unknown_features: Vec<String>,
}

/// Why an image is not usable, as a clause: `its L1 table is outside the file`.
pub type Reason = String;

impl Header {
    pub fn read(file: &ImageFile) -> Result<Header, Reason> {
        let unreadable = |errno| format!("its header cannot be read: {errno}");
        let mut bytes = vec![0; 1 << MIN_CLUSTER_BITS];
        let count = file.read_to_end(0, &mut bytes).map_err(unreadable)?;
        let first = Header::parse(&bytes[..count]);
        // The extensions and the backing file's name are in the first cluster, which may be larger.
        let bits = match &first {
            Ok(header) => header.cluster_bits,
            Err(_) if count >= V2_BYTES && be32(&bytes, 0) == MAGIC => be32(&bytes, 20),
            Err(_) => return first,
        };
        if !(MIN_CLUSTER_BITS..=MAX_CLUSTER_BITS).contains(&bits) {
            return first;
        }
        bytes.resize(1 << bits, 0);
        let count = file.read_to_end(0, &mut bytes).map_err(unreadable)?;
        Header::parse(&bytes[..count])
    }

    /// Parses the header in the first cluster of an image, or as much of it as the file has.
    pub fn parse(bytes: &[u8]) -> Result<Header, Reason> {
        if bytes.len() < V2_BYTES || be32(bytes, 0) != MAGIC {
            return Err("it has no qcow2 header".into());
        }
        let version = be32(bytes, 4);
        if !(2..=3).contains(&version) {
            return Err(format!("its version is {version}, not 2 or 3"));
        }
        let cluster_bits = be32(bytes, 20);
        if !(MIN_CLUSTER_BITS..=MAX_CLUSTER_BITS).contains(&cluster_bits) {
            return Err(format!("its clusters have 2^{cluster_bits} bytes, not 512 to 2 MiB"));
        }
        let mut header = Header {
            version,
            cluster_bits,
            size: be64(bytes, 24),
            backing_name: None,
            backing_format: None,
            crypt_method: be32(bytes, 32),
            l1_entries: be32(bytes, 36),
            l1_offset: be64(bytes, 40),
            refcount_table_offset: be64(bytes, 48),
            refcount_table_clusters: be32(bytes, 56),
            snapshots: be32(bytes, 60),
            snapshots_offset: be64(bytes, 64),
            incompatible: 0,
            compatible: 0,
            autoclear: 0,
            refcount_order: 4,
            compression: Compression::Zlib,
            unknown_features: Vec::new(),
        };
        let length = if version == 2 { V2_BYTES } else { header.parse_v3(bytes)? };
        let names = header.parse_extensions(bytes, length)?;
        header.name_unknown_features(names);
        header.parse_backing_name(bytes)?;
        header.check()?;
        Ok(header)
    }

    /// Returns the header's length.
    fn parse_v3(&mut self, bytes: &[u8]) -> Result<usize, Reason> {
        if bytes.len() < V3_BYTES {
            return Err("its header is truncated".into());
        }
        self.incompatible = be64(bytes, 72);
        self.compatible = be64(bytes, 80);
        self.autoclear = be64(bytes, 88);
        self.refcount_order = be32(bytes, 96);
        let length = be32(bytes, 100) as usize;
        if length < V3_BYTES || length % 8 != 0 || length > self.cluster_bytes() as usize {
            return Err(format!("its header has {length} bytes"));
        }
        if length > bytes.len() {
            return Err("its header is truncated".into());
        }
        if self.refcount_order > 6 {
            return Err(format!("its refcounts have 2^{} bits, not 1 to 64", self.refcount_order));
        }
        let compression = if length > V3_BYTES { bytes[V3_BYTES] } else { 0 };
        self.compression = match compression {
            0 => Compression::Zlib,
            1 => Compression::Zstd,
            other => {
                return Err(format!(
                    "its compression type is {other}, which this version of vring does not know"
                ));
            }
        };
        if (compression != 0) != (self.incompatible & incompatible::COMPRESSION != 0) {
            return Err("its compression type and its feature bits do not fit together".into());
        }
        Ok(length)
    }

    /// Returns the table of feature names: 48 bytes each.
    fn parse_extensions<'b>(&mut self, bytes: &'b [u8], from: usize) -> Result<&'b [u8], Reason> {
        let mut names: &[u8] = &[];
        let name_at = be64(bytes, 8) as usize;
        let end = if name_at > from && name_at < bytes.len() { name_at } else { bytes.len() };
        let mut at = from;
        while at + 8 <= end {
            let (kind, len) = (be32(bytes, at), be32(bytes, at + 4) as usize);
            if kind == EXTENSION_END {
                break;
            }
            at += 8;
            let data = bytes.get(at..).and_then(|rest| rest.get(..len)).filter(|_| at + len <= end);
            let data = data.ok_or("a header extension is longer than its header")?;
            match kind {
                EXTENSION_BACKING_FORMAT => self.backing_format = Some(data.to_vec()),
                EXTENSION_FEATURE_NAMES => names = data,
                _ => {}
            }
            at += len.next_multiple_of(8);
        }
        Ok(names)
    }

    fn name_unknown_features(&mut self, names: &[u8]) {
        use incompatible::*;
        let unknown = self.incompatible & !(DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2);
        let name = |bit: u32| {
            let entry = names.chunks_exact(48).find(|entry| entry[0] == 0 && u32::from(entry[1]) == bit);
            let text =
                entry.map(|entry| String::from_utf8_lossy(&entry[2..]).trim_end_matches('\0').to_owned());
            text.filter(|text| !text.is_empty()).unwrap_or_else(|| format!("bit {bit}"))
        };
        self.unknown_features = (0..64).filter(|bit| unknown >> bit & 1 == 1).map(name).collect();
    }

    fn parse_backing_name(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let (offset, len) = (be64(bytes, 8), be32(bytes, 16));
        if offset == 0 {
            return Ok(());
        }
        if len > MAX_BACKING_NAME {
            return Err(format!("the name of its backing file has {len} bytes"));
        }
        let name = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)?.get(..len as usize));
        let name = name.ok_or("the name of its backing file is outside its header")?;
        if !name.is_empty() {
            self.backing_name = Some(name.to_vec());
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Reason> {
        if self.size % 512 != 0 || self.size > i64::MAX as u64 {
            return Err(format!("its size of {} bytes is not a multiple of 512", self.size));
        }
        let l1_bytes = u64::from(self.l1_entries) * 8;
        if l1_bytes > MAX_L1_BYTES {
            return Err(format!("its L1 table has {} entries, more than 4 Mi", self.l1_entries));
        }
        if u64::from(self.l1_entries) < self.l1_entries_needed(self.size) {
            return Err("its L1 table is too small for its size".into());
        }
        self.check_table("L1 table", self.l1_offset, l1_bytes)?;
        let table_bytes = u64::from(self.refcount_table_clusters) << self.cluster_bits;
        if table_bytes > MAX_REFCOUNT_TABLE_BYTES {
            return Err(format!("its refcount table has {table_bytes} bytes, more than 8 MiB"));
        }
        if table_bytes == 0 {
            return Err("it has no refcount table".into());
        }
        self.check_table("refcount table", self.refcount_table_offset, table_bytes)?;
        if self.snapshots > MAX_SNAPSHOTS {
            return Err(format!("it has {} snapshots, more than {MAX_SNAPSHOTS}", self.snapshots));
        }
        if self.snapshots > 0 {
            self.check_table("snapshot table", self.snapshots_offset, 8)?;
        }
        Ok(())
    }

    /// Each begins at a cluster after the first and ends below 2^56.
    fn check_table(&self, what: &str, offset: u64, bytes: u64) -> Result<(), Reason> {
        if bytes == 0 {
            return Ok(());
        }
        let aligned = offset & (self.cluster_bytes() - 1) == 0;
        let end = offset.checked_add(bytes).filter(|end| *end < 1 << 56);
        if offset == 0 || !aligned || end.is_none() {
            return Err(format!("its {what} is at {offset:#x}, which is not a valid offset"));
        }
        Ok(())
    }

    /// Why it can't be opened at all, or not for writing.
    pub fn refusal(&self, readonly: bool) -> Option<Reason> {
        use incompatible::*;
        let has = |bit| self.incompatible & bit != 0;
        if !self.unknown_features.is_empty() {
            let names = self.unknown_features.join(", ");
            return Some(format!("it uses features that this version of vring does not know ({names})"));
        }
        match self.crypt_method {
            0 => {}
            1 => return Some("it is encrypted (AES)".into()),
            2 => return Some("it is encrypted (LUKS)".into()),
            other => return Some(format!("it is encrypted by an unknown method ({other})")),
        }
        if has(DATA_FILE) {
            return Some("its data is in another file (data_file)".into());
        }
        if has(EXTENDED_L2) {
            return Some("it has subclusters (extended_l2)".into());
        }
        if has(CORRUPT) && !readonly {
            return Some("it is marked as corrupt".into());
        }
        if has(DIRTY) && !readonly {
            return Some("it was not closed properly and its refcounts may be wrong (dirty bit)".into());
        }
        None
    }

    pub fn cluster_bytes(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// log2 of the entries of an L2 table, which fills a cluster.
    pub fn l2_bits(&self) -> u32 {
        self.cluster_bits - 3
    }

    /// L1 entries that a disk of `size` bytes needs.
    pub fn l1_entries_needed(&self, size: u64) -> u64 {
        size.div_ceil(1 << (self.cluster_bits + self.l2_bits()))
    }
}

pub fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
