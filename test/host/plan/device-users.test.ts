import { afterEach, describe, expect, test } from 'vitest';
import { liveDeviceNumber } from '../../../src/host/live-facts.ts';
import { readPci } from '../../../src/host/pci/read.ts';
import { planBind } from '../../../src/host/plan/bind.ts';
import { type Check, standingBlocks } from '../../../src/host/plan/plan.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import { planVfCount } from '../../../src/host/plan/vf-count.ts';
import { HostRoot } from '../../../src/host/root.ts';
import { readDeviceUsers } from '../../../src/host/use/device-users.ts';
import { readOpenFiles } from '../../../src/host/use/open-files.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { desktopTree } from '../trees/desktop.ts';
import { serverTree } from '../trees/server.ts';

const gpu = '0000:01:00.0';
const audio = '0000:01:00.1';
const spareNvme = '0000:b0:00.0';

let tree: TreeBuilder;
afterEach(() => tree.remove());

/** A device of a function's driver, as sysfs and udev have it. */
function addNode(address: string, place: string, name: string, number: string): void {
  const directory = `${tree.pathOf(address)}/${place}`;
  tree.file(`${directory}/dev`, `${number}\n`);
  tree.file(`${directory}/uevent`, `MAJOR=${number.split(':')[0]}\nDEVNAME=${name}\n`);
}

function addProcess(pid: number, command: string, files: readonly string[]): void {
  tree.file(`/proc/${pid}/comm`, `${command}\n`);
  for (const [index, file] of files.entries()) tree.link(`/proc/${pid}/fd/${index + 3}`, file);
}

async function held(address: string): Promise<Check[]> {
  const survey = await readSurvey(tree.root());
  const plan = planBind(survey, { addresses: [address], driver: 'vfio-pci', wholeGroup: false });
  return plan.checks.filter(check => check.code === 'held' && check.subject === address);
}

function setDriver(address: string, driver: string): void {
  const link = `${tree.pathOf(address)}/driver`;
  tree.removePath(link);
  tree.driver(driver).relativeLink(link, `/sys/bus/pci/drivers/${driver}`);
}

describe('a device file that a process has open blocks a bind', () => {
  test.each([
    ['graphics', gpu, 'drm/renderD128', 'dri/renderD128', '226:128'],
    ['sound', audio, 'sound/card1/pcmC1D3p', 'snd/pcmC1D3p', '116:7'],
    ['the character device of an NVMe controller', spareNvme, 'nvme/nvme1', 'nvme1', '240:1'],
    ['an NVMe namespace', spareNvme, 'nvme/nvme1/ng1n1', 'ng1n1', '241:1'],
    ['uio', audio, 'uio/uio0', 'uio0', '250:0'],
    ['RDMA verbs', '0000:3b:00.3', 'infiniband_verbs/uverbs0', 'infiniband/uverbs0', '231:192'],
    ['the clock of a network card', '0000:3b:00.3', 'ptp/ptp0', 'ptp0', '248:0'],
    [
      'a keyboard on a USB controller',
      '0000:01:00.2',
      'usb1/1-1/1-1:1.0/input/input4/event4',
      'input/event4',
      '13:68',
    ],
    ['a camera on a USB controller', '0000:01:00.2', 'usb1/1-2/1-2:1.0/video4linux/video0', 'video0', '81:0'],
    ['a serial port', audio, 'tty/ttyS4', 'ttyS4', '4:68'],
    ['a TPM', audio, 'tpm/tpm0', 'tpm0', '10:224'],
    ['I2C', gpu, 'i2c-5/i2c-dev/i2c-5', 'i2c-5', '89:5'],
  ])('%s', async (_, address, place, name, number) => {
    tree = [gpu, audio, '0000:01:00.2'].includes(address) ? desktopTree() : serverTree();
    addNode(address, place, name, number);
    addProcess(700, 'bystander', ['/dev/null', '/dev/pts/3', 'socket:[1234]']);
    expect((await held(address)).map(check => check.level)).toEqual(['ok']);
    addProcess(812, 'wireplumber', ['/dev/null', `/dev/${name}`]);
    const [check, ...more] = await held(address);
    expect(check).toMatchObject({ level: 'block', forceable: true });
    expect(check!.reason).toMatch(/^open in wireplumber \(pid 812\): .*; stop the process first$/);
    expect(check!.reason).toContain(`/dev/${name}`);
    expect(more).toEqual([]);
  });

  test('the block device of a disk or partition, opened without a mount', async () => {
    tree = serverTree();
    addProcess(30, 'qemu-system-x86', ['/dev/nvme1n1']);
    expect(await held(spareNvme)).toMatchObject([
      { level: 'block', reason: expect.stringContaining('qemu-system-x86 (pid 30)') },
    ]);
  });

  test('a mapping without a descriptor, and a BAR mapped through sysfs', async () => {
    tree = desktopTree();
    addNode(gpu, 'drm/card0', 'dri/card0', '226:0');
    const maps = (target: string) =>
      `55d0-55d1 r-xp 00000000 08:02 131 /usr/bin/python3\n7f00-7f01 rw-s 00000000 00:05 77                 ${target}\n`;
    addProcess(41, 'Xorg', []);
    tree.file('/proc/41/maps', maps('/dev/dri/card0'));
    expect(await held(gpu)).toMatchObject([{ level: 'block' }]);
    const bar = `${tree.pathOf(gpu)}/resource0`;
    tree.file(bar, '').file('/proc/41/maps', maps(bar));
    expect(await held(gpu)).toMatchObject([{ level: 'block', reason: expect.stringContaining(bar) }]);
    // Reading the mappings of a process in uninterruptible sleep might never return.
    tree.file('/proc/41/stat', '41 (Xorg (a) b) D 1 41 41 0\n');
    expect(await held(gpu)).toMatchObject([{ level: 'ok' }]);
  });

  test('names the user, and counts processes that do not fit', async () => {
    tree = desktopTree();
    addNode(gpu, 'drm/card0', 'dri/card0', '226:0');
    tree.file('/etc/passwd', 'root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n');
    for (const [index, uid] of [1000, 4711, 1000, 1000, 1000, 1000].entries()) {
      addProcess(50 + index, 'app', ['/dev/dri/card0']);
      tree.file(`/proc/${50 + index}/status`, `Name:\tapp\nUid:\t${uid}\t${uid}\t0\t0\n`);
    }
    const [check] = await held(gpu);
    expect(check!.reason).toMatch(
      /^open in app \(pid 50\) of user alice, app \(pid 51\) of user 4711, .* and 2 more: /,
    );
  });

  test('processes that are not visible are reported as unknown', async () => {
    tree = desktopTree();
    addProcess(9, 'secret', ['/dev/dri/card0']);
    tree.facts.unreadable['/proc/9/fd'] = 'EACCES';
    expect(await held(gpu)).toMatchObject([
      {
        level: 'warn',
        reason: expect.stringMatching(/^cannot see whether another user has it open: run as root$/),
      },
    ]);
  });
});

describe('drivers whose device files are not children of the function', () => {
  test('nvidia: its own minor, which --force does not override, but not that of another GPU', async () => {
    tree = desktopTree();
    setDriver(gpu, 'nvidia');
    tree.file(`/proc/driver/nvidia/gpus/${gpu}/information`, 'Model: \t\t GeForce\nDevice Minor: \t 1\n');
    addProcess(5555, 'python3', ['/dev/nvidia0']);
    expect(await held(gpu)).toMatchObject([{ level: 'ok' }]);
    addProcess(5556, 'python3', ['/dev/nvidia1', '/dev/nvidia-uvm']);
    const survey = await readSurvey(tree.root());
    const plan = planBind(survey, { addresses: [gpu], driver: 'vfio-pci', wholeGroup: false });
    expect(standingBlocks(plan, true)).toMatchObject([
      {
        code: 'held',
        reason: expect.stringMatching(/^open in python3 \(pid 5556\): the nvidia driver cannot unbind/),
      },
    ]);
  });

  test('nvidia with an unknown minor: any of them may be it', async () => {
    tree = desktopTree();
    setDriver(gpu, 'nvidia');
    addProcess(5555, 'python3', ['/dev/nvidia7']);
    expect(await held(gpu)).toMatchObject([{ level: 'block', forceable: false }]);
  });

  test.each([
    ['nvidia', '/dev/nvidiactl'],
    ['amdgpu', '/dev/kfd'],
  ])(
    'a node of %s that serves all its devices blocks a single one, and warns with two',
    async (driver, node) => {
      tree = desktopTree();
      setDriver(gpu, driver);
      tree.file(`/proc/driver/nvidia/gpus/${gpu}/information`, 'Device Minor: 0\n');
      addProcess(5555, 'python3', [node]);
      expect(await held(gpu)).toMatchObject([{ level: 'block' }]);
      setDriver(audio, driver);
      expect(await held(gpu)).toMatchObject([{ level: 'warn' }]);
    },
  );

  test('RDMA connection manager', async () => {
    tree = serverTree();
    tree.file(`${tree.pathOf('0000:b0:00.0')}/infiniband/mlx5_0/node_type`, '1: CA\n');
    setDriver(spareNvme, 'mlx5_core');
    addProcess(3, 'opensm', ['/dev/infiniband/rdma_cm']);
    expect(await held(spareNvme)).toMatchObject([{ level: 'block' }]);
  });
});

test('VFs that a process uses are not removed', async () => {
  tree = serverTree();
  tree.removePath('/proc/4211');
  addNode('0000:3b:0a.2', 'uio/uio3', 'uio3', '250:3');
  addProcess(66, 'dpdk-testpmd', ['/dev/uio3']);
  const plan = planVfCount(await readSurvey(tree.root()), { address: '0000:3b:00.2', count: 0 });
  const reasons = plan.checks.filter(check => check.level === 'block').map(check => check.reason);
  expect(reasons.join()).toContain('0000:3b:0a.2 is open in dpdk-testpmd (pid 66)');
});

test('a container has its own nodes: the device number decides', async () => {
  tree = desktopTree();
  addNode(gpu, 'drm/renderD128', 'dri/renderD128', '226:128');
  addProcess(90, 'trainer', ['/renderD128', '/']);
  addProcess(91, 'other', ['/renderD128']);
  class WithNumbers extends HostRoot {
    override deviceNumber(path: string): string | null {
      return path === '/proc/90/fd/4' ? '226:128' : '226:129';
    }
  }
  tree.root();
  const root = new WithNumbers(tree.directory);
  const fn = readPci(root).filter(each => each.address === gpu);
  const users = readDeviceUsers(await readOpenFiles(root, { devices: true }), fn).byAddress.get(gpu)!;
  expect(users.map(user => [user.holder.pid, user.paths])).toEqual([[90, ['/dev/dri/renderD128']]]);
  expect(liveDeviceNumber('/dev/null')).toBe('1:3');
  expect(liveDeviceNumber('/proc')).toBeNull();
  expect(liveDeviceNumber('/nowhere')).toBeNull();
});
