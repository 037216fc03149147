//! Versions and layouts that JavaScript and this library must agree on.

use crate::abi::Described;
use crate::balloon::{BalloonConfig, balloon_role};
use crate::blk::BlkConfig;
use crate::confine::rlimits::Rlimit;
use crate::confine::{ConfineOptions, ConfineReport};
use crate::counters::{header, queue, vcpu, vcpu_state};
use crate::event::{Event, WaitPage, kind};
use crate::image::{ChainFile, DiskErrors, access, error_action};
use crate::limiter::RateLimits;
use crate::memory::Region;
use crate::net::{FilterConfig, NetConfig, WireConfig, filter_flag};
use crate::queue_abi::{ImageConfig, image_flag};
use crate::queue_thread::{QueueConfig, QueueProgress};
use crate::rng::RngConfig;
use crate::scsi::abi::{ScsiUnitConfig, ScsiUnitState, scsi_queue, scsi_unit_flag, scsi_unit_state};
use crate::snapshot::abi::{JobPart, JobReport, MemoryRange};
use crate::spawn::request::{SpawnOptions, SpawnReport};
use std::ffi::{CStr, CString};
use std::sync::OnceLock;

pub const ABI_VERSION: u32 = 21;

/// The version of vring that this library was built for: JavaScript of another version refuses it.
pub const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("no NUL in a version"),
    };

/// Everything that crosses the ABI except the functions, as JSON. A struct follows the structs that it contains.
/// NUL-terminated, and unchanged while the library is loaded.
pub fn json() -> &'static CString {
    static JSON: OnceLock<CString> = OnceLock::new();
    JSON.get_or_init(|| CString::new(text()).expect("no NUL in the layout"))
}

fn text() -> String {
    let structs = [
        Event::json(),
        WaitPage::json(),
        Region::json(),
        QueueConfig::json(),
        QueueProgress::json(),
        BlkConfig::json(),
        RngConfig::json(),
        ScsiUnitConfig::json(),
        ScsiUnitState::json(),
        NetConfig::json(),
        WireConfig::json(),
        FilterConfig::json(),
        BalloonConfig::json(),
        ImageConfig::json(),
        ChainFile::json(),
        RateLimits::json(),
        DiskErrors::json(),
        Rlimit::json(),
        SpawnOptions::json(),
        SpawnReport::json(),
        ConfineOptions::json(),
        ConfineReport::json(),
        MemoryRange::json(),
        JobPart::json(),
        JobReport::json(),
    ];
    let constants = [
        kind::json(),
        balloon_role::json(),
        image_flag::json(),
        access::json(),
        scsi_unit_flag::json(),
        scsi_unit_state::json(),
        scsi_queue::json(),
        filter_flag::json(),
        error_action::json(),
        header::json(),
        vcpu::json(),
        vcpu_state::json(),
        queue::json(),
    ];
    format!(
        "{{\"abiVersion\":{ABI_VERSION},\"structs\":[{}],\"constants\":[{}]}}",
        structs.join(","),
        constants.join(",")
    )
}
