//! The program's arguments: words `key=value`, as `src/vmm/backends/net/user-network.ts` writes them. Names and
//! meanings are those of QEMU's `-netdev user`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// MTUs that Linux allows for an Ethernet interface, up to what the stack's buffers hold
/// (IF_MTU_MAX of libslirp's if.h).
const MTU: std::ops::RangeInclusive<usize> = 576..=65_520;

pub struct Options {
    /// One end of a pair of SOCK_SEQPACKET sockets, with one frame per message.
    pub fd: i32,
    /// Receives the outcome of the start.
    pub report_fd: i32,
    /// A stream that frames are relayed to, in place of a libslirp network; -1 for none.
    pub relay_fd: i32,
    /// Memory that carries the frames in place of the sockets, which are then used for wake-ups
    /// (frame_ring.rs); -1 for none.
    pub memory_fd: i32,
    /// The eventfd that signals room in it to the machine.
    pub room_fd: i32,
    pub mtu: usize,
    pub restrict: bool,
    pub ipv4: bool,
    pub ipv6: bool,
    pub net: Net4,
    pub host: Option<Ipv4Addr>,
    pub dhcp_start: Option<Ipv4Addr>,
    pub dns: Option<Ipv4Addr>,
    pub net6: Net6,
    pub host6: Option<Ipv6Addr>,
    pub dns6: Option<Ipv6Addr>,
    pub hostname: Option<String>,
    pub domain: Option<String>,
    pub search: Vec<String>,
    /// The folder that TFTP serves.
    pub tftp: Option<String>,
    pub tftp_server_name: Option<String>,
    pub bootfile: Option<String>,
    pub host_forwards: Vec<HostForward>,
    pub guest_forwards: Vec<GuestForward>,
    /// The user to change to, with the group of the same number.
    pub uid: Option<u32>,
    pub confined: bool,
}

/// A network: its address and prefix length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Net4(pub Ipv4Addr, pub u8);
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Net6(pub Ipv6Addr, pub u8);

#[derive(Clone, Debug, PartialEq)]
pub enum Listen {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    Unix(String),
}

/// What reaches the host's address is forwarded to the guest.
#[derive(Clone, Debug, PartialEq)]
pub struct HostForward {
    pub listen: Listen,
    /// If unspecified, the first address that DHCP assigns.
    pub guest: SocketAddr,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Tcp(SocketAddr),
    Unix(String),
    /// A shell command, run once per connection, which is its standard input and output.
    Command(String),
}

/// What the guest sends to an address of its network is forwarded to `target`.
#[derive(Clone, Debug, PartialEq)]
pub struct GuestForward {
    /// If unspecified, the network's .2.4.
    pub address: Ipv4Addr,
    pub port: u16,
    pub target: Target,
}

impl Options {
    /// Fails with the invalid word and the reason.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options::default();
        for word in words {
            let (key, value) = word.split_once('=').ok_or_else(|| format!("{word}: want key=value"))?;
            options.set(key, value).map_err(|problem| format!("{key}={value}: {problem}"))?;
        }
        options.check()?;
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        match key {
            // For people who read the process list.
            "vm" => {}
            "fd" => self.fd = number(value)?,
            "report" => self.report_fd = number(value)?,
            "relay" => self.relay_fd = number(value)?,
            "memory" => self.memory_fd = number(value)?,
            "room" => self.room_fd = number(value)?,
            "mtu" => self.mtu = number(value)?,
            "restrict" => self.restrict = flag(value)?,
            "ipv4" => self.ipv4 = flag(value)?,
            "ipv6" => self.ipv6 = flag(value)?,
            "net" => self.net = prefixed(value).map(|(address, bits)| Net4(address, bits))?,
            "host" => self.host = Some(address(value)?),
            "dhcpstart" => self.dhcp_start = Some(address(value)?),
            "dns" => self.dns = Some(address(value)?),
            "ipv6-net" => self.net6 = prefixed(value).map(|(address, bits)| Net6(address, bits))?,
            "ipv6-host" => self.host6 = Some(address(value)?),
            "ipv6-dns" => self.dns6 = Some(address(value)?),
            "hostname" => self.hostname = text(value)?,
            "domainname" => self.domain = text(value)?,
            "dnssearch" => self.search.extend(text(value)?),
            "tftp" => self.tftp = text(value)?,
            "tftp-server-name" => self.tftp_server_name = text(value)?,
            "bootfile" => self.bootfile = text(value)?,
            "hostfwd" => self.host_forwards.push(host_forward(value)?),
            "guestfwd" => self.guest_forwards.push(guest_forward(value)?),
            "uid" => self.uid = Some(number(value)?),
            "confine" => self.confined = flag(value)?,
            _ => return Err("there is no such key"),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.fd < 0 || self.report_fd < 0 {
            return Err("fd and report must be given".into());
        }
        if !MTU.contains(&self.mtu) {
            return Err(format!("mtu: want {} to {}", MTU.start(), MTU.end()));
        }
        if !self.ipv4 && !self.ipv6 {
            return Err("ipv4 and ipv6 cannot both be off".into());
        }
        // libslirp needs the host, the name server and the first DHCP address in its own
        // network, and 15 addresses for DHCP.
        if self.net.1 > 29 || self.net.1 < 8 {
            return Err("net: want a prefix of 8 to 29 bits".into());
        }
        if self.net6.1 > 126 || self.net6.1 < 1 {
            return Err("ipv6-net: want a prefix of 1 to 126 bits".into());
        }
        Ok(())
    }

    pub fn host(&self) -> Ipv4Addr {
        self.host.unwrap_or_else(|| self.net.at(0x0202))
    }

    pub fn dns(&self) -> Ipv4Addr {
        self.dns.unwrap_or_else(|| self.net.at(0x0203))
    }

    pub fn dhcp_start(&self) -> Ipv4Addr {
        self.dhcp_start.unwrap_or_else(|| self.net.at(0x020f))
    }

    pub fn host6(&self) -> Ipv6Addr {
        self.host6.unwrap_or_else(|| self.net6.at(2))
    }

    pub fn dns6(&self) -> Ipv6Addr {
        self.dns6.unwrap_or_else(|| self.net6.at(3))
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            fd: -1,
            report_fd: -1,
            relay_fd: -1,
            memory_fd: -1,
            room_fd: -1,
            mtu: 1500,
            restrict: false,
            ipv4: true,
            ipv6: true,
            net: Net4(Ipv4Addr::new(10, 0, 2, 0), 24),
            host: None,
            dhcp_start: None,
            dns: None,
            net6: Net6(Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 64),
            host6: None,
            dns6: None,
            hostname: None,
            domain: None,
            search: Vec::new(),
            tftp: None,
            tftp_server_name: None,
            bootfile: None,
            host_forwards: Vec::new(),
            guest_forwards: Vec::new(),
            uid: None,
            confined: true,
        }
    }
}

impl Net4 {
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX << (32 - u32::from(self.1)))
    }

    /// Its first address.
    pub fn base(self) -> Ipv4Addr {
        self.0 & self.mask()
    }

    /// The address in this network with the host part of `host`, as far as it fits.
    fn at(self, host: u32) -> Ipv4Addr {
        self.base() | (Ipv4Addr::from_bits(host) & !self.mask())
    }
}

impl Net6 {
    pub fn base(self) -> Ipv6Addr {
        self.0 & Ipv6Addr::from_bits(u128::MAX << (128 - u32::from(self.1)))
    }

    fn at(self, host: u128) -> Ipv6Addr {
        self.base() | Ipv6Addr::from_bits(host)
    }
}

fn number<T: FromStr>(value: &str) -> Result<T, &'static str> {
    value.parse().map_err(|_| "not a number, or one out of range")
}

fn flag(value: &str) -> Result<bool, &'static str> {
    match value {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err("want 0 or 1"),
    }
}

fn address<T: FromStr>(value: &str) -> Result<T, &'static str> {
    value.parse().map_err(|_| "not an address")
}

fn prefixed<T: FromStr>(value: &str) -> Result<(T, u8), &'static str> {
    let (base, bits) = value.split_once('/').ok_or("want ADDRESS/BITS")?;
    Ok((address(base)?, number(bits)?))
}

/// C strings: an argument cannot contain a NUL.
fn text(value: &str) -> Result<Option<String>, &'static str> {
    if value.is_empty() { Err("it is empty") } else { Ok(Some(value.into())) }
}

/// `tcp,ADDRESS,PORT,GUEST,PORT` or `unix,GUEST,PORT,PATH`
fn host_forward(value: &str) -> Result<HostForward, &'static str> {
    const WANT: &str = "want tcp,ADDRESS,PORT,GUEST,PORT or unix,GUEST,PORT,PATH";
    let (kind, rest) = value.split_once(',').ok_or(WANT)?;
    if kind == "unix" {
        let [guest, port, path] = *rest.splitn(3, ',').collect::<Vec<_>>() else { return Err(WANT) };
        let guest = SocketAddr::new(address(guest)?, number(port)?);
        return Ok(HostForward { listen: Listen::Unix(path.into()), guest });
    }
    let [host, host_port, guest, guest_port] = *rest.split(',').collect::<Vec<_>>() else { return Err(WANT) };
    let host = SocketAddr::new(address(host)?, number(host_port)?);
    let guest = SocketAddr::new(address(guest)?, number(guest_port)?);
    if host.is_ipv4() != guest.is_ipv4() {
        return Err("both addresses must be of one family");
    }
    let listen = match kind {
        "tcp" => Listen::Tcp(host),
        "udp" => Listen::Udp(host),
        _ => return Err(WANT),
    };
    Ok(HostForward { listen, guest })
}

/// `ADDRESS,PORT,tcp,ADDRESS,PORT`, `ADDRESS,PORT,unix,PATH` or `ADDRESS,PORT,command,COMMAND`
fn guest_forward(value: &str) -> Result<GuestForward, &'static str> {
    const WANT: &str = "want ADDRESS,PORT and tcp,ADDRESS,PORT, unix,PATH or command,COMMAND";
    let [guest, port, kind, rest] = *value.splitn(4, ',').collect::<Vec<_>>() else { return Err(WANT) };
    let target = match kind {
        "tcp" => {
            let (to, port) = rest.rsplit_once(',').ok_or(WANT)?;
            Target::Tcp(SocketAddr::new(address(to)?, number(port)?))
        }
        "unix" => Target::Unix(rest.into()),
        "command" => Target::Command(rest.into()),
        _ => return Err(WANT),
    };
    Ok(GuestForward { address: address(guest)?, port: number(port)?, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options, String> {
        Options::parse(format!("fd=3 report=4 {words}").split_whitespace().map(String::from))
    }

    #[test]
    fn missing_addresses_are_derived_from_the_network() {
        let options = parse("").unwrap();
        assert_eq!(options.host(), Ipv4Addr::new(10, 0, 2, 2));
        assert_eq!(options.dns(), Ipv4Addr::new(10, 0, 2, 3));
        assert_eq!(options.dhcp_start(), Ipv4Addr::new(10, 0, 2, 15));
        assert_eq!(options.host6().to_string(), "fec0::2");
        let wide = parse("net=172.16.9.9/16 ipv6-net=fd00:1::5/64").unwrap();
        assert_eq!(wide.host(), Ipv4Addr::new(172, 16, 2, 2));
        assert_eq!(wide.net.base(), Ipv4Addr::new(172, 16, 0, 0));
        assert_eq!(wide.dns6().to_string(), "fd00:1::3");
    }

    #[test]
    fn forwards_are_parsed() {
        let options = parse(
            "hostfwd=udp,::1,53,fec0::15,53 hostfwd=unix,0.0.0.0,22,/run/a,b guestfwd=10.0.2.100,80,command,cat,-n",
        )
        .unwrap();
        let [udp, unix] = options.host_forwards.as_slice() else { panic!("two") };
        assert_eq!(udp.listen, Listen::Udp("[::1]:53".parse().unwrap()));
        assert_eq!(unix.listen, Listen::Unix("/run/a,b".into()));
        assert_eq!(options.guest_forwards[0].target, Target::Command("cat,-n".into()));
    }

    #[test]
    fn errors_name_the_option() {
        for (words, named) in [
            ("mtu=70000", "mtu"),
            ("ipv4=0 ipv6=0", "ipv4"),
            ("net=10.0.2.0/30", "net"),
            ("net=10.0.2.0", "net"),
            ("hostfwd=tcp,127.0.0.1,99999,0.0.0.0,1", "hostfwd"),
            ("hostfwd=tcp,::1,1,0.0.0.0,1", "hostfwd"),
            ("guestfwd=10.0.2.100,80,file,x", "guestfwd"),
            ("smb=/", "smb"),
        ] {
            assert!(parse(words).err().unwrap().starts_with(named), "{words}");
        }
    }
}
