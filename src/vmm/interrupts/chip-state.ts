import { IRQCHIP } from '../kvm/constants.ts';
import type { PitState } from '../kvm/structs.ts';
import type { VmFd } from '../kvm/vm-fd.ts';

/** The VM state in KVM apart from the vCPUs, as plain data. */
export type ChipState = {
  picMaster: Uint8Array;
  picSlave: Uint8Array;
  ioapic: Uint8Array;
  pit: PitState;
  /** kvmclock, nanoseconds. */
  clock: bigint;
};

/** With every vCPU parked. */
export function saveChips(vm: VmFd): ChipState {
  return {
    picMaster: vm.getIrqchip(IRQCHIP.PIC_MASTER),
    picSlave: vm.getIrqchip(IRQCHIP.PIC_SLAVE),
    ioapic: vm.getIrqchip(IRQCHIP.IOAPIC),
    pit: vm.getPit(),
    clock: vm.getClock(),
  };
}

export function loadChips(vm: VmFd, state: ChipState): void {
  vm.setIrqchip(IRQCHIP.PIC_MASTER, state.picMaster);
  vm.setIrqchip(IRQCHIP.PIC_SLAVE, state.picSlave);
  vm.setIrqchip(IRQCHIP.IOAPIC, state.ioapic);
  vm.setPit(state.pit);
  vm.setClock(state.clock);
}
