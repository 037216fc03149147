import { beforeEach, describe, expect, test } from 'vitest';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import type { BuiltDevice } from '../../../src/devices/device-type.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { CRB } from '../../../src/devices/tpm/crb.ts';
import { ACCESS } from '../../../src/devices/tpm/localities.ts';
import { REG, STATUS } from '../../../src/devices/tpm/tis.ts';
import { FakeMachine } from '../../support/fake-machine.ts';

const BASE = 0xfed4_0000;
/** TPM2_GetRandom of 8 bytes. */
const COMMAND = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 8];

let machine: FakeMachine;
let built: BuiltDevice;

function plug(type: string): void {
  machine = new FakeMachine();
  const config = deviceConfig.parse({ type });
  built = deviceTable.create(machine.services, config, 'tpm0');
  machine.chipset.attach({ type: deviceTable.rowOf(config), built });
}

const read = (at: number, size: 1 | 2 | 4 = 4) => machine.memoryBus.read(BASE + at, size);
const write = (at: number, value: number, size: 1 | 2 | 4 = 4) =>
  machine.memoryBus.write(BASE + at, size, value);

describe('tpm-tis', () => {
  const access = (locality = 0) => read(0x1000 * locality + REG.access, 1);
  const status = (locality = 0) => read(0x1000 * locality + REG.status);
  const request = (locality = 0) => write(0x1000 * locality + REG.access, ACCESS.requestUse, 1);
  const send = (bytes: readonly number[], locality = 0) => {
    write(0x1000 * locality + REG.status, STATUS.commandReady);
    for (const byte of bytes) write(0x1000 * locality + REG.fifo, byte, 1);
  };
  const go = () => write(REG.status, STATUS.go);
  const receive = () => {
    const bytes: number[] = [];
    while (status() & STATUS.dataAvailable) bytes.push(read(REG.fifo, 1));
    return bytes;
  };

  beforeEach(() => plug('tpm-tis'));

  test('identifies itself', () => {
    expect([access(), read(REG.deviceId), read(REG.interfaceId) & 0xf]).toEqual([
      ACCESS.valid | ACCESS.establishment,
      0x0001_1014,
      0,
    ]);
    expect([read(REG.interfaceCapability) >>> 28, status()]).toEqual([3, 0xffff_ffff]);
    request();
    expect(status() & STATUS.family2).toBe(STATUS.family2);
  });

  test('executes a command that is transferred byte by byte, or word by word', () => {
    request();
    expect(access()).toBe(ACCESS.valid | ACCESS.establishment | ACCESS.active);
    send(COMMAND.slice(0, -1));
    expect(status() & (STATUS.valid | STATUS.expect)).toBe(STATUS.valid | STATUS.expect);
    go();
    expect(machine.tpm.commands).toEqual([]);
    write(REG.fifo, COMMAND.at(-1)!, 1);
    expect(status() & STATUS.expect).toBe(0);
    // What comes after the end is dropped.
    write(REG.fifo, 0xee, 1);
    go();
    expect(machine.tpm.commands).toEqual([{ locality: 0, command: COMMAND }]);
    expect((status() >>> 8) & 0xffff).toBe(12);
    expect(receive()).toEqual([...machine.tpm.response]);
    expect(read(REG.fifo, 1)).toBe(0xff);
    write(REG.status, STATUS.responseRetry);
    expect(read(REG.extendedFifo)).toBe(0x0000_0180);
    expect(machine.statistics.get('tpm0 commands')).toBe(1);
  });

  test('shows that it is busy, and can cancel a command', () => {
    machine.tpm.waits = true;
    request();
    send(COMMAND);
    go();
    expect(status() & (STATUS.dataAvailable | STATUS.commandReady)).toBe(0);
    write(REG.status, STATUS.commandCancel);
    expect(machine.tpm.cancels).toBe(1);
    write(REG.status, STATUS.commandReady);
    expect(status() & STATUS.commandReady).toBe(0);
    machine.tpm.answer();
    expect(status() & (STATUS.dataAvailable | STATUS.commandReady)).toBe(STATUS.commandReady);
  });

  test('is used by one locality at a time', () => {
    request(1);
    request(0);
    request(3);
    expect([access(0), access(1), access(3)].map(bits => bits & 0x3e)).toEqual([
      ACCESS.requestUse | ACCESS.pendingRequest,
      ACCESS.active | ACCESS.pendingRequest,
      ACCESS.requestUse | ACCESS.pendingRequest,
    ]);
    expect(status(0)).toBe(0xffff_ffff);
    write(0x1000 + REG.access, ACCESS.active, 1);
    expect(access(3) & ACCESS.active).toBe(ACCESS.active);
    // A lower one cannot take it, a higher one can.
    write(0x1000 * 2 + REG.access, ACCESS.seize, 1);
    expect(access(3) & ACCESS.active).toBe(ACCESS.active);
    write(0x1000 * 4 + REG.access, ACCESS.seize, 1);
    expect([access(3) & ACCESS.beenSeized, access(4) & ACCESS.active]).toEqual([
      ACCESS.beenSeized,
      ACCESS.active,
    ]);
    send(COMMAND, 4);
    write(0x4000 + REG.status, STATUS.go);
    expect(machine.tpm.commands.at(-1)?.locality).toBe(4);
  });

  test('rejects a command that exceeds its buffer, or is shorter than a header', () => {
    request();
    send([0x80, 0x01, 0, 0, 0, 5]);
    go();
    send([0x80, 0x01, 0, 1, 0, 0, ...new Array(5000).fill(0)]);
    go();
    expect(machine.tpm.commands).toEqual([]);
    send(COMMAND);
    go();
    expect(machine.tpm.commands).toHaveLength(1);
  });

  test('is quiesced once its TPM has responded', () => {
    machine.tpm.waits = true;
    request();
    send(COMMAND);
    go();
    let isQuiet = false;
    built.device.quiesce!(() => {
      isQuiet = true;
    });
    expect(isQuiet).toBe(false);
    machine.tpm.answer();
    expect(isQuiet).toBe(true);
    const state = structuredClone(built.device.save());
    plug('tpm-tis');
    built.device.load(state);
    built.device.resume!();
    expect(receive()).toEqual([...machine.tpm.response]);
  });
});

describe('tpm-crb', () => {
  beforeEach(() => plug('tpm-crb'));

  const start = (bytes: readonly number[]) => {
    write(CRB.localityControl, 1);
    write(CRB.request, 1);
    for (const [at, byte] of bytes.entries()) write(CRB.buffer + at, byte, 1);
    write(CRB.start, 1);
  };

  test('identifies itself and its buffer', () => {
    expect(read(CRB.interfaceId) & 0x40ff).toBe(0x4011);
    expect([read(CRB.commandAddress), read(CRB.responseAddress)]).toEqual([BASE + 0x80, BASE + 0x80]);
    expect([read(CRB.commandSize), read(CRB.status)]).toEqual([0xf80, 2]);
  });

  test('executes the command in its buffer for the requesting locality', () => {
    machine.tpm.waits = true;
    write(CRB.start, 1);
    expect(machine.tpm.commands).toEqual([]);
    start(COMMAND);
    expect([read(CRB.start), read(CRB.localityState), read(CRB.localityStatus)]).toEqual([1, 0x83, 1]);
    // The buffer is the TPM's.
    write(CRB.buffer, 0);
    write(CRB.cancel, 1);
    expect(machine.tpm.cancels).toBe(1);
    machine.tpm.answer();
    expect(machine.tpm.commands).toEqual([{ locality: 0, command: COMMAND }]);
    expect(read(CRB.start)).toBe(0);
    expect([0, 4, 8].map(at => read(CRB.buffer + at))).toEqual([0x0000_0180, 0x0000_0c00, 0xcdab_0000]);
    write(CRB.request, 2);
    write(CRB.localityControl, 2);
    expect([read(CRB.status), read(CRB.localityState)]).toEqual([2, 0x81]);
  });

  test.each([
    [0x80, 1, 0, 0, 0, 9],
    [0x80, 1, 0, 0, 0x0f, 0x81],
    [0x80, 1, 0xff, 0xff, 0xff, 0xff],
  ])('rejects a command of an invalid size', (...bytes) => {
    start(bytes);
    expect([machine.tpm.commands.length, read(CRB.start), read(CRB.status)]).toEqual([0, 0, 1]);
  });
});
