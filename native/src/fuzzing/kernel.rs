//! What the kernel would do to memory for an io_uring operation: it touches the buffers, so that a sanitizer catches
//! invalid ones.

use io_uring::{opcode, squeue};

const SQE_BYTES: usize = 64;
/// io_uring_sqe: `len`, `off` and `addr`.
const OFF: usize = 8;
const ADDR: usize = 16;
const LEN: usize = 24;

pub struct Operation {
    code: u8,
    /// Offset in the file.
    pub offset: u64,
    buffers: Vec<(*mut u8, usize)>,
}

impl Operation {
    pub fn of(entry: &squeue::Entry) -> Operation {
        assert_eq!(size_of::<squeue::Entry>(), SQE_BYTES);
        // SAFETY: plain data of this size.
        let sqe: [u8; SQE_BYTES] = unsafe { std::ptr::from_ref(entry).cast::<[u8; SQE_BYTES]>().read() };
        let long = |at: usize| u64::from_ne_bytes(sqe[at..at + 8].try_into().expect("eight bytes"));
        let len = u32::from_ne_bytes(sqe[LEN..LEN + 4].try_into().expect("four bytes")) as usize;
        let code = sqe[0];
        let buffers = match code {
            opcode::Read::CODE | opcode::Write::CODE => vec![(long(ADDR) as *mut u8, len)],
            opcode::Readv::CODE | opcode::Writev::CODE => {
                // SAFETY: what the kernel would read: that many iovecs, which stay in place until
                // the operation has completed.
                let vectors = unsafe { std::slice::from_raw_parts(long(ADDR) as *const libc::iovec, len) };
                vectors.iter().map(|vector| (vector.iov_base.cast(), vector.iov_len)).collect()
            }
            _ => Vec::new(),
        };
        Operation { code, offset: long(OFF), buffers }
    }

    /// The bytes of its buffers.
    pub fn len(&self) -> usize {
        self.buffers.iter().map(|(_, len)| len).sum()
    }

    /// Reads or writes the first `count` bytes of its buffers.
    pub fn carry_out(&self, count: usize) {
        let reads_file = matches!(self.code, opcode::Read::CODE | opcode::Readv::CODE);
        let mut left = count;
        for &(start, len) in &self.buffers {
            let part = len.min(left);
            left -= part;
            for at in 0..part {
                // SAFETY: a byte that the kernel would access by the same pointer; no reference to it exists.
                unsafe {
                    if reads_file {
                        start.add(at).write_volatile(0xa5);
                    } else {
                        start.add(at).read_volatile();
                    }
                }
            }
        }
    }
}
