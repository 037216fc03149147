use super::*;
use crate::confine::bpf;
use std::collections::BTreeSet;

const PID: i32 = 7;
const X86_64: u32 = 0xc000_003e;

/// What the program answers to a call, executed as the kernel does.
fn answer_on(architecture: u32, number: i64, arguments: [u64; 6], files: bool) -> u32 {
    let mut data = vec![number as u32, architecture, 0, 0];
    data.extend(arguments.iter().flat_map(|argument| [*argument as u32, (argument >> 32) as u32]));
    let program = bpf::compile(&rules(PID, files), UNKNOWN_FROM);
    let (mut at, mut accumulator) = (0, 0u32);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let mut jump = |is: bool| at += usize::from(if is { jt } else { jf });
        match code {
            0x20 => accumulator = data[k as usize / 4],
            0x54 => accumulator &= k,
            0x15 => jump(accumulator == k),
            0x35 => jump(accumulator >= k),
            0x06 => return k,
            _ => panic!("instruction {code:#x}"),
        }
    }
}

fn answer(number: i64, arguments: &[u64]) -> u32 {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    answer_on(X86_64, number, all, false)
}

const ALLOW: u32 = 0x7fff_0000;
const TRAP: u32 = 0x0003_0000;
const fn errno(errno: i32) -> u32 {
    0x0005_0000 | errno as u32
}

#[test]
fn every_system_call_has_one_rule() {
    let rules = rules(PID, false);
    let numbers: BTreeSet<i64> = rules.iter().map(|(number, _)| *number).collect();
    let twice: Vec<i64> = numbers
        .iter()
        .copied()
        .filter(|number| rules.iter().filter(|(other, _)| other == number).count() > 1)
        .collect();
    assert_eq!(twice, Vec::<i64>::new());
}

#[test]
fn calls_of_other_architectures_are_trapped() {
    assert_eq!(answer_on(X86_64, SYS_read, [0; 6], false), ALLOW);
    assert_eq!(answer_on(0x4000_0003, SYS_read, [0; 6], false), TRAP);
    assert_eq!(answer_on(X86_64, 0x4000_0000 | SYS_read, [0; 6], false), TRAP);
}

#[test]
fn threads_can_be_created_and_processes_cannot() {
    let thread = (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM) as u64;
    assert_eq!(answer(SYS_clone, &[thread | CLONE_SETTLS as u64]), ALLOW);
    assert_eq!(answer(SYS_clone, &[SIGCHLD as u64]), TRAP);
    assert_eq!(answer(SYS_clone, &[(CLONE_VM | CLONE_VFORK | SIGCHLD) as u64]), TRAP);
    assert_eq!(answer(SYS_clone, &[thread | CLONE_NEWUSER as u64]), TRAP);
    assert_eq!(answer(SYS_clone3, &[]), errno(ENOSYS));
    assert_eq!((answer(SYS_fork, &[]), answer(SYS_vfork, &[])), (TRAP, TRAP));
}

#[test]
fn ioctls_are_limited_to_kvm_and_open_files() {
    let kvm_run = 0xae80;
    let tiocsti = 0x5412;
    let fionbio = 0x5421;
    assert_eq!(answer(SYS_ioctl, &[5, kvm_run]), ALLOW);
    assert_eq!(answer(SYS_ioctl, &[5, 0xc008_ae05]), ALLOW);
    assert_eq!(answer(SYS_ioctl, &[5, fionbio]), ALLOW);
    let [vhost_set_owner, vhost_get_vring_base, vhost_get_vring_endian] = [0xaf01, 0xc008_af12, 0x4008_af14];
    assert_eq!(answer(SYS_ioctl, &[5, vhost_set_owner]), ALLOW);
    assert_eq!(answer(SYS_ioctl, &[5, vhost_get_vring_base]), ALLOW);
    assert_eq!(answer(SYS_ioctl, &[5, vhost_get_vring_endian]), errno(ENOTTY));
    assert_eq!(answer(SYS_ioctl, &[0, tiocsti]), errno(ENOTTY));
    // The kernel uses the low half of the request.
    assert_eq!(answer(SYS_ioctl, &[0, 0xae80_0000_0000 | tiocsti]), errno(ENOTTY));
}

#[test]
fn signals_are_limited_to_the_process_itself() {
    let own = PID as u64;
    assert_eq!(answer(SYS_tgkill, &[own, 9, 10]), ALLOW);
    assert_eq!(answer(SYS_kill, &[own, 10]), ALLOW);
    for other in [own + 1, 0, u64::MAX] {
        assert_eq!(answer(SYS_tgkill, &[other, 9, 10]), errno(EPERM));
        assert_eq!(answer(SYS_kill, &[other, 10]), errno(EPERM));
    }
}

#[test]
fn limits_can_be_read_and_not_set() {
    let pointer = 0x7f00_0000_0000;
    assert_eq!(answer(SYS_prlimit64, &[0, 3, 0, pointer]), ALLOW);
    assert_eq!(answer(SYS_prlimit64, &[0, 3, pointer, 0]), errno(EPERM));
    assert_eq!(answer(SYS_prlimit64, &[0, 3, 1, 0]), errno(EPERM));
    assert_eq!(answer(SYS_prlimit64, &[1, 3, 0, pointer]), errno(EPERM));
}

#[test]
fn messages_are_limited_to_connected_sockets() {
    assert_eq!(answer(SYS_sendto, &[3, 1, 1, 0, 0, 0]), ALLOW);
    assert_eq!(answer(SYS_sendto, &[3, 1, 1, 0, 0x7f00_0000_0000, 16]), errno(EPERM));
    assert_eq!(answer(SYS_connect, &[]), errno(EPERM));
    assert_eq!(answer(SYS_accept4, &[]), ALLOW);
}

#[test]
fn paths_are_allowed_only_on_request() {
    assert_eq!(answer(SYS_openat, &[]), errno(EACCES));
    assert_eq!(answer(SYS_newfstatat, &[1, 2, 3, AT_EMPTY_PATH as u64]), ALLOW);
    assert_eq!(answer(SYS_newfstatat, &[1, 2, 3, 0]), errno(EACCES));
    assert_eq!(answer_on(X86_64, SYS_openat, [0; 6], true), ALLOW);
    assert_eq!(answer_on(X86_64, SYS_newfstatat, [0; 6], true), ALLOW);
    assert_eq!(answer_on(X86_64, SYS_execve, [0; 6], true), TRAP);
}

#[test]
fn newer_calls_fail_with_enosys_and_unlisted_ones_are_trapped() {
    assert_eq!(answer(500, &[]), errno(ENOSYS));
    assert_eq!(answer(FUTEX_WAIT2, &[]), ALLOW);
    for call in [SYS_ptrace, SYS_mount, SYS_bpf, SYS_kexec_load, SYS_uselib, SYS_init_module] {
        assert_eq!(answer(call, &[]), TRAP);
    }
}

#[test]
fn a_filter_can_be_added_but_not_a_listener() {
    assert_eq!(answer(SYS_seccomp, &[1, 0, 0x7f00_0000_0000]), ALLOW);
    let listener = 8;
    assert_eq!(answer(SYS_seccomp, &[1, listener, 0x7f00_0000_0000]), errno(EPERM));
    assert_eq!(answer(SYS_prctl, &[PR_SET_DUMPABLE as u64, 1]), errno(EPERM));
}
