//! Files that several queue threads use, and that come and go while they run: the disks of a SCSI controller. Each ring
//! has a slot for each file, which the machine thread fills and empties; the threads' own filters don't allow them to.

use super::needs::FIRST_FILE;
use super::uring::UPDATE_FILES;
use crate::epoll::EventFd;
use crate::errno::{Errno, Result};
use crate::sync::lock;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, Weak};

/// Keeps slots from being reused for other files: anything that may still refer to the old ones holds a copy.
pub type Tenure = Arc<()>;

#[derive(Clone, Default)]
enum Place {
    #[default]
    Free,
    Used(RawFd, Weak<()>),
    /// Its file is gone, but requests may still refer to it.
    Left(Weak<()>),
}

/// A queue thread that uses the files.
pub struct Tenant {
    pub ring: OwnedFd,
    pub control: Arc<EventFd>,
    /// Index of the table's first file among its worker's files.
    pub first: u32,
}

#[derive(Default)]
struct Inner {
    places: Vec<Place>,
    tenants: Vec<Weak<Tenant>>,
}

pub struct FileTable(Mutex<Inner>);

/// struct io_uring_files_update of linux/io_uring.h.
#[repr(C)]
struct FilesUpdate {
    offset: u32,
    reserved: u32,
    fds: u64,
}

impl FileTable {
    /// A table of `places` slots.
    pub fn new(places: usize) -> FileTable {
        FileTable(Mutex::new(Inner { places: vec![Place::Free; places], tenants: Vec::new() }))
    }

    pub fn len(&self) -> usize {
        lock(&self.0).places.len()
    }

    /// Adds a thread that uses the files from now on. Its ring has empty slots for them.
    pub fn add(&self, tenant: &Arc<Tenant>) -> Result<()> {
        let mut inner = lock(&self.0);
        inner.tenants.retain(|tenant| tenant.strong_count() > 0);
        for (index, place) in inner.places.iter().enumerate() {
            if let Place::Used(fd, _) = place {
                tenant.update(index, &[*fd])?;
            }
        }
        inner.tenants.push(Arc::downgrade(tenant));
        Ok(())
    }

    /// Adds files, which stay open until `remove`. Returns the index of the first; the others follow it. ENFILE if the
    /// table is full.
    pub fn insert(&self, files: &[RawFd]) -> Result<(u16, Tenure)> {
        let mut inner = lock(&self.0);
        for place in &mut inner.places {
            if matches!(place, Place::Left(tenure) if tenure.strong_count() == 0) {
                *place = Place::Free;
            }
        }
        let free = |places: &[Place]| places.iter().all(|place| matches!(place, Place::Free));
        let first = inner.places.windows(files.len().max(1)).position(free).ok_or(Errno(libc::ENFILE))?;
        let tenure = Tenure::default();
        for (place, fd) in inner.places[first..].iter_mut().zip(files) {
            *place = Place::Used(*fd, Arc::downgrade(&tenure));
        }
        if let Err(errno) = inner.update(first, files) {
            inner.places[first..first + files.len()].fill(Place::Free);
            let _ = inner.update(first, &vec![-1; files.len()]);
            return Err(errno);
        }
        Ok((first as u16, tenure))
    }

    /// Removes `count` files from index `first` on. Operations that threads have submitted continue; later ones fail
    /// with EBADF until nothing holds their tenure any more.
    pub fn remove(&self, first: u16, count: usize) {
        let mut inner = lock(&self.0);
        let first = usize::from(first);
        for place in &mut inner.places[first..first + count] {
            if let Place::Used(_, tenure) = std::mem::take(place) {
                *place = Place::Left(tenure);
            }
        }
        // Removing files can't fail.
        let _ = inner.update(first, &vec![-1; count]);
    }

    /// The eventfds that wake the threads that use the files.
    pub fn controls(&self) -> Vec<Weak<EventFd>> {
        let inner = lock(&self.0);
        inner.tenants.iter().filter_map(Weak::upgrade).map(|tenant| Arc::downgrade(&tenant.control)).collect()
    }
}

impl Inner {
    fn update(&self, first: usize, fds: &[RawFd]) -> Result<()> {
        let tenants: Vec<_> = self.tenants.iter().filter_map(Weak::upgrade).collect();
        tenants.iter().try_for_each(|tenant| tenant.update(first, fds))
    }
}

impl Tenant {
    /// Sets the files at `place` and after it; -1 empties a slot.
    fn update(&self, place: usize, fds: &[RawFd]) -> Result<()> {
        let offset = FIRST_FILE + self.first + place as u32;
        let update = FilesUpdate { offset, reserved: 0, fds: fds.as_ptr() as u64 };
        // SAFETY: the kernel reads the struct, and the fds that it points to.
        let updated = unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                self.ring.as_raw_fd(),
                u32::from(UPDATE_FILES),
                &raw const update,
                fds.len() as u32,
            )
        };
        match updated {
            // A thread that has ended has no files any more.
            count if count < 0 && Errno::last() != Errno(libc::ENXIO) => Err(Errno::last()),
            _ => Ok(()),
        }
    }
}
