import * as zod from 'zod';
import type { AccessSize } from '../../src/devices/device.ts';
import type { AnyConfigurable } from '../../src/devices/device-table.ts';
import type { BuiltDevice } from '../../src/devices/device-type.ts';
import { COMMAND, REG } from '../../src/devices/pci/registers.ts';
import { FakeMachine } from './fake-machine.ts';
import { FakeMemory } from './fake-memory.ts';
import type { FakeFramePort } from './fake-net-backend.ts';

export const MAC = '52:54:00:12:34:56';
export const MAC_BYTES = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56);
export const BROADCAST_BYTES = new Uint8Array(6).fill(0xff);
const PEER = Uint8Array.of(0x52, 0x54, 0x00, 0x99, 0x88, 0x77);

/** A frame to `target`, `length` bytes in all, whose payload counts up from `seed`. */
export function frameTo(target: Uint8Array, length = 64, seed = 0): Uint8Array {
  const frame = Uint8Array.from({ length }, (_, at) => (at + seed) & 0xff);
  frame.set(target);
  frame.set(PEER, 6);
  frame.set([0x88, 0xb5], 12);
  return frame;
}

/** An IPv4 frame with a TCP segment or a UDP datagram, with checksums as in `checksums`: zeros by default. */
export function ipFrame(
  protocol: 'tcp' | 'udp',
  payload: number,
  { id = 7, sequence = 1000, flags = 0x18 } = {},
): Uint8Array {
  const header = protocol === 'tcp' ? 20 : 8;
  const frame = new Uint8Array(14 + 20 + header + payload);
  const view = new DataView(frame.buffer);
  frame.set(MAC_BYTES);
  frame.set(PEER, 6);
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x45);
  view.setUint16(16, Math.min(20 + header + payload, 0xffff));
  view.setUint16(18, id);
  view.setUint8(22, 64);
  view.setUint8(23, protocol === 'tcp' ? 6 : 17);
  frame.set([10, 0, 2, 15, 10, 0, 2, 2], 26);
  view.setUint16(34, 4000);
  view.setUint16(36, 80);
  if (protocol === 'tcp') {
    view.setUint32(38, sequence);
    view.setUint8(46, 0x50);
    view.setUint8(47, flags);
    view.setUint16(48, 0x2000);
  } else {
    view.setUint16(38, 8 + payload);
  }
  for (let at = 0; at < payload; at++) frame[34 + header + at] = (at * 7) & 0xff;
  return frame;
}

/**
 * The ones' complement sums of an IPv4 frame's header, and of its transport with the
 * pseudo-header: 0xffff if they are correct.
 */
export function ipSums(frame: Uint8Array): { header: number; transport: number } {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const end = 14 + view.getUint16(16);
  const sum = (from: number, to: number, initial = 0) => {
    let total = initial;
    for (let at = from; at < to; at += 2) total += at + 1 < to ? view.getUint16(at) : frame[at]! << 8;
    while (total > 0xffff) total = (total >> 16) + (total & 0xffff);
    return total;
  };
  const pseudo = sum(26, 34, frame[23]! + end - 34);
  return { header: sum(14, 34), transport: sum(34, end, pseudo) };
}

/** A network card of a row in a machine without KVM; the test acts as its driver and its network. */
export class NicRig {
  readonly machine: FakeMachine;
  readonly built: BuiltDevice;

  constructor(row: AnyConfigurable, options: Readonly<Record<string, unknown>> = {}, memory = 2 ** 20) {
    this.machine = new FakeMachine(new FakeMemory(memory));
    const { services, chipset } = this.machine;
    const config = row.config(zod).parse({ mac: MAC, network: { type: 'tap' }, ...options, type: row.type });
    this.built = row.create(services, config, 'net0');
    chipset.attach({ type: row, built: this.built });
    if (this.built.pci === undefined) return;
    chipset.pci.assign();
    this.built.pci.writeConfig(REG.command, 2, COMMAND.io | COMMAND.memory | COMMAND.busMaster);
  }

  get memory(): FakeMemory {
    return this.machine.memory;
  }

  /** The card's end of its network. */
  get port(): FakeFramePort {
    return this.machine.network.port;
  }

  /** Whether the card asserts its interrupt. */
  get interrupts(): boolean {
    return this.machine.lines.some(line => line.level);
  }

  in(offset: number, size: AccessSize): number {
    return this.machine.ports.read(this.#base + offset, size);
  }

  out(offset: number, size: AccessSize, value: number): void {
    this.machine.ports.write(this.#base + offset, size, value);
  }

  /** Quiesces it, as a machine does before it saves or resets. */
  quiesce(): void {
    this.built.device.quiesce?.(() => {});
  }

  get #base(): number {
    const { pci, ports } = this.built;
    return pci === undefined ? ports![0]!.start : pci.bars.find(({ space }) => space === 'port')!.address!;
  }
}
