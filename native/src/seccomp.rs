//! Allowlists of system calls for the threads that process guest input. A call outside the list raises SIGSYS, which
//! ends only that thread (see thread.rs). Filters apply to one thread; Node's own threads are never filtered.

use crate::errno::{Errno, Result};
use crate::snapshot::{FICLONE, JobFiles};
use crate::vcpu::KVM_RUN;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::sync::Once;

/// io_uring_enter(2) flags and an io_uring_register(2) operation, from linux/io_uring.h.
const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 8;
const UNREGISTER_FILES: u64 = 3;

/// The fds of a queue thread: its ring, and the eventfds that it reads and writes.
pub struct QueueFds {
    pub ring: RawFd,
    pub read: [RawFd; 2],
    pub written: [RawFd; 2],
}

/// The eventfds of a thread that serves a queue by system calls.
pub struct DirectFds {
    pub read: [RawFd; 2],
    pub signaled: Vec<RawFd>,
}

/// A system call that a worker makes, allowed if all conditions hold.
#[derive(Clone)]
pub struct Call {
    pub number: i64,
    pub conditions: Vec<SeccompCondition>,
}

impl Call {
    /// getrandom(2), without flags.
    pub fn getrandom() -> Call {
        Call { number: libc::SYS_getrandom, conditions: vec![equal(2, 0)] }
    }

    /// readv(2) of a file.
    pub fn readv(file: RawFd) -> Call {
        Call { number: libc::SYS_readv, conditions: vec![fd(file)] }
    }

    /// writev(2) to a file.
    pub fn writev(file: RawFd) -> Call {
        Call { number: libc::SYS_writev, conditions: vec![fd(file)] }
    }

    /// madvise(2) with MADV_REMOVE, which punches holes into the file behind a mapping.
    pub fn madvise_remove() -> Call {
        Call { number: libc::SYS_madvise, conditions: vec![equal(2, libc::MADV_REMOVE as u64)] }
    }

    pub fn read_eventfd(read: RawFd) -> Call {
        Call { number: libc::SYS_read, conditions: vec![fd(read), eventfd_count()] }
    }

    pub fn signal_eventfd(written: RawFd) -> Call {
        Call { number: libc::SYS_write, conditions: vec![fd(written), eventfd_count()] }
    }
}

/// A compiled filter.
pub struct Filter(BpfProgram);

/// The first time that glibc returns memory of a thread's arena to the kernel, it opens /proc/sys/vm/overcommit_memory
/// with the arena locked: a thread that may not do that dies, and the next user of the arena hangs. So this is done
/// once in an unfiltered thread, as soon as there is a VM.
pub fn settle_allocator() {
    /// Below the size at which glibc maps memory for each allocation; enough pieces that the
    /// arena has something to return.
    const PIECE: usize = 100 << 10;
    const PIECES: usize = 80;
    static SETTLED: Once = Once::new();
    SETTLED.call_once(|| {
        let thread = std::thread::Builder::new().name("vring-settle".into()).spawn(|| {
            let pieces: Vec<Vec<u8>> = (0..PIECES).map(|_| Vec::with_capacity(PIECE)).collect();
            pieces.into_iter().rev().for_each(|piece| drop(std::hint::black_box(piece)));
        });
        // If this thread can't start, the first filtered one can't either.
        let _ = thread.map(std::thread::JoinHandle::join);
    });
}

impl Filter {
    /// For a vCPU thread: KVM_RUN on its own vCPU, and waking the machine thread.
    pub fn vcpu(vcpu_fd: RawFd, wake_fd: RawFd) -> Result<Filter> {
        let mut list = AllowList::common();
        list.when(libc::SYS_ioctl, vec![fd(vcpu_fd), equal(1, KVM_RUN)]);
        list.when(libc::SYS_write, vec![fd(wake_fd), eventfd_count()]);
        list.compile()
    }

    /// For a queue thread: its io_uring, its eventfds, and its worker's calls. The fds must stay open while the thread
    /// runs: the filter refers to them by number. What the thread does through the ring is invisible to a filter; the
    /// ring's own restrictions limit it (queue_thread/uring.rs).
    pub fn queue(fds: &QueueFds, calls: &[Call]) -> Result<Filter> {
        let mut list = AllowList::common();
        let ring_fd = fds.ring;
        // Other flags would make the first argument the index of a ring, or wake its polling thread.
        list.when(libc::SYS_io_uring_enter, vec![fd(ring_fd), only(3, ENTER_GETEVENTS | ENTER_EXT_ARG)]);
        list.when(libc::SYS_io_uring_register, vec![fd(ring_fd), equal(1, UNREGISTER_FILES)]);
        for read in fds.read {
            list.when(libc::SYS_read, vec![fd(read), eventfd_count()]);
        }
        for written in fds.written {
            list.when(libc::SYS_write, vec![fd(written), eventfd_count()]);
        }
        list.add(calls);
        list.compile()
    }

    /// For a thread that serves a queue by system calls: waiting, its eventfds, and its server's calls. The fds must
    /// stay open while the thread runs.
    pub fn direct(fds: &DirectFds, calls: &[Call]) -> Result<Filter> {
        let mut list = AllowList::common();
        list.always(libc::SYS_ppoll);
        for read in fds.read {
            list.when(libc::SYS_read, vec![fd(read), eventfd_count()]);
        }
        for signaled in &fds.signaled {
            list.when(libc::SYS_write, vec![fd(*signaled), eventfd_count()]);
        }
        list.add(calls);
        list.compile()
    }

    /// For a job: its own files and sockets, and signaling that it has ended.
    pub fn job(files: &JobFiles, ended_fd: RawFd) -> Result<Filter> {
        let mut list = AllowList::common();
        let JobFiles { read, written, sent_to, synced } = files;
        for file in read {
            list.when(libc::SYS_pread64, vec![fd(*file)]);
            list.when(libc::SYS_lseek, vec![fd(*file)]);
        }
        for file in written {
            list.when(libc::SYS_pwrite64, vec![fd(*file)]);
            list.when(libc::SYS_ioctl, vec![fd(*file), equal(1, FICLONE)]);
        }
        for stream in sent_to {
            list.when(libc::SYS_sendto, vec![fd(*stream)]);
        }
        for own in read.iter().chain(written).chain(sent_to).chain(synced) {
            list.when(libc::SYS_close, vec![fd(*own)]);
            // Before it closes a file, a debug build of the standard library makes sure that it is open.
            if cfg!(debug_assertions) {
                list.when(libc::SYS_fcntl, vec![fd(*own), equal(1, libc::F_GETFD as u64)]);
            }
        }
        if !sent_to.is_empty() {
            list.always(libc::SYS_ppoll);
        }
        for file in synced {
            list.when(libc::SYS_fdatasync, vec![fd(*file)]);
        }
        list.when(libc::SYS_write, vec![fd(ended_fd), eventfd_count()]);
        list.compile()
    }

    /// For a thread that works on an image's tables: reading its files, changing those that are writable, and signaling
    /// that a task has ended.
    pub fn image(read: &[RawFd], written: &[RawFd], signals: &[RawFd]) -> Result<Filter> {
        let mut list = AllowList::common();
        for file in read {
            list.when(libc::SYS_pread64, vec![fd(*file)]);
            list.when(libc::SYS_lseek, vec![fd(*file)]);
        }
        for file in written {
            for call in [libc::SYS_pwrite64, libc::SYS_fdatasync, libc::SYS_fallocate, libc::SYS_ftruncate] {
                list.when(call, vec![fd(*file)]);
            }
        }
        for signal in signals {
            list.when(libc::SYS_read, vec![fd(*signal), eventfd_count()]);
            list.when(libc::SYS_write, vec![fd(*signal), eventfd_count()]);
        }
        list.compile()
    }

    #[cfg(test)]
    pub fn program(&self) -> &BpfProgram {
        &self.0
    }

    /// Installs the filter on the calling thread, permanently.
    pub fn apply(&self) -> Result<()> {
        // glibc assigns an arena when a thread first allocates memory, and may look up the
        // number of CPUs in sysfs for that.
        drop(std::hint::black_box(Box::new(0u64)));
        seccompiler::apply_filter(&self.0).map_err(|error| match error {
            seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => {
                Errno(error.raw_os_error().unwrap_or(libc::EINVAL))
            }
            _ => Errno(libc::EINVAL),
        })
    }
}

struct AllowList(BTreeMap<i64, Vec<SeccompRule>>);

impl AllowList {
    /// Needed by the memory allocator, locks, clocks and thread exit.
    fn common() -> AllowList {
        let mut list = AllowList(BTreeMap::new());
        for call in [
            libc::SYS_futex,
            libc::SYS_munmap,
            libc::SYS_mremap,
            libc::SYS_brk,
            libc::SYS_sched_yield,
            libc::SYS_sched_getaffinity,
            libc::SYS_clock_gettime,
            libc::SYS_rt_sigprocmask,
            libc::SYS_rt_sigreturn,
            libc::SYS_restart_syscall,
            libc::SYS_rseq,
            libc::SYS_exit,
        ] {
            list.always(call);
        }
        // Mapping a file would give access to any fd of the process.
        list.when(libc::SYS_mmap, vec![without(2, libc::PROT_EXEC), with(3, libc::MAP_ANONYMOUS)]);
        list.when(libc::SYS_mprotect, vec![without(2, libc::PROT_EXEC)]);
        // Other advice acts on the file behind a mapping: MADV_REMOVE punches holes.
        list.when(libc::SYS_madvise, vec![equal(2, libc::MADV_DONTNEED as u64)]);
        list
    }

    fn always(&mut self, call: i64) {
        self.0.insert(call, Vec::new());
    }

    /// Allows `call` if all `conditions` hold, in addition to existing rules.
    fn when(&mut self, call: i64, conditions: Vec<SeccompCondition>) {
        let rule = SeccompRule::new(conditions).expect("a rule with conditions");
        self.0.entry(call).or_default().push(rule);
    }

    fn add(&mut self, calls: &[Call]) {
        for call in calls {
            match call.conditions.as_slice() {
                [] => self.always(call.number),
                conditions => self.when(call.number, conditions.to_vec()),
            }
        }
    }

    fn compile(self) -> Result<Filter> {
        settle_allocator();
        let filter =
            SeccompFilter::new(self.0, SeccompAction::Trap, SeccompAction::Allow, TargetArch::x86_64);
        let program = filter.and_then(TryInto::try_into).map_err(|_| Errno(libc::EINVAL))?;
        Ok(Filter(program))
    }
}

fn fd(fd: RawFd) -> SeccompCondition {
    equal(0, fd as u64)
}

/// Argument `index` is the 32-bit `value`.
fn equal(index: u8, value: u64) -> SeccompCondition {
    condition(index, SeccompCmpOp::Eq, value)
}

/// The size of a read or write of an eventfd.
fn eventfd_count() -> SeccompCondition {
    let size = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 8);
    size.expect("an argument below 6")
}

/// Argument `index` has all of `bits`.
fn with(index: u8, bits: i32) -> SeccompCondition {
    condition(index, SeccompCmpOp::MaskedEq(bits as u64), bits as u64)
}

/// Argument `index` has none of `bits`.
fn without(index: u8, bits: i32) -> SeccompCondition {
    condition(index, SeccompCmpOp::MaskedEq(bits as u64), 0)
}

/// Argument `index` has no bits but `bits`.
fn only(index: u8, bits: u32) -> SeccompCondition {
    condition(index, SeccompCmpOp::MaskedEq((!bits).into()), 0)
}

fn condition(index: u8, op: SeccompCmpOp, value: u64) -> SeccompCondition {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value).expect("an argument below 6")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoll::EventFd;
    use crate::thread::{Ending, Thread};
    use std::os::fd::AsRawFd;
    use std::sync::Arc;

    /// Runs `body` under a vCPU thread's filter, with `wake` as its eventfd.
    fn filtered<T>(body: impl Fn() -> T + Send + Sync + 'static) -> (Ending, String, u64) {
        let wake = Arc::new(EventFd::new().unwrap());
        let filter = Filter::vcpu(-1, wake.as_raw_fd()).unwrap();
        let notify = wake.clone();
        let mut thread = Thread::spawn(
            "vring-test",
            None,
            move || {
                filter.apply()?;
                body();
                Ok(())
            },
            move |_| notify.signal(),
        )
        .unwrap();
        thread.join();
        let cause = thread.life().cause_of_death().unwrap_or_default();
        (thread.life().ending().unwrap(), cause, wake.drain())
    }

    #[test]
    fn a_forbidden_call_ends_the_thread_and_is_reported() {
        // SAFETY: getppid has no arguments.
        let (ending, cause, notices) = filtered(|| unsafe { libc::getppid() });
        assert_eq!(ending, Ending::Trapped(libc::SYS_getppid as i32));
        assert!(cause.contains(&format!("system call {}", libc::SYS_getppid)), "{cause}");
        assert_eq!(notices, 1);
    }

    #[test]
    fn memory_can_be_returned_to_the_kernel() {
        // Enough for glibc to shrink the arena; the pieces freed last are at its end.
        let (ending, cause, _) = filtered(|| {
            let pieces: Vec<Vec<u8>> = (0..80).map(|_| Vec::with_capacity(100 << 10)).collect();
            pieces.into_iter().rev().for_each(|piece| drop(std::hint::black_box(piece)));
        });
        assert_eq!((ending, cause.as_str()), (Ending::Done, ""));
    }

    #[test]
    fn other_ioctls_files_and_executable_memory_are_forbidden() {
        // SAFETY: a bad fd and no pointers.
        let ioctl = || unsafe { libc::ioctl(-1, libc::FIONREAD, 0) };
        // SAFETY: writes nothing.
        let write = || unsafe { libc::write(1, std::ptr::null(), 0) };
        // SAFETY: an anonymous mapping at an address that the kernel chooses.
        let exec = || unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_EXEC,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
        };
        assert_eq!(filtered(ioctl).0, Ending::Trapped(libc::SYS_ioctl as i32));
        assert_eq!(filtered(write).0, Ending::Trapped(libc::SYS_write as i32));
        assert_eq!(filtered(exec).0, Ending::Trapped(libc::SYS_mmap as i32));
    }

    #[test]
    fn no_file_can_be_accessed_through_a_mapping() {
        let map = |flags: i32| {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: a mapping of one page at an address that the kernel chooses.
            unsafe { libc::mmap(std::ptr::null_mut(), 4096, prot, flags, 0, 0) };
        };
        assert_eq!(filtered(move || map(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)).0, Ending::Done);
        assert_eq!(filtered(move || map(libc::MAP_SHARED)).0, Ending::Trapped(libc::SYS_mmap as i32));
        assert_eq!(filtered(move || map(libc::MAP_PRIVATE)).0, Ending::Trapped(libc::SYS_mmap as i32));
        // SAFETY: an empty range.
        let remove = || unsafe { libc::madvise(std::ptr::null_mut(), 0, libc::MADV_REMOVE) };
        assert_eq!(filtered(remove).0, Ending::Trapped(libc::SYS_madvise as i32));
    }

    #[test]
    fn memory_locks_and_panics_work_under_the_filter() {
        let allocate = || {
            for size in [1 << 10, 1 << 16, 1 << 22] {
                std::hint::black_box(vec![1u8; size]);
            }
        };
        assert_eq!(filtered(allocate).0, Ending::Done);
        let (ending, cause, _) = filtered(|| -> () { panic!("at the end of the world") });
        assert_eq!(ending, Ending::Panicked);
        assert!(cause.contains("at the end of the world"), "{cause}");
    }
}
