import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { followScreen } from '../../src/engine/screen/follow-screen.ts';
import { readRecords } from '../../src/manager/machines/machine-record.ts';
import { managerPaths } from '../../src/manager/paths.ts';
import { projectRoot } from '../../src/project-root.ts';
import { freezableImage } from '../support/frozen-disk.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { guest, isRunning, withOwnFolders } from '../support/manager-process.ts';
import { Random } from '../support/random.ts';
import { Survival } from '../support/survival.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';
import { UpgradedGuest } from '../support/upgrades.ts';

withOwnFolders();

/** Of a test that hits both sides of a moment by chance: the speed of the processes depends on the load. */
const MOST_ROUNDS = 40;
const UPGRADES = 20;

/** The released manager, and a guest in it. */
async function inManager(
  seed: number,
  options: { cpus?: number; append?: string; qcow2?: boolean; transient?: boolean } = {},
) {
  const folder = join(temporaryFolder(), 'disks');
  mkdirSync(folder, { recursive: true });
  const survival = new Survival(seed);
  onTestFinished(() => survival[Symbol.asyncDispose]());
  await survival.startManager();
  const guest = await UpgradedGuest.start(survival.engine, folder, new Random(seed), options);
  onTestFinished(() => guest.close());
  return { survival, guest };
}

/** The process that a VM is being handed over to, once there is one. */
async function successor(): Promise<number> {
  const found = await until(() => readRecords(managerPaths().machines, () => {})[0]?.record.successor);
  return found.pid;
}

describe.skipIf(noKvm !== null)(onKvm('an upgraded VM'), () => {
  test.each([
    ['a qcow2 image', { qcow2: true }],
    ['a transient disk', { transient: true }],
  ])('is not disturbed while it works on %s', { timeout: 120_000 }, async (_, disk) => {
    const { guest } = await inManager(5, disk);
    guest.work();
    for (let upgrade = 0; upgrade < 5; upgrade++) {
      await guest.soon();
      await guest.upgrade();
    }
    await guest.rest();
    guest.check();
  });

  test.each([1, 2])(
    `is not disturbed by ${UPGRADES} upgrades, with %i vCPUs`,
    { timeout: 120_000 },
    async cpus => {
      const { survival, guest } = await inManager(3, { cpus });
      guest.work();
      await guest.upgrade();
      const fds = survival.managerFds();
      for (let upgrade = 1; upgrade < UPGRADES; upgrade++) {
        await guest.soon();
        await guest.upgrade();
      }
      await guest.rest();
      expect(guest.done).toBeGreaterThan(UPGRADES);
      guest.check();
      await guest.checkReplay();
      await guest.checkLeftovers();
      expect(guest.log().filter(text => !text.startsWith('moved to'))).toEqual(['started']);
      // Some belong to the spare process, or to one that has just ended; a leak would add one per upgrade.
      await until(() => survival.managerFds() < fds + UPGRADES - 1);
    },
  );

  test('stays paused, resets, and powers off as before', { timeout: 60_000 }, async () => {
    const { survival, guest } = await inManager(4);
    const { engine } = survival;
    await engine.pause('web');
    await guest.upgrade();
    expect(guest.info.state).toBe('paused');
    await guest.upgrade();
    await engine.resume('web');
    guest.work();
    await guest.soon();
    await guest.rest();
    guest.check();
    await engine.reset('web');
    await until(() => guest.output.match(/embedded guest|> $/g) !== null && guest.log().includes('reset'));
    await guest.upgrade();
    await guest.says('info', /result info /);
    await guest.checkLeftovers();
    await guest.says('halt', /halt/);
    await until(() => guest.info.state === 'off');
    expect(guest.info.reason).toBe('the guest powered off');
    await engine.restart('web');
    await until(() => guest.info.state === 'running');
  });

  test('stays in its process if the new one dies, or ends with a reason', {
    timeout: 120_000,
  }, async () => {
    const { survival, guest } = await inManager(5);
    const { engine } = survival;
    const random = new Random(6);
    let kept = 0;
    for (let round = 0; round < 8 || (kept === 0 && round < MOST_ROUNDS); round++) {
      guest.work();
      const { pid } = guest.info;
      const upgrading = engine.upgrade('web').then(
        () => null,
        (error: Error) => error.message,
      );
      const taker = await successor();
      await new Promise(resolve => setTimeout(resolve, random.below(60)));
      process.kill(taker, 'SIGKILL');
      const failure = await upgrading;
      await until(() => !isRunning(taker));
      if (guest.info.pid === pid) {
        kept++;
        expect(failure).toMatch(/the other process has ended|does not accept its configuration/);
        await guest.rest();
        guest.check();
        await guest.checkLeftovers();
        expect(guest.log().at(-1)).toBe(`not upgraded: ${failure}`);
      } else {
        // It had the machine already.
        await until(() => guest.info.state === 'crashed');
        expect(guest.info.reason).toBe(`its process ${taker} was ended by SIGKILL`);
        await guest.startAgain();
      }
    }
    expect(kept).toBeGreaterThan(0);
  });

  test('continues in the new process if the old one dies after the hand-over, and has crashed if before', {
    timeout: 120_000,
  }, async () => {
    const { survival, guest } = await inManager(7);
    const { engine } = survival;
    const random = new Random(8);
    for (let round = 0; round < 8; round++) {
      guest.work();
      const { pid } = guest.info;
      const upgrading = engine.upgrade('web').then(
        () => null,
        (error: Error) => error.message,
      );
      const taker = await successor();
      await new Promise(resolve => setTimeout(resolve, random.below(60)));
      if (isRunning(pid!)) process.kill(pid!, 'SIGKILL');
      const failure = await upgrading;
      if (failure === null) {
        expect(guest.info).toMatchObject({ state: 'running', pid: taker });
        await guest.rest();
        guest.check();
        await guest.checkLeftovers();
      } else {
        await until(() => guest.info.state === 'crashed');
        expect(guest.info.reason).toBe(`its process ${pid} was ended by SIGKILL`);
        await until(() => !isRunning(taker));
        await guest.startAgain();
      }
    }
  });

  test('survives managers that are killed during the upgrade', { timeout: 120_000 }, async () => {
    const { survival, guest } = await inManager(9);
    const random = new Random(10);
    const begun = performance.now();
    await guest.upgrade();
    const longest = Math.ceil(1.5 * (performance.now() - begun));
    const pids = new Set<number>([guest.info.pid!]);
    for (let round = 0; round < 8 || (pids.size === 1 && round < MOST_ROUNDS); round++) {
      const upgrading = survival.engine.upgrade('web').catch(() => {});
      // Once when it is just over; else at any time.
      if (round === 0) await upgrading;
      else await new Promise(resolve => setTimeout(resolve, random.below(longest)));
      await survival.killManager();
      await upgrading;
      await survival.startManager();
      await until(() => guest.info?.state === 'running');
      await guest.attach(survival.engine);
      pids.add(guest.info.pid!);
      await guest.says('blk verify 100', /result blk-verify blocks=100 bad=0 errors=0 complete=1/);
      await guest.checkLeftovers();
      await until(() => [...pids].every(pid => pid === guest.info.pid || !isRunning(pid)));
    }
    expect(pids.size).toBeGreaterThan(1);
    expect(guest.log().filter(text => text === 'started')).toHaveLength(1);
  });

  test('can be killed during the upgrade', { timeout: 60_000 }, async () => {
    const { survival, guest } = await inManager(11);
    const { engine } = survival;
    const random = new Random(12);
    for (let round = 0; round < 6; round++) {
      const { pid } = guest.info;
      const upgrading = engine.upgrade('web').catch(() => {});
      const taker = await successor();
      await new Promise(resolve => setTimeout(resolve, random.below(60)));
      await engine.kill('web');
      expect(guest.info).toMatchObject({ state: 'off', reason: 'it was stopped' });
      expect([isRunning(pid!), isRunning(taker)]).toEqual([false, false]);
      await upgrading;
      await guest.startAgain();
    }
  });

  test('keeps its process while one of its disks does not respond, and names the disk', {
    timeout: 60_000,
  }, async context => {
    const disk = freezableImage(context, 2 ** 20);
    const { survival } = await inManager(13);
    const { engine } = survival;
    await engine.start({ ...guest('held', 'quiet'), devices: [{ type: 'virtio-blk', path: disk.image }] });
    let output = '';
    const link = engine.openConsole('held', {
      printed: bytes => {
        output += Buffer.from(bytes).toString('latin1');
      },
    });
    await link.takeKeyboard();
    await until(() => output.endsWith('> '));
    const type = (text: string) => link.type(Buffer.from(`${text}\r`));
    const pid = () => engine.vms().find(vm => vm.name === 'held')!.pid;
    const before = pid();
    type('blk write 4k 4 10');
    await until(() => output.includes('result blk-write'));
    disk.freeze();
    type('blk write 4k 4 10');
    await until(() => output.endsWith('blk write 4k 4 10\r\n'));
    await expect(engine.upgrade('held')).rejects.toThrow(
      'the VM could not be stopped: blk0 does not respond',
    );
    expect(pid()).toBe(before);
    disk.thaw();
    await until(() => output.match(/result blk-write/g)?.length === 2);
    await engine.upgrade('held');
    expect(pid()).not.toBe(before);
    type('blk verify 20');
    await until(() => output.includes('result blk-verify blocks=20 bad=0 errors=0 complete=1'));
  });

  test('shows the size and the limits that its disk was given before the upgrade', async () => {
    const { survival, guest } = await inManager(9);
    const { engine } = survival;
    const bytes = 128 * 2 ** 20;
    await engine.resizeDisk('web', 'blk0', { bytes, shrink: false });
    await engine.limitDisk('web', 'blk0', { iops: 7 });
    await guest.upgrade();
    const blk = guest.info.topology!.devices.find(({ name }) => name === 'blk0')!;
    expect(Object.fromEntries(blk.facts.map(({ label, value }) => [label, value]))).toMatchObject({
      size: bytes,
      limits: '7 requests/s',
    });
  });

  test('shows its screen to its viewers before and after', async () => {
    const { survival } = await inManager(17);
    const { engine } = survival;
    await engine.start({ ...guest('seen', 'quiet'), devices: [{ type: 'vga' }] });
    const screen = followScreen(engine, 'seen');
    onTestFinished(() => screen.close());
    const kinds: string[] = [];
    const watching = async () => {
      for (let view = await screen.next(); view !== null; view = await screen.next())
        kinds.push(view.frame.kind);
    };
    void watching();
    await until(() => kinds.length > 0);
    for (let upgrade = 0; upgrade < 3; upgrade++) {
      const before = kinds.length;
      await engine.upgrade('seen');
      await until(() => kinds.length > before);
    }
    expect(new Set(kinds)).toEqual(new Set(['text']));
    expect(screen.problem).toBeNull();
  });

  test('may have been restored from a snapshot that holds part of its memory', {
    timeout: 60_000,
  }, async () => {
    const { survival, guest } = await inManager(16);
    const { engine } = survival;
    const works = () =>
      guest.says('blk verify 100', /result blk-verify blocks=100 bad=0 errors=0 complete=1/);
    await works();
    await engine.snapshot('web', { name: 'one', disks: true });
    await engine.kill('web');
    await engine.restore('web', 'one', {});
    await guest.attach(engine);
    await works();
    for (let upgrade = 0; upgrade < 3; upgrade++) {
      await guest.upgrade();
      await works();
    }
    await engine.snapshot('web', { name: 'two', disks: true });
    await guest.upgrade();
    await works();
    await guest.checkLeftovers();
  });

  test('keeps its process with a device module that cannot be saved, and names the line', async () => {
    const survival = new Survival(10);
    onTestFinished(() => survival[Symbol.asyncDispose]());
    await survival.startManager();
    const { engine } = survival;
    const example = readFileSync(join(projectRoot(), 'examples/device/tick-counter.ts'), 'utf8');
    const module = join(temporaryFolder(), 'unsaved.ts');
    writeFileSync(module, example.replace('return { control:', "throw new Error('no'); return { control:"));
    const machine = { ...guest('web'), deviceModules: [module], devices: [{ type: 'tick-counter' }] };
    await engine.start(machine);
    await expect(engine.upgrade('web')).rejects.toThrow(/unsaved\.ts:\d+: no/);
    expect(engine.vms()[0]!.state).toBe('running');
  });

  test('keeps its process if its memory may be merged with that of other VMs', async () => {
    const { survival } = await inManager(14);
    const { engine } = survival;
    const memory = { bytes: 32 * 2 ** 20, mergeable: true };
    await engine.start({ ...guest('merged', 'quiet'), memory });
    await expect(engine.upgrade('merged')).rejects.toThrow('its memory may be merged with that of other VMs');
    expect(engine.vms().find(vm => vm.name === 'merged')!.state).toBe('running');
  });

  test('has to be running', async () => {
    const { survival } = await inManager(15);
    const { engine } = survival;
    await engine.kill('web');
    await expect(engine.upgrade('web')).rejects.toThrow('web is off');
    const upgrading = [engine.restart('web').then(() => engine.upgrade('web')), engine.upgrade('nobody')];
    expect((await Promise.allSettled(upgrading)).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
    ]);
    const both = await Promise.allSettled([engine.upgrade('web'), engine.upgrade('web')]);
    expect(both).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: { message: 'web is being upgraded already' } },
    ]);
  });
});
