import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { HEADER_BYTES, KIND } from '../../../src/vmm/migration/stream.ts';
import { GuestVm } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { MigrationHost } from '../../support/migration-hosts.ts';
import { MigrationRelay, type Passing } from '../../support/migration-relay.ts';
import { Random } from '../../support/random.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

type Change = (passing: Passing) => Uint8Array | null;

/** A change of one frame of this kind, the first; the others pass. */
function once(kind: string, change: (frame: Buffer) => Uint8Array | null): Change {
  let isDone = false;
  return passing => {
    if (passing.kind !== kind || isDone) return passing.frame;
    isDone = true;
    return change(Buffer.from(passing.frame));
  };
}

/** A message with other contents. */
function message(change: (message: Record<string, unknown>) => unknown): (frame: Buffer) => Uint8Array {
  return frame => {
    const body = Buffer.from(
      JSON.stringify(change(JSON.parse(frame.subarray(HEADER_BYTES).toString()) as Record<string, unknown>)),
    );
    const head = Buffer.from(frame.subarray(0, HEADER_BYTES));
    head.writeUInt32LE(body.length, 4);
    return Buffer.concat([head, body]);
  };
}

function header(kind: number, length: number, offset: bigint): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.write('VR', 0, 'latin1');
  bytes[3] = kind;
  bytes.writeUInt32LE(length, 4);
  bytes.writeBigUInt64LE(offset, 8);
  return bytes;
}

const RAM = 32n * 2n ** 20n;

const CHANGES: Readonly<Record<string, [Change, RegExp]>> = {
  'memory beyond its end': [
    once('pages', frame => {
      frame.writeBigUInt64LE(RAM - 1n, 8);
      return frame;
    }),
    /sent memory at 33554431, beyond the VM's/,
  ],
  'zeros beyond its end': [
    once('pages', () => header(KIND.zeros, 4096, RAM)),
    /sent memory at 33554432, beyond the VM's/,
  ],
  'memory before the offer': [
    once('offer', () => Buffer.concat([header(KIND.pages, 1, 0n), Buffer.from('x')])),
    /sent memory out of order/,
  ],
  'a state out of order': [
    once('state', frame => {
      frame.writeBigUInt64LE(5n, 8);
      return frame;
    }),
    /sent a state that is too long, or not in order/,
  ],
  'a state that is no state': [
    once('state', frame => frame.fill(0x7b, HEADER_BYTES)),
    /the state that arrived is not valid/,
  ],
  'a state with changed characters': [
    once('state', frame => frame.fill(0x39, HEADER_BYTES + 1000, HEADER_BYTES + 1400)),
    /the state that arrived is not valid|does not fit this machine/,
  ],
  'no state': [once('state', () => null), /the state that arrived is not valid/],
  'another offer': [
    once(
      'load',
      message(() => ({ kind: 'offer' })),
    ),
    /not valid/,
  ],
  'a machine with more memory than announced': [
    once(
      'load',
      message(load => ({ ...load, config: { ...(load.config as object), memory: { bytes: 2 ** 26 } } })),
    ),
    /another amount of memory than was announced/,
  ],
  'a machine with unknown devices': [
    once(
      'offer',
      message(offer => ({ ...offer, config: { ...(offer.config as object), devices: [{ type: 'x' }] } })),
    ),
    /the vring there cannot build its machine/,
  ],
  'a name with a path': [
    once(
      'offer',
      message(offer => ({ ...offer, as: '../web' })),
    ),
    /cannot be the name of a VM/,
  ],
  'a later format': [
    once(
      'offer',
      message(offer => ({ ...offer, format: 2, version: '9.0' })),
    ),
    /vring 9\.0 sends VMs in format 2, and the vring there receives format 1: install the same version on both hosts/,
  ],
  'a message too early': [
    once(
      'offer',
      message(() => ({ kind: 'go' })),
    ),
    /out of order/,
  ],
};

async function twoHosts(folder: string) {
  const [a, b] = await Promise.all(['alpha', 'beta'].map(name => MigrationHost.start(folder, name)));
  return { a: a!, b: b! };
}

describe.skipIf(noKvm !== null)(onKvm('what another host sends'), () => {
  test('is refused if it is not a VM, and the VM goes on where it was', { timeout: 120_000 }, async () => {
    const folder = temporaryFolder();
    const { a, b } = await twoHosts(folder);
    const guest = await GuestVm.start(a.engine);
    for (const [name, [change, reason]] of Object.entries(CHANGES)) {
      const relay = await MigrationRelay.between(folder, b, change);
      const outcome = await a.engine.migrate('guest', relay.options).then(
        () => 'it arrived',
        (error: Error) => error.message,
      );
      relay.close();
      expect(outcome, name).toMatch(reason);
      await until(() => a.vm('guest')?.state === 'running' && a.vm('guest')?.task === undefined);
      await until(() => b.vm('guest') === undefined);
      await guest.command('info');
    }
    // Untouched, it arrives.
    await a.engine.migrate('guest', b.options);
    await GuestVm.of(b.engine, 'guest').command('info');
  });

  test('may be damaged anywhere, or end anywhere', { timeout: 180_000 }, async () => {
    const folder = temporaryFolder();
    const { a, b } = await twoHosts(folder);
    await GuestVm.start(a.engine);
    const random = new Random(11);
    let arrived = 0;
    for (let round = 0; round < 25; round++) {
      let left = random.below(40);
      const relay = await MigrationRelay.between(folder, b, ({ kind, frame }, relay) => {
        // Damaged memory is the guest's own; after `go`, nothing more comes from there.
        if (left-- !== 0 || kind === 'go' || kind === 'running') return frame;
        if (random.below(3) === 0) {
          relay.cut();
          return null;
        }
        const damaged = Buffer.from(frame);
        for (let count = 0; count < 4; count++)
          damaged[random.below(Math.min(damaged.length, 200))] = random.below(256);
        return kind === 'pages' ? damaged.fill(0, HEADER_BYTES) : damaged;
      });
      const outcome = await a.engine.migrate('guest', relay.options).then(
        () => null,
        (error: Error) => error.message,
      );
      relay.close();
      if (outcome === null || b.vm('guest')?.state === 'running') {
        // It was damaged in a way that does not show.
        arrived++;
        await b.engine.kill('guest');
        if (b.vm('guest') !== undefined) await b.engine.remove('guest');
        if (a.vm('guest') !== undefined) {
          await a.engine.kill('guest');
          await a.engine.remove('guest');
        }
        await GuestVm.start(a.engine);
        continue;
      }
      expect(outcome).not.toContain('undefined');
      await until(() => a.vm('guest')?.state === 'running' && a.vm('guest')?.task === undefined);
      await until(() => b.vm('guest') === undefined);
    }
    expect(arrived).toBeLessThan(25);
    expect(await b.engine.metrics('prometheus')).toContain('vring_');
  });

  test('is no migration at all', { timeout: 60_000 }, async () => {
    const { b } = await twoHosts(temporaryFolder());
    const random = new Random(12);
    const [program, ...args] = b.receiver;
    const receive = (input: Uint8Array) => execa(program!, args, { input, reject: false, timeout: 20_000 });
    const inputs = [
      Buffer.alloc(0),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from(Array.from({ length: 5000 }, () => random.below(256))),
      header(KIND.message, 2 ** 22, 0n),
    ];
    for (const input of inputs) {
      const { exitCode, stderr } = await receive(input);
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(
        /^vring: the (other host sent something other than a migration|connection to the other host is broken)/,
      );
    }
    expect(b.engine.vms()).toEqual([]);
  });
});
