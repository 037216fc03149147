//! Untrusted qcow2 images, and requests to them.

use super::disk::memory_file;
use super::input::Input;
use crate::image::testing::Disk;
use crate::image::{Task, inspect};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

const REQUESTS: usize = 24;
const REQUEST_BYTES: usize = 4;
/// The most bytes of a request: several of the smallest clusters.
const MAX_LEN: u64 = 64 * 512;

/// The first byte has a flag and the number of requests; the requests follow, then the image.
pub fn qcow2(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let first = usize::from(input.u8());
    let readonly = first & 128 != 0;
    let requests = input.take((first & 127) % (REQUESTS + 1) * REQUEST_BYTES);
    let file = memory_file();
    file.write_all_at(input.rest(), 0).expect("a file in memory");
    inspect(file.as_raw_fd()).expect("a file that can be read");
    let Ok(disk) = Disk::open(vec![(file, true)], readonly) else { return };
    for request in requests.chunks_exact(REQUEST_BYTES) {
        let capacity = disk.capacity();
        if capacity == 0 {
            break;
        }
        let place = u64::from(u16::from_le_bytes([request[1], request[2]])) * 512;
        // From the end of the disk as well as from its beginning.
        let start = match request[0] & 128 {
            0 => place % capacity,
            _ => (capacity - 512).saturating_sub(place),
        };
        let len = (512 + u64::from(request[3]) * 512).min(MAX_LEN).min(capacity - start);
        // Whatever the image claims about these bytes, a request is carried out or fails.
        let _ = carry_out(&disk, request[0] & 127, start, len, readonly);
    }
    let _ = disk.carry_out(Task::Settle);
}

fn carry_out(disk: &Disk, kind: u8, start: u64, len: u64, readonly: bool) -> crate::errno::Result<()> {
    let unmap = kind & 64 != 0;
    match kind % 8 {
        0 | 1 => disk.read(start, len as usize).map(drop),
        _ if readonly => Ok(()),
        2 | 3 => disk.write(start, &vec![0x5a; len as usize]),
        4 => disk.carry_out(Task::Discard { start, len }),
        5 => disk.carry_out(Task::WriteZeroes { start, len, unmap, durable: unmap }),
        6 => disk.carry_out(if unmap { Task::Settle } else { Task::Flush }),
        _ => disk.resize((start + len).max(disk.capacity())),
    }
}
