import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HandOverChannel } from '../../../../src/vmm/machine/hand-over/channel.ts';
import {
  type GivenMachine,
  Giver,
  LOAD_NS,
  type Outcome,
  PREPARE_NS,
  STOP_NS,
} from '../../../../src/vmm/machine/hand-over/giver.ts';
import { FORMAT, type Offer } from '../../../../src/vmm/machine/hand-over/messages.ts';
import { close, memfdCreate, socketPair } from '../../../../src/vmm/native/libc.ts';
import { DeviceClock } from '../../../support/device-clock.ts';
import { openFds } from '../../../support/fds.ts';

const OFFER: Offer = { kind: 'offer', format: FORMAT, version: '1.0.0', disks: [], images: [] };
const STATE = new Uint8Array(3_000_000).map((_, index) => index % 251);

class PlayedLoop extends DeviceClock {
  readonly #watched = new Map<number, () => void>();

  watchFd(fd: number, _: boolean, onReady: () => void): void {
    this.#watched.set(fd, onReady);
  }

  unwatchFd(fd: number): void {
    this.#watched.delete(fd);
  }

  get watches(): number {
    return this.#watched.size;
  }

  turn(): void {
    for (const onReady of [...this.#watched.values()]) onReady();
  }
}

let before: number;
let loop: PlayedLoop;
let taker: HandOverChannel;
let received: unknown[];
let outcomes: Outcome[];
/** What the machine does. */
let state: 'runs' | 'stopping' | 'stopped';
let stopped: () => void;
function giverOf(change: Partial<GivenMachine> = {}): Giver {
  const [ours, theirs] = socketPair();
  taker = new HandOverChannel(theirs);
  const machine: GivenMachine = {
    offer: () => ({ offer: OFFER, fds: [] }),
    quiesce: done => {
      state = 'stopping';
      stopped = () => {
        state = 'stopped';
        done(null);
      };
      return () => {
        state = 'runs';
      };
    },
    holdups: [],
    extraStopNs: 0n,
    state: () => ({ bytes: STATE, fds: [] }),
    ...change,
  };
  return new Giver(ours, machine, loop, outcome => outcomes.push(outcome));
}

/** Both sides read what there is, until nothing more comes. */
function exchange(): void {
  for (let round = 0; round < 100; round++) {
    loop.turn();
    taker.flush();
    if (!taker.isOver) received.push(...taker.receive());
  }
}

function say(message: object): void {
  taker.send(message);
  exchange();
}

/** As far as a step. */
const STEPS: { readonly [step: string]: () => void } = {
  'it has been offered': () => exchange(),
  'it is to stop': () => {
    exchange();
    say({ kind: 'prepared' });
  },
  'it has stopped': () => {
    exchange();
    say({ kind: 'prepared' });
    stopped();
    exchange();
  },
};

beforeEach(() => {
  before = openFds();
  loop = new PlayedLoop();
  received = [];
  outcomes = [];
  state = 'runs';
});
afterEach(() => {
  taker.close();
  // Nothing is left of it, however it ended.
  expect(openFds()).toBe(before);
  expect(loop.timers).toBe(0);
  expect(loop.watches).toBe(0);
});

describe('a machine that is handed over', () => {
  test('runs until the other process is prepared, and belongs to it once it has loaded the state', () => {
    giverOf();
    exchange();
    expect([state, received]).toEqual(['runs', [OFFER]]);
    say({ kind: 'prepared' });
    expect([state, received.length]).toEqual(['stopping', 1]);
    stopped();
    exchange();
    const [, given] = received as [unknown, { kind: string; bytes: Uint8Array }];
    expect([given.kind, Buffer.compare(given.bytes, STATE)]).toEqual(['state', 0]);
    expect(outcomes).toEqual([]);
    say({ kind: 'loaded' });
    expect(received.slice(2)).toEqual([{ kind: 'go' }]);
    expect([state, outcomes]).toEqual(['stopped', [{ kind: 'gone' }]]);
  });

  test('passes more files than one message takes', () => {
    const fds = Array.from({ length: 150 }, () => memfdCreate('given'));
    giverOf({ offer: () => ({ offer: OFFER, fds }) });
    exchange();
    const taken = fds.map(() => taker.takeFd());
    expect(new Set(taken).size).toBe(150);
    expect(() => taker.takeFd()).toThrow('did not pass all of its files');
    for (const fd of [...fds, ...taken]) close(fd);
    taker.close();
    exchange();
  });

  test('passes files with its state', () => {
    const fds = [memfdCreate('one'), memfdCreate('two')];
    giverOf({ state: () => ({ bytes: STATE, fds }) });
    STEPS['it has stopped']!();
    expect(received).toHaveLength(2);
    for (const fd of [...fds, taker.takeFd(), taker.takeFd()]) close(fd);
    expect(() => taker.takeFd()).toThrow('did not pass all of its files');
    say({ kind: 'loaded' });
    expect(outcomes).toEqual([{ kind: 'gone' }]);
  });

  test('that stops at once is handed over the same way', () => {
    giverOf({
      quiesce: done => {
        state = 'stopped';
        done(null);
        return () => {
          state = 'runs';
        };
      },
    });
    exchange();
    say({ kind: 'prepared' });
    say({ kind: 'loaded' });
    expect([state, outcomes]).toEqual(['stopped', [{ kind: 'gone' }]]);
  });
});

describe.each(Object.entries(STEPS))('continues when, after %s,', (step, reach) => {
  const failed = (reason: string) => [{ kind: 'failed', reason }];

  test('the other process reports that it cannot take the machine over', () => {
    giverOf();
    reach();
    say({ kind: 'failed', reason: 'there is no memory' });
    expect([state, outcomes]).toEqual(['runs', failed('there is no memory')]);
  });

  test('the other process ends', () => {
    giverOf();
    reach();
    taker.close();
    exchange();
    expect([state, outcomes]).toEqual(['runs', failed('the other process has ended')]);
  });

  test.each([
    ['a message out of order', { kind: step === 'it has been offered' ? 'loaded' : 'prepared' }],
    ['a message that is none', { kind: 'nonsense' }],
    ['a message of the wrong side', OFFER],
  ])('the other process sends %s', (_, message) => {
    giverOf();
    reach();
    say(message);
    expect([state, outcomes]).toEqual(['runs', failed(expect.stringContaining('the other process sent'))]);
  });

  test('its manager cancels it', () => {
    const giver = giverOf();
    reach();
    giver.cancel('it was stopped');
    exchange();
    expect([state, outcomes]).toEqual(['runs', failed('it was stopped')]);
    expect(received.at(-1)).toEqual({ kind: 'failed', reason: 'it was stopped' });
    giver.cancel('again');
    expect(outcomes).toHaveLength(1);
  });

  test('the time limit expires', () => {
    const [limit, reason] = {
      'it has been offered': [PREPARE_NS, 'the other process has not built the machine in time'] as const,
      'it is to stop': [STOP_NS, 'the VM could not be stopped: blk0, blk1 does not respond'] as const,
      'it has stopped': [LOAD_NS, 'the other process has not loaded the state in time'] as const,
    }[step]!;
    giverOf({ holdups: ['blk0', 'blk1'] });
    reach();
    loop.jump(limit - 1_000_000n);
    expect(outcomes).toEqual([]);
    loop.advance(1);
    expect([state, outcomes]).toEqual(['runs', failed(reason)]);
    // What stops too late does not matter.
    if (step === 'it is to stop') stopped();
    exchange();
    expect(received.filter(message => (message as { kind: string }).kind === 'go')).toEqual([]);
  });
});

describe('continues', () => {
  test('when it does not support a hand-over', () => {
    giverOf({
      offer: () => {
        throw new Error('its memory is not a file');
      },
    });
    expect(outcomes).toEqual([{ kind: 'failed', reason: 'its memory is not a file' }]);
    exchange();
    expect(received).toEqual([{ kind: 'failed', reason: 'its memory is not a file' }]);
  });

  test('when its state cannot be saved', () => {
    giverOf({
      state: () => {
        throw new Error('KVM refuses');
      },
    });
    STEPS['it has stopped']!();
    expect([state, outcomes]).toEqual(['runs', [{ kind: 'failed', reason: 'KVM refuses' }]]);
  });

  test('when the other process does not read its state', () => {
    giverOf();
    exchange();
    taker.send({ kind: 'prepared' });
    loop.turn();
    stopped();
    loop.jump(LOAD_NS);
    expect(outcomes).toEqual([
      { kind: 'failed', reason: 'the other process has not loaded the state in time' },
    ]);
    state = 'runs';
    exchange();
    // Half of a state is none.
    expect(received).toEqual([OFFER]);
    expect(taker.isOver).toBe(true);
  });
});
