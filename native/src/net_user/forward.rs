//! Port forwarding. What the guest sends to an address of its own network goes through a socket in this process's file
//! system to a separate process, which was started before this one was confined: it opens connections and starts
//! commands, and never sees the guest's frames.

use super::options::{GuestForward, HostForward, Listen, Target};
use super::stack::{SocketName, Stack};
use crate::confine::capabilities;
use crate::errno::{Result, check, errno_of};
use std::ffi::CString;
use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

const CONNECTS_WITHIN: Duration = Duration::from_secs(30);

/// Fails with an errno.
pub fn add_host_forward(
    stack: &Stack,
    HostForward { listen, guest }: &HostForward,
) -> std::result::Result<(), i32> {
    let guest = SocketName::from(*guest);
    match listen {
        Listen::Tcp(host) => stack.forward(false, &(*host).into(), &guest),
        Listen::Udp(host) => stack.forward(true, &(*host).into(), &guest),
        Listen::Unix(path) => {
            let name = SocketName::unix(path).ok_or(libc::ENAMETOOLONG)?;
            stack.forward(false, &name, &guest)
        }
    }
}

/// The path of a forward's socket, relative to the folder that becomes this process's root.
fn socket_path(index: usize) -> String {
    format!("forward/{index}")
}

/// Creates the sockets below the working directory.
pub fn listen(forwards: &[GuestForward]) -> Result<Vec<UnixListener>> {
    if !forwards.is_empty() {
        std::fs::create_dir("forward").map_err(|error| errno_of(&error))?;
    }
    (0..forwards.len()).map(|index| bind(&socket_path(index)).map_err(|error| errno_of(&error))).collect()
}

/// This process connects to it under another uid, and no other process reaches it.
fn bind(path: &str) -> std::io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Passes the socket of a forward to the stack. False if the address is outside the guest's network, or taken.
pub fn add_guest_forward(stack: &Stack, index: usize, forward: &GuestForward) -> bool {
    let path = CString::new(format!("/{}", socket_path(index))).expect("no NUL");
    stack.forward_to_socket(forward.address, forward.port, &path)
}

/// Starts the process that serves the sockets; `unused` are fds that it must not hold. It ends with this one.
pub fn serve(listeners: Vec<UnixListener>, forwards: &[GuestForward], unused: &[RawFd]) -> Result<()> {
    if listeners.is_empty() {
        return Ok(());
    }
    let (mut ready, mut started) = UnixStream::pair().map_err(|error| errno_of(&error))?;
    // SAFETY: this process has one thread.
    match check(unsafe { libc::fork() })? {
        0 => {
            drop(ready);
            let targets: Vec<Target> = forwards.iter().map(|forward| forward.target.clone()).collect();
            let _ = prepare(unused).map(|()| {
                let _ = started.write_all(b"1");
                drop(started);
                accept_all(&listeners, &targets)
            });
            std::process::exit(1)
        }
        _ => {
            drop(started);
            // From then on it does not see mounts made here.
            ready.read_exact(&mut [0]).map_err(|error| errno_of(&error))
        }
    }
}

/// Commands have the rights of the user who started this program. A mount namespace of its own keeps the host's files
/// accessible here when the other process leaves them.
fn prepare(unused: &[RawFd]) -> Result<()> {
    // SAFETY: no pointers; the fds are not used again here.
    unsafe {
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        let _ = check(libc::unshare(libc::CLONE_NEWNS));
        for &fd in unused {
            libc::close(fd);
        }
        check(libc::chdir(c"/".as_ptr()))?;
    }
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        capabilities::drop_all();
    }
    Ok(())
}

fn accept_all(listeners: &[UnixListener], targets: &[Target]) {
    let mut poll: Vec<libc::pollfd> = listeners
        .iter()
        .map(|listener| libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    loop {
        // SAFETY: as many entries as there are.
        unsafe { libc::poll(poll.as_mut_ptr(), poll.len() as u64, -1) };
        for ((entry, listener), target) in poll.iter().zip(listeners).zip(targets) {
            if entry.revents != 0
                && let Ok((stream, _)) = listener.accept()
            {
                connect(stream, target.clone());
            }
        }
    }
}

/// If the target cannot be reached, the guest's connection is closed.
fn connect(guest: UnixStream, target: Target) {
    match target {
        Target::Command(command) => {
            let Ok(again) = guest.try_clone() else { return };
            let _ = Command::new("/bin/sh")
                .arg("-c")
                .arg(command)
                .stdin(Stdio::from(OwnedFd::from(guest)))
                .stdout(Stdio::from(OwnedFd::from(again)))
                .stderr(Stdio::null())
                .spawn();
        }
        Target::Tcp(address) => drop(std::thread::Builder::new().spawn(move || relay_tcp(guest, address))),
        Target::Unix(path) => drop(std::thread::Builder::new().spawn(move || relay_unix(guest, &path))),
    }
}

fn relay_tcp(guest: UnixStream, address: SocketAddr) {
    let Ok(host) = TcpStream::connect_timeout(&address, CONNECTS_WITHIN) else { return };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::copy(&mut &guest, &mut &host);
            let _ = host.shutdown(Shutdown::Write);
        });
        let _ = std::io::copy(&mut &host, &mut &guest);
        let _ = guest.shutdown(Shutdown::Write);
    });
}

fn relay_unix(guest: UnixStream, path: &str) {
    let Ok(host) = UnixStream::connect(path) else { return };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::copy(&mut &guest, &mut &host);
            let _ = host.shutdown(Shutdown::Write);
        });
        let _ = std::io::copy(&mut &host, &mut &guest);
        let _ = guest.shutdown(Shutdown::Write);
    });
}
