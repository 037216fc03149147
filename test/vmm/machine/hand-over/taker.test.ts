import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { wireFds } from '../../../../src/vmm/backends/net/wire.ts';
import { bytesFrame, messageFrame, portFrame } from '../../../../src/vmm/machine/frames.ts';
import { HandOverChannel } from '../../../../src/vmm/machine/hand-over/channel.ts';
import { FORMAT, type Offer } from '../../../../src/vmm/machine/hand-over/messages.ts';
import { Taker } from '../../../../src/vmm/machine/hand-over/taker.ts';
import { close, eventfd, memfdCreate, socketPair } from '../../../../src/vmm/native/libc.ts';
import { sendNow } from '../../../../src/vmm/native/unix-socket.ts';
import { MAX_STATE_BYTES } from '../../../../src/vmm/snapshot/state-codec.ts';
import { openFds } from '../../../support/fds.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const DISK = {
  options: { path: '/disk.img', readonly: false, cache: 'writeback' },
  facts: { size: 4096, isBlockDevice: false, blockSize: 512, canDiscard: true, file: 'fd00:1' },
} as const;
const OFFER: Offer = {
  kind: 'offer',
  format: FORMAT,
  version: '1.0.0',
  disks: [DISK],
  images: ['/boot/vmlinux'],
};
const STATE = Buffer.from('the state');

let before: number;
let giver: HandOverChannel;
let raw: number;
let taker: Taker;
let own: number[];
beforeEach(() => {
  before = openFds();
  const [ours, theirs] = socketPair();
  giver = new HandOverChannel(ours);
  raw = ours;
  taker = new Taker(theirs);
  own = Array.from({ length: 5 }, () => memfdCreate('given'));
});
afterEach(() => {
  taker.close();
  giver.close();
  for (const fd of own) close(fd);
  expect(openFds()).toBe(before);
});

/** The giver's messages are sent in advance, because the taker blocks its thread. */
function offered(change: Partial<Offer> = {}, fds = own): void {
  giver.send({ ...OFFER, ...change }, fds);
}

function taken() {
  const given = taker.awaitOffer();
  for (const fd of [
    given.ram,
    given.counters,
    given.lock,
    ...given.disks.flatMap(({ fds }) => fds),
    ...given.images.map(({ fd }) => fd),
    ...given.wires.flatMap(({ wire }) => wireFds(wire)),
  ])
    close(fd);
  return given;
}

describe('a process that takes a machine over', () => {
  test('receives the configuration, the state, and then the machine', () => {
    offered();
    giver.sendState(STATE);
    giver.send({ kind: 'go' });
    const { version, disks, images } = taken();
    expect({ version, disks, images }).toEqual({
      version: '1.0.0',
      disks: [{ ...DISK, fds: [expect.any(Number)] }],
      images: [{ path: '/boot/vmlinux', fd: expect.any(Number) }],
    });
    expect(Buffer.from(taker.prepared())).toEqual(STATE);
    taker.loaded();
    expect(giver.receive()).toEqual([{ kind: 'prepared' }, { kind: 'loaded' }]);
  });

  test('receives a network with shared memory and its eventfd', () => {
    const wire = { fds: 1, header: 'none', label: 'user', shared: true } as const;
    const [card, network] = socketPair();
    own.push(card, memfdCreate('frames'), eventfd());
    offered({ wires: [{ device: 'net0', wire }] });
    const { wires } = taken();
    const shared = { memory: expect.any(Number), room: expect.any(Number) };
    expect(wires).toEqual([{ device: 'net0', wire: { ...wire, fds: [expect.any(Number)], shared } }]);
    close(network);
  });

  test('receives the clients of sockets with the state, and nothing else for them', () => {
    offered();
    const [client, other] = socketPair();
    giver.sendState(STATE, [client, own[0]!]);
    taken();
    taker.prepared();
    const got = taker.takeClient();
    expect(() => taker.takeClient()).toThrow('as a connection is something else');
    expect(() => taker.takeClient()).toThrow('did not pass all of its files');
    for (const fd of [client, other, got]) close(fd);
  });

  test('reports to the other process why it cannot', () => {
    taker.fail('there is no memory');
    expect(giver.receive()).toEqual([{ kind: 'failed', reason: 'there is no memory' }]);
  });

  /** What comes before each step, and the steps up to it. */
  const STEPS = {
    'an offer': () => [() => void taker.awaitOffer()],
    'the state': () => {
      offered();
      taken();
      return [() => void taker.prepared()];
    },
    'the machine': () => {
      offered();
      giver.sendState(STATE);
      taken();
      return [() => void taker.prepared(), () => taker.loaded()];
    },
  };

  describe.each(Object.entries(STEPS))('that waits for %s gives up', (step, prepare) => {
    const run = (steps: readonly (() => void)[]) => () => {
      for (const step of steps) step();
    };

    test('when the other process ends, or continues itself', () => {
      const steps = prepare();
      giver.close();
      expect(run(steps)).toThrow('the process that runs the VM has ended, or continues to run it');
    });

    test.each([
      ['says so', { kind: 'failed', reason: 'it was stopped' }, 'it was stopped'],
      [
        'sends a message out of order',
        step === 'an offer' ? { kind: 'go' } : OFFER,
        'a message out of order',
      ],
      ['sends a message that is none', { kind: 'nonsense' }, 'a message that is not valid'],
      ['sends no object', null, 'a message that is not valid'],
    ])('when it %s', (_, message, reason) => {
      const steps = prepare();
      sendNow(raw, messageFrame(message));
      expect(run(steps)).toThrow(reason);
    });
  });
});

describe('an offer is rejected', () => {
  test('in an unknown format', () => {
    offered({ format: FORMAT + 1, version: '9.9.9' });
    expect(() => taker.awaitOffer()).toThrow('vring 9.9.9 hands VMs over in format');
  });

  test.each([0, 2, 4])('with %i of its files', count => {
    offered({}, own.slice(0, count));
    expect(() => taker.awaitOffer()).toThrow('did not pass all of its files');
  });

  test('with fds other than files', () => {
    const folder = join(temporaryFolder(), 'folder');
    mkdirSync(folder);
    writeFileSync(join(folder, 'file'), '');
    for (let wrong = 0; wrong < own.length; wrong++) {
      const [ours, theirs] = socketPair();
      const channel = new HandOverChannel(ours);
      const other = new Taker(theirs);
      const directory = openSync(folder, 'r');
      channel.send(OFFER, own.with(wrong, directory));
      expect(() => other.awaitOffer()).toThrow('is something else');
      close(directory);
      channel.close();
      other.close();
    }
  });

  test.each([
    ['too many disks', { disks: new Array(257).fill(DISK) }],
    ['a disk of a strange format', { disks: [{ ...DISK, options: { ...DISK.options, format: 'vhd' } }] }],
    ['a negative size', { disks: [{ ...DISK, facts: { ...DISK.facts, size: -1 } }] }],
    ['a path that is too long', { images: ['x'.repeat(5000)] }],
  ])('with %s', (_, change) => {
    offered(change as never);
    expect(() => taker.awaitOffer()).toThrow('a message that is not valid');
  });
});

describe('a state is rejected', () => {
  test.each([
    ['of no bytes', 0],
    ['of half a byte', 1.5],
    ['that is too long', MAX_STATE_BYTES + 1],
    ['of a length that is none', 'many'],
  ])('%s', (_, bytes) => {
    sendNow(raw, messageFrame({ kind: 'state', bytes }));
    expect(() => taker.prepared()).toThrow('a length that is not valid');
  });

  test('that has more bytes than announced', () => {
    sendNow(raw, messageFrame({ kind: 'state', bytes: 3 }));
    sendNow(raw, bytesFrame(Buffer.from('four')));
    expect(() => taker.prepared()).toThrow('more than its state');
  });

  test('that was not announced', () => {
    sendNow(raw, bytesFrame(Buffer.from('four')));
    expect(() => taker.prepared()).toThrow('more than its state');
  });

  test('that is truncated', () => {
    sendNow(raw, messageFrame({ kind: 'state', bytes: 3 }));
    sendNow(raw, messageFrame({ kind: 'go' }));
    expect(() => taker.prepared()).toThrow('stopped in the middle of its state');
  });

  test('in unknown frames', () => {
    sendNow(raw, portFrame(0, Buffer.from('x')));
    expect(() => taker.prepared()).toThrow('an unknown kind');
    sendNow(raw, Buffer.from([0, 0, 0, 0]));
  });
});
