import type { DescriptorTable, Regs, Segment, Sregs } from '../kvm/structs.ts';

const hex = (value: bigint | number, digits: number) => value.toString(16).padStart(digits, '0');
const hex64 = (value: bigint) => hex(value, 16);

/** Arithmetic and control flags from bit 11 down, without the privilege and task ones. */
const FLAGS = [
  [11, 'O'],
  [10, 'D'],
  [9, 'I'],
  [7, 'S'],
  [6, 'Z'],
  [4, 'A'],
  [2, 'P'],
  [0, 'C'],
] as const;

const EFER_LMA = 1n << 10n;
const CR0_PE = 1n;

/** A vCPU's registers for a crash report, in the style of QEMU's `info registers`: 78 columns at most. */
export function formatRegisters(vcpu: number, regs: Regs, sregs: Sregs): string {
  const general = [
    ['RAX', regs.rax, 'RBX', regs.rbx, 'RCX', regs.rcx],
    ['RDX', regs.rdx, 'RSI', regs.rsi, 'RDI', regs.rdi],
    ['RBP', regs.rbp, 'RSP', regs.rsp, 'R8 ', regs.r8],
    ['R9 ', regs.r9, 'R10', regs.r10, 'R11', regs.r11],
    ['R12', regs.r12, 'R13', regs.r13, 'R14', regs.r14],
    ['R15', regs.r15],
  ] as const;
  const rows = general.map(row => row.map(item => (typeof item === 'bigint' ? hex64(item) : item)));
  return [
    `vCPU ${vcpu}, ${cpuMode(sregs)}`,
    `RIP=${hex64(regs.rip)} RFL=${hex(regs.rflags, 8)} [${flagLetters(regs.rflags)}]`,
    ...rows.map(row => joinPairs(row)),
    ...(['cs', 'ds', 'es', 'fs', 'gs', 'ss'] as const).map(name => segmentLine(name, sregs[name])),
    segmentLine('tr', sregs.tr),
    segmentLine('ldt', sregs.ldt),
    tableLine('GDT', sregs.gdt),
    tableLine('IDT', sregs.idt),
    `CR0=${hex(sregs.cr0, 8)} CR2=${hex64(sregs.cr2)} CR3=${hex64(sregs.cr3)} CR4=${hex(sregs.cr4, 8)}`,
    `EFER=${hex(sregs.efer, 8)} APIC base=${hex(sregs.apic_base, 8)}`,
  ].join('\n');
}

/** The mode in which the processor runs the code at RIP. */
export function cpuMode(sregs: Sregs): string {
  const privilege = `ring ${sregs.ss.dpl}`;
  if ((sregs.cr0 & CR0_PE) === 0n) return 'real mode';
  if ((sregs.efer & EFER_LMA) !== 0n && sregs.cs.l) return `64-bit mode, ${privilege}`;
  return `${sregs.cs.db ? 32 : 16}-bit protected mode, ${privilege}`;
}

function joinPairs(row: readonly string[]): string {
  const pairs: string[] = [];
  for (let i = 0; i < row.length; i += 2) pairs.push(`${row[i]}=${row[i + 1]}`);
  return pairs.join(' ');
}

function flagLetters(rflags: bigint): string {
  return FLAGS.map(([bit, letter]) => ((rflags >> BigInt(bit)) & 1n ? letter : '-')).join('');
}

function segmentLine(name: string, segment: Segment): string {
  const label = name.toUpperCase().padEnd(3);
  const place = `${hex(segment.selector, 4)} base=${hex64(segment.base)} limit=${hex(segment.limit, 8)}`;
  return `${label}=${place} ${segmentKind(segment)}`;
}

function segmentKind(segment: Segment): string {
  if (segment.unusable || !segment.present) return 'not present';
  const kind = segment.s ? (segment.type & 8 ? 'code' : 'data') : `system type ${segment.type}`;
  const bits = segment.s ? ` ${segment.l ? 64 : segment.db ? 32 : 16}-bit` : '';
  return `${kind}${bits} DPL=${segment.dpl}`;
}

function tableLine(name: string, table: DescriptorTable): string {
  return `${name}=     base=${hex64(table.base)} limit=${hex(table.limit, 8)}`;
}
