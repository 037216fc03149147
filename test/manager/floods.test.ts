import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LogEntry } from '../../src/engine/vm-info.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { guest, withOwnFolders } from '../support/manager-process.ts';
import { cpuSeconds, ownMemoryMiB } from '../support/process-usage.ts';
import { Survival } from '../support/survival.ts';
import { until } from '../support/until.ts';

withOwnFolders();

/** How much heaps and buffers may grow, whatever a guest does: a flood that is buffered anywhere is far more. */
const ROOM_MIB = 48;
/** A VM's log may have a burst, and a line a second after that. */
const BURST = 20;

let survival: Survival;
beforeEach(async () => {
  survival = new Survival(1);
  await survival.startManager();
});
afterEach(async () => {
  await survival[Symbol.asyncDispose]();
});

const pidOf = (name: string) => survival.vm(name).pid!;
const about = (name: string, from = 0): LogEntry[] =>
  survival.engine.log().filter(({ vm, number }) => vm === name && number >= from);
const dropped = (name: string) => about(name).some(({ text }) => /more events were not logged/.test(text));

/** Another VM that responds before and after. */
async function neighborAnswers(): Promise<void> {
  await survival.engine.pause('neighbor');
  await survival.engine.resume('neighbor');
}

async function start(name: string, append: string, more: object = {}): Promise<void> {
  await survival.engine.start({ ...guest(name, `quiet run="${append}"`), ...more });
}

/** Until a process has used that much CPU time. */
async function runs(pid: number, seconds: number): Promise<void> {
  const from = cpuSeconds(pid);
  await until(() => cpuSeconds(pid) - from > seconds);
}

function disk(): object {
  const path = join(process.env.VRING_DEFINITIONS_DIR!, 'disk.img');
  execFileSync('truncate', ['--size=16M', path]);
  return { devices: [{ type: 'virtio-blk', path }] };
}

describe.skipIf(noKvm !== null)(onKvm('a guest'), () => {
  test('that resets and breaks its disk in a loop fills no log and no memory, and can be killed', async () => {
    await start('neighbor', 'demo');
    await start('loop', 'rubbish ring; reboot', disk());
    await until(() => dropped('loop'));
    const before = [ownMemoryMiB(pidOf('loop')), ownMemoryMiB(survival.managerPid)];
    const { number, at } = about('loop').at(-1)!;
    await runs(pidOf('loop'), 3);
    const lines = about('loop', number + 1);
    const seconds = (Date.now() - at) / 1000;
    // Each has the count of those before it.
    expect(lines.length).toBeLessThanOrEqual(BURST + 2 * (seconds + 1));
    expect(ownMemoryMiB(pidOf('loop')) - before[0]!).toBeLessThan(ROOM_MIB);
    expect(ownMemoryMiB(survival.managerPid) - before[1]!).toBeLessThan(ROOM_MIB);
    expect(survival.vm('loop').pid).not.toBeNull();
    await neighborAnswers();
    await survival.engine.kill('loop');
    await neighborAnswers();
  });

  test('that floods its serial port can be observed and killed', async () => {
    await start('neighbor', 'demo');
    await start('flood', 'flood');
    let printed = 0;
    survival.engine.openConsole('flood', {
      printed: bytes => {
        printed += bytes.length;
      },
    });
    await until(() => printed > 20_000);
    const before = [ownMemoryMiB(pidOf('flood')), ownMemoryMiB(survival.managerPid)];
    await until(() => printed > 120_000);
    expect(ownMemoryMiB(pidOf('flood')) - before[0]!).toBeLessThan(ROOM_MIB);
    expect(ownMemoryMiB(survival.managerPid) - before[1]!).toBeLessThan(ROOM_MIB);
    await neighborAnswers();
    await survival.engine.kill('flood');
    await neighborAnswers();
  });

  test('that does not read 100 MB of input blocks only the client that types it', async () => {
    await start('neighbor', 'demo');
    await start('deaf', 'spin 600s');
    const before = [ownMemoryMiB(pidOf('deaf')), ownMemoryMiB(survival.managerPid)];
    const link = survival.engine.openConsole('deaf', { printed: () => {} });
    await link.takeKeyboard();
    const piece = Buffer.alloc(64 * 1024, 'x');
    for (let sent = 0; sent < 100e6; sent += piece.length) {
      link.type(piece);
      // Gives the socket time to take it.
      if (sent % (16 * piece.length) === 0) await neighborAnswers();
    }
    await neighborAnswers();
    expect(ownMemoryMiB(pidOf('deaf')) - before[0]!).toBeLessThan(ROOM_MIB);
    expect(ownMemoryMiB(survival.managerPid) - before[1]!).toBeLessThan(2 * ROOM_MIB);
    await survival.engine.kill('deaf');
    await neighborAnswers();
  });

  test('fills no memory while its manager is stopped, and is up to date afterwards', async () => {
    await start('flood', 'flood');
    await start('loop', 'rubbish ring; reboot', disk());
    await until(() => dropped('loop'));
    const pids = ['flood', 'loop'].map(pidOf);
    const before = pids.map(ownMemoryMiB);
    process.kill(survival.managerPid, 'SIGSTOP');
    try {
      for (const pid of pids) await runs(pid, 2);
      const grown = pids.map((pid, index) => ownMemoryMiB(pid) - before[index]!);
      expect(Math.max(...grown)).toBeLessThan(ROOM_MIB);
    } finally {
      process.kill(survival.managerPid, 'SIGCONT');
    }
    let output = '';
    survival.engine.openConsole('flood', {
      printed: bytes => {
        output = (output + Buffer.from(bytes).toString('latin1')).slice(-100_000);
      },
    });
    const numbers = () => [...output.matchAll(/flood (\d+) /g)].map(([, line]) => Number(line));
    await until(() => numbers().length > 100);
    const last = numbers().at(-1)!;
    await until(() => numbers().at(-1)! > last);
    // In order, even if some were lost.
    expect(numbers()).toEqual(numbers().toSorted((a, b) => a - b));
    expect(survival.vm('flood').state).toBe('running');
    for (const name of ['flood', 'loop']) await survival.engine.kill(name);
  });
});
