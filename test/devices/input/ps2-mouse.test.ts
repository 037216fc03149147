import { describe, expect, it } from 'vitest';
import { BUTTON } from '../../../src/devices/input/input-event.ts';
import { Ps2Mouse } from '../../../src/devices/input/ps2-mouse.ts';

const ACK = 0xfa;

function rig() {
  const mouse = new Ps2Mouse(() => {});
  const sent = () => {
    const bytes: number[] = [];
    while (!mouse.isEmpty) bytes.push(mouse.take()!);
    return bytes;
  };
  const ask = (...bytes: number[]) =>
    bytes.flatMap(byte => {
      mouse.receive(byte);
      return sent();
    });
  return { mouse, sent, ask };
}

const press = { kind: 'button', code: BUTTON.left, down: true } as const;
const release = { ...press, down: false };

describe('a PS/2 mouse', () => {
  it('answers each of its commands', () => {
    const { ask } = rig();
    expect(ask(0xff)).toEqual([ACK, 0xaa, 0x00]);
    expect(ask(0xf2)).toEqual([ACK, 0]);
    expect(ask(0xe7, 0xe8, 0x03, 0xf3, 40)).toEqual([ACK, ACK, ACK, ACK, ACK]);
    expect(ask(0xe9)).toEqual([ACK, 0x10, 3, 40]);
    expect(ask(0xf4, 0xf0, 0xe6, 0xe9)).toEqual([ACK, ACK, ACK, ACK, 0x60, 3, 40]);
    expect(ask(0xf6, 0xe9)).toEqual([ACK, ACK, 0x00, 2, 100]);
    expect(ask(0xe8, 0x04)).toEqual([ACK, 0xfe]);
    expect(ask(0xee, 0x12, 0xf4, 0xec)).toEqual([ACK, 0x12, 0xf4, ACK]);
    expect(ask(0x01)).toEqual([0xfe]);
    expect(ask(0xfe)).toEqual([0xfe]);
    expect(ask(0xea, 0xf5)).toEqual([ACK, ACK]);
  });

  it('releases buttons that were held when its state was saved, once its buffer has room', () => {
    const one = rig();
    one.ask(0xf4);
    one.mouse.point(press);
    for (const buttons of [1, 0]) {
      const other = rig();
      other.mouse.load(one.mouse.save());
      other.mouse.resume();
      expect(other.sent()).toEqual([...(buttons === 1 ? [0x09, 0, 0] : []), 0x08, 0, 0]);
      expect(other.mouse.save().buttons).toBe(0);
      one.sent();
    }
    let count = 0;
    while (one.mouse.point(count % 2 === 0 ? release : press)) count++;
    const full = rig();
    full.mouse.load(one.mouse.save());
    full.mouse.resume();
    expect(full.mouse.save().buttons).toBe(1);
    expect(full.sent().slice(-3)).toEqual([0x08, 0, 0]);
  });

  it('reports motion and buttons once it is enabled', () => {
    const { mouse, sent, ask } = rig();
    mouse.point({ kind: 'motion', dx: 5, dy: 5 });
    expect(sent()).toEqual([]);
    ask(0xf4);
    mouse.point({ kind: 'motion', dx: 5, dy: 3 });
    expect(sent()).toEqual([0x28, 5, 0xfd]);
    mouse.point({ kind: 'motion', dx: -1, dy: -2 });
    expect(sent()).toEqual([0x18, 0xff, 2]);
    mouse.point(press);
    mouse.point(release);
    expect(sent()).toEqual([0x09, 0, 0, 0x08, 0, 0]);
    // In as many packets as necessary.
    mouse.point({ kind: 'motion', dx: 600, dy: 0 });
    expect(sent()).toEqual([0x08, 255, 0, 0x08, 255, 0, 0x08, 90, 0]);
    // Without a wheel.
    mouse.point({ kind: 'wheel', dy: 1 });
    expect(sent().slice(1)).toEqual([0, 0]);
  });

  it('accumulates motion that the guest does not read, and keeps or refuses clicks', () => {
    const { mouse, sent, ask } = rig();
    ask(0xf4);
    for (let i = 0; i < 100; i++) mouse.point({ kind: 'motion', dx: 1, dy: 0 });
    let clicks = 0;
    while (mouse.point(press) && mouse.point(release)) clicks++;
    const bytes = sent();
    const packets = Array.from({ length: bytes.length / 3 }, (_, index) =>
      bytes.slice(3 * index, 3 * index + 3),
    );
    expect(packets.reduce((sum, packet) => sum + packet[1]!, 0)).toBe(100);
    expect(packets.filter(([first]) => first === 0x09).length).toBeGreaterThanOrEqual(clicks);
    expect(clicks).toBeGreaterThan(3);
  });

  it('switches to a wheel mouse, and to five buttons', () => {
    const { mouse, sent, ask } = rig();
    const rates = (...values: number[]) => values.map(value => ask(0xf3, value));
    rates(200, 100, 80);
    expect(ask(0xf2)).toEqual([ACK, 3]);
    ask(0xf4);
    mouse.point({ kind: 'wheel', dy: -1 });
    expect(sent()).toEqual([0x08, 0, 0, 0xff]);
    rates(200, 200, 80);
    expect(ask(0xf2)).toEqual([ACK, 4]);
    mouse.point({ kind: 'button', code: BUTTON.side, down: true });
    expect(sent()).toEqual([0x08, 0, 0, 0x10]);
    mouse.point({ kind: 'wheel', dy: 2 });
    expect(sent()).toEqual([0x08, 0, 0, 0x12]);
    ask(0xff);
    expect(ask(0xf2)).toEqual([ACK, 0]);
  });

  it('can be polled in remote mode', () => {
    const { mouse, sent, ask } = rig();
    ask(0xf4, 0xf0);
    mouse.point({ kind: 'motion', dx: 7, dy: -2 });
    mouse.point(press);
    expect(sent()).toEqual([]);
    expect(ask(0xeb)).toEqual([ACK, 0x09, 7, 2]);
    expect(ask(0xeb)).toEqual([ACK, 0x09, 0, 0]);
  });

  it('continues from its saved state', () => {
    const one = rig();
    for (const rate of [200, 100, 80]) one.ask(0xf3, rate);
    one.ask(0xf4);
    one.mouse.point(press);
    one.mouse.point({ kind: 'motion', dx: 300, dy: 1 });
    const other = rig();
    other.mouse.load(one.mouse.save());
    expect(other.mouse.save()).toEqual(one.mouse.save());
    one.mouse.load(one.mouse.save());
    expect(other.sent()).toEqual(one.sent());
  });
});
