import { addressOf, syscall } from './raw-syscall.ts';

/** Classic BPF over struct seccomp_data: {code u16, jt u8, jf u8, k u32} (linux/filter.h, linux/seccomp.h). */
type Instruction = readonly [code: number, jt: number, jf: number, k: number];

const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_IF_ANY = 0x45;
const RETURN = 0x06;
const ALLOW = 0x7fff_0000;
const FAIL = 0x0005_0000;
const [EPERM, ENOSYS] = [1, 38];
const [CLONE, UNSHARE, CLONE3] = [56, 272, 435];
const CLONE_NEW_ANY = 0x7e02_0000;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const MODE_FILTER = 2;

/**
 * The filter that systemd's RestrictNamespaces=yes installs: clone3 is absent, and the
 * other calls create no namespaces.
 */
const PROGRAM: readonly Instruction[] = [
  [LOAD, 0, 0, 0],
  [JUMP_EQUAL, 5, 0, CLONE3],
  [JUMP_EQUAL, 1, 0, CLONE],
  [JUMP_EQUAL, 0, 2, UNSHARE],
  [LOAD, 0, 0, 16],
  [JUMP_IF_ANY, 2, 0, CLONE_NEW_ANY],
  [RETURN, 0, 0, ALLOW],
  [RETURN, 0, 0, FAIL | ENOSYS],
  [RETURN, 0, 0, FAIL | EPERM],
];

/** Puts the calling thread and its children into such a sandbox. */
export function forbidNamespaces(): void {
  const code = Buffer.alloc(PROGRAM.length * 8);
  for (const [index, [op, jt, jf, k]] of PROGRAM.entries()) {
    code.writeUInt16LE(op, index * 8);
    code.writeUInt8(jt, index * 8 + 2);
    code.writeUInt8(jf, index * 8 + 3);
    code.writeUInt32LE(k, index * 8 + 4);
  }
  const program = Buffer.alloc(16);
  program.writeUInt16LE(PROGRAM.length, 0);
  program.writeBigUInt64LE(addressOf(code), 8);
  for (const result of [
    syscall('prctl', PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
    syscall('prctl', PR_SET_SECCOMP, MODE_FILTER, program),
  ])
    if (result < 0) throw new Error(`prctl: ${result}`);
}
