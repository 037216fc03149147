//! The layouts that JavaScript and this library must agree on, as JSON: a test compares them.

use crate::blk::{BlkQueueConfig, DiskErrors, MAX_IN_FLIGHT, Stopped};
use crate::confine::rlimits::Rlimit;
use crate::confine::{ConfineOptions, ConfineReport};
use crate::counters::{HEADER_WORDS, MAGIC, VcpuState, queue, vcpu};
use crate::event::Event;
use crate::memory::Region;
use crate::snapshot::abi::{JobPart, JobReport, MemoryRange};
use crate::spawn::request::{Report, SpawnOptions};
use std::ffi::{CStr, CString};
use std::mem::offset_of;
use std::sync::OnceLock;

pub const ABI_VERSION: u32 = 11;

/// The version of vring that this library was built for: JavaScript of another version refuses it.
pub const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("no NUL in a version"),
    };

/// How far a queue thread has got, as JavaScript reads it.
#[repr(C)]
pub struct QueueProgress {
    pub last_avail: u16,
    pub used_index: u16,
    pub unfinished_count: u32,
    /// Heads of the chains that were taken and not returned.
    pub unfinished: [u16; MAX_IN_FLIGHT as usize],
}

impl From<Stopped> for QueueProgress {
    fn from(stopped: Stopped) -> QueueProgress {
        let mut unfinished = [0; MAX_IN_FLIGHT as usize];
        unfinished[..stopped.unfinished.len()].copy_from_slice(&stopped.unfinished);
        QueueProgress {
            last_avail: stopped.position.available,
            used_index: stopped.position.used,
            unfinished_count: stopped.unfinished.len() as u32,
            unfinished,
        }
    }
}

/// NUL-terminated, and the same for as long as the library is loaded.
pub fn json() -> &'static CString {
    static JSON: OnceLock<CString> = OnceLock::new();
    JSON.get_or_init(|| CString::new(text()).expect("no NUL in the layout"))
}

fn text() -> String {
    let vcpu = object(&[
        ("exits", vcpu::EXITS),
        ("exitNs", vcpu::EXIT_NS),
        ("runNs", vcpu::RUN_NS),
        ("deviceNs", vcpu::DEVICE_NS),
        ("entries", vcpu::ENTRIES),
        ("tid", vcpu::TID),
        ("state", vcpu::STATE),
        ("kicks", vcpu::KICKS),
        ("latency", vcpu::LATENCY),
        ("words", vcpu::WORDS),
    ]);
    let states = object(&[
        ("new", VcpuState::New as usize),
        ("running", VcpuState::Running as usize),
        ("parked", VcpuState::Parked as usize),
        ("waiting", VcpuState::Waiting as usize),
        ("stopped", VcpuState::Stopped as usize),
    ]);
    let queue = object(&[
        ("kicks", queue::KICKS),
        ("interrupts", queue::INTERRUPTS),
        ("interruptsSuppressed", queue::INTERRUPTS_SUPPRESSED),
        ("requests", queue::REQUESTS),
        ("bytesToGuest", queue::BYTES_TO_GUEST),
        ("bytesFromGuest", queue::BYTES_FROM_GUEST),
        ("inFlight", queue::IN_FLIGHT),
        ("errors", queue::ERRORS),
        ("batches", queue::BATCHES),
        ("kicksSuppressed", queue::KICKS_SUPPRESSED),
        ("maxInFlight", queue::MAX_IN_FLIGHT),
        ("latencyNs", queue::LATENCY_NS),
        ("diskErrors", queue::DISK_ERRORS),
        ("id", queue::ID),
        ("latency", queue::LATENCY),
        ("words", queue::WORDS),
    ]);
    let event = object(&[
        ("kind", offset_of!(Event, kind)),
        ("index", offset_of!(Event, index)),
        ("data", offset_of!(Event, data)),
        ("aux", offset_of!(Event, aux)),
        ("bytes", size_of::<Event>()),
    ]);
    let region = object(&[
        ("gpa", offset_of!(Region, gpa)),
        ("size", offset_of!(Region, size)),
        ("host", offset_of!(Region, host)),
        ("bytes", size_of::<Region>()),
    ]);
    let progress = object(&[
        ("lastAvail", offset_of!(QueueProgress, last_avail)),
        ("usedIndex", offset_of!(QueueProgress, used_index)),
        ("unfinishedCount", offset_of!(QueueProgress, unfinished_count)),
        ("unfinished", offset_of!(QueueProgress, unfinished)),
        ("bytes", size_of::<QueueProgress>()),
    ]);
    let blk_queue = object(&[
        ("descriptors", offset_of!(BlkQueueConfig, descriptors)),
        ("available", offset_of!(BlkQueueConfig, available)),
        ("used", offset_of!(BlkQueueConfig, used)),
        ("features", offset_of!(BlkQueueConfig, features)),
        ("diskSize", offset_of!(BlkQueueConfig, disk_size)),
        ("diskFd", offset_of!(BlkQueueConfig, disk_fd)),
        ("kickFd", offset_of!(BlkQueueConfig, kick_fd)),
        ("callFd", offset_of!(BlkQueueConfig, call_fd)),
        ("size", offset_of!(BlkQueueConfig, size)),
        ("counterSlot", offset_of!(BlkQueueConfig, counter_slot)),
        ("lastAvail", offset_of!(BlkQueueConfig, last_avail)),
        ("usedIndex", offset_of!(BlkQueueConfig, used_index)),
        ("flags", offset_of!(BlkQueueConfig, flags)),
        ("maxSegments", offset_of!(BlkQueueConfig, max_segments)),
        ("maxRanges", offset_of!(BlkQueueConfig, max_ranges)),
        ("maxRangeSectors", offset_of!(BlkQueueConfig, max_range_sectors)),
        ("unfinishedCount", offset_of!(BlkQueueConfig, unfinished_count)),
        ("unfinished", offset_of!(BlkQueueConfig, unfinished)),
        ("serial", offset_of!(BlkQueueConfig, serial)),
        ("bytes", size_of::<BlkQueueConfig>()),
    ]);
    let disk_errors = object(&[
        ("sector", offset_of!(DiskErrors, sector)),
        ("count", offset_of!(DiskErrors, count)),
        ("access", offset_of!(DiskErrors, access)),
        ("errno", offset_of!(DiskErrors, errno)),
        ("bytes", size_of::<DiskErrors>()),
    ]);
    let (spawn, confinement, jobs) = (spawn(), confinement(), jobs());
    format!(
        "{{\"headerWords\":{HEADER_WORDS},\"magic\":\"{MAGIC}\",\"vcpu\":{vcpu},\"vcpuState\":{states},\
         \"queue\":{queue},\"event\":{event},\"region\":{region},\"progress\":{progress},\"blkQueue\":{blk_queue},\
         \"diskErrors\":{disk_errors},{spawn},{confinement},{jobs}}}"
    )
}

fn spawn() -> String {
    let rlimit = object(&[
        ("resource", offset_of!(Rlimit, resource)),
        ("soft", offset_of!(Rlimit, soft)),
        ("hard", offset_of!(Rlimit, hard)),
        ("bytes", size_of::<Rlimit>()),
    ]);
    let options = object(&[
        ("flags", offset_of!(SpawnOptions, flags)),
        ("argc", offset_of!(SpawnOptions, argc)),
        ("envc", offset_of!(SpawnOptions, envc)),
        ("fds", offset_of!(SpawnOptions, fds)),
        ("rlimitCount", offset_of!(SpawnOptions, rlimit_count)),
        ("cgroupFd", offset_of!(SpawnOptions, cgroup_fd)),
        ("stdio", offset_of!(SpawnOptions, stdio)),
        ("rlimits", offset_of!(SpawnOptions, rlimits)),
        ("bytes", size_of::<SpawnOptions>()),
    ]);
    let report = object(&[
        ("pid", offset_of!(Report, pid)),
        ("pidfd", offset_of!(Report, pidfd)),
        ("step", offset_of!(Report, step)),
        ("errno", offset_of!(Report, errno)),
        ("outcome", offset_of!(Report, outcome)),
        ("bytes", size_of::<Report>()),
    ]);
    format!("\"rlimit\":{rlimit},\"spawnOptions\":{options},\"spawnReport\":{report}")
}

fn confinement() -> String {
    let options = object(&[
        ("flags", offset_of!(ConfineOptions, flags)),
        ("uid", offset_of!(ConfineOptions, uid)),
        ("gid", offset_of!(ConfineOptions, gid)),
        ("reportFd", offset_of!(ConfineOptions, report_fd)),
        ("paths", offset_of!(ConfineOptions, paths)),
        ("rlimitCount", offset_of!(ConfineOptions, rlimit_count)),
        ("rlimits", offset_of!(ConfineOptions, rlimits)),
        ("bytes", size_of::<ConfineOptions>()),
    ]);
    let report = object(&[
        ("outcome", offset_of!(ConfineReport, outcome)),
        ("landlockAbi", offset_of!(ConfineReport, landlock_abi)),
        ("bytes", size_of::<ConfineReport>()),
    ]);
    format!("\"confineOptions\":{options},\"confineReport\":{report}")
}

fn jobs() -> String {
    let range = object(&[
        ("host", offset_of!(MemoryRange, host)),
        ("offset", offset_of!(MemoryRange, offset)),
        ("size", offset_of!(MemoryRange, size)),
        ("bytes", size_of::<MemoryRange>()),
    ]);
    let part = object(&[
        ("action", offset_of!(JobPart, action)),
        ("flags", offset_of!(JobPart, flags)),
        ("sourceFd", offset_of!(JobPart, source_fd)),
        ("targetFd", offset_of!(JobPart, target_fd)),
        ("sumsFd", offset_of!(JobPart, sums_fd)),
        ("pagemapFd", offset_of!(JobPart, pagemap_fd)),
        ("size", offset_of!(JobPart, size)),
        ("rangeCount", offset_of!(JobPart, range_count)),
        ("ranges", offset_of!(JobPart, ranges)),
        ("bytes", size_of::<JobPart>()),
    ]);
    let report = object(&[
        ("done", offset_of!(JobReport, done)),
        ("written", offset_of!(JobReport, written)),
        ("cloned", offset_of!(JobReport, cloned)),
        ("offset", offset_of!(JobReport, offset)),
        ("part", offset_of!(JobReport, part)),
        ("failure", offset_of!(JobReport, failure)),
        ("errno", offset_of!(JobReport, errno)),
        ("ended", offset_of!(JobReport, ended)),
        ("bytes", size_of::<JobReport>()),
    ]);
    format!("\"memoryRange\":{range},\"jobPart\":{part},\"jobReport\":{report}")
}

fn object(fields: &[(&str, usize)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}
