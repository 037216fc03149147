import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { BuiltDevice } from '../../../src/devices/device-type.ts';
import type {
  CommandRegisters,
  DataPhase,
  ResultRegisters,
} from '../../../src/devices/storage/ata/ata-drive.ts';
import { sataCd, sataHd } from '../../../src/devices/storage/ata/rows.ts';
import { FakeBlockBackend } from '../../support/fake-block-backend.ts';
import { FakeMachine } from '../../support/fake-machine.ts';

const SECTORS = 131_072;
const READY = 0x50;
const FAILED = 0x51;

/** A drive, and what the last command did. */
class Drive {
  readonly machine = new FakeMachine();
  readonly disk = new FakeBlockBackend();
  readonly built: BuiltDevice;
  phases: DataPhase[] = [];

  constructor(kind: 'disk' | 'cd' = 'disk', options: Record<string, unknown> = {}) {
    this.machine.disk = this.disk;
    const { services } = this.machine;
    const given = { path: 'disk.img', ...options };
    this.built =
      kind === 'disk'
        ? sataHd.create(services, sataHd.config(z).parse({ type: 'sata-hd', ...given }), 'sata0')
        : sataCd.create(services, sataCd.config(z).parse({ type: 'sata-cd', ...given }), 'cd0');
  }

  /** @param given what the host sends. @returns the registers at the end, and the bytes that it got */
  run(
    registers: Partial<CommandRegisters> & { command: number },
    { packet = [], given = new Uint8Array(512) }: { packet?: readonly number[]; given?: Uint8Array } = {},
  ): ResultRegisters & { readonly bytes: Uint8Array } {
    this.phases = [];
    let result: ResultRegisters | null = null;
    let bytes = new Uint8Array();
    const all = { features: 0, count: 0, lba: 0, device: 0x40, ...registers };
    this.built.ata!.execute(all, {
      transfer: (phase, done) => {
        this.phases.push(phase);
        if (phase.kind === 'disk') {
          const content = new Uint8Array(phase.length);
          if (phase.direction === 'in') this.built.ata!.port!.readInto(phase.offset, content, done);
          else this.built.ata!.port!.writeFrom(phase.offset, content.fill(9), done);
          bytes = content;
        } else if (phase.direction === 'in') {
          bytes = phase.bytes.slice();
          done(null);
        } else done(null, given);
      },
      takePacket: then => then(Uint8Array.from({ length: 12 }, (_, index) => packet[index] ?? 0)),
      complete: ended => {
        result = ended;
      },
    });
    this.disk.port?.settle();
    if (result === null) throw new Error('the command has not ended');
    return { ...(result as ResultRegisters), bytes };
  }

  packet(...packet: number[]) {
    return this.run({ command: 0xa0, lba: 0xfffe00 }, { packet });
  }

  identity(): Uint16Array {
    return new Uint16Array(this.run({ command: this.built.ata!.kind === 'disk' ? 0xec : 0xa1 }).bytes.buffer);
  }
}

const outcome = ({ status, error }: ResultRegisters) => [status, error];

describe('a disk addresses sectors', () => {
  const offsetOf = (registers: Partial<CommandRegisters> & { command: number }) => {
    const drive = new Drive();
    const result = drive.run(registers);
    const [phase] = drive.phases;
    return phase?.kind === 'disk' ? [phase.offset / 512, phase.length / 512] : outcome(result);
  };

  test.each([
    ['28 bits', { command: 0xc8, lba: 0x1_0000, count: 8 }, [0x1_0000, 8]],
    ['a count of 0 for 256', { command: 0xc8, count: 0 }, [0, 256]],
    [
      'the high bits of the device register',
      { command: 0xc8, lba: 0, device: 0x41, count: 1 },
      [FAILED, 0x10],
    ],
    ['48 bits', { command: 0x25, lba: 0x1_ff00, count: 0x100 }, [0x1_ff00, 256]],
    ['a count of 0 for 65536', { command: 0x25, lba: 0x1_0000, count: 0 }, [0x1_0000, 65_536]],
    ['the end of the disk', { command: 0x25, lba: SECTORS - 1, count: 2 }, [FAILED, 0x10]],
    ['far beyond it', { command: 0x25, lba: 2 ** 48 - 1, count: 1 }, [FAILED, 0x10]],
    [
      'cylinder, head and sector',
      { command: 0x20, device: 0x02, lba: 0x0003_05, count: 1 },
      [(3 * 16 + 2) * 63 + 4, 1],
    ],
    ['sector 0, which is none', { command: 0x20, device: 0x00, lba: 0x000000, count: 1 }, [FAILED, 0x10]],
    ['a queued command', { command: 0x60, lba: 64, features: 16, count: 7 << 3 }, [64, 16]],
  ])('%s', (_, registers, expected) => {
    expect(offsetOf(registers)).toEqual(expected);
  });

  test('with the geometry that the host has set', () => {
    const drive = new Drive();
    expect(outcome(drive.run({ command: 0x91, count: 32, device: 0x07 }))).toEqual([READY, 0]);
    drive.run({ command: 0x20, device: 0x01, lba: 0x0001_01, count: 1 });
    expect(drive.phases[0]).toMatchObject({ offset: (8 + 1) * 32 * 512 });
    expect([...drive.identity().slice(54, 57)]).toEqual([512, 8, 32]);
  });
});

describe('a disk', () => {
  test('identifies itself', () => {
    const words = new Drive('disk', {
      serial: 'S-1',
      wwn: '0x5000c50015ea71ac',
      'rotation-rate': 7200,
    }).identity();
    expect(words[0]).toBe(0x0040);
    expect(words[60]! + words[61]! * 2 ** 16).toBe(SECTORS);
    expect([words[76], words[75]]).toEqual([0, 0]);
    expect([...words.slice(108, 112)]).toEqual([0x5000, 0xc500, 0x15ea, 0x71ac]);
    expect([words[169], words[105], words[217]]).toEqual([1, 8, 7200]);
  });

  test('transfers blocks of several sectors unless disabled', () => {
    const drive = new Drive();
    drive.run({ command: 0xc4, count: 16 });
    expect(drive.phases[0]).toMatchObject({ protocol: 'pio', block: 16 * 512 });
    drive.run({ command: 0xc6, count: 4 });
    drive.run({ command: 0x29, count: 16 });
    expect(drive.phases[0]).toMatchObject({ block: 4 * 512 });
    expect(outcome(drive.run({ command: 0xc6, count: 3 }))).toEqual([FAILED, 0x04]);
    drive.run({ command: 0xc6, count: 0 });
    expect(outcome(drive.run({ command: 0xc5, count: 1 }))).toEqual([FAILED, 0x04]);
  });

  test('writes through its cache if it is disabled, or for FUA commands', () => {
    const drive = new Drive();
    expect(drive.disk.writeThrough).toBe(false);
    drive.run({ command: 0xef, features: 0x82 });
    expect([drive.disk.writeThrough, drive.disk.port!.log]).toEqual([true, ['flush']]);
    expect(drive.identity()[85]! & 0x20).toBe(0);
    drive.built.ata!.softReset();
    expect(drive.disk.writeThrough).toBe(false);
    drive.run({ command: 0x3d, count: 1 });
    drive.run({ command: 0x61, features: 1, device: 0xc0 });
    drive.run({ command: 0x61, features: 1, device: 0x40 });
    expect(drive.disk.port!.log.slice(1)).toEqual([
      'write 0 512',
      'flush',
      'write 0 512',
      'flush',
      'write 0 512',
    ]);
  });

  test('discards ranges, and rejects ranges beyond its end', () => {
    const drive = new Drive();
    const ranges = (...list: [number, number][]) => {
      const bytes = new Uint8Array(512);
      list.forEach(([lba, count], index) => {
        new DataView(bytes.buffer).setUint32(8 * index, lba, true);
        new DataView(bytes.buffer).setUint16(8 * index + 6, count, true);
      });
      return { given: bytes };
    };
    const trim = { command: 0x06, features: 1, count: 1 };
    expect(outcome(drive.run(trim, ranges([8, 16], [1024, 1])))).toEqual([READY, 0]);
    expect(drive.disk.port!.log).toEqual(['discard 4096 8192', 'discard 524288 512']);
    expect(outcome(drive.run(trim, ranges([8, 16], [SECTORS, 1])))).toEqual([FAILED, 0x10]);
    expect(outcome(drive.run({ ...trim, count: 9 }))).toEqual([FAILED, 0x04]);
    expect(drive.disk.port!.log).toHaveLength(2);
    drive.disk.canDiscard = false;
    expect(outcome(drive.run(trim, ranges([8, 16])))).toEqual([FAILED, 0x04]);
  });

  test('reports errors', () => {
    const drive = new Drive();
    drive.disk.port!.failures.push('host', 'host');
    expect(outcome(drive.run({ command: 0x25, count: 1 }))).toEqual([FAILED, 0x40]);
    expect(outcome(drive.run({ command: 0x35, count: 1 }))).toEqual([FAILED | 0x20, 0x04]);
    drive.disk.readonly = true;
    expect(outcome(drive.run({ command: 0x35, count: 1 }))).toEqual([FAILED, 0x04]);
    expect(outcome(drive.run({ command: 0xa0 }))).toEqual([FAILED, 0x04]);
    expect(outcome(drive.run({ command: 0xef, features: 3, count: 0x47 }))).toEqual([READY, 0]);
    expect(outcome(drive.run({ command: 0xef, features: 3, count: 0x30 }))).toEqual([FAILED, 0x04]);
  });

  test('reports good health by SMART', () => {
    const drive = new Drive();
    const smart = (features: number, lba = 0xc2_4f00) => drive.run({ command: 0xb0, features, lba });
    expect(smart(0xda)).toMatchObject({ status: READY, lba: 0xc2_4f00 });
    expect(smart(0xd0).bytes.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
    expect(smart(0xd1).bytes[2]).toBe(1);
    expect(outcome(smart(0xd0, 0))).toEqual([FAILED, 0x04]);
    smart(0xd9);
    expect(outcome(smart(0xd0))).toEqual([FAILED, 0x04]);
    expect(outcome(smart(0xd8))).toEqual([READY, 0]);
  });

  test('changes its size', () => {
    const drive = new Drive();
    drive.built.capabilities!.disk!.resize(2 ** 27);
    expect(drive.run({ command: 0x27 }).lba).toBe(2 ** 18 - 1);
    expect(outcome(drive.run({ command: 0x25, lba: 2 ** 18 - 1, count: 1 }))).toEqual([READY, 0]);
  });
});

describe('a CD drive', () => {
  const ready = () => {
    const drive = new Drive('cd');
    expect(outcome(drive.packet(0))).toEqual([FAILED, 0x64]);
    expect(outcome(drive.packet(0))).toEqual([READY, 0]);
    return drive;
  };
  const senseOf = (drive: Drive) => {
    const { bytes } = drive.packet(0x03, 0, 0, 0, 18);
    return [bytes[2], bytes[12], bytes[13]];
  };

  test('identifies itself, and reports that it is not a disk', () => {
    const drive = ready();
    expect(drive.identity()[0]).toBe(0x85c0);
    expect(drive.run({ command: 0xec })).toMatchObject({
      status: FAILED,
      error: 4,
      lba: 0xeb_1401,
      count: 1,
    });
    const inquiry = drive.packet(0x12, 0, 0, 0, 36).bytes;
    expect(new TextDecoder().decode(inquiry.slice(8, 32))).toBe('VRING   CD-ROM          ');
    expect(drive.packet(0x12, 0, 0, 0, 5).bytes).toHaveLength(5);
  });

  test('reads blocks, its capacity and the table of contents', () => {
    const drive = ready();
    drive.packet(0x28, 0, 0, 0, 0, 16, 0, 0, 2);
    expect(drive.phases[0]).toMatchObject({ offset: 16 * 2048, length: 4096, block: 0xfffe });
    drive.packet(0xbe, 0, 0, 0, 0, 3, 0, 0, 1, 0x10);
    expect(drive.phases[0]).toMatchObject({ offset: 3 * 2048, length: 2048 });
    expect([...drive.packet(0x25).bytes]).toEqual([0, 0, 0x7f, 0xff, 0, 0, 8, 0]);
    expect([...drive.packet(0x43, 0, 0, 0, 0, 0, 0, 0, 20).bytes]).toEqual([
      ...[0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 0x80, 0],
    ]);
    expect(drive.packet(0x46, 0, 0, 0, 0, 0, 0, 1, 0).bytes[7]).toBe(0x08);
    expect(outcome(drive.packet(0x28, 0, 0, 0, 0x80, 0, 0, 0, 1))).toEqual([FAILED, 0x54]);
    expect(senseOf(drive)).toEqual([5, 0x21, 0]);
    expect(outcome(drive.packet(0x2a))).toEqual([FAILED, 0x54]);
    expect(senseOf(drive)).toEqual([5, 0x20, 0]);
  });

  test('keeps a locked medium, and reports a medium change', () => {
    const drive = ready();
    const control = drive.built.capabilities!.disk!.drive!;
    const trays: unknown[] = [];
    const tray = () => drive.built.facts!.find(({ label }) => label === 'tray')!.value;
    control.onChanged(() => trays.push(tray()));
    drive.packet(0x1e, 0, 0, 0, 1);
    expect(() => control.change(null, false)).toThrow('the guest has locked the tray of cd0');
    expect(drive.packet(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8).bytes[4]).toBe(1);
    expect(drive.packet(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8).bytes[4]).toBe(0);
    expect(outcome(drive.packet(0x1b, 0, 0, 0, 2))).toEqual([FAILED, 0x54]);
    expect(senseOf(drive)).toEqual([5, 0x53, 2]);
    drive.packet(0x1e);
    drive.packet(0x1b, 0, 0, 0, 2);
    expect(outcome(drive.packet(0))).toEqual([FAILED, 0x24]);
    expect(senseOf(drive)).toEqual([2, 0x3a, 2]);
    control.change({ path: 'other.iso', format: undefined, readonly: true, cache: 'writeback' }, false);
    expect(drive.packet(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8).bytes[4]).toBe(2);
    expect(outcome(drive.packet(0))).toEqual([FAILED, 0x64]);
    expect(senseOf(drive)).toEqual([6, 0x28, 0]);
    expect(outcome(drive.packet(0))).toEqual([READY, 0]);
    expect(trays).toEqual(['locked', 'closed', 'open', 'closed']);
    control.change(null, true);
    expect([tray(), drive.built.capabilities!.disk!.file]).toEqual(['open', null]);
  });
});
