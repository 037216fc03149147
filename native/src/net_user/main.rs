//! `vring-net-user`: the user-mode network of one network card, or a relay of its frames to passt. libslirp turns what
//! the guest sends into connections of this process to the host's network. It is a separate process because it parses
//! the guest's packets and has network access, and the machine's process does neither. Its only connection to the
//! machine is one end of a pair of SOCK_SEQPACKET sockets, and memory for frames if the card is served by threads. It
//! ends when the other end is closed.
//!
//! It writes one line to its report fd when it has started, or failed to: `ready`, with the unavailable layers and
//! their errnos (`ready landlock:95`), or `failed WHAT ...`.

// Shared with the library, which uses more of it.
#[allow(dead_code)]
#[path = "../errno.rs"]
mod errno;
#[allow(dead_code)]
#[path = "../frame_ring.rs"]
mod frame_ring;
#[allow(dead_code)]
#[path = "../spawn"]
mod spawn {
    pub mod sys;
}
#[allow(dead_code)]
#[path = "../confine"]
mod confine {
    pub mod bpf;
    pub mod capabilities;
    pub mod credentials;
    pub mod landlock;
    pub mod root;
}

#[path = "confine.rs"]
mod confinement;
mod forward;
mod fragments;
mod frames;
mod library;
mod options;
mod relay;
mod root;
mod stack;

use errno::Errno;
use fragments::{Fragments, Passed};
use frames::{Incoming, Machine, Received};
use options::Options;
use relay::Relay;
use stack::Stack;
use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;
use std::process::ExitCode;

/// Batches of frames to take before the host's sockets have their turn.
const BATCHES: usize = 8;
/// Bytes of each socket's buffer; the kernel allows less unless this is root.
static SOCKET_BUFFER: i32 = 4 << 20;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("vring-net-user: {problem}");
            return ExitCode::from(2);
        }
    };
    // SAFETY: the fd was given to this process for its report, and nothing else uses it.
    let mut report = unsafe { File::from_raw_fd(options.report_fd) };
    let started =
        Machine::of(&options).map_err(|Errno(errno)| format!("memory {errno}")).and_then(|machine| {
            if options.relay_fd < 0 {
                start(&options, &machine).map(|(stack, missing)| (machine, Some(stack), missing))
            } else {
                start_relay(&options).map(|missing| (machine, None, missing))
            }
        });
    match started {
        Ok((machine, stack, missing)) => {
            let missing: String =
                missing.iter().map(|(layer, Errno(errno))| format!(" {layer}:{errno}")).collect();
            let _ = writeln!(report, "ready{missing}");
            drop(report);
            match stack {
                Some(stack) => serve(&stack, &machine),
                None => Relay::new(&machine, options.relay_fd).run(),
            }
            // Skips the runtime's cleanup, whose calls the filter does not allow.
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) }
        }
        Err(failure) => {
            let _ = writeln!(report, "failed {failure}");
            ExitCode::FAILURE
        }
    }
}

type Started = (Stack, Vec<(&'static str, Errno)>);

/// Fails with `library TEXT`, `stack`, `hostfwd INDEX ERRNO`, `guestfwd INDEX` or `root ERRNO`.
fn start(options: &Options, machine: &Machine) -> Result<Started, String> {
    let failed = |what: &str, Errno(errno): Errno| format!("{what} {errno}");
    // Children of commands that guest forwards start are reparented to this process.
    // SAFETY: no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    grow_buffers(options.fd);
    let library = library::Library::load().map_err(|text| format!("library {text}"))?;
    let confined_tftp = options.tftp.as_ref().map(|_| root::TFTP.to_str().expect("ASCII"));
    let root = if options.confined {
        root::Root::new(options.tftp.as_deref()).map_err(|errno| failed("root", errno))
    } else {
        Err(String::new())
    };
    let needs_root = !options.guest_forwards.is_empty() || options.confined && options.tftp.is_some();
    let tftp = if options.confined { confined_tftp } else { options.tftp.as_deref() };
    // Before there are other sockets, which it would hold open.
    if root.is_ok() {
        let listeners =
            forward::listen(&options.guest_forwards).map_err(|errno| failed("guestfwd-socket", errno))?;
        let unused = [options.fd, options.report_fd];
        forward::serve(listeners, &options.guest_forwards, &unused)
            .map_err(|errno| failed("guestfwd-process", errno))?;
    }
    let stack = Stack::new(library, options, tftp, machine).ok_or("stack")?;
    for (index, host_forward) in options.host_forwards.iter().enumerate() {
        forward::add_host_forward(&stack, host_forward)
            .map_err(|errno| format!("hostfwd {index} {errno}"))?;
    }
    let mut missing = Vec::new();
    match root {
        Ok(root) => {
            for (index, guest_forward) in options.guest_forwards.iter().enumerate() {
                if !forward::add_guest_forward(&stack, index, guest_forward) {
                    return Err(format!("guestfwd {index}"));
                }
            }
            root.enter().map_err(|errno| failed("root", errno))?;
        }
        Err(failure) if needs_root => return Err(failure),
        Err(_) if !options.confined => return Ok((stack, missing)),
        Err(_) => missing.push(("root", Errno(libc::EPERM))),
    }
    missing.extend(confinement::confine(options));
    Ok((stack, missing))
}

/// Carries frames without looking at them. Fails with `root ERRNO`.
fn start_relay(options: &Options) -> Result<Vec<(&'static str, Errno)>, String> {
    grow_buffers(options.fd);
    grow_buffers(options.relay_fd);
    if !options.confined {
        return Ok(Vec::new());
    }
    let root = root::Root::new(None).and_then(|root| root.enter());
    let mut missing: Vec<_> = root.err().map(|errno| ("root", errno)).into_iter().collect();
    missing.extend(confinement::confine(options));
    Ok(missing)
}

/// Makes room for more than a hundred frames in each direction.
fn grow_buffers(fd: i32) {
    for option in [libc::SO_SNDBUF, libc::SO_SNDBUFFORCE] {
        let size = (&raw const SOCKET_BUFFER).cast();
        // SAFETY: reads an int.
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, size, size_of::<i32>() as u32) };
    }
}

/// Runs until the machine's end is closed.
fn serve(stack: &Stack, machine: &Machine) {
    let mut incoming = Incoming::new(machine);
    let mut fragments = Fragments::default();
    loop {
        let (has_frames, events) = stack.wait(machine.fd, &mut incoming);
        if has_frames && !take_frames(stack, &mut incoming, &mut fragments) {
            return;
        }
        if events & (libc::POLLHUP | libc::POLLERR) != 0 && events & libc::POLLIN == 0 {
            return;
        }
        stack.flush();
    }
}

/// False at the end.
fn take_frames(stack: &Stack, incoming: &mut Incoming, fragments: &mut Fragments) -> bool {
    for _ in 0..BATCHES {
        match incoming.receive() {
            Received::Frames(lengths) => {
                // A closed socket reads as messages without content.
                if lengths.iter().all(|&length| length == 0) && incoming.is_closed() {
                    return false;
                }
                let now = stack::now();
                for (index, &length) in lengths.iter().enumerate() {
                    let frame = incoming.frame(index, length);
                    match fragments.pass(frame, now) {
                        Passed::AsItIs => stack.input(frame),
                        Passed::Whole(packet) => stack.input(&packet),
                        Passed::Held => {}
                    }
                }
                stack.flush();
            }
            Received::Nothing => return true,
            Received::End => return false,
        }
    }
    true
}
