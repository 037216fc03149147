//! Compressed clusters: raw deflate streams, or Zstandard frames, followed by anything up to the end of a sector.

use super::header::Compression;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use std::io::Read;

/// The decompressed cluster in `data`, or None if the data is invalid.
pub fn expand(compression: Compression, data: &[u8], cluster_bytes: usize) -> Option<Vec<u8>> {
    let mut cluster = vec![0; cluster_bytes];
    let whole = match compression {
        Compression::Zlib => inflate(data, &mut cluster),
        Compression::Zstd => unzstd(data, &mut cluster),
    };
    whole.then_some(cluster)
}

fn inflate(data: &[u8], cluster: &mut [u8]) -> bool {
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, _, written) = decompress(&mut DecompressorOxide::new(), data, cluster, 0, flags);
    // The stream may continue past the cluster: like QEMU, ignore the rest.
    matches!(status, TINFLStatus::Done | TINFLStatus::HasMoreOutput) && written == cluster.len()
}

fn unzstd(data: &[u8], cluster: &mut [u8]) -> bool {
    let Ok(mut decoder) = ruzstd::decoding::StreamingDecoder::new(data) else { return false };
    decoder.read_exact(cluster).is_ok()
}
