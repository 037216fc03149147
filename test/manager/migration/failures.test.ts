import { describe, expect, onTestFinished, test } from 'vitest';
import { readRecords } from '../../../src/manager/machines/machine-record.ts';
import { GuestVm, resultOf } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { isRunning } from '../../support/manager-process.ts';
import { MigrationHost } from '../../support/migration-hosts.ts';
import { MigrationRelay } from '../../support/migration-relay.ts';
import { emptyDisk } from '../../support/snapshot-rounds.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

const UNCONFIRMED =
  /it was handed to beta, which has not confirmed that it runs there; check with "vring vm list" on beta whether guest runs there: if not, vring vm resume guest continues it here, else vring vm kill guest ends it/;

/** What is done when a frame of a kind is about to be passed on. */
type Interruption = (hosts: Hosts, relay: MigrationRelay) => Promise<unknown> | unknown;
type Hosts = { readonly a: MigrationHost; readonly b: MigrationHost };

/** A guest on one of two hosts whose connection is interrupted at a frame of this kind. */
async function interruptedAt(kind: string, interruption: Interruption) {
  const folder = temporaryFolder();
  const [a, b] = await Promise.all(['alpha', 'beta'].map(name => MigrationHost.start(folder, name)));
  const hosts = { a: a!, b: b! };
  let isDone = false;
  const over = Promise.withResolvers<void>();
  const relay = await MigrationRelay.between(folder, hosts.b, async (passing, relay) => {
    if (passing.kind !== kind || isDone) return passing.frame;
    isDone = true;
    try {
      await interruption(hosts, relay);
    } finally {
      over.resolve();
    }
    return passing.frame;
  });
  onTestFinished(() => relay.close());
  const disk = emptyDisk(folder, 'disk.img');
  const guest = await GuestVm.start(hosts.a.engine, { devices: [{ type: 'virtio-blk', path: disk }] });
  await guest.command('info');
  const outcome = await hosts.a.engine.migrate('guest', relay.options).then(
    () => null,
    (error: Error) => error.message,
  );
  expect(isDone).toBe(true);
  await over.promise;
  return { ...hosts, outcome };
}

function machineOf(host: MigrationHost): number | undefined {
  return readRecords(`${host.env.VRING_RUNTIME_DIR}/machines`, () => {})[0]?.record.pid;
}

async function killed(pid: number | undefined): Promise<void> {
  if (pid === undefined) throw new Error('there is no process to kill');
  process.kill(pid, 'SIGKILL');
  await until(() => !isRunning(pid));
}

/** Starts managers that are gone, and waits until all VMs are in a state that lasts. */
async function settled(...hosts: readonly MigrationHost[]): Promise<void> {
  for (const host of hosts) if (!isRunning(host.managerPid)) await host.startManager();
  const seen = () =>
    hosts
      .map(
        host =>
          `${host.name}: ${JSON.stringify(host.vm('guest'), ['state', 'task', 'reason', 'kind', 'phase'])}; ${host.log('guest').slice(-4).join(' / ')}`,
      )
      .join('\n');
  await until(() =>
    hosts.every(host => {
      const vm = host.vm('guest');
      return (
        vm === undefined ||
        (['off', 'crashed', 'running', 'paused'].includes(vm.state) &&
          vm.task === undefined &&
          vm.reason !== ARRIVING)
      );
    }),
  ).catch(error => {
    throw new Error(`they do not settle:\n${seen()}`, { cause: error });
  });
}
const ARRIVING = 'it is arriving from another host';

async function works(host: MigrationHost): Promise<void> {
  const guest = GuestVm.of(host.engine, 'guest');
  await guest.printed(/> $/);
  expect(resultOf(await guest.command('blk verify 20'), 'blk-verify')).toMatchObject({ bad: 0, errors: 0 });
}

const state = (host: MigrationHost) => host.vm('guest')?.state;
const isUp = (host: MigrationHost) => ['running', 'paused'].includes(state(host) ?? '');

/** The other processes and the connection, when frames of these kinds are on their way. */
const VICTIMS: Readonly<Record<string, Interruption>> = {
  'the connection': (_, relay) => relay.cut(),
  'the receiver': (_, relay) => killed(relay.receiverPid),
  "the other host's manager": ({ b }) => b.killManager(),
  "this host's manager": ({ a }) => a.killManager(),
};

describe.skipIf(noKvm !== null)(onKvm('a VM whose migration fails'), () => {
  describe.each(['offer', 'accepted', 'pages', 'state', 'load'])(
    'before it is given away, at "%s",',
    kind => {
      test.each(Object.keys(VICTIMS))(
        'goes on where it was without %s',
        { timeout: 60_000 },
        async victim => {
          const { a, b } = await interruptedAt(kind, VICTIMS[victim]!);
          await settled(a, b);
          await until(() => state(a) === 'running' && !isUp(b));
          await works(a);
          // Nothing is left there: neither its name nor its process.
          await until(() => machineOf(b) === undefined);
          if (victim !== "the other host's manager") expect(b.vm('guest')?.state ?? 'off').toBe('off');
        },
      );
    },
  );

  test.each(['loaded', 'go'])(
    'goes on where it was when its machine there dies at "%s"',
    { timeout: 60_000 },
    async kind => {
      const { a, b, outcome } = await interruptedAt(kind, ({ b }) => killed(machineOf(b)));
      await settled(a, b);
      if (state(a) === 'paused') {
        // The other host may have been told before it noticed.
        expect(outcome).toMatch(/guest is stopped: check with/);
        await a.engine.resume('guest');
      }
      await until(() => state(a) === 'running' && !isUp(b));
      await works(a);
    },
  );

  test.each(['pages', 'load', 'loaded'])(
    'is gone with its machine at "%s", and not there',
    { timeout: 60_000 },
    async kind => {
      const { a, b, outcome } = await interruptedAt(kind, ({ a }) => killed(machineOf(a)));
      await settled(a, b);
      expect(outcome).toMatch(/process|ended/);
      expect(state(a)).toBe('crashed');
      await until(() => !isUp(b) && machineOf(b) === undefined);
    },
  );

  test.each(['go', 'running'])(
    'after it is given away, at "%s", runs at most once, whatever fails',
    { timeout: 120_000 },
    async kind => {
      for (const victim of Object.keys(VICTIMS)) {
        const { a, b, outcome } = await interruptedAt(kind, VICTIMS[victim]!);
        await settled(a, b);
        expect([kind, victim, state(a) === 'running' && isUp(b)]).toEqual([kind, victim, false]);
        if (outcome === null) {
          expect([victim, state(a), state(b)]).toEqual([victim, undefined, 'running']);
          await works(b);
          continue;
        }
        expect([victim, a.vm('guest')?.state, a.vm('guest')?.reason]).toEqual([
          victim,
          'paused',
          expect.stringMatching(UNCONFIRMED),
        ]);
        if (victim !== "this host's manager") expect(outcome).toMatch(/guest is stopped: check with/);
        if (kind === 'running' || victim === "this host's manager") {
          // It runs there, and has the disk.
          await until(() => state(b) === 'running');
          await expect(a.engine.resume('guest')).rejects.toThrow(
            /disk\.img is in use by .*; it may be running on the other host/,
          );
          await a.engine.kill('guest');
          await works(b);
        } else {
          await until(() => !isUp(b));
          await a.engine.resume('guest');
          await until(() => state(a) === 'running');
          await works(a);
        }
      }
    },
  );

  test('is not resumed here while it is being given away', { timeout: 60_000 }, async () => {
    const { a, b, outcome } = await interruptedAt('running', async ({ a }) => {
      await expect(a.engine.resume('guest')).rejects.toThrow(
        'guest is being handed to beta: wait until that is over',
      );
    });
    expect(outcome).toBeNull();
    await settled(a, b);
    await works(b);
  });

  test('runs there when its machine here dies after it was given away', { timeout: 60_000 }, async () => {
    const { a, b, outcome } = await interruptedAt('running', ({ a }) => killed(machineOf(a)));
    await settled(a, b);
    expect(outcome).toBeNull();
    await works(b);
  });
});

describe.skipIf(noKvm !== null)(onKvm('a migration that is canceled'), () => {
  test.each(['offer', 'accepted', 'pages', 'state', 'load', 'loaded'])(
    'at "%s" leaves the VM as it was',
    { timeout: 60_000 },
    async kind => {
      const { a, b, outcome } = await interruptedAt(kind, ({ a }) => a.engine.cancelTask('guest'));
      expect(outcome).toBe('it was canceled');
      await settled(a, b);
      expect(state(a)).toBe('running');
      await works(a);
      await until(() => b.vm('guest') === undefined && machineOf(b) === undefined);
      expect(a.log('guest').at(-1)).toBe('not migrated to beta: it was canceled');
    },
  );

  test('on the other host is the same', { timeout: 60_000 }, async () => {
    const { a, b, outcome } = await interruptedAt('pages', ({ b }) => b.engine.cancelTask('guest'));
    expect(outcome).not.toBeNull();
    await settled(a, b);
    expect(state(a)).toBe('running');
    await works(a);
    await until(() => b.vm('guest') === undefined);
  });
});
