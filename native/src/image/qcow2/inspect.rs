//! What an image's header says, as JSON: `{"error": "its version is 7, not 2 or 3"}`, or its fields.

use super::file::ImageFile;
use super::header::{Compression, Header, be32, incompatible};
use crate::errno::Result;
use std::fmt::Write;
use std::os::fd::RawFd;

const MAX_LISTED: u32 = 1000;

pub fn inspect(fd: RawFd) -> Result<String> {
    let file = ImageFile::open(fd, true)?;
    let header = match Header::read(&file) {
        Ok(header) => header,
        Err(reason) => return Ok(format!("{{\"error\":{}}}", quoted(reason.as_bytes()))),
    };
    let mut json = String::new();
    let optional = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or("null".into(), |bytes| quoted(bytes));
    let reason =
        |readonly| header.refusal(readonly).map_or("null".into(), |reason| quoted(reason.as_bytes()));
    let has = |bit| header.incompatible & bit != 0;
    let compression = if header.compression == Compression::Zstd { "zstd" } else { "zlib" };
    let _ = write!(
        json,
        "{{\"version\":{},\"size\":\"{}\",\"clusterSize\":{},\"refcountBits\":{},\"compression\":\"{compression}\",\
         \"backingFile\":{},\"backingFormat\":{},\"dirty\":{},\"corrupt\":{},\"lazyRefcounts\":{},\"encrypted\":{},\
         \"extendedL2\":{},\"dataFile\":{},\"refusedReadonly\":{},\"refused\":{},\"snapshots\":{}}}",
        header.version,
        header.size,
        header.cluster_bytes(),
        1u64 << header.refcount_order,
        optional(&header.backing_name),
        optional(&header.backing_format),
        has(incompatible::DIRTY),
        has(incompatible::CORRUPT),
        header.compatible & 1 != 0,
        header.crypt_method != 0,
        has(incompatible::EXTENDED_L2),
        has(incompatible::DATA_FILE),
        reason(true),
        reason(false),
        snapshots(&file, &header),
    );
    Ok(json)
}

/// Names, times and sizes of the internal snapshots, as far as they can be read.
fn snapshots(file: &ImageFile, header: &Header) -> String {
    let mut listed = Vec::new();
    let mut at = header.snapshots_offset;
    for _ in 0..header.snapshots.min(MAX_LISTED) {
        let mut entry = [0; 40];
        if file.read(at, &mut entry).is_err() {
            break;
        }
        let len = |at: usize| usize::from(u16::from_be_bytes([entry[at], entry[at + 1]]));
        let (id_len, name_len, extra) = (len(12), len(14), u64::from(be32(&entry, 36)));
        let mut names = vec![0; id_len + name_len];
        if extra > 1024 || file.read(at + 40 + extra, &mut names).is_err() {
            break;
        }
        listed.push(format!(
            "{{\"id\":{},\"name\":{},\"seconds\":{},\"vmStateBytes\":{}}}",
            quoted(&names[..id_len]),
            quoted(&names[id_len..]),
            be32(&entry, 16),
            be32(&entry, 32),
        ));
        at = (at + 40 + extra + names.len() as u64).next_multiple_of(8);
    }
    format!("[{}]", listed.join(","))
}

fn quoted(bytes: &[u8]) -> String {
    let mut json = String::from("\"");
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            control if (control as u32) < 0x20 => {
                let _ = write!(json, "\\u{:04x}", control as u32);
            }
            other => json.push(other),
        }
    }
    json.push('"');
    json
}
