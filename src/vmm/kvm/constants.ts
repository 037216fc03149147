/** Numbers of KVM's interface, by their names in linux/kvm.h and asm/kvm.h without `KVM_`; a test compares them. */

export const API_VERSION = 12;

/** Arguments of KVM_CHECK_EXTENSION. */
export const CAP = {
  IRQCHIP: 0,
  USER_MEMORY: 3,
  SET_TSS_ADDR: 4,
  EXT_CPUID: 7,
  NR_VCPUS: 9,
  NR_MEMSLOTS: 10,
  MP_STATE: 14,
  IRQ_ROUTING: 25,
  IRQFD: 32,
  PIT2: 33,
  PIT_STATE2: 35,
  IOEVENTFD: 36,
  SET_IDENTITY_MAP_ADDR: 37,
  ADJUST_CLOCK: 39,
  VCPU_EVENTS: 41,
  DEBUGREGS: 50,
  XSAVE: 55,
  XCRS: 56,
  TSC_CONTROL: 60,
  MAX_VCPUS: 66,
  TSC_DEADLINE_TIMER: 72,
  SIGNAL_MSI: 77,
  READONLY_MEM: 81,
  IOEVENTFD_ANY_LENGTH: 122,
  IMMEDIATE_EXIT: 136,
  NESTED_STATE: 157,
  SREGS2: 200,
  XSAVE2: 208,
} as const;
export type CapName = keyof typeof CAP;

/** Values of kvm_run.exit_reason. */
export const EXIT = {
  UNKNOWN: 0,
  EXCEPTION: 1,
  IO: 2,
  HYPERCALL: 3,
  DEBUG: 4,
  HLT: 5,
  MMIO: 6,
  IRQ_WINDOW_OPEN: 7,
  SHUTDOWN: 8,
  FAIL_ENTRY: 9,
  INTR: 10,
  SET_TPR: 11,
  TPR_ACCESS: 12,
  NMI: 16,
  INTERNAL_ERROR: 17,
  WATCHDOG: 21,
  SYSTEM_EVENT: 24,
  IOAPIC_EOI: 26,
  HYPERV: 27,
  X86_RDMSR: 29,
  X86_WRMSR: 30,
  DIRTY_RING_FULL: 31,
  X86_BUS_LOCK: 33,
  XEN: 34,
  NOTIFY: 37,
} as const;

export const EXIT_IO = { IN: 0, OUT: 1 } as const;

export const INTERNAL_ERROR = {
  EMULATION: 1,
  SIMUL_EX: 2,
  DELIVERY_EV: 3,
  UNEXPECTED_EXIT_REASON: 4,
} as const;
/** Flag of kvm_run.emulation_failure: `insn_bytes` holds the instruction. */
export const INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES = 1n;

export const SYSTEM_EVENT = { SHUTDOWN: 1, RESET: 2, CRASH: 3, WAKEUP: 4, SUSPEND: 5, SEV_TERM: 6 } as const;

/** Flags of kvm_userspace_memory_region. */
export const MEM = { LOG_DIRTY_PAGES: 1, READONLY: 2 } as const;

/** Values of kvm_mp_state. */
export const MP_STATE = {
  RUNNABLE: 0,
  UNINITIALIZED: 1,
  INIT_RECEIVED: 2,
  HALTED: 3,
  SIPI_RECEIVED: 4,
} as const;

export const IRQCHIP = { PIC_MASTER: 0, PIC_SLAVE: 1, IOAPIC: 2 } as const;
export const IOAPIC_NUM_PINS = 24;

export const IRQ_ROUTING = { IRQCHIP: 1, MSI: 2 } as const;
export const IRQFD_FLAG = { DEASSIGN: 1, RESAMPLE: 2 } as const;
export const IOEVENTFD_FLAG = { DATAMATCH: 1, PIO: 2, DEASSIGN: 4 } as const;
export const PIT_SPEAKER_DUMMY = 1;
/** Flag of the state: channel 0 raises no interrupt. */
export const PIT_FLAGS_HPET_LEGACY = 1;

/** Flag of a CPUID entry: its `index` (subleaf, ECX) is significant. */
export const CPUID_FLAG_SIGNIFCANT_INDEX = 1;

/** A device attribute of a vCPU: the offset to the host's TSC (Documentation/virt/kvm/devices/vcpu.rst). */
export const VCPU_TSC_CTRL = 0;
export const VCPU_TSC_OFFSET = 0;

/**
 * The device that takes the VFIO files of a VM (Documentation/virt/kvm/devices/vfio.rst): its type, and its one group
 * of attributes.
 */
export const DEV_TYPE_VFIO = 4;
export const DEV_VFIO_GROUP = 1;
export const DEV_VFIO_GROUP_ADD = 1;
export const DEV_VFIO_GROUP_DEL = 2;

/** Flag of kvm_sregs2. */
export const SREGS2_FLAGS_PDPTRS_VALID = 1n;

/** Flags of kvm_vcpu_events. */
export const VCPUEVENT_VALID = {
  NMI_PENDING: 1,
  SIPI_VECTOR: 2,
  SHADOW: 4,
  SMM: 8,
  PAYLOAD: 16,
  TRIPLE_FAULT: 32,
} as const;
