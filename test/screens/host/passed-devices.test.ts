import { describe, expect, test } from 'vitest';
import type { HostDeviceFacts } from '../../../src/devices/vfio/host-device-facts.ts';
import type { VmHostDevice } from '../../../src/engine/vm-info.ts';
import { serverTree } from '../../host/trees/server.ts';
import { complete } from '../../support/guest-scripts.ts';
import { HostDriver } from '../../support/host-driver.ts';
import { KEY } from '../../support/terminal-driver.ts';

const ADDRESS = '0000:3b:0a.1';
const TAKEN: VmHostDevice = {
  address: ADDRESS,
  device: 'hostdev0',
  api: 'group',
  keep: false,
  before: 'iavf',
};
const FACTS: HostDeviceFacts = {
  address: ADDRESS,
  api: 'group',
  reset: 'flr',
  bars: [
    { index: 0, kind: 'memory', size: 65_536, address: '0xfe000000', mapped: 65_536, prefetchable: true },
    { index: 3, kind: 'memory', size: 16_384, address: '0xfe010000', mapped: 12_288, prefetchable: true },
    { index: 6, kind: 'rom', size: 524_288, address: null, mapped: 0, prefetchable: false },
  ],
  interrupts: { kind: 'msix', vectors: 5, enabled: 3 },
  mappings: { bytes: 2 ** 30, count: 2 },
};

let driver: HostDriver;

type Options = {
  readonly columns?: number;
  readonly rows?: number;
  readonly taken?: VmHostDevice;
  /** The IOMMU posts interrupts. */
  readonly posted?: boolean;
  /** Since when its guest has been asked to release it. */
  readonly removing?: number;
};

/** The UI with a VM that has a VF of the host. */
function start({ taken = TAKEN, removing, posted = false, ...size }: Options = {}): HostDriver {
  driver = new HostDriver(serverTree(), size);
  const hostdev = {
    name: 'hostdev0',
    type: 'vfio-pci',
    title: 'device of the host',
    backend: null,
    bus: 'pci.0',
    address: '00:05.0',
    facts: [{ label: 'host device', value: ADDRESS }],
    hostDevice: FACTS,
    ...(removing !== undefined && { removing }),
  };
  const vectors = [5, 1200, 0].map((perSecond, vector) => ({
    ...{ device: 'hostdev0', address: ADDRESS, kind: 'msix' as const },
    vector,
    perSecond,
  }));
  const devices = [...complete.devices!, hostdev];
  const script = { ...complete, devices, hostInterrupts: { posted, vectors } };
  const id = driver.engine.add('web', script, { hostDevices: [taken] });
  const { topology } = driver.engine.vms().find(vm => vm.id === id)!;
  const places = ['blk0', 'rng0', 'hostdev0'].map(name => ({ name, bus: 'pci.0', addr: null }));
  driver.engine.become(id, 'running', {
    topology: { ...topology!, places: { rootPorts: [], devices: places } },
  });
  return driver;
}

/** Rates are of what was counted between two samples. */
async function sampledTwice(): Promise<void> {
  driver.clock.advance(2000);
  await driver.still();
}

describe('the host screens name the VM', () => {
  test.each([
    ['2', /3b:0a\.1 .* iavf +web +85/],
    ['3', /3b:0a\.1 .* iavf +web /],
    ['4', /3b:0a\.1 +vf 1 .* web /],
    ['5', /3b:0a\.1 .* iavf +web /],
  ])('screen %s', async (key, line) => {
    await start({ columns: 120, rows: 40 }).press(key, '/vm:web\r');
    expect(driver.screen).toMatch(line);
  });

  test.each([
    [80, 24],
    [60, 20],
  ])('at %i x %i, too', async (columns, rows) => {
    await start({ columns, rows }).press('4');
    expect(driver.screen).toMatch(/3b:0a\.1 +vf 1 .* web\b/);
    expect(driver.terminal.wrapped).toBe(false);
  });

  test('in the details, with how the device is used', async () => {
    await start({ columns: 120, rows: 40 }).press('4', '/vm:web\r', KEY.enter);
    expect(driver.screen).toContain('web has it as hostdev0 through its VFIO group; it goes back to iavf');
  });

  test('until it has released the device', async () => {
    await start().press('4');
    driver.engine.become('web', 'running', { hostDevices: [] });
    await driver.still();
    expect(driver.screen).not.toMatch(/\bVM\b/);
  });
});

describe('the tab of devices', () => {
  test.each([
    [80, 24],
    [120, 40],
    [60, 20],
  ])("at %i x %i shows a device from the host's and the guest's point of view", async (columns, rows) => {
    await start({ columns, rows }).press(KEY.enter, '7', 'G');
    await sampledTwice();
    expect(driver.screen).toMatchSnapshot();
    expect(driver.terminal.wrapped).toBe(false);
  });

  test('shows everything if there is room', async () => {
    await start({ columns: 120, rows: 60 }).press(KEY.enter, '7', 'G');
    await sampledTwice();
    for (const text of [
      /On host +0000:3b:0a\.1 Ethernet Virtual Function/,
      /Opened by +its VFIO group/,
      /BARs +0: memory, 64K at 0xfe000000, mapped, prefetchable/,
      /3: memory, 16K at 0xfe010000, 12K of it mapped, prefetchable/,
      /ROM, 512K not decoded/,
      /Interrupts +MSI-X, 3 of 5 vectors connected: \d[\d.]*k in all, 1\.2k\/s/,
      /Vectors +0: \d+, 5\.0\/s +1: \d[\d.]*k, 1\.2k\/s +2: 0, 0\/s/,
      /IOMMU +1G of guest memory in 2 mappings/,
      /Reset +flr/,
      /NUMA +node 0/,
      /On stop +it goes back to iavf/,
    ])
      expect(driver.screen).toMatch(text);
  });
});

test('counts of posted interrupts are marked as not advancing', async () => {
  await start({ posted: true }).press(KEY.enter, '7', 'G');
  expect(driver.screen).toContain('counts may stand still: posted interrupts bypass the host');
  await driver.leave();
  await start().press(KEY.enter, '7', 'G');
  expect(driver.screen).not.toContain('stand still');
});

describe('a device is detached', () => {
  test('by its guest, from the tab of devices', async () => {
    await start().press(KEY.enter, '7', 'G', 'D');
    expect(driver.screen).toContain('Detach hostdev0 from web?');
    await driver.press(KEY.tab, KEY.enter);
    expect(driver.engine.calls).toEqual(['detach hostdev0 from web']);
    expect(driver.screen).toContain('hostdev0 was detached from web');
  });

  test('by force, if the guest does not release it', async () => {
    await start({ removing: 0 }).press(KEY.enter, '7', 'G');
    expect(driver.current).toContain('hostdev0 leaving');
    expect(driver.screen).toContain('the guest has not released it yet');
    await driver.press('D', KEY.tab, KEY.enter, 'D', KEY.tab, KEY.tab, KEY.enter);
    expect(driver.engine.calls).toEqual(['keep hostdev0 in web', 'detach hostdev0 by force from web']);
  });

  test('from the screens of the host, too', async () => {
    await start().press('4', '/vm:web\r', 'D', KEY.tab, KEY.enter);
    expect(driver.engine.calls).toEqual(['detach hostdev0 from web']);
  });

  test('with a message if no VM has one', async () => {
    await start().press('4', 'D');
    expect(driver.screen).toContain('cannot detach the device: no VM has it');
  });

  test('from a VM that is off by removing it from the definition', async () => {
    start();
    driver.engine.become('web', 'off', { defined: true });
    await driver.press('4', '/vm:web\r', 'D');
    expect(driver.screen).toContain(`Remove ${ADDRESS} from the definition of web?`);
    await driver.press(KEY.tab, KEY.enter);
    expect(driver.engine.calls).toEqual(['detach hostdev0 for good from web']);
  });

  test('unless it is a built-in device', async () => {
    await start().press(KEY.enter, '7', 'D');
    expect(driver.screen).toContain('com1 is a part of every machine');
  });
});

test('in the devices tab, a opens the list where devices are marked for the VM', async () => {
  await start().press(KEY.enter, '7', 'a');
  expect(driver.screen).toContain('Attach what to web?');
  await driver.press(KEY.tab, KEY.tab, KEY.tab, KEY.enter);
  expect(driver.screen).toContain('[5 vfio]');
  expect(driver.screen).toContain('Space marks devices for web, a attaches them');
});

describe('without an IOMMU', () => {
  const taken: VmHostDevice = { ...TAKEN, noIommu: true };

  test('a VM is marked unsafe in the list, the header and its details', async () => {
    await start({ taken }).press();
    await driver.still();
    expect(driver.screen).toContain('web (UNSAFE)');
    await driver.press('d');
    expect(driver.screen).toContain('UNSAFE: no IOMMU protects the memory of the host from its guest');
    await driver.press(KEY.esc, KEY.enter);
    expect(driver.terminal.lines[0]).toContain('web running UNSAFE');
    expect(driver.screen).toContain('UNSAFE: no IOMMU');
    await driver.press('7', 'G');
    expect(driver.current).toContain('UNSAFE');
    await driver.press(KEY.esc, '5', '/vm:web\r');
    expect(driver.current).toContain('! web');
  });

  test('the overview shows an alarm', async () => {
    await start({ taken }).press('0');
    expect(driver.screen).toContain('web is UNSAFE');
  });
});
