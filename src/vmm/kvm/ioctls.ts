/** KVM's ioctls, by their names in linux/kvm.h. A test compiles the real header and compares every number. */
import type { AnyStruct } from './c-struct.ts';
import * as structs from './structs.ts';

const KVMIO = 0xae;

/** _IOC of asm-generic/ioctl.h: direction in bits 30-31, size in 16-29, type in 8-15, number in 0-7. */
const ioc = (direction: number, nr: number, size: number): number =>
  ((direction << 30) | (size << 16) | (KVMIO << 8) | nr) >>> 0;
const io = (nr: number) => ioc(0, nr, 0);
const iow = (nr: number, argument: AnyStruct | number) => ioc(1, nr, sizeOf(argument));
const ior = (nr: number, argument: AnyStruct | number) => ioc(2, nr, sizeOf(argument));
const iowr = (nr: number, argument: AnyStruct | number) => ioc(3, nr, sizeOf(argument));
const sizeOf = (argument: AnyStruct | number) => (typeof argument === 'number' ? argument : argument.size);

const U64 = 8;

export const IOCTLS = {
  // of /dev/kvm
  KVM_GET_API_VERSION: io(0x00),
  KVM_CREATE_VM: io(0x01),
  KVM_GET_MSR_INDEX_LIST: iowr(0x02, structs.kvmMsrList),
  KVM_CHECK_EXTENSION: io(0x03),
  KVM_GET_VCPU_MMAP_SIZE: io(0x04),
  KVM_GET_SUPPORTED_CPUID: iowr(0x05, structs.kvmCpuid2),
  // of a VM
  KVM_CREATE_VCPU: io(0x41),
  KVM_GET_DIRTY_LOG: iow(0x42, structs.kvmDirtyLog),
  KVM_SET_USER_MEMORY_REGION: iow(0x46, structs.kvmUserspaceMemoryRegion),
  KVM_SET_TSS_ADDR: io(0x47),
  KVM_SET_IDENTITY_MAP_ADDR: iow(0x48, U64),
  KVM_CREATE_IRQCHIP: io(0x60),
  KVM_IRQ_LINE: iow(0x61, structs.kvmIrqLevel),
  KVM_GET_IRQCHIP: iowr(0x62, structs.kvmIrqchip),
  KVM_SET_IRQCHIP: ior(0x63, structs.kvmIrqchip),
  KVM_SET_GSI_ROUTING: iow(0x6a, structs.kvmIrqRouting),
  KVM_IRQFD: iow(0x76, structs.kvmIrqfd),
  KVM_CREATE_PIT2: iow(0x77, structs.kvmPitConfig),
  KVM_IOEVENTFD: iow(0x79, structs.kvmIoeventfd),
  KVM_SET_CLOCK: iow(0x7b, structs.kvmClockData),
  KVM_GET_CLOCK: ior(0x7c, structs.kvmClockData),
  KVM_GET_PIT2: ior(0x9f, structs.kvmPitState2),
  KVM_SET_PIT2: iow(0xa0, structs.kvmPitState2),
  KVM_SIGNAL_MSI: iow(0xa5, structs.kvmMsi),
  // of a vCPU
  KVM_RUN: io(0x80),
  KVM_GET_REGS: ior(0x81, structs.kvmRegs),
  KVM_SET_REGS: iow(0x82, structs.kvmRegs),
  KVM_GET_SREGS: ior(0x83, structs.kvmSregs),
  KVM_SET_SREGS: iow(0x84, structs.kvmSregs),
  KVM_GET_MSRS: iowr(0x88, structs.kvmMsrs),
  KVM_SET_MSRS: iow(0x89, structs.kvmMsrs),
  KVM_GET_LAPIC: ior(0x8e, structs.kvmLapicState),
  KVM_SET_LAPIC: iow(0x8f, structs.kvmLapicState),
  KVM_SET_CPUID2: iow(0x90, structs.kvmCpuid2),
  KVM_GET_CPUID2: iowr(0x91, structs.kvmCpuid2),
  KVM_GET_MP_STATE: ior(0x98, structs.kvmMpState),
  KVM_SET_MP_STATE: iow(0x99, structs.kvmMpState),
  KVM_GET_VCPU_EVENTS: ior(0x9f, structs.kvmVcpuEvents),
  KVM_SET_VCPU_EVENTS: iow(0xa0, structs.kvmVcpuEvents),
  KVM_GET_DEBUGREGS: ior(0xa1, structs.kvmDebugregs),
  KVM_SET_DEBUGREGS: iow(0xa2, structs.kvmDebugregs),
  KVM_GET_XSAVE: ior(0xa4, structs.kvmXsave),
  KVM_SET_XSAVE: iow(0xa5, structs.kvmXsave),
  KVM_GET_XCRS: ior(0xa6, structs.kvmXcrs),
  KVM_SET_XCRS: iow(0xa7, structs.kvmXcrs),
  KVM_SET_TSC_KHZ: io(0xa2),
  KVM_GET_TSC_KHZ: io(0xa3),
  KVM_KVMCLOCK_CTRL: io(0xad),
  KVM_GET_NESTED_STATE: iowr(0xbe, structs.kvmNestedState),
  KVM_SET_NESTED_STATE: iow(0xbf, structs.kvmNestedState),
  KVM_GET_SREGS2: ior(0xcc, structs.kvmSregs2),
  KVM_SET_SREGS2: iow(0xcd, structs.kvmSregs2),
  KVM_GET_XSAVE2: ior(0xcf, structs.kvmXsave),
  KVM_CREATE_DEVICE: iowr(0xe0, structs.kvmCreateDevice),
  KVM_SET_DEVICE_ATTR: iow(0xe1, structs.kvmDeviceAttr),
  KVM_GET_DEVICE_ATTR: iow(0xe2, structs.kvmDeviceAttr),
  KVM_HAS_DEVICE_ATTR: iow(0xe3, structs.kvmDeviceAttr),
} as const;

export type IoctlName = keyof typeof IOCTLS;
