import { readdirSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import type { HostDeviceLender } from '../../../src/engine/host-devices/lender.ts';
import { treeImage } from '../../host/plan/tree-image.ts';
import { desktopTree } from '../../host/trees/desktop.ts';
import { noIommuTree } from '../../host/trees/no-iommu.ts';
import {
  configOf,
  dyingWriter,
  LendingRig,
  OTHER_VF,
  PF,
  VF,
  VF_GROUP,
  wanted,
} from '../../support/lending.ts';

const web = { config: configOf('web'), state: 'stopped' } as const;
const db = { config: configOf('db'), state: 'stopped' } as const;
const settings = { mac: '02:00:00:00:00:99', vlan: 7, trust: true, spoofCheck: false };
const withSettings = wanted(VF, { settings });

function take(
  lender: HostDeviceLender,
  who = web,
  devices = [withSettings],
  signal = new AbortController().signal,
) {
  return lender.take(who, devices, signal);
}

describe('a VM that starts', () => {
  test('takes its VF with its settings, and restores it afterwards', async () => {
    const rig = new LendingRig();
    const before = treeImage(rig.host.root);
    const lender = rig.lender();
    expect(lender.has('web')).toBe(false);
    const opened = await take(lender);
    expect(opened.map(({ address, api }) => [address, api])).toEqual([[VF, 'group']]);
    expect(rig.host.pci.driverOf(VF)).toBe('vfio-pci');
    expect(rig.host.sriov.links().find(({ ifname }) => ifname === 'ens1f2')!.vfinfo_list![2]).toMatchObject({
      mac: settings.mac,
      vlan_list: [{ vlan: 7 }],
      trust: true,
      spoofchk: false,
    });
    expect(lender.of('web')).toEqual([
      { address: VF, device: 'hostdev0', api: 'group', keep: false, before: 'iavf' },
    ]);
    await lender.giveBack('web');
    expect(lender.has('web')).toBe(false);
    expect(treeImage(rig.host.root)).toEqual(before);
    expect(readdirSync(rig.records.folder)).toEqual([]);
    expect(rig.notes).toEqual([
      `info web: took ${VF} from iavf`,
      `info web: set mac 02:00:00:00:00:99, vlan 7, trust true, spoofCheck false of ${VF}`,
      `info web: gave ${VF} back to iavf`,
    ]);
  });

  test('is recorded before anything is changed', async () => {
    const rig = new LendingRig();
    const { writer, died } = dyingWriter(rig.host, 0, 'before');
    void take(rig.lender({ writer: () => writer }));
    await died;
    expect(rig.host.log).toEqual([]);
    expect(rig.records.list()).toMatchObject([
      {
        address: VF,
        vm: 'web',
        before: { driver: 'iavf', override: '' },
        vf: { physicalFunction: PF, index: 2, before: { mac: '02:00:00:00:00:02', vlan: 0 }, set: settings },
      },
    ]);
  });

  test('changes nothing if its record cannot be written', async () => {
    const rig = new LendingRig();
    vi.spyOn(rig.records, 'write').mockImplementation(() => {
      throw new Error('the disk is full');
    });
    await expect(take(rig.lender())).rejects.toThrow('the disk is full');
    expect(rig.host.log).toEqual([]);
  });

  test('leaves a device alone that is already bound to vfio-pci', async () => {
    const rig = new LendingRig();
    const lender = rig.lender();
    rig.host.pci.unbind(VF);
    rig.host.pci.setOverride(VF, 'vfio-pci');
    rig.host.pci.probe(VF);
    const before = treeImage(rig.host.root);
    await take(lender, web, [wanted(VF)]);
    expect(lender.of('web')).toMatchObject([{ address: VF, before: 'vfio-pci' }]);
    await lender.giveBack('web');
    expect(rig.host.log).toEqual([]);
    expect(treeImage(rig.host.root)).toEqual(before);
    expect(rig.records.list()).toEqual([]);
    expect(rig.notes).toEqual([]);
  });

  test('leaves the device bound when it ends if its definition says so', async () => {
    const rig = new LendingRig();
    const lender = rig.lender();
    await take(lender, web, [wanted(VF, { keep: true })]);
    await lender.giveBack('web');
    expect(rig.host.pci.driverOf(VF)).toBe('vfio-pci');
    expect(rig.records.list()).toEqual([]);
    expect(rig.notes.at(-1)).toBe(`info web: left ${VF} bound to vfio-pci (keep)`);
    // From then on it is in its original state.
    await take(lender, web, [wanted(VF)]);
    await lender.giveBack('web');
    expect(rig.host.pci.driverOf(VF)).toBe('vfio-pci');
  });

  test('takes the rest of the IOMMU group along, and gives it back', async () => {
    const rig = new LendingRig(desktopTree());
    const gpu = '0000:01:00.0';
    const card = [0, 1, 2, 3].map(fn => `0000:01:00.${fn}`);
    const drivers = () => card.map(address => rig.host.pci.driverOf(address));
    const before = drivers();
    const lender = rig.lender();
    await take(lender, web, [wanted(gpu)]);
    expect(drivers()).toEqual(card.map(() => 'vfio-pci'));
    expect(lender.of('web').map(({ address }) => address)).toEqual([gpu]);
    expect(rig.notes).toContain(
      `info web: took 0000:01:00.1 from snd_hda_intel, which is in IOMMU group 1 too`,
    );
    await lender.giveBack('web', [gpu]);
    expect(drivers()).toEqual(before);
    expect(rig.records.list()).toEqual([]);
  });
});

describe('a start that fails', () => {
  test('at any operation, in any way, leaves the host unchanged', async () => {
    const whole = new LendingRig();
    await take(whole.lender());
    const operations = whole.host.log.length;
    expect(operations).toBe(7);
    for (const kind of ['refused', 'ignored', 'done-but-reported'] as const) {
      for (let at = 0; at < operations; at++) {
        const rig = new LendingRig();
        const before = treeImage(rig.host.root);
        const lender = rig.lender();
        rig.host.failAt(at, kind);
        const failed = await take(lender).then(
          () => null,
          (error: Error) => error.message,
        );
        const what = `operation ${at} ${kind}: ${rig.host.log[at]}`;
        expect(failed, what).toMatch(/^(Set|Bind) .*: step \d of \d failed/);
        expect(treeImage(rig.host.root), what).toEqual(before);
        expect(rig.records.list(), what).toEqual([]);
        expect(lender.has('web')).toBe(false);
        expect(rig.notes).toEqual([]);
      }
    }
  });

  test('because the device cannot be opened leaves the host unchanged, and unloads the modules it loaded', async () => {
    const rig = new LendingRig(desktopTree());
    const before = treeImage(rig.host.root);
    rig.openError = new Error('/dev/vfio/1 cannot be opened: it is in use (EBUSY)');
    await expect(take(rig.lender(), web, [wanted('0000:01:00.0')])).rejects.toThrow('in use (EBUSY)');
    expect(rig.host.log).toContain('modprobe vfio_pci');
    expect(treeImage(rig.host.root)).toEqual(before);
    expect(rig.records.list()).toEqual([]);
  });

  test('because it was canceled leaves the host unchanged', async () => {
    for (let at = 0; at < 7; at++) {
      const rig = new LendingRig();
      const before = treeImage(rig.host.root);
      const stop = new AbortController();
      const writer = new Proxy(rig.host, {
        get(host, name) {
          if (host.log.length === at) stop.abort(new Error('it was stopped'));
          const value = Reflect.get(host, name, host);
          return typeof value === 'function' ? value.bind(host) : value;
        },
      });
      await expect(
        take(rig.lender({ writer: () => writer }), web, [withSettings], stop.signal),
      ).rejects.toThrow('it was stopped');
      expect(treeImage(rig.host.root)).toEqual(before);
      expect(rig.openFds).toBe(0);
    }
  });

  test('because it was canceled does not wait for another change of the host', async () => {
    const rig = new LendingRig();
    const others = Promise.withResolvers<void>();
    const waiting = Promise.withResolvers<void>();
    const lender = rig.lender({
      lock: async change => {
        waiting.resolve();
        await others.promise;
        return await change();
      },
    });
    const stop = new AbortController();
    const taken = take(lender, web, [withSettings], stop.signal);
    await waiting.promise;
    stop.abort(new Error('it was stopped'));
    await expect(taken).rejects.toThrow('it was stopped');
    others.resolve();
    // It gets the lock, and changes nothing.
    expect(await take(lender, db)).toHaveLength(1);
    expect(rig.records.list()).toMatchObject([{ vm: 'db' }]);
  });

  test('reports every reason for all of its devices, and changes nothing', async () => {
    const rig = new LendingRig();
    const devices = [
      wanted('0000:3b:00.0'),
      wanted('0000:b0:00.0', { device: 'hostdev1', settings: { vlan: 3 } }),
      wanted(VF, { device: 'hostdev2', id: '8086:1520' }),
    ];
    const error: Error = await take(rig.lender(), web, devices).then(
      () => new Error('it was started'),
      (error: Error) => error,
    );
    expect(error.message).toMatch(/^web cannot get its host devices: /);
    expect(error.message).toMatch(/0000:3b:00\.0: ens1f0 .*is part of bond0/);
    expect(error.message).toContain('0000:b0:00.0: vlan can only be set for VFs, and it is not one');
    expect(error.message).toMatch(/0000:3b:0a\.2: .*8086:1520/);
    expect(rig.host.log).toEqual([]);
    expect(rig.records.list()).toEqual([]);
  });

  test('names a device that is not there', async () => {
    const rig = new LendingRig();
    await expect(take(rig.lender(), web, [wanted('0000:3b:0b.0')])).rejects.toThrow(
      'hostdev0 is 0000:3b:0b.0, and this host has no such PCI function',
    );
  });

  test('without an IOMMU names the reason', async () => {
    const rig = new LendingRig(noIommuTree());
    await expect(take(rig.lender(), web, [wanted('0000:01:00.0')])).rejects.toThrow(/IOMMU/);
    expect(rig.host.log).toEqual([]);
  });

  test('in a process that may not change the host is refused', async () => {
    const rig = new LendingRig();
    const writer = () => {
      throw new Error('changing the host needs root');
    };
    await expect(take(rig.lender({ writer }))).rejects.toThrow(/changing the host needs root/);
    expect(rig.records.list()).toEqual([]);
  });
});

describe('a manager that was killed', () => {
  test.each(['before', 'after'] as const)(
    '%s any operation of a start: the next manager restores the host',
    async when => {
      for (let at = 0; at < 7; at++) {
        const rig = new LendingRig();
        const before = treeImage(rig.host.root);
        const { writer, died } = dyingWriter(rig.host, at, when);
        void take(rig.lender({ writer: () => writer }));
        await died;
        await rig.lender().recover();
        expect(treeImage(rig.host.root), `operation ${at}`).toEqual(before);
        expect(rig.records.list()).toEqual([]);
      }
    },
  );

  test.each(['before', 'after'] as const)(
    '%s any operation of a return: the next manager completes it',
    async when => {
      for (let at = 0; at < 8; at++) {
        const rig = new LendingRig();
        const before = treeImage(rig.host.root);
        await take(rig.lender());
        const { writer, died } = dyingWriter(rig.host, at, when);
        const second = rig.lender({ writer: () => writer });
        void second.recover();
        await died;
        await rig.lender().recover();
        expect(treeImage(rig.host.root), `operation ${at}`).toEqual(before);
        expect(rig.records.list()).toEqual([]);
      }
    },
  );

  test('before its machine ended: the next manager gives back devices without a VM', async () => {
    const rig = new LendingRig();
    const before = treeImage(rig.host.root);
    await take(rig.lender());
    await rig.lender().recover();
    expect(treeImage(rig.host.root)).toEqual(before);
    expect(rig.notes.at(-1)).toBe(`info web: gave ${VF} back to iavf`);
  });

  test('while its machine keeps running: the next manager knows its devices, and gives them back when it ends', async () => {
    const rig = new LendingRig();
    const before = treeImage(rig.host.root);
    await take(rig.lender());
    rig.hold(VF_GROUP);
    rig.alive.add('web');
    const next = rig.lender();
    await next.recover();
    expect(rig.host.pci.driverOf(VF)).toBe('vfio-pci');
    expect(next.of('web')).toEqual([
      { address: VF, device: 'hostdev0', api: 'group', keep: false, before: 'iavf' },
    ]);
    rig.release();
    await next.giveBack('web');
    expect(treeImage(rig.host.root)).toEqual(before);
  });

  test('and the host rebooted: nothing is given back', async () => {
    const rig = new LendingRig();
    await take(rig.lender());
    for (const record of rig.records.list()) rig.records.write({ ...record, bootId: 'the boot before' });
    rig.host.log.length = 0;
    await rig.lender().recover();
    expect(rig.host.log).toEqual([]);
    expect(readdirSync(rig.records.folder)).toEqual([]);
  });

  test('and another VM starts with the device, which is finally restored to its original state', async () => {
    const rig = new LendingRig();
    const before = treeImage(rig.host.root);
    await take(rig.lender());
    const lender = rig.lender();
    await lender.take(db, [wanted(VF)], new AbortController().signal);
    expect(lender.of('db')).toMatchObject([{ address: VF, before: 'iavf' }]);
    await lender.giveBack('db');
    expect(treeImage(rig.host.root)).toEqual(before);
  });
});

describe('a device that a VM has', () => {
  test('is refused to another VM, and the error names its user', async () => {
    const rig = new LendingRig();
    const lender = rig.lender();
    await take(lender);
    rig.alive.add('web');
    rig.hold(VF_GROUP);
    await expect(take(lender, db, [wanted(VF)])).rejects.toThrow(/db cannot get .*0000:3b:0a\.2.*VM web/);
    // One that is only being started does not have it open yet.
    rig.release();
    await expect(take(lender, db, [wanted(VF)])).rejects.toThrow(/VM web has it/);
    expect(lender.of('db')).toEqual([]);
    await take(lender, db, [wanted(OTHER_VF)]);
    expect(rig.host.pci.driverOf(VF)).toBe('vfio-pci');
  });

  test('goes to the first of two VMs that start at once', async () => {
    const rig = new LendingRig();
    const lender = rig.lender();
    rig.alive.add('web').add('db');
    const results = await Promise.allSettled([take(lender), take(lender, db)]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect((results[1] as PromiseRejectedResult).reason.message).toMatch(/VM web has it/);
  });

  test('is given back only when no process has it open', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const rig = new LendingRig();
      const before = treeImage(rig.host.root);
      const lender = rig.lender();
      await take(lender);
      rig.hold(VF_GROUP, 9000, 'qemu-system-x86');
      await lender.giveBack('web');
      expect(rig.host.pci.driverOf(VF)).toBe('vfio-pci');
      expect(rig.notes.at(-1)).toBe(
        `warning web: could not give ${VF} back to iavf: it is open in qemu-system-x86 (pid 9000); vring will try again`,
      );
      await vi.advanceTimersByTimeAsync(5000);
      expect(rig.host.pci.driverOf(VF)).toBe('vfio-pci');
      rig.release();
      await vi.advanceTimersByTimeAsync(10_000);
      await vi.waitFor(() => expect(rig.records.list()).toEqual([]));
      expect(treeImage(rig.host.root)).toEqual(before);
      expect(rig.notes.filter(note => note.startsWith('warning'))).toHaveLength(1);
    } finally {
      vi.useRealTimers();
    }
  });

  test('is given back later if the host cannot be changed yet', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const rig = new LendingRig();
      const before = treeImage(rig.host.root);
      let failures = 0;
      const lender = rig.lender({
        lock: async change => {
          if (failures-- > 0) throw new Error('the host is being changed');
          return await change();
        },
      });
      await take(lender);
      failures = 1;
      await lender.giveBack('web');
      expect(rig.notes.at(-1)).toBe(
        `error web: could not give ${VF} back: the host is being changed; vring will try again`,
      );
      expect(rig.host.pci.driverOf(VF)).toBe('vfio-pci');
      await vi.advanceTimersByTimeAsync(5000);
      await vi.waitFor(() => expect(rig.records.list()).toEqual([]));
      expect(treeImage(rig.host.root)).toEqual(before);
    } finally {
      vi.useRealTimers();
    }
  });

  test('is forgotten if it vanishes', async () => {
    const rig = new LendingRig();
    const lender = rig.lender();
    await take(lender);
    rig.host.sriov.setCount(rig.host.pci.directory(PF), '0');
    rig.host.log.length = 0;
    await lender.giveBack('web');
    expect(rig.host.log).toEqual([]);
    expect(rig.records.list()).toEqual([]);
    expect(rig.notes.at(-1)).toBe(`warning web: ${VF} no longer exists: it is not given back`);
  });

  test('stays with the host if the host has taken it back in the meantime', async () => {
    const rig = new LendingRig();
    const lender = rig.lender();
    await take(lender, web, [wanted(VF)]);
    rig.host.pci.unbind(VF);
    rig.host.pci.setOverride(VF, 'pci-stub');
    rig.host.pci.register('pci-stub');
    rig.host.pci.probe(VF);
    await lender.giveBack('web');
    expect(rig.host.pci.driverOf(VF)).toBe('pci-stub');
    expect(rig.notes.at(-1)).toBe(`info web: ${VF} was taken back by the host: it is bound to pci-stub`);
  });

  test('is plugged and unplugged while the VM runs, and the others stay', async () => {
    const rig = new LendingRig();
    const lender = rig.lender();
    await take(lender);
    rig.hold(VF_GROUP);
    const running = { ...web, state: 'running' } as const;
    await lender.take(running, [wanted(OTHER_VF, { device: 'hostdev1' })], new AbortController().signal);
    expect(lender.of('web').map(({ device }) => device)).toEqual(['hostdev0', 'hostdev1']);
    await lender.giveBack('web', [OTHER_VF]);
    expect([VF, OTHER_VF].map(address => rig.host.pci.driverOf(address))).toEqual(['vfio-pci', 'iavf']);
    expect(lender.of('web').map(({ device }) => device)).toEqual(['hostdev0']);
  });

  test('is not taken twice for the same VM, and is restored to its original state', async () => {
    const rig = new LendingRig();
    const lender = rig.lender();
    await take(lender);
    rig.hold(VF_GROUP);
    const running = { ...web, state: 'running' } as const;
    const again = lender.take(running, [wanted(VF, { device: 'hostdev1' })], new AbortController().signal);
    await expect(again).rejects.toThrow(`web has ${VF} already, as hostdev0`);
    expect(lender.of('web').map(({ device }) => device)).toEqual(['hostdev0']);
    rig.release();
    await lender.giveBack('web');
    expect(rig.host.pci.driverOf(VF)).toBe('iavf');
  });

  test('that was taken with its group is also restored if the VM is later assigned it', async () => {
    const rig = new LendingRig(desktopTree());
    const lender = rig.lender();
    const [gpu, sound] = ['0000:01:00.0', '0000:01:00.1'];
    await take(lender, web, [wanted(gpu)]);
    const running = { ...web, state: 'running' } as const;
    await lender.take(running, [wanted(sound, { device: 'hostdev1' })], new AbortController().signal);
    expect(lender.of('web').map(({ address, before }) => [address, before])).toContainEqual([
      sound,
      'snd_hda_intel',
    ]);
    await lender.giveBack('web');
    expect(rig.host.pci.driverOf(sound)).toBe('snd_hda_intel');
  });
});
