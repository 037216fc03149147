import type { Device, WakeSource } from '../../devices/device.ts';
import { wakingVector } from '../boot/waking-vector.ts';
import { loadTscs } from '../cpu/tsc-state.ts';
import { enterFirmware, enterKernel, enterRealMode } from '../cpu/vcpu-setup.ts';
import { loadRegisters, saveRegisters, stateMsrs, type VcpuRegisters } from '../cpu/vcpu-state.ts';
import { type ChipState, loadChips, saveChips } from '../interrupts/chip-state.ts';
import type { MachineParts } from './machine-parts.ts';

/** What KVM cannot reset itself: the state of a machine that has not run. */
export type PowerOnState = {
  /** By index; those that are added later have their own. */
  readonly vcpus: Map<number, VcpuRegisters>;
  readonly chips: ChipState;
};

/** Call it before the vCPUs' first run. */
export function powerOnState({ kvm, vm, vcpus, clock }: MachineParts): PowerOnState {
  const msrs = stateMsrs(kvm.msrIndices());
  return {
    vcpus: new Map(vcpus.indices.map(index => [index, saveRegisters(vcpus.at(index), msrs)])),
    chips: saveChips(vm, clock),
  };
}

/** Notes the state of a vCPU that has been created later, and has not run. A reset gives it the TSC of the others. */
export function notePowerOn({ kvm, vcpus }: MachineParts, powerOn: PowerOnState, index: number): void {
  const registers = saveRegisters(vcpus.at(index), stateMsrs(kvm.msrIndices()));
  powerOn.vcpus.set(index, { ...registers, tsc: powerOn.vcpus.get(0)!.tsc });
}

/** Puts a parked vCPU into its state after power-on, except for its TSC. */
export function resetVcpu(
  { vcpus }: Pick<MachineParts, 'vcpus'>,
  powerOn: PowerOnState,
  index: number,
): void {
  const vcpu = vcpus.at(index);
  // Takes a pending INIT or SIPI.
  vcpu.getMpState();
  loadRegisters(vcpu, powerOn.vcpus.get(index)!);
}

/**
 * Resets a quiesced machine in place, like its reset line: everything that the guest can see is as after power-on, and
 * the kernel is loaded again. Threads, file descriptors, memory slots, interrupt routes and counters stay. Between
 * steps, other work may use the thread.
 * @throws if the kernel can no longer be loaded
 */
export function* resetSteps(parts: MachineParts, powerOn: PowerOnState): Generator<void> {
  const { vcpus, ram, memory, boot } = parts;
  resetHardware(parts, powerOn, () => parts.chipset.reset());
  memory.shadow.reset();
  // From here on KVM writes no clock or counter into it.
  yield* ram.clearing();
  const entry = boot();
  if (entry === 'firmware') enterFirmware(vcpus.first);
  else enterKernel(vcpus.first, entry);
}

/**
 * Wakes up a quiesced machine whose guest sleeps in S3. Its devices have had no power, so all of it is as after a
 * reset, except for its memory, and for what its firmware has placed: SeaBIOS continues in the RAM where it is.
 * @throws BootError if a guest without firmware has set no waking vector
 */
export function wakeUp(parts: MachineParts, powerOn: PowerOnState, by: WakeSource): void {
  const { vcpus, chipset, memory } = parts;
  const vector = chipset.q35 === null ? wakingVector(memory.space.memory) : null;
  resetHardware(
    parts,
    powerOn,
    () => chipset.wake(by),
    device => {
      if (device.resetFromSleep) device.resetFromSleep();
      else device.reset();
    },
  );
  if (vector === null) enterFirmware(vcpus.first);
  else enterRealMode(vcpus.first, vector);
}

function resetHardware(
  { vm, vcpus, clock, chipset }: MachineParts,
  powerOn: PowerOnState,
  resetChipset: () => void,
  resetDevice = (device: Device): void => device.reset(),
): void {
  // Devices first: the interrupts that they drop must not reach the controllers after those are reset.
  for (const { device } of chipset.devices) resetDevice(device);
  resetChipset();
  loadTscs(
    vcpus.present,
    vcpus.indices.map(index => powerOn.vcpus.get(index)!.tsc),
  );
  for (const index of vcpus.indices) resetVcpu({ vcpus }, powerOn, index);
  loadChips(vm, powerOn.chips, clock);
}
