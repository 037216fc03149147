/**
 * The structs that KVM's ioctls take, under their names in linux/kvm.h and asm/kvm.h (x86). A test compiles the real
 * headers and compares every size and offset. A name `kvm_run.io` is the member `io` of `struct kvm_run`.
 */
import { Struct, type ValueOf } from './c-struct.ts';

const u8s = (length: number) => ({ array: 'u8', length }) as const;
const u64s = (length: number) => ({ array: 'u64', length }) as const;

// Processor state.

export const kvmRegs = new Struct('kvm_regs', {
  rax: 'u64',
  rbx: 'u64',
  rcx: 'u64',
  rdx: 'u64',
  rsi: 'u64',
  rdi: 'u64',
  rsp: 'u64',
  rbp: 'u64',
  r8: 'u64',
  r9: 'u64',
  r10: 'u64',
  r11: 'u64',
  r12: 'u64',
  r13: 'u64',
  r14: 'u64',
  r15: 'u64',
  rip: 'u64',
  rflags: 'u64',
});
export type Regs = ValueOf<typeof kvmRegs>;

const kvmSegment = new Struct('kvm_segment', {
  base: 'u64',
  limit: 'u32',
  selector: 'u16',
  type: 'u8',
  present: 'u8',
  dpl: 'u8',
  db: 'u8',
  s: 'u8',
  l: 'u8',
  g: 'u8',
  avl: 'u8',
  unusable: 'u8',
});
export type Segment = ValueOf<typeof kvmSegment>;

const kvmDtable = new Struct('kvm_dtable', { base: 'u64', limit: 'u16' });
export type DescriptorTable = ValueOf<typeof kvmDtable>;

/** The beginning that both forms of the special registers share. */
const sregs = {
  cs: kvmSegment,
  ds: kvmSegment,
  es: kvmSegment,
  fs: kvmSegment,
  gs: kvmSegment,
  ss: kvmSegment,
  tr: kvmSegment,
  ldt: kvmSegment,
  gdt: kvmDtable,
  idt: kvmDtable,
  cr0: 'u64',
  cr2: 'u64',
  cr3: 'u64',
  cr4: 'u64',
  cr8: 'u64',
  efer: 'u64',
  apic_base: 'u64',
} as const;

export const kvmSregs = new Struct('kvm_sregs', {
  ...sregs,
  interrupt_bitmap: u64s(4),
});
export type Sregs = ValueOf<typeof kvmSregs>;

/** KVM_CAP_SREGS2: without the bitmap, with the PDPTRs of PAE paging. */
export const kvmSregs2 = new Struct('kvm_sregs2', {
  ...sregs,
  flags: 'u64',
  pdptrs: u64s(4),
});

/** The header of KVM_GET_NESTED_STATE and KVM_SET_NESTED_STATE; the rest is opaque. `size` includes the header. */
export const kvmNestedState = new Struct('kvm_nested_state', {
  flags: 'u16',
  format: 'u16',
  size: 'u32',
  hdr: { padding: 120 },
});

/** `fd` is the new device's. */
export const kvmCreateDevice = new Struct('kvm_create_device', { type: 'u32', fd: 'u32', flags: 'u32' });

/** `addr` is the address of the attribute's value in this process. */
export const kvmDeviceAttr = new Struct('kvm_device_attr', {
  flags: 'u32',
  group: 'u32',
  attr: 'u64',
  addr: 'u64',
});

/** The header of KVM_GET_MSRS and KVM_SET_MSRS; `nmsrs` entries follow. */
export const kvmMsrs = new Struct('kvm_msrs', { nmsrs: 'u32', pad: { padding: 4 } });
export const kvmMsrEntry = new Struct('kvm_msr_entry', {
  index: 'u32',
  reserved: { padding: 4 },
  data: 'u64',
});
export type MsrEntry = ValueOf<typeof kvmMsrEntry>;

/** The header of KVM_GET_MSR_INDEX_LIST; `nmsrs` u32 follow. */
export const kvmMsrList = new Struct('kvm_msr_list', { nmsrs: 'u32' });

/** The header of KVM_GET_SUPPORTED_CPUID and KVM_{GET,SET}_CPUID2; `nent` entries follow. */
export const kvmCpuid2 = new Struct('kvm_cpuid2', { nent: 'u32', pad: { padding: 4 } });
export const kvmCpuidEntry2 = new Struct('kvm_cpuid_entry2', {
  function: 'u32',
  index: 'u32',
  flags: 'u32',
  eax: 'u32',
  ebx: 'u32',
  ecx: 'u32',
  edx: 'u32',
  pad: { padding: 12 },
});
export type CpuidEntry = ValueOf<typeof kvmCpuidEntry2>;

export const kvmMpState = new Struct('kvm_mp_state', { mp_state: 'u32' });

export const kvmVcpuEvents = new Struct('kvm_vcpu_events', {
  exception: new Struct('kvm_vcpu_events.exception', {
    injected: 'u8',
    nr: 'u8',
    has_error_code: 'u8',
    pending: 'u8',
    error_code: 'u32',
  }),
  interrupt: new Struct('kvm_vcpu_events.interrupt', { injected: 'u8', nr: 'u8', soft: 'u8', shadow: 'u8' }),
  nmi: new Struct('kvm_vcpu_events.nmi', {
    injected: 'u8',
    pending: 'u8',
    masked: 'u8',
    pad: { padding: 1 },
  }),
  sipi_vector: 'u32',
  flags: 'u32',
  smi: new Struct('kvm_vcpu_events.smi', {
    smm: 'u8',
    pending: 'u8',
    smm_inside_nmi: 'u8',
    latched_init: 'u8',
  }),
  // `triple_fault.pending` in headers since Linux 6.1, the first of the reserved bytes before.
  triple_fault: 'u8',
  reserved: { padding: 26 },
  exception_has_payload: 'u8',
  exception_payload: 'u64',
});
export type VcpuEvents = ValueOf<typeof kvmVcpuEvents>;

export const kvmDebugregs = new Struct('kvm_debugregs', {
  db: u64s(4),
  dr6: 'u64',
  dr7: 'u64',
  flags: 'u64',
  reserved: { padding: 72 },
});
export type DebugRegs = ValueOf<typeof kvmDebugregs>;

const kvmXcr = new Struct('kvm_xcr', { xcr: 'u32', reserved: { padding: 4 }, value: 'u64' });
export const kvmXcrs = new Struct('kvm_xcrs', {
  nr_xcrs: 'u32',
  flags: 'u32',
  xcrs: { array: kvmXcr, length: 16 },
  pad: { padding: 128 },
});
export type Xcrs = ValueOf<typeof kvmXcrs>;

/** The registers as bytes, 16 apart, at the offsets of the memory-mapped APIC (SDM vol. 3 §11.4.1). */
export const kvmLapicState = new Struct('kvm_lapic_state', { regs: u8s(1024) });

/** Also filled by KVM_GET_XSAVE2, unless KVM_CAP_XSAVE2 reports a larger size. */
export const kvmXsave = new Struct('kvm_xsave', { region: u8s(4096) });

// The VM: memory, interrupts, timers.

export const kvmUserspaceMemoryRegion = new Struct('kvm_userspace_memory_region', {
  slot: 'u32',
  flags: 'u32',
  guest_phys_addr: 'u64',
  memory_size: 'u64',
  userspace_addr: 'u64',
});

/** The address of the bitmap, in place of the union with padding2. */
export const kvmDirtyLog = new Struct('kvm_dirty_log', { slot: 'u32', padding1: 'u32', dirty_bitmap: 'u64' });

export const kvmIrqLevel = new Struct('kvm_irq_level', { irq: 'u32', level: 'u32' });

/** `chip` is a kvm_pic_state or a kvm_ioapic_state, as KVM returns it. */
export const kvmIrqchip = new Struct('kvm_irqchip', { chip_id: 'u32', pad: { padding: 4 }, chip: u8s(512) });

export const kvmPitConfig = new Struct('kvm_pit_config', { flags: 'u32', pad: { padding: 60 } });

const kvmPitChannelState = new Struct('kvm_pit_channel_state', {
  count: 'u32',
  latched_count: 'u16',
  count_latched: 'u8',
  status_latched: 'u8',
  status: 'u8',
  read_state: 'u8',
  write_state: 'u8',
  write_latch: 'u8',
  rw_mode: 'u8',
  mode: 'u8',
  bcd: 'u8',
  gate: 'u8',
  count_load_time: 's64',
});

export const kvmPitState2 = new Struct('kvm_pit_state2', {
  channels: { array: kvmPitChannelState, length: 3 },
  flags: 'u32',
  reserved: { padding: 36 },
});
export type PitState = ValueOf<typeof kvmPitState2>;

export const kvmClockData = new Struct('kvm_clock_data', {
  clock: 'u64',
  flags: 'u32',
  pad0: { padding: 4 },
  realtime: 'u64',
  host_tsc: 'u64',
  pad: { padding: 16 },
});

/** The header of KVM_SET_GSI_ROUTING; `nr` entries follow. */
export const kvmIrqRouting = new Struct('kvm_irq_routing', { nr: 'u32', flags: 'u32' });
export const kvmIrqRoutingEntry = new Struct('kvm_irq_routing_entry', {
  gsi: 'u32',
  type: 'u32',
  flags: 'u32',
  pad: { padding: 4 },
  /** A kvm_irq_routing_irqchip or a kvm_irq_routing_msi. */
  u: u8s(32),
});
export const kvmIrqRoutingIrqchip = new Struct('kvm_irq_routing_irqchip', { irqchip: 'u32', pin: 'u32' });
export const kvmIrqRoutingMsi = new Struct('kvm_irq_routing_msi', {
  address_lo: 'u32',
  address_hi: 'u32',
  data: 'u32',
  pad: { padding: 4 },
});

export const kvmIrqfd = new Struct('kvm_irqfd', {
  fd: 'u32',
  gsi: 'u32',
  flags: 'u32',
  resamplefd: 'u32',
  pad: { padding: 16 },
});

export const kvmIoeventfd = new Struct('kvm_ioeventfd', {
  datamatch: 'u64',
  addr: 'u64',
  len: 'u32',
  fd: 's32',
  flags: 'u32',
  pad: { padding: 36 },
});

export const kvmMsi = new Struct('kvm_msi', {
  address_lo: 'u32',
  address_hi: 'u32',
  data: 'u32',
  flags: 'u32',
  devid: 'u32',
  pad: { padding: 12 },
});

// The page shared with a vCPU.

export const kvmRun = new Struct('kvm_run', {
  request_interrupt_window: 'u8',
  immediate_exit: 'u8',
  padding1: { padding: 6 },
  exit_reason: 'u32',
  ready_for_interrupt_injection: 'u8',
  if_flag: 'u8',
  flags: 'u16',
  cr8: 'u64',
  apic_base: 'u64',
  /** The anonymous union: one of the `kvm_run.*` below, by exit_reason. */
  exit: { padding: 256 },
  kvm_valid_regs: 'u64',
  kvm_dirty_regs: 'u64',
  s: { padding: 2048 },
});

export const kvmRunHw = new Struct('kvm_run.hw', { hardware_exit_reason: 'u64' });
export const kvmRunFailEntry = new Struct('kvm_run.fail_entry', {
  hardware_entry_failure_reason: 'u64',
  cpu: 'u32',
});
export const kvmRunIo = new Struct('kvm_run.io', {
  direction: 'u8',
  size: 'u8',
  port: 'u16',
  count: 'u32',
  data_offset: 'u64',
});
export const kvmRunMmio = new Struct('kvm_run.mmio', {
  phys_addr: 'u64',
  data: u8s(8),
  len: 'u32',
  is_write: 'u8',
});
export const kvmRunInternal = new Struct('kvm_run.internal', {
  suberror: 'u32',
  ndata: 'u32',
  data: u64s(16),
});
export const kvmRunEmulationFailure = new Struct('kvm_run.emulation_failure', {
  suberror: 'u32',
  ndata: 'u32',
  flags: 'u64',
  insn_size: 'u8',
  insn_bytes: u8s(15),
});
export const kvmRunSystemEvent = new Struct('kvm_run.system_event', {
  type: 'u32',
  ndata: 'u32',
  data: u64s(16),
});
