import { afterAll, describe, expect, test } from 'vitest';
import { assessmentLines } from '../../../src/commands/host/assessment-lines.ts';
import {
  assessmentOf,
  type CheckOptions,
  type KnownVms,
} from '../../../src/commands/host/passthrough-check.ts';
import { readDefinition } from '../../../src/definitions/read.ts';
import { desktopTree } from '../../host/trees/desktop.ts';
import { serverTree } from '../../host/trees/server.ts';

const server = serverTree();
const desktop = desktopTree();
const [serverRoot, desktopRoot] = [server.root(), desktop.root()];
afterAll(() => {
  server.remove();
  desktop.remove();
});

const web = readDefinition(
  'name: web\nmemory: 2G\ncpus: {count: 2, pinning: [0, 1]}\npassthrough: [{host: b0:00.0, id: 8086:1521}]',
  { file: 'web.yaml' },
);
const idle = readDefinition('name: idle', { file: 'idle.yaml' });
const vms: KnownVms = {
  definition: name => {
    if (name === 'web') return web;
    if (name === 'idle') return idle;
    throw new Error(`no VM ${name}`);
  },
  definitions: () => [web],
  isRunning: () => false,
};

const checked = (root: typeof serverRoot, texts: string[], options: CheckOptions = {}) =>
  assessmentOf(root, texts, options, vms);

describe('vring passthrough check accepts', () => {
  test('functions, and all functions of a device by slot', async () => {
    const addresses = async (text: string) =>
      (await checked(desktopRoot, [text])).devices.map(({ address }) => address);
    expect(await addresses('1:0.1')).toEqual(['0000:01:00.1']);
    const card = [0, 1, 2, 3].map(fn => `0000:01:00.${fn}`);
    expect(await addresses('01:00')).toEqual(card);
    expect(await addresses('0000:01:00')).toEqual(card);
  });

  test('the devices of a VM, with its memory and vCPUs', async () => {
    const found = await checked(serverRoot, [], { vm: 'web' });
    expect(found).toMatchObject({ possible: false, memory: { bytes: 2 ** 31 } });
    const said = found.devices[0]!.reasons.map(({ level, code, reason }) => `${level} ${code}: ${reason}`);
    expect(said).toContainEqual(
      expect.stringMatching(/^block id: 144d:a808 is at this address, not 8086:1521/),
    );
    expect(said).toContainEqual(
      expect.stringMatching(/^warn numa: it is on NUMA node 1, and vCPUs of web run on node 0/),
    );
  });

  test('other functions for a given VM', async () => {
    const found = await checked(serverRoot, ['b0:00.0'], { vm: 'idle' });
    expect(found.possible).toBe(true);
    await expect(checked(serverRoot, [], { vm: 'idle' })).rejects.toThrow('idle passes no device: name one');
    await expect(checked(serverRoot, [], { vm: 'none' })).rejects.toThrow('no VM none');
  });

  test('a missing function', async () => {
    const found = await checked(serverRoot, ['7f:00.0', '7e:00', 'b0:00.0']);
    expect(found.devices.map(({ address, possible }) => [address, possible])).toEqual([
      ['0000:7f:00.0', false],
      ['0000:7e:00.0', false],
      ['0000:b0:00.0', true],
    ]);
  });

  test('iommufd, with or without kernel support', async () => {
    const found = await checked(serverRoot, ['b0:00.0'], { iommufd: 'on' });
    expect(found.possible).toBe(false);
    expect(found.reasons.find(({ code }) => code === 'api')).toMatchObject({
      reason: 'iommufd was asked for, but this kernel has no iommufd (CONFIG_IOMMUFD)',
      repair: ['leave out iommufd: true'],
    });
  });
});

test('prints the assessment as text', async () => {
  const found = await checked(desktopRoot, ['01:00.0'], { vm: 'idle' });
  expect(assessmentLines(found, 100).join('\n')).toMatchInlineSnapshot(`
    "0000:01:00.0  NVIDIA Corporation TU104 [GeForce RTX 2080 Rev. A]
      driver nouveau, IOMMU group 1
      the host loses: card0
      comes along: 0000:01:00.1 NVIDIA Corporation TU104 HD Audio Controller (snd_hda_intel)
      comes along: 0000:01:00.2 NVIDIA Corporation TU104 USB 3.1 Host Controller (xhci_hcd)
      comes along: 0000:01:00.3 NVIDIA Corporation TU104 USB Type-C UCSI Controller (nvidia-gpu)
      warn   0000:01:00.1, 0000:01:00.2 and 0000:01:00.3 come along in group 1: root port 0000:00:01.0
             has no ACS: devices below it can reach each other without the IOMMU; the functions of
             device 0000:01:00 have no ACS: they can reach each other inside the device
      warn   its audio function 0000:01:00.1 is not passed: no sound through its connectors, and some
             drivers fail without it
             > pass 0000:01:00.1 too
      warn   its ROM cannot be read, so the guest's firmware may show nothing on it
             > get it from the vendor, or from a host that boots with another card: romfile: FILE
      ok     no host driver remains in group 1
      ok     not open in any process
      ok     isolated by the IOMMU in group 1
      ok     it can be reset with its bus, together with 0000:01:00.1, 0000:01:00.2 and 0000:01:00.3
      ok     NVIDIA drivers before 465 for GeForce cards fail in a VM that does not hide that it is one
             (code 43)
             > for such a driver, in the definition: cpus: {hide-hypervisor: true}

    host and VM
      ok     vfio_pci is not loaded; it is loaded when it is needed
      ok     vfio_iommu_type1 is not loaded; it is loaded when it is needed
      ok     interrupt remapping is on
      ok     the VM opens it through a VFIO group and container
      ok     locked memory is unlimited
      ok     256 MiB will be pinned while idle runs

    memory that will be pinned: 256M
    while it has the device, the VM has no live migration, snapshots, save or upgrade, because vring
      cannot read the state inside the device, nor put it into another one
    while it has the device, the VM has no memory overcommitment, because the device may access any of
      its memory at any time

    Verdict: 0000:01:00.0 can be passed to a VM
    to bind it now: vring vfio bind 0000:01:00.0 --group; a VM that has it binds it when it starts"
  `);
});
