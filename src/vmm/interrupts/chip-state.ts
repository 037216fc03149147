import { IRQCHIP } from '../kvm/constants.ts';
import type { PitState } from '../kvm/structs.ts';
import type { VmFd } from '../kvm/vm-fd.ts';

/** The state of the interrupt controllers and the timer in KVM, as plain data. */
export type ChipState = {
  picMaster: Uint8Array;
  picSlave: Uint8Array;
  ioapic: Uint8Array;
  /** The load times of its channels are on the machine's clock. */
  pit: PitState;
};

/** Converts the host's monotonic time to that of a machine and back. */
export type HostTime = { fromHost(ns: bigint): bigint; toHost(ns: bigint): bigint };

/** With every vCPU parked. */
export function saveChips(vm: VmFd, time: HostTime): ChipState {
  return {
    picMaster: vm.getIrqchip(IRQCHIP.PIC_MASTER),
    picSlave: vm.getIrqchip(IRQCHIP.PIC_SLAVE),
    ioapic: vm.getIrqchip(IRQCHIP.IOAPIC),
    pit: withLoadTimes(vm.getPit(), ns => time.fromHost(ns)),
  };
}

/**
 * Call it after the vCPUs, to which the IOAPIC delivers pending interrupts, and after the devices, whose lines then
 * have their levels: a line raised later would be an interrupt that the guest has already seen.
 */
export function loadChips(vm: VmFd, state: ChipState, time: HostTime): void {
  // First: a tick of the timer that it replaces may still be in flight.
  vm.setPit(withLoadTimes(state.pit, ns => time.toHost(ns)));
  // The slave before the master: KVM passes on what is pending in the one that it replaces, and the guest would take an
  // interrupt that is none, and never end it.
  vm.setIrqchip(IRQCHIP.PIC_SLAVE, state.picSlave);
  vm.setIrqchip(IRQCHIP.PIC_MASTER, state.picMaster);
  vm.setIrqchip(IRQCHIP.IOAPIC, state.ioapic);
}

function withLoadTimes(pit: PitState, convert: (ns: bigint) => bigint): PitState {
  const channels = pit.channels.map(channel => ({
    ...channel,
    count_load_time: BigInt.asIntN(64, convert(channel.count_load_time)),
  }));
  return { ...pit, channels };
}
