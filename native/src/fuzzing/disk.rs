//! virtio-blk and virtio-scsi disks, on images that check the requests they get.

use super::input::Input;
use super::kernel::Operation;
use super::rings::serve;
use crate::blk::{BlkConfig, BlkWorker, SERIAL_BYTES, feature};
use crate::epoll::EventFd;
use crate::image::{Image, ImageState, Place, RawImage, WrittenZeros};
use crate::limiter::{Limiter, RateLimits};
use crate::queue_thread::duplicate;
use crate::scsi::{Address, ControlWorker, Controller, EventWorker, Identity, Kind, ScsiWorker, Unit};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::sync::Arc;

const DISK_BYTES: u64 = 128 * 512;

pub fn memory_file() -> File {
    // SAFETY: the name is a NUL-terminated string; a non-negative result is a new fd.
    unsafe { File::from_raw_fd(libc::memfd_create(c"disk".as_ptr(), libc::MFD_CLOEXEC)) }
}

/// An image that checks that every request is inside it. Its buffers may need alignment.
struct Checked {
    image: RawImage,
    alignment: Option<usize>,
}

impl Checked {
    fn new(readonly: bool, alignment: Option<usize>) -> Arc<Checked> {
        let file = memory_file();
        file.set_len(DISK_BYTES).expect("a file in memory");
        let image = RawImage::open(file.as_raw_fd(), DISK_BYTES, readonly, true).expect("an image");
        Arc::new(Checked { image, alignment })
    }
}

impl Image for Checked {
    fn state(&self) -> &ImageState {
        self.image.state()
    }

    fn files(&self) -> Vec<RawFd> {
        self.image.files()
    }

    fn operations(&self) -> &'static [u8] {
        self.image.operations()
    }

    fn direct_alignment(&self) -> Option<usize> {
        self.alignment
    }

    fn locate(&self, start: u64, len: u64, write: bool) -> Place {
        let end = start.checked_add(len).expect("an end");
        assert!(len > 0 && end <= DISK_BYTES, "bytes outside of the disk");
        self.image.locate(start, len, write)
    }
}

fn check(operation: &Operation) {
    let end = operation.offset.checked_add(operation.len() as u64);
    assert!(end.is_some_and(|end| end <= DISK_BYTES), "an operation outside of the disk");
}

pub fn blk(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let flags = input.u8();
    let config = BlkConfig {
        max_segments: 14,
        max_ranges: 4,
        max_range_sectors: 64,
        serial: [b'7'; SERIAL_BYTES],
        ..BlkConfig::default()
    };
    let features = [feature::FLUSH, feature::CONFIG_WCE, feature::DISCARD, feature::WRITE_ZEROES];
    let chosen = features.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 != 0);
    let features = chosen.fold(0, |all, (_, feature)| all | feature);
    let image = Checked::new(flags & 16 != 0, (flags & 32 != 0).then_some(512));
    match flags >> 6 {
        0 | 3 => {}
        1 => image.state().set_written_zeros(WrittenZeros::Zeroed),
        _ => image.state().set_written_zeros(WrittenZeros::Unmapped),
    }
    let worker = BlkWorker::new(&config, features, image, None);
    serve(input.rest(), &worker, check);
}

const DISK: Address = Address { target: 0, lun: 0 };
const DRIVE: Address = Address { target: 0, lun: 3 };

fn identity(kind: Kind) -> Identity {
    let is_cd = kind == Kind::Cd;
    Identity {
        kind,
        vendor: *b"VRING   ",
        product: *b"VRING HARDDISK  ",
        revision: *b"1.0 ",
        serial: b"disk-7".to_vec(),
        wwn: 0x5000_c500_1234_5678,
        port_wwn: 0,
        block: if is_cd { 2048 } else { 512 },
        physical_exponent: if is_cd { 0 } else { 3 },
        min_io: 4096,
        optimal_io: 0,
        rotation_rate: 1,
        removable: is_cd,
        dpofua: true,
    }
}

/// The first byte selects one of the controller's queues: control, events, or most often requests.
pub fn scsi(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let flags = input.u8();
    let machine = EventFd::new().expect("an eventfd");
    let signal = duplicate(machine.as_raw_fd()).expect("an fd");
    let controller = Arc::new(Controller::new(signal).expect("a controller"));
    for (address, kind) in [(DISK, Kind::Disk), (DRIVE, Kind::Cd)] {
        controller.add(Unit::new(address, identity(kind), true)).expect("a free address");
        let image = Checked::new(kind == Kind::Cd, (flags & 16 != 0).then_some(512));
        let limiter = Arc::new(Limiter::new(&RateLimits::default()));
        controller.insert(address, image, limiter, true).expect("a unit");
    }
    match flags % 8 {
        0 => serve(input.rest(), &ControlWorker(controller), check),
        1 => {
            controller.events.push(1, DISK, 0);
            serve(input.rest(), &EventWorker(controller), check);
        }
        _ => serve(input.rest(), &ScsiWorker::new(controller), check),
    }
}
