import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { desktopTree } from '../../host/trees/desktop.ts';
import { noIommuTree } from '../../host/trees/no-iommu.ts';
import { serverTree } from '../../host/trees/server.ts';
import { idle } from '../../support/guest-scripts.ts';
import { HostDriver } from '../../support/host-driver.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { KEY } from '../../support/terminal-driver.ts';

const { enter, esc, tab } = KEY;
const DEFINITION = `# The shop.
name: web
machine:
  kernel: /boot/vmlinuz # built by hand
memory: 1G
cpus: 2
`;

const CTRL_S = '\x13';

const folder = temporaryFolder();
const kernel = join(folder, 'vmlinuz');
writeFileSync(kernel, 'kernel');
const { VRING_STATE_DIR } = process.env;
beforeAll(() => {
  process.env.VRING_STATE_DIR = join(folder, 'state');
});
afterAll(() => {
  if (VRING_STATE_DIR === undefined) delete process.env.VRING_STATE_DIR;
  else process.env.VRING_STATE_DIR = VRING_STATE_DIR;
});

let driver: HostDriver;

/** The UI with a VM that is off, on a host. */
function start(...options: ConstructorParameters<typeof HostDriver>): HostDriver {
  driver = new HostDriver(...options);
  driver.engine.add('web', idle, {
    state: 'off',
    defined: true,
    vcpus: 2,
    memoryBytes: 2 ** 30,
    topology: null,
    startedAt: null,
  });
  driver.engine.texts.set('web', DEFINITION);
  return driver;
}

const definition = (name = 'web') => driver.engine.texts.get(name)!;

test('from a fresh host to a running guest with a VF takes twelve keys', async () => {
  const keys = ['4', 'E', '2', enter, tab, enter, enter, 'j', 'a', enter, tab, enter];
  expect(keys.length).toBeLessThanOrEqual(12);
  await start(serverTree()).press(...keys);
  expect(driver.screen).toContain('web runs with 0000:3b:02.0');
  expect(driver.engine.calls).toEqual(['define web', 'restart web']);
  expect(definition()).toBe(
    DEFINITION.replace('cpus: 2\n', 'cpus: 2\npassthrough:\n  - host: "0000:3b:02.0"\n    id: 8086:154c\n'),
  );
});

test.each([
  [80, 24],
  [120, 40],
  [60, 20],
])('at %i x %i every screen on the way fits', async (columns, rows) => {
  await start(serverTree(), { columns, rows }).press('4', 'jjjj', 'a');
  expect(driver.screen).toMatchSnapshot('the VM');
  await driver.press(enter);
  expect(driver.screen).toMatchSnapshot('the plan');
  await driver.press('G');
  expect(driver.screen).toMatchSnapshot('the end of the plan');
  await driver.press(tab, enter);
  expect(driver.screen).toMatchSnapshot('what has become of it');
  expect(driver.terminal.wrapped).toBe(false);
});

describe('the VM', () => {
  test('is picked from a list that typing filters', async () => {
    start(serverTree());
    driver.engine.add('db', idle, { state: 'off', defined: true, topology: null });
    await driver.press('5', 'G', 'a');
    expect(driver.screen).toContain('Attach 0000:b0:00.0 to which VM?');
    expect(driver.screen).toMatch(/web +off +1G/);
    await driver.press('db');
    expect(driver.screen).not.toMatch(/web +off/);
    expect(driver.current).toMatch(/^db +off/);
    expect(driver.screen).toContain('a new VM');
    await driver.press('\x7f\x7fwe', enter);
    expect(driver.screen).toContain('Attach 0000:b0:00.0 to web');
  });

  test('that cannot have the device shows the reason', async () => {
    start(serverTree());
    driver.engine.become('web', 'off', { saved: { at: 0, automatic: false } });
    await driver.press('5', 'G', 'a', KEY.up);
    expect(driver.screen).toContain('web resumes from a saved state, which has no such device');
    await driver.press(enter);
    expect(driver.screen).toContain('to which VM?');
    await driver.press(esc);
    expect(driver.screen).toContain('[5 vfio]');
  });

  test('may be a new one: the form includes the devices, and one plan shows both', async () => {
    await start(serverTree()).press('5', 'G', 'a', 'no such name', enter);
    expect(driver.screen).toMatch(/PCI devices +0000:b0:00\.0/);
    await driver.press('db', tab, 'h', tab, kernel, CTRL_S);
    expect(driver.screen).toContain('Attach 0000:b0:00.0 to db');
    await driver.press('G', tab, enter);
    expect(driver.screen).toContain('db runs with 0000:b0:00.0');
    expect(driver.engine.calls).toEqual(['define db', 'restart db']);
    expect(definition('db').match(/0000:b0:00\.0/g)).toHaveLength(1);
    await driver.press(enter);
    expect(driver.screen).toContain('[5 vfio]');
  });

  test('may be changed after its plan was shown', async () => {
    await start(serverTree()).press('5', 'G', 'a', 'new', enter, 'db', tab, 'h', tab, kernel, CTRL_S);
    await driver.press(enter);
    expect(driver.screen).toMatch(/Name +db/);
    expect(driver.engine.calls).toEqual([]);
  });
});

describe('a running VM', () => {
  const running = () => driver.engine.become('web', 'running', { topology: null });

  test('gets devices plugged in one by one', async () => {
    start(serverTree());
    running();
    await driver.press('4', 'jjjj', '  ', 'a', enter);
    expect(driver.screen).toContain('Attach 0000:3b:0a.1 and 0000:3b:0a.2 to web');
    expect(driver.screen).toContain('p [ ] persist');
    expect(driver.screen).toMatch(/\[ Attach \]/);
    await driver.press('p', tab, enter);
    expect(driver.engine.calls).toEqual([
      'attach vfio-pci for good to web',
      'attach vfio-pci for good to web',
    ]);
    expect(driver.screen).toContain('0000:3b:0a.1 is vfio-pci0 of web, at 00:05.0');
  });

  test('keeps the devices before the one that fails', async () => {
    start(serverTree());
    running();
    await driver.press('4', 'jjjj', '  ', 'a', enter, tab);
    const { attach } = driver.engine;
    driver.engine.attach = async (id, device, options) => {
      if (device.host === '0000:3b:0a.2') throw new Error('no slot is free');
      return await attach(id, device, options);
    };
    await driver.press(enter);
    expect(driver.screen).toMatch(/^ \[x\] take 0000:3b:0a\.1/m);
    expect(driver.screen).toMatch(/^ \[!\] take 0000:3b:0a\.2/m);
    expect(driver.screen).toContain('no slot is free');
  });
});

describe('the plan', () => {
  test('starts on Cancel, and changes nothing', async () => {
    await start(serverTree()).press('5', 'G', 'a', enter);
    expect(driver.screen).toContain('Attach 0000:b0:00.0 to web');
    expect(driver.screen).toContain('>[ Cancel ]');
    await driver.press(enter);
    expect(driver.screen).toContain('[5 vfio]');
    expect(driver.engine.calls).toEqual([]);
    expect(driver.host.log).toEqual([]);
  });

  test('shows the way from the host to the guest', async () => {
    await start(serverTree(), { columns: 120, rows: 80 }).press('5', 'G', 'a', enter);
    for (const text of [
      /0000:b0:00\.0 +group 63 +nvme -> vfio-pci/,
      /State +off, 2 vCPUs, 1G/,
      /Opened by +VFIO group 63/,
      /Pinned +1G of 57\.2G available/,
      /On stop +0000:b0:00\.0 goes back to nvme/,
      /It loses +live migration, snapshots,/,
      /1\. +add 0000:b0:00\.0 to the definition of web/,
      /2\. +take 0000:b0:00\.0 from the host and start web/,
      /write 0000:b0:00\.0 to \/sys\/bus\/pci\/drivers\/nvme\/unbind/,
    ])
      expect(driver.screen).toMatch(text);
  });

  test('has options: to stay with vfio-pci, another interface, no start', async () => {
    await start(serverTree()).press('5', 'G', 'a', enter, 'r');
    expect(driver.screen).toContain('r [ ] returns');
    await driver.press('i', 'i');
    expect(driver.screen).toContain('i API group');
    await driver.press('s');
    expect(driver.screen).toMatch(/\[ Attach \]/);
    await driver.press(tab, enter);
    expect(driver.screen).toContain('web takes 0000:b0:00.0 at each start');
    expect(driver.engine.calls).toEqual(['define web']);
    expect(definition()).toContain('keep: true');
    expect(definition()).toContain('iommufd: false');
    expect(definition()).toContain('# built by hand');
  });

  test('of a group includes its members, for the guest if selected', async () => {
    await start(desktopTree()).press('3', 'jj', 'a', enter);
    expect(driver.screen).toContain('w [x] whole group');
  });

  test('gives a VF without a MAC address a permanent one', async () => {
    const tree = serverTree();
    const links = tree.facts.commands['ip -j -d link']!;
    // As the kernel reports it for a VF that has not been configured.
    const stdout = links.stdout.replace('02:00:00:00:00:01', '00:00:00:00:00:00');
    tree.facts.commands['ip -j -d link'] = { ...links, stdout };
    start(tree, { columns: 120, rows: 60 });
    await driver.press('4', 'jjjj', 'a', enter);
    expect(driver.screen).toMatch(/add 0000:3b:0a\.1 with the MAC address 52:54:00/);
    expect(driver.screen).toContain('m [x] MAC');
    await driver.press(tab, enter);
    expect(definition()).toMatch(/mac: "?52:54:00:[0-9a-f:]{8}/);
  });

  test('that is impossible shows the reason, and has no button', async () => {
    await start(noIommuTree()).press('5', 'a', enter);
    expect(driver.screen).toContain('BLOCK');
    expect(driver.screen).toMatch(/cannot attach: /);
    expect(driver.screen).toContain('>[ Close ]');
  });

  test('without an IOMMU requires the option, and the typed address', async () => {
    const tree = noIommuTree().module('vfio', { enable_unsafe_noiommu_mode: 'Y' });
    await start(tree, { columns: 120, rows: 40 }).press('5', '/01:00.0\r', 'a', enter);
    expect(driver.screen).toContain('x [ ] UNSAFE without IOMMU');
    await driver.press('x');
    expect(driver.screen).toContain('UNSAFE. To attach it anyway, type 0000:01:00.0:');
    expect(driver.screen).toContain('no IOMMU: the guest can read and write all host memory');
    await driver.press(tab, '0000:01:00.0', enter, enter);
    expect(driver.screen).toContain('web runs with 0000:01:00.0');
    expect(definition()).toContain('unsafe-no-iommu: true');
  });

  test('that fails at the start keeps the new definition, and shows the reason', async () => {
    await start(serverTree()).press('5', 'G', 'a', enter, tab);
    const { engine } = driver;
    const define = engine.define;
    engine.define = async (name, yaml) => {
      await define(name, yaml);
      engine.failure = new Error('0000:b0:00.0 is open in another process');
    };
    await driver.press(enter);
    expect(driver.screen).toMatch(/^ \[x\] add 0000:b0:00\.0/m);
    expect(driver.screen).toMatch(/^ \[!\] take 0000:b0:00\.0/m);
    expect(driver.screen).toContain('0000:b0:00.0 is open in another process');
    expect(definition()).toContain('0000:b0:00.0');
  });

  test.each([
    ['a read-only session', { readOnly: true }],
    ['a recording', { unchangeable: 'this is a recorded host (/srv/web-01)', recording: 'web-01' }],
  ])('in %s is read-only', async (_, options) => {
    await start(serverTree(), options).press('5', 'G', 'a', enter);
    expect(driver.screen).toContain('cannot apply: this is a re');
    await driver.press(tab, tab, enter);
    expect(driver.engine.calls).toEqual([]);
  });
});
