import type { Device, WakeSource } from '../../devices/device.ts';
import { startVcpu, startVcpus } from '../cpu/machine-vcpus.ts';
import { joinTsc, type TscState, tscState } from '../cpu/tsc-state.ts';
import { VcpuGroup } from '../cpu/vcpu-group.ts';
import type { MachineParts } from './machine-parts.ts';
import { loadMachine, type MachineState, savedVcpus, saveMachine } from './machine-state.ts';
import { type HoldEvents, Quiescence, type Release } from './quiescence.ts';
import { notePowerOn, type PowerOnState, powerOnState, resetSteps, resetVcpu, wakeUp } from './reset.ts';

/**
 * A machine that has been built: its vCPUs are at the kernel's first instruction. It runs from `run` on, while nothing
 * holds it. It may be saved, loaded and reset while it is quiesced.
 */
export class Machine {
  readonly parts: MachineParts;
  readonly #vcpus: VcpuGroup;
  readonly #quiescence: Quiescence;
  readonly #powerOn: PowerOnState;
  readonly #start: Release;
  /** vCPUs that have a thread. */
  readonly #started = new Set<number>();
  /** Host CPUs, by vCPU; null until threads are started. */
  #pin: readonly number[] | null = null;
  #isResetting = false;
  /** The TSC of the vCPUs, as far as the guest has not changed it. */
  #tsc: TscState;

  /** @param onChange it begins to run, or what it waits for has changed */
  constructor(parts: MachineParts, onChange: () => void = () => {}) {
    this.parts = parts;
    this.#vcpus = new VcpuGroup(parts.native, parts.vcpus.indices);
    this.#quiescence = new Quiescence({
      vcpus: this.#vcpus,
      devices: () => parts.chipset.devices.map(({ device }) => device),
      beforeResume: () => {
        for (const vcpu of parts.vcpus.present) vcpu.notePause();
      },
      onChange,
    });
    this.#powerOn = powerOnState(parts);
    this.#tsc = this.#powerOn.vcpus.get(0)!.tsc;
    this.#start = this.#quiescence.hold({});
  }

  /** Starts the threads of its vCPUs, parked. @param pin host CPUs, by vCPU. @throws an error for the user */
  startThreads(pin: readonly number[]): void {
    const { native, vcpus } = this.parts;
    startVcpus(native, vcpus, pin);
    for (const index of vcpus.indices) this.#started.add(index);
    this.#pin = pin;
  }

  /**
   * Adds an absent vCPU, which waits for the guest's INIT and SIPI. If the others have threads, it has one, parked or
   * not as they are.
   * @throws an error for the user; it is absent then
   */
  addVcpu(index: number): void {
    const { native, vcpus } = this.parts;
    if (this.#isResetting) throw new Error('the machine is being reset: try again');
    if (this.#vcpus.isLeaving(index))
      throw new Error(`vCPU ${index} has not stopped since it was removed: try again`);
    const { vcpu, isNew } = vcpus.prepare(index);
    if (isNew) notePowerOn(this.parts, this.#powerOn, index);
    // The last that it did may have come after it was removed.
    else resetVcpu(this.parts, this.#powerOn, index);
    joinTsc(vcpu, this.#tsc);
    if (this.#pin !== null && !this.#started.has(index)) {
      startVcpu(native, index, vcpu, this.#pin[index]);
      this.#started.add(index);
    }
    vcpus.add(index);
    this.#vcpus.add(index);
  }

  /** Removes a vCPU: it no longer belongs to the machine. Its thread parks. */
  removeVcpu(index: number): void {
    this.parts.vcpus.remove(index);
    this.#vcpus.remove(index, () => resetVcpu(this.parts, this.#powerOn, index));
  }

  /** Runs from here on, unless something holds it. */
  run(): void {
    this.parts.chars.begin();
    this.#start();
  }

  /** The thread of vCPU `index` has parked. */
  vcpuParked(index: number): void {
    this.#vcpus.parked(index);
  }

  /** Whether its vCPUs run, or are about to. */
  get running(): boolean {
    return this.#quiescence.running;
  }

  /** Whether no vCPU runs. */
  get parked(): boolean {
    return this.#quiescence.parked;
  }

  /** Devices that have been asked to stop and have not. */
  get holdups(): string[] {
    return this.#quiescence.holdups;
  }

  /** Whether its guest sleeps in S3: its devices work, but its vCPUs do not run before `wake` or `reset`. */
  get asleep(): boolean {
    return this.#vcpus.asleep;
  }

  /** Its guest has put it into S3. */
  sleep(): void {
    this.#vcpus.sleep();
  }

  /**
   * Wakes a sleeping guest at its waking vector, while the machine is quiesced: as after a reset, but with its memory.
   * @throws BootError if the guest has set no vector; it must not run then
   */
  wake(by: WakeSource): void {
    this.#checkQuiesced();
    wakeUp(this.parts, this.#powerOn, by);
    this.#noteTsc();
    this.#vcpus.wake();
  }

  /** Adds a device, which stops and runs with the machine. */
  plugged(device: Device): void {
    this.#quiescence.plugged(device);
  }

  /** Removes a device from the machine's devices. */
  unplugged(device: Device): void {
    this.#quiescence.unplugged(device);
  }

  /** Stops it, without waiting, until the returned function is called and nothing else holds it. */
  hold(events: HoldEvents): Release {
    return this.#quiescence.hold(events);
  }

  /**
   * Same; `done` is called once `save`, `load` and `reset` are possible. From then on its character back ends are held,
   * too: what they read or write would be missing from its state, or be repeated.
   */
  quiesce(done: () => void): Release {
    let releaseChars = () => {};
    const release = this.hold({
      quiesced: () => {
        releaseChars = this.parts.chars.hold();
        done();
      },
    });
    return () => {
      releaseChars();
      release();
    };
  }

  /** It has ended: no release lets it run again. Nothing more is written to its disks. */
  end(): void {
    this.#quiescence.end();
  }

  /** Its state, while it is quiesced. */
  save(): MachineState {
    this.#checkQuiesced();
    return saveMachine(this.parts);
  }

  /**
   * Replaces its state, while it is quiesced or before its first run. vCPUs are added and removed as the state has them.
   * @throws MachineStateError; it must not run then
   */
  load(state: MachineState): void {
    this.#checkQuiesced();
    this.#matchVcpus(savedVcpus(state, this.parts.vcpus.most));
    loadMachine(this.parts, state);
    this.#noteTsc();
    if (this.parts.chipset.asleep) this.#vcpus.sleep();
    else this.#vcpus.wake();
  }

  /**
   * Resets it in place, while it is quiesced. Clearing much memory takes several turns of the loop, during which it
   * must not be used.
   * @param done called when it is over, with the reason if the kernel can't be loaded again and it must not run
   */
  reset(done: (failure: unknown) => void): void {
    this.#checkQuiesced();
    const finish = this.#quiescence.occupy();
    this.#isResetting = true;
    const steps = resetSteps(this.parts, this.#powerOn);
    const step = () => {
      try {
        if (!steps.next().done) {
          this.parts.clock.at(0n, step);
          return;
        }
      } catch (error) {
        done(error);
        return;
      }
      this.#isResetting = false;
      this.#noteTsc();
      this.#vcpus.wake();
      finish(() => done(null));
    };
    step();
  }

  #matchVcpus(wanted: readonly number[]): void {
    const { vcpus } = this.parts;
    for (const index of vcpus.indices) if (!wanted.includes(index)) this.removeVcpu(index);
    for (const index of wanted) if (!vcpus.isPresent(index)) this.addVcpu(index);
  }

  #noteTsc(): void {
    this.#tsc = tscState(this.parts.vcpus.first);
  }

  #checkQuiesced(): void {
    if (!this.#quiescence.quiesced) throw new Error('the machine is not quiesced');
  }
}
