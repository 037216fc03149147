import { describe, expect, onTestFinished, test } from 'vitest';
import type { DefinedVm } from '../../../src/engine/definitions.ts';
import { NO_DEFINITIONS } from '../../../src/engine/definitions.ts';
import { LocalEngine, type LocalEngineOptions } from '../../../src/engine/local-engine.ts';
import {
  type Death,
  type FoundMachine,
  type Launch,
  type Machine,
  type Machines,
  unregistered,
} from '../../../src/engine/machines/machine.ts';
import { MachineConnection } from '../../../src/engine/machines/machine-connection.ts';
import { SnapshotStore } from '../../../src/engine/snapshots/store.ts';
import { createCounters } from '../../../src/vmm/counters/shared-counters.ts';
import { messageFrame } from '../../../src/vmm/machine/frames.ts';
import type { FromMachine } from '../../../src/vmm/machine/messages.ts';
import type { Topology } from '../../../src/vmm/machine/topology.ts';
import { close, socketPair } from '../../../src/vmm/native/libc.ts';
import { sendNow } from '../../../src/vmm/native/unix-socket.ts';
import { treeImage } from '../../host/plan/tree-image.ts';
import { LendingRig, VF, VF_GROUP, wanted } from '../../support/lending.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const device = { type: 'vfio-pci', host: VF } as const;
const boot = { kind: 'kernel', path: 'kernel' } as const;
const web = { name: 'web', boot, devices: [device] };
const KILLED = { reason: 'its process was ended by SIGKILL', detail: null };

/** A machine that runs as soon as it is launched, and has its devices open until it is gone. */
class RunningMachine {
  readonly launch: Pick<Launch, 'config'>;
  readonly #gone = Promise.withResolvers<Death | null>();
  readonly machine: Machine;
  readonly #rig: LendingRig;
  readonly #socket: number;

  constructor(rig: LendingRig, launch: Pick<Launch, 'config' | 'hostDevices'>) {
    this.launch = launch;
    this.#rig = rig;
    const [ours, theirs] = socketPair();
    onTestFinished(() => close(theirs));
    this.#socket = theirs;
    if (launch.hostDevices !== undefined && launch.hostDevices.length > 0) rig.hold(VF_GROUP);
    this.machine = {
      connection: new MachineConnection(ours),
      pid: process.pid,
      version: '1.0.0',
      gone: this.#gone.promise,
      destroy: () => this.die(),
      isHeld: () => true,
      whyStuck: () => 'it waits',
    };
    this.say({ kind: 'state', state: 'running' });
  }

  say(message: FromMachine): void {
    sendNow(this.#socket, messageFrame(message));
  }

  die(death: Death = KILLED): void {
    this.#rig.release();
    this.#gone.resolve(death);
  }
}

class Setting {
  readonly rig = new LendingRig();
  readonly before = treeImage(this.rig.host.root);
  readonly launches: { readonly devices: Launch['hostDevices']; readonly open: boolean }[] = [];
  readonly machines: RunningMachine[] = [];
  launchError: Error | null = null;
  readonly engine: LocalEngine;

  constructor(
    options: Partial<LocalEngineOptions> = {},
    lock = (change: () => Promise<unknown>) => change(),
  ) {
    const { rig } = this;
    const machines = {
      launch: (launch: Launch) => {
        if (this.launchError !== null) throw this.launchError;
        const fds = launch.hostDevices?.flatMap(({ fds }) => fds) ?? [];
        this.launches.push({
          devices: launch.hostDevices,
          open: fds.every(({ fd }) => rig.isOpen(fd)),
        });
        const running = new RunningMachine(rig, launch);
        this.machines.push(running);
        return running.machine;
      },
      warm: () => {},
      cool: async () => {},
      abandon: () => {},
    } satisfies Machines;
    this.engine = new LocalEngine({
      machines,
      hostDevices: {
        ...{ open: rig.open, records: rig.records, root: rig.host.root, writer: () => rig.host },
        lock: lock as never,
      },
      ...options,
    });
    onTestFinished(() => this.engine.close());
  }

  get vm() {
    return this.engine.vms().find(({ name }) => name === 'web')!;
  }

  get log(): string[] {
    return this.engine.log().map(({ vm, text }) => `${vm}: ${text}`);
  }

  expectHostAsBefore(): void {
    expect(treeImage(this.rig.host.root)).toEqual(this.before);
    expect(this.rig.records.list()).toEqual([]);
    expect(this.rig.openFds).toBe(0);
  }
}

describe('a VM with a host device', () => {
  test('is starting while the device is taken, and stopping until the host has it back', async () => {
    const setting = new Setting();
    const states: string[] = [];
    setting.engine.subscribe(event => {
      if (event.kind === 'vm' && states.at(-1) !== event.vm.state) states.push(event.vm.state);
    });
    await setting.engine.start(web);
    expect(setting.launches).toMatchObject([{ devices: [{ address: VF, group: VF_GROUP }], open: true }]);
    expect(setting.rig.openFds).toBe(0);
    expect(setting.vm).toMatchObject({
      state: 'running',
      hostDevices: [{ address: VF, device: 'hostdev0', api: 'group', keep: false, before: 'iavf' }],
    });
    await setting.engine.kill('web');
    setting.expectHostAsBefore();
    expect(setting.vm.hostDevices).toEqual([
      { address: VF, device: 'hostdev0', api: null, keep: false, before: null },
    ]);
    expect(states).toEqual(['starting', 'running', 'stopping', 'off']);
    expect(setting.log).toEqual([
      `web: took ${VF} from iavf`,
      'web: started',
      `web: gave ${VF} back to iavf`,
      expect.stringMatching(/^web: off: /),
    ]);
  });

  test('that is killed from outside gives the device back, and is then crashed', async () => {
    const setting = new Setting();
    await setting.engine.start(web);
    const atCrash = new Promise(resolve => {
      setting.engine.subscribe(event => {
        if (event.kind === 'vm' && event.vm.state === 'crashed') resolve(setting.rig.host.pci.driverOf(VF));
      });
    });
    setting.machines[0]!.die();
    expect(await atCrash).toBe('iavf');
    setting.expectHostAsBefore();
  });

  test('is restarted with the device after a crash if its definition says so', async () => {
    const defined: DefinedVm = {
      ...{ name: 'web', problem: null, blockers: [], vcpus: 1, memoryBytes: 2 ** 28, autostart: false },
      onCrash: 'restart',
      hostDevices: [wanted(VF, { settings: { vlan: 5 } })],
    };
    const setting = new Setting({
      definitions: { ...NO_DEFINITIONS, list: () => [defined], machine: () => web },
    });
    expect(setting.vm.hostDevices).toMatchObject([{ address: VF, api: null }]);
    await setting.engine.restart('web');
    expect(setting.log).toContain(`web: set vlan 5 of ${VF}`);
    setting.machines[0]!.die();
    await expect.poll(() => setting.machines.length).toBe(2);
    await expect.poll(() => setting.vm.state).toBe('running');
    expect(setting.rig.host.pci.driverOf(VF)).toBe('vfio-pci');
    await setting.engine.kill('web');
    setting.expectHostAsBefore();
    expect(setting.machines).toHaveLength(2);
  });

  test('that cannot have the device reports every reason, once, and is off', async () => {
    const setting = new Setting();
    const bad = [{ ...device, id: '8086:1520' }, { type: 'vfio-pci', host: '0000:3b:00.0' } as const];
    await expect(setting.engine.start({ ...web, devices: bad })).rejects.toThrow(
      /^web cannot get its host devices: 0000:3b:0a\.2: .*not 8086:1520.*; 0000:3b:00\.0: .*SSH session/,
    );
    expect(setting.engine.vms()).toEqual([]);
    expect(setting.log.filter(line => line.includes('could not start'))).toHaveLength(1);
    setting.expectHostAsBefore();
  });

  test('that fails to launch leaves nothing behind', async () => {
    const setting = new Setting();
    setting.launchError = new Error('no room');
    await expect(setting.engine.start(web)).rejects.toThrow('no room');
    setting.expectHostAsBefore();
    setting.launchError = null;
    await setting.engine.start(web);
    expect(setting.vm.state).toBe('running');
  });

  test('can be killed while its device is being taken, and started again', async () => {
    const held = Promise.withResolvers<void>();
    const setting = new Setting({}, async change => {
      await held.promise;
      return await change();
    });
    const started = setting.engine.start(web);
    expect(setting.vm.state).toBe('starting');
    await expect(setting.engine.pause('web')).rejects.toThrow('web is starting');
    await expect(setting.engine.start(web)).rejects.toThrow('a VM named web is starting already');
    const killed = setting.engine.kill('web');
    held.resolve();
    await expect(started).rejects.toThrow('it was stopped');
    await killed;
    expect(setting.launches).toEqual([]);
    setting.expectHostAsBefore();
    await setting.engine.start(web);
    expect(setting.vm.state).toBe('running');
  });

  test('keeps the device from another VM, whose error names its user', async () => {
    const setting = new Setting();
    await setting.engine.start(web);
    await expect(setting.engine.start({ ...web, name: 'db' })).rejects.toThrow(/db cannot get .*VM web/);
    expect(setting.vm.state).toBe('running');
  });

  test('cannot be saved, copied or handed over', async () => {
    const setting = new Setting({
      snapshots: { store: new SnapshotStore(temporaryFolder()), disks: temporaryFolder() },
    });
    await setting.engine.start(web);
    const reason = `because it has hostdev0 (${VF} of the host): its state is in the hardware`;
    for (const [what, refused] of [
      ['have snapshots taken', setting.engine.snapshot('web', { disks: false })],
      ['be saved', setting.engine.save('web')],
      ['be upgraded while it runs', setting.engine.upgrade('web')],
    ] as const)
      await expect(refused).rejects.toThrow(`web cannot ${what}, ${reason}`);
    expect(setting.vm.state).toBe('running');
  });

  test('needs an engine with host devices', async () => {
    const setting = new Setting({ hostDevices: undefined as never });
    await expect(setting.engine.start(web)).rejects.toThrow(
      `web cannot have ${VF} of the host in this process: start it in the manager`,
    );
  });
});

describe('a manager that takes over a running VM', () => {
  /** @returns the engine of the next manager, which has found the VM's machine */
  async function takeOver(
    { rig, machines }: Setting,
    { config, pending }: Pick<FoundMachine, 'config' | 'pending'>,
  ): Promise<LocalEngine> {
    const hostDevices = { open: rig.open, records: rig.records, root: rig.host.root, writer: () => rig.host };
    const next = new LocalEngine({ hostDevices: { ...hostDevices, lock: change => change() } });
    onTestFinished(() => next.close());
    const counters = createCounters({ vcpus: 1, queues: 0, regions: 0 });
    counters.closeFd();
    machines[0]!.say({ kind: 'state', state: 'running' });
    const found: FoundMachine = {
      ...{ config, pending, isAsStarted: true, startedAt: 0, silent: machines[0]!.machine },
      answered: Promise.resolve({ machine: machines[0]!.machine, counters }),
      succeed: () => unregistered() as never,
      follow: () => {},
      renew: () => null,
      release: () => {},
    };
    await next.adopt([found]);
    await next.recoverHostDevices();
    return next;
  }

  test('knows its device, and gives it back when the VM ends', async () => {
    const first = new Setting();
    await first.engine.start(web);
    const machine = first.machines[0]!;
    await first.engine.leaveRunning();

    const next = await takeOver(first, { config: machine.launch.config, pending: [] });
    expect(next.vms()).toMatchObject([{ name: 'web', hostDevices: [{ address: VF, before: 'iavf' }] }]);
    expect(first.rig.host.pci.driverOf(VF)).toBe('vfio-pci');
    machine.die();
    await expect.poll(() => next.vms()[0]!.state).toBe('crashed');
    first.expectHostAsBefore();
  });

  test('does not release a device that is still being attached, and takes it back if attaching fails', async () => {
    const first = new Setting();
    await first.engine.start(web);
    await first.engine.leaveRunning();

    const machine = first.machines[0]!;
    const config = { ...machine.launch.config, devices: [] };
    const topology: Topology = {
      ...{ shape: { vcpus: 1, queues: 0, regions: 0 }, queues: [], regions: [], consoles: [], pinning: [] },
      ...{ vcpus: 1, devices: [], places: { rootPorts: [], devices: [] } },
    };
    const next = await takeOver(first, { config, pending: [{ ...device, name: 'hostdev0' }] });
    machine.say({ kind: 'topology', topology: { ...topology, pluggingIn: ['hostdev0'] } });
    await expect
      .poll(() => next.vms()[0])
      .toMatchObject({ state: 'running', topology: { pluggingIn: ['hostdev0'] } });
    expect(next.vms()[0]!.hostDevices).toMatchObject([{ address: VF, before: 'iavf' }]);
    expect(first.rig.host.pci.driverOf(VF)).toBe('vfio-pci');
    first.rig.release();
    machine.say({ kind: 'topology', topology });
    await expect.poll(() => next.vms()[0]!.hostDevices).toBeUndefined();
    first.expectHostAsBefore();
  });
});
