import { describe, expect, test } from 'vitest';
import {
  MAX_QUEUES,
  MAX_REGIONS,
  parseFromMachine,
  parseHello,
} from '../../../src/engine/machines/machine-messages.ts';

const DEVICE = {
  name: 'disk0',
  type: 'virtio-blk',
  title: 'disk',
  backend: 'disk',
  bus: 'pci.0',
  address: '00:03.0',
  facts: [{ label: 'size', value: 1024, unit: 'bytes' }],
};
const BAR = {
  index: 0,
  kind: 'memory',
  size: 16_384,
  address: 'fe000000',
  mapped: 12_288,
  prefetchable: false,
};
const HOST_DEVICE = {
  address: '0000:01:10.0',
  api: 'group',
  reset: 'flr',
  bars: [BAR, { ...BAR, index: 6, kind: 'rom', address: null, mapped: 0 }],
  interrupts: { kind: 'msix', vectors: 3, enabled: 3 },
  mappings: { bytes: 2 ** 28, count: 2 },
};
const passed = (change: object) =>
  topology({ devices: [{ ...DEVICE, hostDevice: { ...HOST_DEVICE, ...change } }] });
const QUEUE = { id: 1, slot: 0, device: 'disk0', type: 'virtio-blk', queue: 'requests', size: 256 };
const REGION = { id: 2, index: 0, device: 'com1', space: 'port', start: 0x3f8, size: 8 };
const TOPOLOGY = {
  shape: { vcpus: 1, queues: 1, regions: 1 },
  queues: [QUEUE],
  regions: [REGION],
  devices: [DEVICE],
  consoles: [],
  vcpus: 1,
  pinning: [0],
};
const times = <T>(count: number, value: T) => new Array<T>(count).fill(value);
const topology = (change: object) => ({ kind: 'topology', topology: { ...TOPOLOGY, ...change } });
const event = (change: object) => ({
  kind: 'event',
  event: { at: 0, level: 'info', text: 'x', ...change },
});
const end = (change: object) => ({
  kind: 'ended',
  end: { crashed: false, reason: 'x', detail: null, exitCode: null, ...change },
});
const devices = (count: number) => Object.fromEntries(times(count, 0).map((_, i) => [`disk${i}`, 'broken']));

describe('a message from a machine', () => {
  test.each([
    topology({}),
    topology({ queues: times(MAX_QUEUES, QUEUE), regions: times(MAX_REGIONS, REGION) }),
    passed({}),
    { kind: 'state', state: 'paused' },
    { kind: 'broken', broken: devices(256) },
    { kind: 'disk-errors', diskErrors: {} },
    event({ at: Date.now() }),
    { kind: 'input-taken', port: 0, bytes: 12 },
    { kind: 'reply', id: 1, error: null, result: { noticed: true } },
    end({ exitCode: -1 }),
  ])('is accepted unchanged: $kind', message => {
    expect(parseFromMachine(message)).toEqual(message);
  });

  test.each([
    ['nothing', null],
    ['no object', 'ended'],
    ['a list', []],
    ['no kind', {}],
    ['an unknown kind', { kind: 'unlock' }],
    ['an unknown state', { kind: 'state', state: 'stuck' }],
    ['more queues than there are counters', topology({ queues: times(MAX_QUEUES + 1, QUEUE) })],
    ['more ranges than there are counters', topology({ regions: times(MAX_REGIONS + 1, REGION) })],
    ['devices without end', topology({ devices: times(100_000, DEVICE) })],
    ['facts without end', topology({ devices: [{ ...DEVICE, facts: times(1000, DEVICE.facts[0]) }] })],
    ['BARs without end', passed({ bars: times(8, BAR) })],
    ['a BAR that no device has', passed({ bars: [{ ...BAR, index: 7 }] })],
    ['an unknown interrupt', passed({ interrupts: { kind: 'smi', vectors: 1, enabled: 1 } })],
    ['a long name', topology({ devices: [{ ...DEVICE, name: 'x'.repeat(1e6) }] })],
    ['a negative count', topology({ shape: { vcpus: -1, queues: 1, regions: 1 } })],
    ['broken devices without end', { kind: 'broken', broken: devices(257) }],
    ['a reason without end', { kind: 'broken', broken: { disk0: 'x'.repeat(1e6) } }],
    ['a time that no date has', event({ at: 1e300 })],
    ['a time before time', event({ at: -1 })],
    ['an unknown level', event({ level: 'fatal' })],
    ['an event without end', event({ text: 'x'.repeat(1e6) })],
    ['a fraction of a byte', { kind: 'input-taken', port: 0, bytes: 0.5 }],
    ['bytes that were not typed', { kind: 'input-taken', port: 0, bytes: -1 }],
    ['a reply to nothing', { kind: 'reply', id: null, error: null }],
    ['an end without a reason', end({ reason: null })],
    ['an exit code that is none', end({ exitCode: 'rm' })],
    ['an introduction out of turn', { kind: 'hello', protocol: 1, version: '1', token: 'x' }],
  ])('is rejected if it is %s', (_, message) => {
    expect(() => parseFromMachine(message)).toThrow('the machine sent a message that is not valid');
  });

  test('loses fields that its kind does not have, and does not touch prototypes', () => {
    const message = JSON.parse('{"kind":"broken","broken":{"__proto__":"x","disk0":"y"},"more":1}');
    const parsed = parseFromMachine(message);
    expect(parsed).toEqual({ kind: 'broken', broken: { disk0: 'y' } });
    expect(({} as Record<string, unknown>).disk0).toBeUndefined();
  });
});

test('a machine sends its introduction first', () => {
  const hello = { kind: 'hello', protocol: 1, version: '1.0.0', token: 'secret' };
  expect(parseHello(hello)).toEqual({ protocol: 1, version: '1.0.0', token: 'secret' });
  for (const wrong of [
    null,
    {},
    { ...hello, kind: 'state' },
    { ...hello, token: 5 },
    { ...hello, protocol: '1' },
  ])
    expect(() => parseHello(wrong)).toThrow('the machine did not introduce itself');
});
