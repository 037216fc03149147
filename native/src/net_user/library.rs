//! libslirp's functions and structures (libslirp.h, interface 4), loaded at run time.

use std::ffi::{CStr, c_char, c_int, c_void};

pub const NAME: &CStr = c"libslirp.so.0";

/// Slirp: an instance of the stack.
pub enum Stack {}

pub const POLL_IN: c_int = 1;
pub const POLL_OUT: c_int = 2;
pub const POLL_PRI: c_int = 4;
pub const POLL_ERR: c_int = 8;
pub const POLL_HUP: c_int = 16;

/// SLIRP_HOSTFWD_UDP.
pub const FORWARD_UDP: c_int = 1;

pub type TimerCallback = extern "C" fn(*mut c_void);
pub type AddPoll = extern "C" fn(c_int, c_int, *mut c_void) -> c_int;
pub type GetEvents = extern "C" fn(c_int, *mut c_void) -> c_int;

/// SlirpCb. All functions take the stack's `opaque` as their last argument.
#[repr(C)]
pub struct Callbacks {
    pub send_packet: extern "C" fn(*const c_void, usize, *mut c_void) -> isize,
    pub guest_error: extern "C" fn(*const c_char, *mut c_void),
    /// Nanoseconds.
    pub clock_get_ns: extern "C" fn(*mut c_void) -> i64,
    pub timer_new: extern "C" fn(TimerCallback, *mut c_void, *mut c_void) -> *mut c_void,
    pub timer_free: extern "C" fn(*mut c_void, *mut c_void),
    /// Milliseconds of the same clock.
    pub timer_mod: extern "C" fn(*mut c_void, i64, *mut c_void),
    pub register_poll_fd: extern "C" fn(c_int, *mut c_void),
    pub unregister_poll_fd: extern "C" fn(c_int, *mut c_void),
    pub notify: extern "C" fn(*mut c_void),
    /// Since interface 4.
    pub init_completed: extern "C" fn(*mut Stack, *mut c_void),
    pub timer_new_opaque: extern "C" fn(c_int, *mut c_void, *mut c_void) -> *mut c_void,
}

/// struct in_addr, in network byte order.
#[repr(C, align(4))]
#[derive(Clone, Copy)]
pub struct In4(pub [u8; 4]);

/// struct in6_addr, in network byte order.
#[repr(C, align(4))]
#[derive(Clone, Copy)]
pub struct In6(pub [u8; 16]);

/// SlirpConfig.
#[repr(C)]
pub struct Config {
    pub version: u32,
    pub restricted: c_int,
    pub in_enabled: bool,
    pub vnetwork: In4,
    pub vnetmask: In4,
    pub vhost: In4,
    pub in6_enabled: bool,
    pub vprefix_addr6: In6,
    pub vprefix_len: u8,
    pub vhost6: In6,
    pub vhostname: *const c_char,
    pub tftp_server_name: *const c_char,
    pub tftp_path: *const c_char,
    pub bootfile: *const c_char,
    pub vdhcp_start: In4,
    pub vnameserver: In4,
    pub vnameserver6: In6,
    pub vdnssearch: *const *const c_char,
    pub vdomainname: *const c_char,
    pub if_mtu: usize,
    pub if_mru: usize,
    pub disable_host_loopback: bool,
    pub enable_emu: bool,
    pub outbound_addr: *const c_void,
    pub outbound_addr6: *const c_void,
    pub disable_dns: bool,
    pub disable_dhcp: bool,
}

macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        pub struct Library {
            $(pub $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Library {
            /// Loads the library for the lifetime of the process. Fails with the linker's message.
            pub fn load() -> Result<Library, String> {
                // SAFETY: a NUL-terminated name, of a library whose constructors only set themselves up.
                let handle = unsafe { libc::dlopen(NAME.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
                if handle.is_null() {
                    return Err(linker_error());
                }
                Ok(Library {
                    $($name: {
                        let name = concat!("slirp_", stringify!($name), "\0");
                        // SAFETY: an open library, and a NUL-terminated name.
                        let address = unsafe { libc::dlsym(handle, name.as_ptr().cast()) };
                        if address.is_null() {
                            return Err(linker_error());
                        }
                        // SAFETY: the type matches the declaration in libslirp.h.
                        unsafe {
                            std::mem::transmute::<
                                *mut c_void,
                                unsafe extern "C" fn($($argument),*) $(-> $result)?,
                            >(address)
                        }
                    },)*
                })
            }
        }
    };
}

functions! {
    new: fn(*const Config, *const Callbacks, *mut c_void) -> *mut Stack;
    pollfds_fill: fn(*mut Stack, *mut u32, AddPoll, *mut c_void);
    pollfds_poll: fn(*mut Stack, c_int, GetEvents, *mut c_void);
    input: fn(*mut Stack, *const u8, c_int);
    add_hostxfwd: fn(*mut Stack, *const libc::sockaddr, u32, *const libc::sockaddr, u32, c_int) -> c_int;
    add_unix: fn(*mut Stack, *const c_char, *mut In4, c_int) -> c_int;
}

/// slirp_handle_timer.
pub type HandleTimer = unsafe extern "C" fn(*mut Stack, c_int, *mut c_void);

impl Library {
    /// None in libraries before interface 4.
    pub fn timer_handler(&self) -> Option<HandleTimer> {
        // SAFETY: a NUL-terminated name, looked up in what is loaded; the type matches libslirp.h.
        unsafe {
            let library = libc::dlopen(NAME.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD);
            let address = libc::dlsym(library, c"slirp_handle_timer".as_ptr());
            (!address.is_null()).then(|| std::mem::transmute::<*mut c_void, HandleTimer>(address))
        }
    }
}

fn linker_error() -> String {
    // SAFETY: dlerror returns null or a text that is valid until the next call.
    unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            "an unknown reason".into()
        } else {
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }
}
