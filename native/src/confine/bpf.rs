//! Compiles rules about system calls to the classic BPF that seccomp(2) runs. seccompiler supports one action for a
//! match and one for the rest; here each call has its own.

use libc::sock_filter;

/// What happens to a call (linux/seccomp.h).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Allow,
    /// It fails with this errno.
    Fail(i32),
    /// SIGSYS: the handler reports the call and ends the process.
    Trap,
}

/// A condition on the low 32 bits of argument `index`, or on all 64.
#[derive(Clone, Copy)]
pub enum Condition {
    /// (argument & mask) == value
    Low { index: u32, mask: u32, value: u32 },
    /// argument == 0
    Zero { index: u32 },
}

pub enum Rule {
    Always(Action),
    /// Allowed if all conditions of any alternative hold; otherwise `otherwise`.
    AnyOf {
        alternatives: Vec<Vec<Condition>>,
        otherwise: Action,
    },
}

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// struct seccomp_data.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// linux/audit.h.
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
/// Calls of the x32 ABI have this bit (asm/unistd.h).
const X32: u32 = 0x4000_0000;

const RET_TRAP: u32 = 0x0003_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_ALLOW: u32 = 0x7fff_0000;

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// Jumps over `jt` or `jf` instructions.
fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn ret(action: Action) -> sock_filter {
    statement(
        RETURN,
        match action {
            Action::Allow => RET_ALLOW,
            Action::Fail(errno) => RET_ERRNO | errno as u32,
            Action::Trap => RET_TRAP,
        },
    )
}

/// Compiles `rules`, which are tried in order. Calls without a rule are trapped, except those from `unknown_from` on,
/// which are newer than these rules: they fail with ENOSYS so that their callers fall back.
pub fn compile(rules: &[(i64, Rule)], unknown_from: i64) -> Vec<sock_filter> {
    let mut program = vec![
        statement(LOAD, ARCHITECTURE),
        jump(JUMP_EQUAL, AUDIT_ARCH_X86_64, 1, 0),
        ret(Action::Trap),
        statement(LOAD, NUMBER),
        jump(JUMP_AT_LEAST, X32, 0, 1),
        ret(Action::Trap),
    ];
    for (number, rule) in rules {
        let block = block(rule);
        let length = u8::try_from(block.len()).expect("a rule of at most 255 instructions");
        program.push(jump(JUMP_EQUAL, *number as u32, 0, length));
        program.extend(block);
    }
    program.push(jump(JUMP_AT_LEAST, unknown_from as u32, 0, 1));
    program.push(ret(Action::Fail(libc::ENOSYS)));
    program.push(ret(Action::Trap));
    program
}

/// Every path through it ends in a return.
fn block(rule: &Rule) -> Vec<sock_filter> {
    match rule {
        Rule::Always(action) => vec![ret(*action)],
        Rule::AnyOf { alternatives, otherwise } => {
            let mut block: Vec<sock_filter> =
                alternatives.iter().flat_map(|conditions| alternative(conditions)).collect();
            block.push(ret(*otherwise));
            block
        }
    }
}

/// Returns Allow if all conditions hold; falls through otherwise.
fn alternative(conditions: &[Condition]) -> Vec<sock_filter> {
    let mut code = vec![ret(Action::Allow)];
    for condition in conditions.iter().rev() {
        let mut checked = Vec::new();
        let after = |rest: &[sock_filter], behind: usize| (rest.len() + behind) as u8;
        match *condition {
            Condition::Low { index, mask, value } => {
                checked.push(statement(LOAD, ARGUMENTS + 8 * index));
                if mask != u32::MAX {
                    checked.push(statement(AND, mask));
                }
                checked.push(jump(JUMP_EQUAL, value, 0, after(&code, 0)));
            }
            Condition::Zero { index } => {
                checked.push(statement(LOAD, ARGUMENTS + 8 * index));
                checked.push(jump(JUMP_EQUAL, 0, 0, after(&code, 2)));
                checked.push(statement(LOAD, ARGUMENTS + 8 * index + 4));
                checked.push(jump(JUMP_EQUAL, 0, 0, after(&code, 0)));
            }
        }
        checked.extend(code);
        code = checked;
    }
    code
}
