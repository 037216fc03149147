import { describe, expect, test } from 'vitest';
import { desktopTree } from '../../host/trees/desktop.ts';
import { noIommuTree } from '../../host/trees/no-iommu.ts';
import { serverTree } from '../../host/trees/server.ts';
import { HostDriver } from '../../support/host-driver.ts';
import { KEY } from '../../support/terminal-driver.ts';

const { enter, esc, tab } = KEY;

let driver: HostDriver;
const start = (...options: ConstructorParameters<typeof HostDriver>) => {
  driver = new HostDriver(...options);
  return driver;
};

/** What was written to the host. */
const written = () => driver.host.log;

describe('from a fresh host to a VF that is bound', () => {
  test('takes eleven keys', async () => {
    const keys = ['4', 'E', '2', enter, tab, enter, enter, 'j', 'B', tab, enter];
    expect(keys.length).toBeLessThanOrEqual(12);
    await start(serverTree()).press(...keys);
    expect(driver.screen).toContain('done: Bind 0000:3b:02.0 to vfio-pci');
    expect(driver.host.pci.driverOf('0000:3b:02.0')).toBe('vfio-pci');
    await driver.press(enter);
    expect(driver.current).toMatch(/^3b:02\.0 +vf 0 +vfio-pci/);
  });
});

describe('a number of VFs', () => {
  test('is typed in its row: digits within the range, counted by arrows', async () => {
    await start(serverTree()).press('4', 'E', 'x', '3', '9');
    expect(driver.current).toMatch(/^3b:00\.0 +3_\/32/);
    await driver.press('\x7f', '\x7f', KEY.up, KEY.up, KEY.down);
    expect(driver.current).toMatch(/^3b:00\.0 +1_\/32/);
    await driver.press(esc);
    expect(driver.current).toMatch(/^3b:00\.0 +0\/32/);
    expect(written()).toEqual([]);
  });

  test('is prompted for again when none was typed', async () => {
    await start(serverTree()).press('4', 'E', enter);
    expect(driver.screen).toContain('how many VFs? A number from 0 to 32');
    await driver.press('2');
    expect(driver.current).toMatch(/^3b:00\.0 +2_\/32/);
  });

  test('cannot be changed while a VM uses a VF, whatever is typed', async () => {
    await start(serverTree()).press('4', 'jj', 'E', '8', enter);
    expect(driver.screen).toContain('qemu-system-x86 (pid 4211): stop this VM first');
    await driver.press(tab, '0000:3b:00.2', enter, enter);
    expect(written()).toEqual([]);
  });
});

describe('the plan', () => {
  test('starts on Cancel: Enter does nothing', async () => {
    await start(serverTree()).press('5', 'G', 'B');
    expect(driver.screen).toContain('Bind 0000:b0:00.0 to vfio-pci');
    expect(driver.screen).toContain('>[ Cancel ]');
    await driver.press(enter);
    expect(driver.screen).toContain('[5 vfio]');
    expect(written()).toEqual([]);
  });

  test('is applied by Tab and Enter; each step is shown with its result', async () => {
    await start(serverTree()).press('5', 'G', 'B', tab, enter);
    expect(driver.screen.match(/^ \[x\] /gm)).toHaveLength(3);
    expect(driver.screen).toContain('every step was verified; u undoes it');
    expect(driver.host.pci.driverOf('0000:b0:00.0')).toBe('vfio-pci');
  });

  test('that fails names the failed step, and reports that the earlier ones were undone', async () => {
    start(serverTree()).host.failAt(2, 'refused');
    await driver.press('5', 'G', 'B', tab, enter);
    expect(driver.screen).toMatch(/^ \[!\] write 0000:b0:00\.0 to \/sys\/bus\/pci\/drivers_probe$/m);
    expect(driver.screen).toContain('step 3 of 3 failed');
    expect(driver.screen).toContain('the earlier steps were undone');
    expect(driver.host.pci.driverOf('0000:b0:00.0')).toBe('nvme');
    await driver.press(esc);
    expect(driver.current).toMatch(/ nvme /);
  });

  test('is refused when the host has changed since it was made', async () => {
    await start(serverTree()).press('5', 'G', 'B', tab);
    await driver.host.writeAttribute('/sys/bus/pci/devices/0000:b0:00.0/driver/unbind', '0000:b0:00.0');
    await driver.press(enter);
    expect(driver.screen).toContain('nothing was changed: the host has changed since the plan was made');
  });

  test('for marked functions is a single plan', async () => {
    await start(serverTree()).press('4', 'jjjj', '  ', 'B');
    expect(driver.screen).toContain('Bind 0000:3b:0a.1 and 0000:3b:0a.2 to vfio-pci');
    await driver.press(tab, enter, enter);
    expect(driver.screen.match(/vfio-pci/g)).toHaveLength(3);
    expect(driver.screen).not.toContain('marked');
  });

  test('can be scrolled to its end', async () => {
    await start(serverTree()).press('5', 'G', 'B');
    expect(driver.screen).toContain('more lines: j');
    await driver.press('G');
    expect(driver.screen).not.toContain('more line');
    expect(driver.screen).toContain('undo:  write 0000:b0:00.0');
  });
});

describe('a plan that is blocked', () => {
  const ssh = ['4', 'B'];

  test('requires typing the address', async () => {
    await start(serverTree()).press(...ssh, tab, '0000:3b:00.1', tab);
    expect(driver.screen).toContain('>[ Cancel ]');
    await driver.press(enter);
    expect(written()).toEqual([]);
    await driver.press('B', tab, 'q', '\x7f', '0000:3b:00.0', enter, enter);
    expect(driver.screen).toContain('done: Bind 0000:3b:00.0 to vfio-pci');
  });

  test('that cannot be forced has no button for it', async () => {
    await start(noIommuTree()).press('5', 'B');
    expect(driver.screen).toContain('it is impossible: see the checks');
    expect(driver.screen).not.toContain('[ Apply ]');
    await driver.press(tab, enter);
    expect(written()).toEqual([]);
    expect(driver.screen).toContain('[5 vfio]');
  });
});

describe('options of a plan', () => {
  test('w selects the entire group, and moves to Cancel again', async () => {
    await start(desktopTree()).press('2', '/01:00.0\r', 'j', 'B', tab);
    expect(driver.screen).toContain('w [ ] whole group');
    await driver.press('w');
    expect(driver.screen).toContain(
      'Bind 0000:01:00.0, 0000:01:00.1, 0000:01:00.2 and 0000:01:00.3 to vfio-pci',
    );
    expect(driver.screen).toContain('>[ Cancel ]');
    await driver.press(tab, enter);
    expect(driver.host.pci.driverOf('0000:01:00.3')).toBe('vfio-pci');
  });

  test('the entire group is the default in the list of groups', async () => {
    await start(desktopTree()).press('3', 'jj', 'B');
    expect(driver.screen).toContain('w [x] whole group');
  });

  test('p applies it at each boot, too', async () => {
    await start(serverTree()).press('5', 'G', 'B', 'p');
    expect(driver.screen).toContain('p [x] each boot');
    await driver.press(tab, enter, enter);
    expect(driver.screen).toMatch(/b0:00\.0 .* vfio-pci +vfio-pci +63 +\/dev\/vfio\/63/);
    expect(driver.host.root.text('/etc/vring/host.json')).toContain('0000:b0:00.0');
  });
});

describe('undo', () => {
  test('shows its steps, and restores the previous state', async () => {
    await start(serverTree()).press('5', 'G', 'B', tab, enter, enter, 'u');
    expect(driver.screen).toContain('Undo: Bind 0000:b0:00.0 to vfio-pci');
    expect(driver.screen).toContain('1.  write 0000:b0:00.0 to');
    await driver.press(tab, enter);
    expect(driver.screen).toContain('everything was undone');
    expect(driver.host.pci.driverOf('0000:b0:00.0')).toBe('nvme');
  });

  test('reports when there is nothing to undo', async () => {
    await start(serverTree()).press('5', 'u');
    expect(driver.screen).toContain('there is nothing to undo');
  });
});

describe('settings of a VF', () => {
  const edit = ['4', 'jjjj', 'E'];

  test('are edited as words, and only differences are set', async () => {
    await start(serverTree()).press(...edit);
    expect(driver.screen).toContain('VF 1: mac=02:00:00:00:00:01 vlan=0 trust=off spoofchk=on');
    await driver.press('\x15', 'mac=02:00:00:00:00:01 vlan=7 trust=on', enter);
    expect(driver.screen).toContain('Set vlan, trust of VF 1 (0000:3b:0a.1)');
    await driver.press(tab, enter, enter);
    expect(driver.current).toMatch(/^3b:0a\.1 .* 7 on +on$/);
  });

  test('p keeps them for each boot; undo restores the previous ones, there too', async () => {
    await start(serverTree()).press(...edit, '\x15', 'vlan=7 spoofchk=off', enter, 'p');
    expect(driver.screen).toContain('p [x] each boot');
    await driver.press(tab, enter, enter);
    const kept = () => driver.host.root.text('/etc/vring/host.json');
    expect(JSON.parse(kept()!).sriov).toMatchObject({
      '0000:3b:00.2': { count: 4, vfs: { 1: { attributes: { vlan: 7, spoofCheck: false } } } },
    });
    expect(driver.current).toMatch(/^3b:0a\.1 .* 7 +off +off$/);
    await driver.press('u', tab, enter, enter);
    expect(driver.current).toMatch(/^3b:0a\.1 .* - +off +on$/);
    expect(kept()).toBeNull();
  });

  test.each([
    ['vlan=4095', 'vlan'],
    ['color=red', 'unknown setting "color"'],
    ['mac=03:00:00:00:00:01', 'this is a multicast address'],
    ['vlan=0', 'these settings are in effect already'],
  ])('%s is rejected, and can be corrected', async (words, message) => {
    await start(serverTree()).press(...edit, '\x15', words, enter);
    expect(driver.screen).toContain(message);
    expect(written()).toEqual([]);
    await driver.press(' ');
    expect(driver.screen).toContain(`VF 1: ${words}`);
  });
});

describe('an unavailable action', () => {
  test('stays in the help with its reason', async () => {
    await start(serverTree()).press('2', 'jj', '?', 'G');
    expect(driver.screen).toMatch(/not now: 0000:00:1c\.0 is a\s+bridge, which stays with the host/);
    await driver.press(esc, 'B');
    expect(driver.screen).toContain(
      'cannot bind the function: 0000:00:1c.0 is a bridge, which stays with the host',
    );
  });

  test.each([
    ['a read-only session', { readOnly: true }, 'this is a read-only session'],
    ['a recording', { unchangeable: 'this is a recorded host (/srv/web-01)' }, 'this is a recorded host'],
  ])('in %s: plans are shown, with the button that applies them disabled', async (_, options, reason) => {
    await start(serverTree(), options).press('2', '/b0:00.0\r', 'G', 'B');
    expect(driver.screen).toContain('write 0000:b0:00.0 to /sys/bus/pci/drivers/nvme/unbind');
    expect(driver.screen).toContain(`cannot apply: ${reason}`);
    expect(driver.screen).toMatch(/> ?\[ Close \] +\[ Apply \]/);
    // Neither the button nor what leads to it does anything but close.
    await driver.press(tab, tab, enter);
    expect(driver.screen).not.toContain('[ Apply ]');
    expect(written()).toEqual([]);
    await driver.press('u');
    expect(driver.screen).toContain(`cannot undo: ${reason}`);
    expect(written()).toEqual([]);
  });

  test('for a blocked plan is not offered even with a typed word', async () => {
    await start(serverTree(), { readOnly: true }).press('2', '/3b:00.0\r', 'G', 'B');
    expect(driver.screen).toContain('BLOCK');
    expect(driver.screen).toContain('cannot apply: this is a read-only session');
    expect(driver.screen).not.toContain('type 0000:3b:00.0');
  });

  test('is shown in a read-only session, for VMs, too', async () => {
    start(serverTree(), { readOnly: true });
    driver.engine.add('demo', { vcpus: [{ exits: {}, guest: 0, kvm: 0 }] });
    await driver.press('K');
    expect(driver.screen).toContain('cannot kill: this is a read-only session');
    expect(driver.terminal.lines[0]).toContain('[RO]');
  });
});

test('the doctor enables the IOMMU for the next boot', async () => {
  await start(noIommuTree()).press('6', '/iommu.enabled\r', 'F');
  expect(driver.screen).toContain('Add intel_iommu=on iommu=pt to the kernel command line');
  await driver.press(tab, enter);
  expect(driver.screen).toContain('takes effect at the next boot');
  expect(driver.host.root.text('/boot/grub/grub.conf')).toContain('intel_iommu=on iommu=pt');
});
