/** The state of the boot processor at a kernel's first instruction, as plain data. Anything not listed is zero. */
export type BootEntry = {
  readonly protocol: 'linux64' | 'linux32' | 'pvh' | 'multiboot';
  /** `long64` has paging on with an identity map of the first 4 GiB; `protected32` has paging off. */
  readonly mode: 'protected32' | 'long64';
  readonly rip: number;
  readonly rflags: number;
  /** General registers that aren't zero. */
  readonly registers: Readonly<Partial<Record<GeneralRegister, number>>>;
  readonly segments: BootSegments;
  /** The segments' descriptors in guest memory; `limit` as LGDT takes it. */
  readonly gdt: { readonly base: number; readonly limit: number };
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: number;
};

export type GeneralRegister = 'rax' | 'rbx' | 'rcx' | 'rdx' | 'rsi' | 'rdi' | 'rbp' | 'rsp';

/** `code` is for CS, `data` for DS, ES, FS, GS and SS, `task` for TR. */
export type BootSegments = { readonly code: Segment; readonly data: Segment; readonly task: Segment };

/** A segment descriptor (Intel SDM volume 3 §3.4.5), in the fields of KVM's kvm_segment. */
export type Segment = {
  readonly selector: number;
  readonly base: number;
  /** Bytes - 1. */
  readonly limit: number;
  readonly type: number;
  /** 1 for code and data, 0 for a system segment. */
  readonly s: 0 | 1;
  readonly dpl: number;
  readonly present: 0 | 1;
  /** 64-bit code. */
  readonly l: 0 | 1;
  /** 32-bit code or stack. */
  readonly db: 0 | 1;
  /** The limit is counted in pages. */
  readonly g: 0 | 1;
};
