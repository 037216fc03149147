//! The disk errors of a queue, by kind, until the machine thread has reported them: the first of each kind immediately,
//! further ones as a count at the end of its reporting period. A failing disk can't flood it.

use crate::sync::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

crate::abi_constants! {
    /// Values of `access` in `DiskErrors`.
    pub mod access as DISK_ACCESS: u32 {
        READ = 0,
        WRITE = 1,
        FLUSH = 2,
        DISCARD = 3,
        WRITE_ZEROES = 4,
    }
}

/// The kind of access that a request made to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Access {
    Read = access::READ,
    Write = access::WRITE,
    Flush = access::FLUSH,
    Discard = access::DISCARD,
    WriteZeroes = access::WRITE_ZEROES,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskError {
    pub access: Access,
    /// 0 if the file ended before the disk's last sector.
    pub errno: i32,
    /// First sector of the failed step.
    pub sector: u64,
    /// Which of its queue's disks, as numbered by the worker.
    pub disk: u32,
}

crate::abi_struct! {
    /// Errors of one kind, as JavaScript reads them.
    pub struct DiskErrors {
        /// Sector of the first error.
        pub sector: u64,
        /// Number of failed requests.
        pub count: u64,
        pub access: u32,
        pub errno: i32,
        /// Which of the queue's disks; 0 if it has only one.
        pub disk: u32,
    }
}

struct Kind {
    errors: DiskErrors,
    reported: bool,
}

/// The most kinds that are counted separately.
const MAX_KINDS: usize = 32;

#[derive(Default)]
pub struct ErrorLog {
    kinds: Mutex<Vec<Kind>>,
    unreported: AtomicBool,
}

impl ErrorLog {
    /// Returns whether the error is the first of its kind, so that the machine thread must be notified.
    pub fn note(&self, error: DiskError) -> bool {
        let mut kinds = lock(&self.kinds);
        let (access, errno, disk) = (error.access as u32, error.errno, error.disk);
        let key = |errors: &DiskErrors| (errors.access, errors.errno, errors.disk);
        let known = kinds.iter_mut().find(|kind| key(&kind.errors) == (access, errno, disk));
        if let Some(Kind { errors, .. }) = known {
            if errors.count == 0 {
                errors.sector = error.sector;
            }
            errors.count += 1;
            return false;
        }
        if kinds.len() == MAX_KINDS {
            return false;
        }
        let errors = DiskErrors { sector: error.sector, count: 1, access, errno, disk };
        kinds.push(Kind { errors, reported: false });
        self.unreported.store(true, SeqCst);
        true
    }

    /// Whether there are new kinds since the last call.
    pub fn has_new(&self) -> bool {
        self.unreported.swap(false, SeqCst)
    }

    /// Takes the kinds that have not been reported yet. Returns their number, at most `out.len()`.
    pub fn take_new(&self, out: &mut [DiskErrors]) -> usize {
        let mut kinds = lock(&self.kinds);
        let new = kinds.iter_mut().filter(|kind| !kind.reported);
        let taken = new.zip(out).map(|(kind, out)| {
            *out = take(&mut kind.errors);
            kind.reported = true;
        });
        taken.count()
    }

    /// Ends the reporting period: returns the kinds that recurred since they were reported, and forgets the others.
    pub fn end_period(&self, out: &mut [DiskErrors]) -> usize {
        let mut kinds = lock(&self.kinds);
        kinds.retain(|kind| !kind.reported || kind.errors.count > 0);
        let again = kinds.iter_mut().filter(|kind| kind.reported);
        again.zip(out).map(|(kind, out)| *out = take(&mut kind.errors)).count()
    }
}

/// Takes the count so far and resets it to 0.
fn take(errors: &mut DiskErrors) -> DiskErrors {
    let taken = *errors;
    errors.count = 0;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: DiskError = DiskError { access: Access::Write, errno: libc::ENOSPC, sector: 8, disk: 0 };
    const BAD: DiskError = DiskError { access: Access::Read, errno: libc::EIO, sector: 3, disk: 0 };

    fn taken(take: impl Fn(&mut [DiskErrors]) -> usize) -> Vec<(u32, i32, u64, u64)> {
        let mut out = [DiskErrors::default(); MAX_KINDS];
        let count = take(&mut out);
        out[..count].iter().map(|errors| (errors.access, errors.errno, errors.sector, errors.count)).collect()
    }

    #[test]
    fn the_first_of_each_kind_is_reported_and_the_rest_counted() {
        let log = ErrorLog::default();
        assert!(log.note(FULL) && log.has_new() && !log.has_new());
        assert!(!log.note(FULL));
        assert!(log.note(BAD));
        assert_eq!(taken(|out| log.take_new(out)), [(1, libc::ENOSPC, 8, 2), (0, libc::EIO, 3, 1)]);
        assert_eq!(taken(|out| log.take_new(out)), []);

        assert!(!log.note(DiskError { sector: 16, ..FULL }));
        assert!(!log.note(FULL));
        assert_eq!(taken(|out| log.end_period(out)), [(1, libc::ENOSPC, 16, 2)]);
        assert!(log.note(BAD), "reads had not failed again in that period");
        assert!(!log.note(FULL));
    }

    #[test]
    fn unreported_errors_outlive_a_period() {
        let log = ErrorLog::default();
        log.note(FULL);
        assert_eq!(taken(|out| log.end_period(out)), []);
        assert_eq!(taken(|out| log.take_new(out)), [(1, libc::ENOSPC, 8, 1)]);
        assert_eq!(taken(|out| log.end_period(out)), []);
    }

    #[test]
    fn the_kinds_are_bounded() {
        let log = ErrorLog::default();
        for errno in 0..2 * MAX_KINDS as i32 {
            log.note(DiskError { errno, ..BAD });
        }
        assert_eq!(taken(|out| log.take_new(out)).len(), MAX_KINDS);
    }

    #[test]
    fn the_disks_of_a_queue_are_distinguished() {
        let log = ErrorLog::default();
        assert!(log.note(BAD) && log.note(DiskError { disk: 5, ..BAD }));
        let mut out = [DiskErrors::default(); 4];
        assert_eq!(log.take_new(&mut out), 2);
        assert_eq!([out[0].disk, out[1].disk], [0, 5]);
    }
}
