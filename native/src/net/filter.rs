//! Which frames a card passes on to its driver (virtio 1.3 §5.1.6.5.1 to §5.1.6.5.3).

use super::header::ETHERNET_BYTES;
use crate::errno::{Errno, Result};

pub const ADDRESS_BYTES: usize = 6;
pub const VLAN_WORDS: usize = 64;
const VLAN_TAG: u16 = 0x8100;
/// The most addresses of either kind.
const MAX_ADDRESSES: usize = 1024;

crate::abi_constants! {
    /// Bits of `FilterConfig::flags`.
    pub mod flag as FILTER_FLAG: u32 {
        PROMISCUOUS = 1,
        ALL_MULTICAST = 2,
        ALL_UNICAST = 4,
        NO_MULTICAST = 8,
        NO_UNICAST = 16,
        NO_BROADCAST = 32,
        /// Frames of a VLAN are passed on only if its bit is set.
        VLANS = 64,
    }
}

crate::abi_struct! {
    /// Which frames a card receives, as passed by JavaScript. Its addresses are separate bytes, 6 each, unicast first.
    pub struct FilterConfig {
        /// `filter_flag` bits.
        pub flags: u32,
        pub unicast: u32,
        pub multicast: u32,
        pub reserved: u32,
        /// Bit n % 64 of word n / 64: frames of VLAN n.
        pub vlans: [u64; VLAN_WORDS],
    }
}

type Address = [u8; ADDRESS_BYTES];

pub struct ReceiveFilter {
    flags: u32,
    unicast: Vec<Address>,
    multicast: Vec<Address>,
    vlans: [u64; VLAN_WORDS],
}

impl Default for ReceiveFilter {
    /// All frames.
    fn default() -> ReceiveFilter {
        let vlans = [0; VLAN_WORDS];
        ReceiveFilter { flags: flag::PROMISCUOUS, unicast: Vec::new(), multicast: Vec::new(), vlans }
    }
}

impl ReceiveFilter {
    /// EINVAL if the number of addresses differs from the config, or is too large.
    pub fn new(config: &FilterConfig, addresses: &[u8]) -> Result<ReceiveFilter> {
        let (unicast, multicast) = (config.unicast as usize, config.multicast as usize);
        let count = unicast.checked_add(multicast).ok_or(Errno(libc::EINVAL))?;
        if unicast.max(multicast) > MAX_ADDRESSES || addresses.len() != count * ADDRESS_BYTES {
            return Err(Errno(libc::EINVAL));
        }
        let mut all: Vec<Address> =
            addresses.chunks_exact(ADDRESS_BYTES).filter_map(|address| address.try_into().ok()).collect();
        let multicast = all.split_off(unicast);
        Ok(ReceiveFilter { flags: config.flags, unicast: all, multicast, vlans: config.vlans })
    }

    /// Whether it passes on every frame.
    pub fn passes_all(&self) -> bool {
        self.flags == flag::PROMISCUOUS
    }

    /// Whether to pass on the frame that begins with `start`.
    pub fn passes(&self, start: &[u8]) -> bool {
        let Some(to) = start.first_chunk::<ADDRESS_BYTES>() else { return false };
        if self.flags & flag::VLANS != 0 && !self.passes_vlan(start) {
            return false;
        }
        let has = |bit| self.flags & bit != 0;
        if has(flag::PROMISCUOUS) {
            return true;
        }
        if to == &[0xff; ADDRESS_BYTES] {
            return !has(flag::NO_BROADCAST);
        }
        if to[0] & 1 != 0 {
            return !has(flag::NO_MULTICAST) && (has(flag::ALL_MULTICAST) || self.multicast.contains(to));
        }
        !has(flag::NO_UNICAST) && (has(flag::ALL_UNICAST) || self.unicast.contains(to))
    }

    fn passes_vlan(&self, start: &[u8]) -> bool {
        let Some(header) = start.first_chunk::<{ ETHERNET_BYTES + 2 }>() else { return true };
        if u16::from_be_bytes([header[12], header[13]]) != VLAN_TAG {
            return true;
        }
        let vlan = usize::from(u16::from_be_bytes([header[14], header[15]]) & 0xfff);
        self.vlans[vlan / 64] >> (vlan % 64) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Address = [0x52, 0x54, 0, 1, 2, 3];
    const OTHER: Address = [0x52, 0x54, 0, 9, 9, 9];
    const GROUP: Address = [0x33, 0x33, 0, 0, 0, 1];
    const OTHER_GROUP: Address = [1, 0, 0x5e, 0, 0, 1];
    const ALL: Address = [0xff; 6];

    fn frame(to: Address) -> Vec<u8> {
        [&to[..], &[2; 6], &[8, 0], &[0; 46]].concat()
    }

    fn passed(flags: u32) -> Vec<bool> {
        let config = FilterConfig { flags, unicast: 1, multicast: 1, ..FilterConfig::default() };
        let filter = ReceiveFilter::new(&config, &[OWN, GROUP].concat()).unwrap();
        [OWN, OTHER, GROUP, OTHER_GROUP, ALL].map(|to| filter.passes(&frame(to))).to_vec()
    }

    #[test]
    fn passes_its_own_address_and_configured_ones() {
        assert_eq!(passed(0), [true, false, true, false, true]);
        assert_eq!(passed(flag::PROMISCUOUS), [true; 5]);
        assert_eq!(passed(flag::ALL_MULTICAST), [true, false, true, true, true]);
        assert_eq!(passed(flag::ALL_UNICAST), [true, true, true, false, true]);
        assert_eq!(passed(flag::NO_MULTICAST), [true, false, false, false, true]);
        assert_eq!(passed(flag::NO_UNICAST | flag::ALL_UNICAST), [false, false, true, false, true]);
        assert_eq!(passed(flag::NO_BROADCAST), [true, false, true, false, false]);
    }

    #[test]
    fn passes_only_configured_vlans() {
        let mut config = FilterConfig { flags: flag::PROMISCUOUS | flag::VLANS, ..FilterConfig::default() };
        config.vlans[5 / 64] |= 1 << 5;
        config.vlans[4095 / 64] |= 1 << 63;
        let filter = ReceiveFilter::new(&config, &[]).unwrap();
        let tagged = |vlan: u16| {
            let mut bytes = frame(OTHER);
            bytes.splice(12..12, [0x81, 0]);
            bytes.splice(14..14, (vlan | 0xe000).to_be_bytes());
            bytes
        };
        assert!(filter.passes(&frame(OTHER)));
        assert!([5, 4095].iter().all(|&vlan| filter.passes(&tagged(vlan))));
        assert!([0, 4, 6, 4094].iter().all(|&vlan| !filter.passes(&tagged(vlan))));
        assert!(!filter.passes(&[1, 2, 3]));
    }

    #[test]
    fn invalid_address_counts_are_rejected() {
        let config = |unicast, multicast| FilterConfig { unicast, multicast, ..FilterConfig::default() };
        assert!(ReceiveFilter::new(&config(1, 1), &[0; 11]).is_err());
        assert!(ReceiveFilter::new(&config(u32::MAX, u32::MAX), &[]).is_err());
        assert!(ReceiveFilter::new(&config(1025, 0), &[0; 6 * 1025]).is_err());
        assert!(ReceiveFilter::default().passes_all());
    }
}
