import { describe, expect, test } from 'vitest';
import { ERROR, INTERRUPT, MODE, REG } from '../../../src/devices/sd/host/registers.ts';
import { R0, R1, R1B, R2, SdRig } from '../../support/sd-rig.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const READ = MODE.read;

/** Bits of the card status. */
const ILLEGAL = 0x0040_0000;
const stateOf = (status: number) => (status >>> 9) & 0xf;
const [TRANSFER, DATA] = [4, 5];

/** The bytes of a long response, the least significant first, as a driver finds them. */
const longResponse = (rig: SdRig) =>
  Uint8Array.from({ length: 15 }, (_, at) => rig.read(REG.response + at, 1));

/** Bits `high` to `low` of CSD or CID, whose lowest 8 bits a driver does not get. */
function bitsOf(bytes: Uint8Array, high: number, low: number): number {
  let value = 0;
  for (let bit = high; bit >= low; bit--) value = value * 2 + ((bytes[(bit - 8) >>> 3]! >>> (bit & 7)) & 1);
  return value;
}

/** The size that a driver computes from the CSD. */
function sizeOf(csd: Uint8Array): number {
  if (bitsOf(csd, 127, 126) === 1) return (bitsOf(csd, 69, 48) + 1) * 512 * 1024;
  return (bitsOf(csd, 73, 62) + 1) * 2 ** (bitsOf(csd, 49, 47) + 2 + bitsOf(csd, 83, 80));
}

/** The size that a card reports. */
function csdOf(rig: SdRig): Uint8Array {
  rig.select();
  rig.command(7, 0, R0);
  rig.command(9, rig.address << 16, R2);
  return longResponse(rig);
}

describe('identification', () => {
  test('a card goes from idle to selected, and each command is answered in its state', () => {
    const rig = new SdRig().start();
    const { commandComplete } = INTERRUPT;
    expect(rig.command(0, 0, R0)).toEqual({ normal: commandComplete, errors: 0 });
    // It echoes, but not a voltage that it does not support.
    rig.command(8, 0x15a);
    expect(rig.response).toBe(0x15a);
    expect(rig.command(8, 0x2aa).errors).toBe(ERROR.commandTimeout);
    // It is neither an MMC nor an SDIO card.
    expect(rig.command(1, 0x4010_0000).errors).toBe(ERROR.commandTimeout);
    expect(rig.command(5).errors).toBe(ERROR.commandTimeout);
    rig.command(55);
    expect(rig.response).toBe(ILLEGAL | 0x120);
    rig.command(41, 0);
    expect(rig.response).toBe(0x00ff_8000);
    rig.application(41, 0x4010_0000);
    expect(rig.response).toBe(0x80ff_8000);
    rig.command(2, 0, R2);
    const cid = longResponse(rig);
    expect(Buffer.from(cid.toReversed().subarray(1, 8)).toString('latin1')).toBe('VRVRING');
    rig.command(3);
    const first = rig.response >>> 16;
    rig.command(3);
    rig.address = rig.response >>> 16;
    expect(rig.address).not.toBe(first);
    expect(rig.address).toBeGreaterThan(0);
    expect(stateOf(rig.response)).toBe(3);
    expect(rig.command(13, first << 16).errors).toBe(ERROR.commandTimeout);
    rig.command(10, rig.address << 16, R2);
    expect(longResponse(rig)).toEqual(cid);
    rig.command(7, rig.address << 16, R1B);
    expect(stateOf(rig.status())).toBe(TRANSFER);
    rig.command(15, rig.address << 16, R0);
    expect(rig.command(13, rig.address << 16).errors).toBe(ERROR.commandTimeout);
    expect(rig.command(0, 0, R1).errors).toBe(ERROR.commandTimeout);
    // Only power brings it back.
    rig.select();
  });

  test('a high-capacity card waits for a host that supports it', () => {
    const rig = new SdRig(4 * GiB).start();
    rig.command(0, 0, R0);
    rig.application(41, 0x4010_0000);
    expect(rig.response).toBe(0x00ff_8000);
    rig.command(8, 0x1aa);
    rig.application(41, 0x0010_0000);
    expect(rig.response).toBe(0x00ff_8000);
    rig.application(41, 0x4010_0000);
    expect(rig.response >>> 0).toBe(0xc0ff_8000);
  });

  test.each([
    [1 * MiB, 0],
    [8 * MiB, 0],
    [64 * MiB, 0],
    [1 * GiB, 0],
    [GiB + 512 * 1024, 0],
    [2 * GiB, 0],
    [2 * GiB + 512 * 1024, 1],
    [64 * GiB, 1],
    [2048 * GiB, 1],
  ])('a driver computes %i bytes from the CSD', (bytes, structure) => {
    const csd = csdOf(new SdRig(bytes));
    expect(bitsOf(csd, 127, 126)).toBe(structure);
    expect(sizeOf(csd)).toBe(bytes);
  });

  test('a disk with a size that no card can have is rejected', () => {
    expect(() => new SdRig(GiB + 512)).toThrow(
      `disk card.img of card0 has ${GiB + 512} bytes, and an SD card of this size has a multiple of 524288: pad it with \`truncate -s %524288\``,
    );
    expect(() => new SdRig(4096 * GiB)).toThrow(/an SD card at most 2 TiB: use another bus/);
    expect(() => new SdRig(MiB, { serial: 'no' })).toThrow(/hexadecimal/);
  });

  test('the serial number is the configured one', () => {
    const csd = new SdRig(MiB, { serial: '0x5a17' });
    csd.select();
    csd.command(7, 0, R0);
    csd.command(10, csd.address << 16, R2);
    expect(bitsOf(longResponse(csd), 55, 24)).toBe(0x5a17);
    expect(csd.card!.facts!.find(({ label }) => label === 'serial')!.value).toBe('0x00005a17');
  });
});

describe('registers that are read as data', () => {
  test('SCR, SD status, number of written blocks, and switch functions', () => {
    const rig = new SdRig().select();
    const get = (command: () => void, bytes: number) => {
      command();
      return rig.readPort(1, bytes);
    };
    const of = (blockSize: number) => ({ mode: READ, blockSize });
    expect([...get(() => rig.application(51, 0, R1, of(8)), 8)]).toEqual([2, 5, 0x84, 0x42, 0, 0, 0, 0]);
    expect(stateOf(rig.status())).toBe(TRANSFER);
    rig.application(6, 2);
    const status = get(() => rig.application(13, 0, R1, of(64)), 64);
    expect(status[0]).toBe(0x80);
    // DISCARD_SUPPORT
    expect(status[24]! & 2).toBe(2);
    const check = get(() => rig.command(6, 0x00ff_fff1, R1, of(64)), 64);
    expect([...check.subarray(0, 18)]).toEqual([
      ...[0, 200, 0x80, 1, 0x80, 1, 0x80, 1, 0x80, 1, 0x80, 1, 0x80, 3],
      ...[0, 0, 1, 0],
    ]);
    const speed = () => {
      rig.command(7, 0, R0);
      rig.command(9, rig.address << 16, R2);
      const csd = longResponse(rig);
      rig.command(7, rig.address << 16, R1B);
      return bitsOf(csd, 103, 96);
    };
    expect(speed()).toBe(0x32);
    // A missing function changes nothing.
    expect(get(() => rig.command(6, 0x80ff_ff21, R1, of(64)), 64)[16]).toBe(0xf1);
    expect(speed()).toBe(0x32);
    get(() => rig.command(6, 0x80ff_fff1, R1, of(64)), 64);
    expect(speed()).toBe(0x5a);
    expect([...get(() => rig.application(22, 0, R1, of(4)), 4)]).toEqual([0, 0, 0, 0]);
  });

  test('an unknown application command is an ordinary command', () => {
    const rig = new SdRig().select();
    rig.command(55, rig.address << 16);
    expect(rig.response & 0x20).toBe(0x20);
    rig.command(13, rig.address << 16, R1, { mode: READ, blockSize: 64 });
    rig.readPort(1, 64);
    rig.command(55, rig.address << 16);
    expect(rig.command(16, 512).errors).toBe(0);
    expect(rig.response & 0x20).toBe(0);
  });
});

describe('a card rejects', () => {
  test('commands of another state, which the next response reports once', () => {
    const rig = new SdRig().select();
    expect(rig.command(2, 0, R2).errors).toBe(ERROR.commandTimeout);
    expect(rig.status() & ILLEGAL).toBe(ILLEGAL);
    expect(rig.status() & ILLEGAL).toBe(0);
    rig.command(17, 0, R1, { mode: READ });
    expect(stateOf(rig.status())).toBe(DATA);
    expect(rig.command(12, 0, R1).errors).toBe(0);
    expect(stateOf(rig.status())).toBe(TRANSFER);
    expect(rig.command(12, 0, R1).errors).toBe(ERROR.commandTimeout);
  });

  test.each([
    ['a block that is not there', 64 * MiB, 17, 64 * MiB, 0x8000_0000],
    ['a block that is not there', 4 * GiB, 17, 8 * 2 ** 20, 0x8000_0000],
    ['a block across two', 64 * MiB, 17, 100, 0x4000_0000],
    ['to write beyond the end', 64 * MiB, 24, 64 * MiB, 0x8000_0000],
    ['to erase beyond the end', 64 * MiB, 32, 64 * MiB, 0x8000_0000],
    ['an end without a start', 64 * MiB, 33, 0, 0x1000_0000],
    ['an erase of nothing', 64 * MiB, 38, 0, 0x1000_0000],
    ['blocks of another length', 64 * MiB, 16, 1024, 0x2000_0000],
  ])('%s', (_, size, command, argument, error) => {
    const rig = new SdRig(size).select();
    const isData = command === 17 || command === 24;
    const { errors } = rig.command(
      command,
      argument,
      R1,
      isData ? { mode: command === 17 ? READ : 0 } : null,
    );
    expect(rig.response & 0xffff_0000).toBe(error | 0);
    // No data is sent, and none accepted.
    expect(errors).toBe(isData ? ERROR.dataTimeout : 0);
    expect(stateOf(rig.status())).toBe(TRANSFER);
    expect(rig.disk.port!.log).toEqual([]);
  });

  test('writes and erasures when it is write-protected', () => {
    const rig = new SdRig(MiB, { readonly: true }).select();
    expect(rig.read(REG.presentState) & 0x0008_0000).toBe(0);
    rig.command(24, 0, R1, {});
    expect(rig.response & 0xffff_0000).toBe(0x0400_0000);
    rig.command(32, 0);
    rig.command(33, 512);
    rig.command(38, 0, R1B);
    expect(rig.response & 0xffff_0000).toBe(0x0400_0000);
    expect(bitsOf(csdOf(rig), 13, 13)).toBe(1);
    expect(rig.disk.port!.log).toEqual([]);
  });
});

describe('erasing', () => {
  test.each([
    [64 * MiB, 512],
    [4 * GiB, 1],
  ])('erased blocks read as zeros, and the card is busy until then (%i bytes)', (size, unit) => {
    const rig = new SdRig(size).select();
    rig.fill(8);
    rig.command(32, 2 * unit);
    rig.command(33, 4 * unit);
    expect(rig.command(38, 0, R1B)).toEqual({ normal: INTERRUPT.commandComplete, errors: 0 });
    expect(rig.read(REG.presentState) & 0x0010_0002).toBe(0x0000_0002);
    expect(stateOf(rig.status())).toBe(7);
    rig.settle();
    expect(rig.acknowledge().normal).toBe(INTERRUPT.transferComplete);
    expect(rig.disk.port!.log).toEqual(['write 1024 1536', 'flush']);
    expect(rig.disk.content.read(1024, 1536).every(byte => byte === 0)).toBe(true);
    expect(rig.disk.content.read(512, 512).some(byte => byte !== 0)).toBe(true);
  });

  test('discarded blocks are returned to the host', () => {
    const rig = new SdRig().select();
    rig.command(32, 0);
    rig.command(33, 32 * MiB - 512);
    rig.command(38, 1, R1B);
    rig.settle();
    expect(rig.disk.port!.log).toEqual([`discard 0 ${32 * MiB}`, 'flush']);
  });
});
