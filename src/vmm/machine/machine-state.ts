import type { DeviceState } from '../../devices/device.ts';
import { DeviceStateError } from '../../devices/state.ts';
import { loadTscs } from '../cpu/tsc-state.ts';
import { loadVcpu, saveVcpu, stateMsrs, type VcpuState } from '../cpu/vcpu-state.ts';
import { type ChipState, loadChips, saveChips } from '../interrupts/chip-state.ts';
import { KvmError } from '../kvm/kvm.ts';
import { SystemError } from '../native/libc.ts';
import type { MachineParts } from './machine-parts.ts';

/** The version of what `saveMachine` returns. */
const VERSION = 1;

/** The whole state of a machine except its RAM and its disks, as plain data. */
export type MachineState = {
  version: number;
  /** Of the present ones. */
  vcpus: VcpuState[];
  /** Their indices, ascending. Absent from the states of versions that could not add any: they are the first ones. */
  vcpuIndices?: number[];
  chips: ChipState;
  /** Times in nanoseconds: the devices' (MachineClock) and kvmclock's. The times in the states refer to the former. */
  clock: { machine: bigint; kvmclock: bigint };
  /** The levels of the interrupt lines. */
  interrupts: DeviceState;
  pci: DeviceState;
  /** State of everything else that is not a device. Absent from the states of versions without any. */
  chipset?: DeviceState;
  /** By the devices' names. */
  devices: { [name: string]: DeviceState };
  /** State of their character back ends, by the same names. Absent from the states of versions without it. */
  chars?: { [name: string]: DeviceState };
};

/** The state does not fit the machine, or this host; the message says where. */
export class MachineStateError extends Error {
  override readonly name = 'MachineStateError';
}

/** The state of a quiesced machine. */
export function saveMachine(parts: MachineParts): MachineState {
  const { kvm, vm, vcpus, clock, interrupts, chipset, chars } = parts;
  const now = clock.now();
  const msrs = stateMsrs(kvm.msrIndices());
  // All of them before any other state is read: a vCPU that takes a pending INIT or SIPI may have got it from another
  // one.
  for (const vcpu of vcpus.present) vcpu.getMpState();
  return {
    version: VERSION,
    vcpus: vcpus.present.map(vcpu => saveVcpu(vcpu, msrs)),
    vcpuIndices: [...vcpus.indices],
    chips: saveChips(vm, clock),
    clock: { machine: now, kvmclock: vm.getClock() },
    interrupts: interrupts.save(),
    pci: chipset.pci.save(),
    chipset: chipset.save(),
    devices: Object.fromEntries(chipset.devices.map(({ device }) => [device.name, device.save()])),
    chars: chars.save(),
  };
}

/**
 * The indices of the vCPUs that a saved machine had, which the one that it is loaded into must have, too.
 * @param most that it can have. @throws MachineStateError
 */
export function savedVcpus(state: MachineState, most: number): readonly number[] {
  if (state.version !== VERSION)
    throw new MachineStateError(
      `the state has version ${state.version}, but this vring reads ${VERSION}: use the vring that saved it`,
    );
  const count = Array.isArray(state.vcpus) ? state.vcpus.length : 0;
  if (count === 0 || count > most)
    throw new MachineStateError(`the saved machine had ${count} vCPUs, this one has room for ${most}`);
  const { vcpuIndices = Array.from({ length: count }, (_, index) => index) } = state;
  const isValid =
    Array.isArray(vcpuIndices) &&
    vcpuIndices.length === count &&
    vcpuIndices[0] === 0 &&
    [...vcpuIndices].every(
      (index, i) =>
        Number.isInteger(index) && index < most && (i === 0 || index > (vcpuIndices[i - 1] as number)),
    );
  if (!isValid)
    throw new MachineStateError('the saved vCPUs do not fit this machine: their numbers are not valid');
  return vcpuIndices;
}

/**
 * Loads a state into a machine with the same configuration and the `savedVcpus` that is quiesced or has not run. The guest sees no time pass
 * between save and load, on any of its clocks but the RTC. RAM must have its contents already: KVM writes the guest's
 * clocks to it.
 * @throws MachineStateError; the machine must not run then
 */
export function loadMachine(parts: MachineParts, state: MachineState): void {
  const { vm, vcpus, clock, interrupts, chipset, chars } = parts;
  checkParts(parts, state);
  fitting('clock', () => clock.set(BigInt.asUintN(63, state.clock.machine)));
  // The TSC deadline timers refer to them.
  fitting('TSC', () =>
    loadTscs(
      vcpus.present,
      state.vcpus.map(({ tsc }) => tsc),
    ),
  );
  for (const [i, index] of vcpus.indices.entries())
    fitting(`vCPU ${index}`, () => loadVcpu(vcpus.at(index), state.vcpus[i]!));
  fitting('interrupt lines', () => interrupts.load(state.interrupts));
  // Bridges before the devices behind them.
  fitting('PCI host', () => chipset.pci.load(state.pci));
  const { chipset: ofChipset } = state;
  if (ofChipset !== undefined) fitting('chipset', () => chipset.load(ofChipset));
  for (const { device } of chipset.devices)
    fitting(device.name, () => device.load(state.devices[device.name]!));
  fitting('output', () => chars.load(state.chars ?? {}));
  fitting('interrupt controllers', () => loadChips(vm, state.chips, clock));
  interrupts.settle();
  fitting('kvmclock', () => vm.setClock(BigInt.asUintN(63, state.clock.kvmclock)));
  for (const vcpu of vcpus.present) vcpu.notePause();
}

function checkParts({ chipset }: MachineParts, state: MachineState): void {
  const saved = new Set(Object.keys(state.devices ?? {}));
  for (const { device } of chipset.devices) {
    if (!saved.delete(device.name))
      throw new MachineStateError(`the saved machine had no device ${device.name}: remove it from this one`);
  }
  const [more] = saved;
  if (more !== undefined)
    throw new MachineStateError(`the saved machine had a device ${more}: add it to this one`);
}

/** KVM refuses invalid values, and a state with wrong types can't be encoded for it. */
function fitting(part: string, load: () => void): void {
  try {
    load();
  } catch (error) {
    const isRefusal =
      error instanceof DeviceStateError ||
      error instanceof KvmError ||
      error instanceof SystemError ||
      error instanceof RangeError ||
      error instanceof TypeError;
    if (!isRefusal) throw error;
    throw new MachineStateError(`the saved ${part} does not fit this machine: ${error.message}`);
  }
}
