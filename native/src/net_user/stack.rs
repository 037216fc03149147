//! An instance of libslirp's stack, with its callbacks: frames to the machine, the clock, timers,
//! and the sockets to wait for.

use super::frames::{Incoming, Machine, Outgoing};
use super::library::{
    self, AddPoll, Callbacks, Config, HandleTimer, In4, In6, Library, Stack as Opaque, TimerCallback,
};
use super::options::Options;
use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;
use std::time::Duration;

/// Library interfaces to try, the newest first. The oldest is libslirp 4.0's; features that it lacks are off.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=4;

pub struct Stack {
    library: Library,
    raw: *mut Opaque,
    context: Box<Context>,
    handle_timer: Option<HandleTimer>,
}

/// The state that callbacks use: on one thread, at any depth of calls.
struct Context {
    outgoing: RefCell<Outgoing>,
    timers: RefCell<Vec<Timer>>,
    poll: RefCell<Vec<libc::pollfd>>,
    /// Host sockets are not read while the machine takes no frames.
    blocked: Cell<bool>,
}

#[derive(Clone, Copy)]
struct Timer {
    notify: Notify,
    argument: *mut c_void,
    /// In milliseconds; None while stopped.
    expires: Option<i64>,
}

#[derive(Clone, Copy)]
enum Notify {
    ById(c_int),
    ByCall(TimerCallback),
}

static CALLBACKS: Callbacks = Callbacks {
    send_packet,
    guest_error,
    clock_get_ns,
    timer_new,
    timer_free,
    timer_mod,
    register_poll_fd: ignore_fd,
    unregister_poll_fd: ignore_fd,
    notify,
    init_completed,
    timer_new_opaque,
};

/// The strings that a configuration points to.
struct Texts {
    hostname: Option<CString>,
    domain: Option<CString>,
    tftp: Option<CString>,
    tftp_server_name: Option<CString>,
    bootfile: Option<CString>,
    search: Vec<CString>,
}

impl Stack {
    /// `tftp`: the folder's path, as the confined process sees it.
    pub fn new(library: Library, options: &Options, tftp: Option<&str>, machine: &Machine) -> Option<Stack> {
        let c = |text: Option<&str>| text.and_then(|text| CString::new(text).ok());
        let texts = Texts {
            hostname: c(options.hostname.as_deref()),
            domain: c(options.domain.as_deref()),
            tftp: c(tftp),
            tftp_server_name: c(options.tftp_server_name.as_deref()),
            bootfile: c(options.bootfile.as_deref()),
            search: options.search.iter().filter_map(|name| c(Some(name))).collect(),
        };
        let search: Vec<*const c_char> =
            texts.search.iter().map(|name| name.as_ptr()).chain([ptr::null()]).collect();
        let context = Box::new(Context {
            outgoing: RefCell::new(Outgoing::to_machine(machine)),
            timers: RefCell::default(),
            poll: RefCell::default(),
            blocked: Cell::new(false),
        });
        let mut config = configuration(options, &texts, &search);
        for version in VERSIONS.rev() {
            config.version = version;
            // SAFETY: the library copies configuration and texts; callbacks and context outlive the stack.
            let raw = unsafe { (library.new)(&raw const config, &raw const CALLBACKS, opaque(&context)) };
            if !raw.is_null() {
                let handle_timer = library.timer_handler();
                return Some(Stack { library, raw, context, handle_timer });
            }
        }
        None
    }

    pub fn input(&self, frame: &[u8]) {
        // SAFETY: reads the frame.
        unsafe { (self.library.input)(self.raw, frame.as_ptr(), frame.len() as c_int) };
    }

    pub fn flush(&self) {
        self.context.outgoing.borrow_mut().flush();
    }

    /// Waits until a frame arrives, one of the stack's sockets is ready or a timer expires, and serves the sockets and
    /// timers. Returns whether there may be frames, and the events of the machine's socket, `frames`.
    pub fn wait(&self, frames: RawFd, incoming: &mut Incoming) -> (bool, i16) {
        let context = &*self.context;
        context.blocked.set(!context.outgoing.borrow().is_empty());
        let wanted = libc::POLLIN | context.outgoing.borrow().events();
        {
            let mut poll = context.poll.borrow_mut();
            poll.clear();
            poll.push(libc::pollfd { fd: frames, events: wanted, revents: 0 });
        }
        let mut timeout = self.until_timer();
        // SAFETY: the callback gets the context.
        unsafe {
            (self.library.pollfds_fill)(self.raw, &raw mut timeout, add_poll as AddPoll, self.opaque())
        };
        if !incoming.sleep() {
            timeout = 0;
        }
        let failed = {
            let mut poll = context.poll.borrow_mut();
            // SAFETY: as many entries as there are.
            let ready = unsafe {
                libc::poll(poll.as_mut_ptr(), poll.len() as u64, c_int::try_from(timeout).unwrap_or(-1))
            };
            c_int::from(ready < 0)
        };
        let events = if failed == 0 { context.poll.borrow()[0].revents } else { 0 };
        let has_frames = incoming.rise(events);
        // SAFETY: as above.
        unsafe { (self.library.pollfds_poll)(self.raw, failed, get_events, self.opaque()) };
        self.run_timers();
        (has_frames, events)
    }

    /// Fails with an errno.
    pub fn forward(&self, udp: bool, host: &SocketName, guest: &SocketName) -> Result<(), i32> {
        let flags = if udp { library::FORWARD_UDP } else { 0 };
        // SAFETY: both addresses have the lengths given.
        let result = unsafe {
            (self.library.add_hostxfwd)(self.raw, host.pointer(), host.len, guest.pointer(), guest.len, flags)
        };
        if result == 0 {
            return Ok(());
        }
        Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL))
    }

    /// Connects the guest's connections to this address to a socket at `path`, opened once per connection. False if the
    /// address is outside the network, or taken.
    pub fn forward_to_socket(&self, address: std::net::Ipv4Addr, port: u16, path: &std::ffi::CStr) -> bool {
        let mut address = In4(address.octets());
        // SAFETY: the library copies the path.
        unsafe { (self.library.add_unix)(self.raw, path.as_ptr(), &raw mut address, c_int::from(port)) == 0 }
    }

    fn opaque(&self) -> *mut c_void {
        opaque(&self.context)
    }

    fn until_timer(&self) -> u32 {
        let now = now_ms();
        let timers = self.context.timers.borrow();
        let next = timers.iter().filter_map(|timer| timer.expires).min();
        next.map_or(u32::MAX, |at| u32::try_from((at - now).max(0)).unwrap_or(u32::MAX))
    }

    fn run_timers(&self) {
        let now = now_ms();
        let expired: Vec<Timer> = self
            .context
            .timers
            .borrow_mut()
            .iter_mut()
            .filter(|timer| timer.expires.is_some_and(|at| at <= now))
            .map(|timer| Timer { expires: timer.expires.take(), ..*timer })
            .collect();
        for Timer { notify, argument, .. } in expired {
            match (notify, self.handle_timer) {
                // SAFETY: the library's own callback and argument.
                (Notify::ByCall(call), _) => call(argument),
                // SAFETY: the timer's id and argument, as the library gave them.
                (Notify::ById(id), Some(handle)) => unsafe { handle(self.raw, id, argument) },
                (Notify::ById(_), None) => {}
            }
        }
    }
}

fn configuration(options: &Options, texts: &Texts, search: &[*const c_char]) -> Config {
    let pointer = |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    Config {
        version: 0,
        restricted: c_int::from(options.restrict),
        in_enabled: options.ipv4,
        vnetwork: In4(options.net.base().octets()),
        vnetmask: In4(options.net.mask().octets()),
        vhost: In4(options.host().octets()),
        in6_enabled: options.ipv6,
        vprefix_addr6: In6(options.net6.base().octets()),
        vprefix_len: options.net6.1,
        vhost6: In6(options.host6().octets()),
        vhostname: pointer(&texts.hostname),
        tftp_server_name: pointer(&texts.tftp_server_name),
        tftp_path: pointer(&texts.tftp),
        bootfile: pointer(&texts.bootfile),
        vdhcp_start: In4(options.dhcp_start().octets()),
        vnameserver: In4(options.dns().octets()),
        vnameserver6: In6(options.dns6().octets()),
        vdnssearch: if texts.search.is_empty() { ptr::null() } else { search.as_ptr() },
        vdomainname: pointer(&texts.domain),
        if_mtu: options.mtu,
        if_mru: options.mtu,
        disable_host_loopback: false,
        enable_emu: false,
        outbound_addr: ptr::null(),
        outbound_addr6: ptr::null(),
        disable_dns: false,
        disable_dhcp: false,
    }
}

/// A struct sockaddr of any family.
pub struct SocketName {
    storage: libc::sockaddr_storage,
    pub len: u32,
}

impl SocketName {
    fn pointer(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    /// # Safety
    /// A `T` is the struct sockaddr of its family.
    unsafe fn of<T>(name: T) -> SocketName {
        // SAFETY: plain data; storage is large enough for every family.
        let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        unsafe { (&raw mut storage).cast::<T>().write(name) };
        SocketName { storage, len: size_of::<T>() as u32 }
    }

    /// None if the path is too long.
    pub fn unix(path: &str) -> Option<SocketName> {
        // SAFETY: plain data.
        let mut name: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        name.sun_family = libc::AF_UNIX as u16;
        if path.len() >= name.sun_path.len() {
            return None;
        }
        for (to, from) in name.sun_path.iter_mut().zip(path.bytes()) {
            *to = from as c_char;
        }
        // SAFETY: it is a sockaddr_un.
        Some(unsafe { SocketName::of(name) })
    }
}

impl From<std::net::SocketAddr> for SocketName {
    fn from(address: std::net::SocketAddr) -> SocketName {
        match address {
            std::net::SocketAddr::V4(v4) => {
                // SAFETY: plain data.
                let mut name: libc::sockaddr_in = unsafe { std::mem::zeroed() };
                name.sin_family = libc::AF_INET as u16;
                name.sin_port = v4.port().to_be();
                name.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                // SAFETY: it is a sockaddr_in.
                unsafe { SocketName::of(name) }
            }
            std::net::SocketAddr::V6(v6) => {
                // SAFETY: plain data.
                let mut name: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
                name.sin6_family = libc::AF_INET6 as u16;
                name.sin6_port = v6.port().to_be();
                name.sin6_addr.s6_addr = v6.ip().octets();
                // SAFETY: it is a sockaddr_in6.
                unsafe { SocketName::of(name) }
            }
        }
    }
}

fn opaque(context: &Context) -> *mut c_void {
    ptr::from_ref(context).cast_mut().cast()
}

/// # Safety
/// `opaque` was made by `opaque`, from a context that still exists.
unsafe fn context<'a>(opaque: *mut c_void) -> &'a Context {
    // SAFETY: the caller's promise.
    unsafe { &*opaque.cast::<Context>() }
}

pub fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes a timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn now_ms() -> i64 {
    now().as_millis() as i64
}

extern "C" fn send_packet(frame: *const c_void, length: usize, opaque: *mut c_void) -> isize {
    // SAFETY: the library passes its `opaque`, and a frame of that length.
    let (context, frame) =
        unsafe { (context(opaque), std::slice::from_raw_parts(frame.cast::<u8>(), length)) };
    context.outgoing.borrow_mut().push(frame);
    length as isize
}

/// A guest may send what it likes: not worth a log line per packet.
extern "C" fn guest_error(_: *const c_char, _: *mut c_void) {}

extern "C" fn clock_get_ns(_: *mut c_void) -> i64 {
    now().as_nanos() as i64
}

fn add_timer(context: &Context, notify: Notify, argument: *mut c_void) -> *mut c_void {
    let mut timers = context.timers.borrow_mut();
    timers.push(Timer { notify, argument, expires: None });
    ptr::without_provenance_mut(timers.len())
}

extern "C" fn timer_new(callback: TimerCallback, argument: *mut c_void, opaque: *mut c_void) -> *mut c_void {
    // SAFETY: the library passes its `opaque`.
    add_timer(unsafe { context(opaque) }, Notify::ByCall(callback), argument)
}

extern "C" fn timer_new_opaque(id: c_int, argument: *mut c_void, opaque: *mut c_void) -> *mut c_void {
    // SAFETY: the library passes its `opaque`.
    add_timer(unsafe { context(opaque) }, Notify::ById(id), argument)
}

fn set_timer(timer: *mut c_void, opaque: *mut c_void, expires: Option<i64>) {
    // SAFETY: the library passes its `opaque`.
    let mut timers = unsafe { context(opaque) }.timers.borrow_mut();
    if let Some(timer) = timers.get_mut(timer.addr().wrapping_sub(1)) {
        timer.expires = expires;
    }
}

extern "C" fn timer_free(timer: *mut c_void, opaque: *mut c_void) {
    set_timer(timer, opaque, None);
}

extern "C" fn timer_mod(timer: *mut c_void, expires: i64, opaque: *mut c_void) {
    set_timer(timer, opaque, Some(expires));
}

extern "C" fn ignore_fd(_: c_int, _: *mut c_void) {}

/// Nothing to do: the loop checks everything each time it wakes up.
extern "C" fn notify(_: *mut c_void) {}

extern "C" fn init_completed(_: *mut Opaque, _: *mut c_void) {}

/// Events of the library and of poll(2).
const EVENTS: [(c_int, i16); 5] = [
    (library::POLL_IN, libc::POLLIN),
    (library::POLL_OUT, libc::POLLOUT),
    (library::POLL_PRI, libc::POLLPRI),
    (library::POLL_ERR, libc::POLLERR),
    (library::POLL_HUP, libc::POLLHUP),
];

extern "C" fn add_poll(fd: c_int, wanted: c_int, opaque: *mut c_void) -> c_int {
    // SAFETY: the library passes the context.
    let context = unsafe { context(opaque) };
    if context.blocked.get() {
        return -1;
    }
    let events =
        EVENTS.iter().filter(|(theirs, _)| wanted & theirs != 0).fold(0, |all, (_, ours)| all | ours);
    let mut poll = context.poll.borrow_mut();
    poll.push(libc::pollfd { fd, events, revents: 0 });
    poll.len() as c_int - 1
}

extern "C" fn get_events(index: c_int, opaque: *mut c_void) -> c_int {
    // SAFETY: the library passes the context.
    let poll = unsafe { context(opaque) }.poll.borrow();
    let events =
        usize::try_from(index).ok().and_then(|index| poll.get(index)).map_or(0, |entry| entry.revents);
    EVENTS.iter().filter(|(_, ours)| events & ours != 0).fold(0, |all, (theirs, _)| all | theirs)
}
