import { describe, expect, test } from 'vitest';
import tickCounter from '../../examples/device/tick-counter.ts';
import type { DeviceState } from '../../src/devices/device.ts';
import type { DeviceRow } from '../../src/devices/device-table.ts';
import { moduleRow } from '../../src/devices/modules/module-row.ts';
import { REG as E1000 } from '../../src/devices/net/gigabit/registers.ts';
import { REG as PCI } from '../../src/devices/pci/registers.ts';
import { deviceTable } from '../../src/devices/registry.ts';
import { DeviceStateError } from '../../src/devices/state.ts';
import { DeviceRig, type Driver, damaged } from '../support/device-contract.ts';
import type { FakeBlockBackend } from '../support/fake-block-backend.ts';
import { Random } from '../support/random.ts';
import { GpuDriver, TYPE } from './virtio/gpu-driver.ts';
import {
  COMMON,
  EVENT_IDX,
  GuestDriver,
  INDIRECT,
  PACKED,
  RING_RESET,
  VERSION_1,
} from './virtio/guest-driver.ts';

/** Options without which a row cannot be created. */
const OPTIONS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'virtio-blk': { path: 'disk.img', queues: 2 },
  'scsi-hd': { path: 'disk.img', removable: true },
  'scsi-cd': { path: 'cd.iso' },
  'sata-hd': { path: 'disk.img' },
  'sata-cd': { path: 'cd.iso' },
  nvme: { path: 'disk.img', queues: 4 },
  'nvme-ns': { path: 'disk.img' },
  'ide-hd': { path: 'disk.img' },
  'ide-cd': { path: 'cd.iso' },
  floppy: { path: 'a.img' },
  'virtio-net': { queues: 2, network: { type: 'tap' } },
  'vfio-pci': { host: '0000:03:00.0' },
  vga: { vgamem: 1 },
  'virtio-vga': { vgamem: 1, 'max-hostmem': 2 ** 20 },
  'virtio-gpu': { 'max-hostmem': 2 ** 20 },
  'usb-storage': { path: 'disk.img', removable: true },
  'sd-card': { path: 'disk.img' },
};

/** The size of a disk, of devices that do not accept any. */
const DISK_BYTES: Readonly<Record<string, number>> = { floppy: 1_474_560 };

/** Devices whose state is in hardware. */
const UNSAVED: readonly string[] = ['vfio-pci'];

/** What survives a reset: state on a battery, on a line, or set by the user, and the times at which something started to count. */
const KEPT: Readonly<Record<string, readonly string[]>> = {
  serial: ['input', 'received'],
  'isa-serial': ['input', 'received'],
  rtc: ['bytes', 'offsetMs', 'a', 'b'],
  'acpi-pm': ['timerStart'],
  com1: ['input', 'received'],
  e1000: ['port'],
  e1000e: ['port'],
  i6300esb: ['timedOut'],
  ne2k_isa: ['port'],
  ne2k_pci: ['port'],
  pcnet: ['port'],
  rtl8139: ['port', 'timerStart'],
  i82551: ['port'],
  i82557b: ['port'],
  i82559er: ['port'],
  virtconsole: ['input'],
  virtserialport: ['input'],
};
/** The same for a device behind its transport. */
const KEPT_BEHIND: Readonly<Record<string, readonly string[]>> = {
  'virtio-net': ['link', 'linkUp', 'limits'],
  'virtio-balloon': ['target'],
  'virtio-gpu': ['monitor'],
  'virtio-vga': ['monitor'],
};

const DRIVERS: Readonly<Record<string, Driver>> = {
  e1000: driveE1000,
  e1000e: driveE1000,
  i82551: driveI8255x,
  i82557b: driveI8255x,
  i82559er: driveI8255x,
  'virtio-blk': startVirtio,
  'virtio-net': startVirtio,
  'virtio-rng': startVirtio,
  'virtio-balloon': startVirtio,
  'virtio-serial': startVirtio,
  'virtio-keyboard': driveVirtioInput,
  'virtio-mouse': driveVirtioInput,
  'virtio-tablet': driveVirtioInput,
  'virtio-scsi': startVirtio,
  'virtio-gpu': driveGpu,
  'tpm-tis': commandTpm,
  'tpm-crb': commandTpm,
  'virtio-vga': driveGpu,
  'scsi-hd': useDrive,
  'scsi-cd': useDrive,
  'sata-hd': commandDrive,
  'sata-cd': commandDrive,
  nvme: driveNvme,
  'nvme-controller': driveNvme,
  'ide-hd': commandDrive,
  'ide-cd': commandDrive,
  floppy: seek,
  'qemu-xhci': driveXhci,
  'usb-kbd': useUsbDevice,
  'usb-mouse': useUsbDevice,
  'usb-tablet': useUsbDevice,
  'usb-storage': useUsbDevice,
  'sd-card': useSdCard,
};

/** Sets rings up that contain garbage, and delivers frames. */
function driveE1000({ machine, built }: DeviceRig, random: Random): void {
  machine.pci.assign();
  built.pci!.writeConfig(PCI.command, 2, 7);
  const base = built.pci!.bars[0]!.address;
  if (base === null) return;
  const write = (register: number, value: number) => machine.memoryBus.write(base + 4 * register, 4, value);
  for (const [ring, at] of [
    [E1000.RDBAL, 0x1000],
    [E1000.TDBAL, 0x2000],
  ] as const) {
    write(ring, at);
    write(ring + 1, 0);
    write(ring + 2, 0x100);
    write(ring + 4, random.below(16));
    for (let word = 0; word < 64; word++)
      machine.memory.writeU32(at + 4 * word, random.pick([0, 0x3000, random.u32()]));
  }
  write(E1000.RCTL, random.u32() | 2);
  write(E1000.TCTL, 2);
  write(E1000.TDBAL + 6, random.below(16));
  write(E1000.RDBAL + 6, random.below(16));
  bringFrames(machine, random);
}

/** Runs a command list that contains garbage, and receives frames into garbage. */
function driveI8255x({ machine, built }: DeviceRig, random: Random): void {
  machine.pci.assign();
  built.pci!.writeConfig(PCI.command, 2, 7);
  const base = built.pci!.bars[1]!.address;
  if (base === null) return;
  bringFrames(machine, random);
  for (let block = 0x1000; block < 0x3000; block += 0x100) {
    for (let word = 0; word < 8; word++)
      machine.memory.writeU32(block + 4 * word, random.u32() & 0x3f07_1f00);
    machine.memory.writeU32(block + 4, 0x100 * random.below(0x30));
  }
  machine.ports.write(base + 4, 4, 0x100 * random.below(0x30));
  machine.ports.write(base + 2, 1, random.pick([0x10, 0x20, 0x01, 0x02, 0x40, 0x50]));
}

/** Delivers frames, and lets the network be full occasionally. */
function bringFrames({ network }: DeviceRig['machine'], random: Random): void {
  const frame = new Uint8Array(14 + random.below(3000)).fill(random.pick([0xff, 0x01, 0x52]));
  network.port.sent.length = 0;
  network.port.receive(frame);
  network.port.drain(random.pick([0, 1, 100]));
}

/** Drives a drive by commands to its controller. */
function useDrive({ machine }: DeviceRig, random: Random): void {
  const flag = () => random.below(2) === 0;
  machine.scsi.controllers[0]!.units[0]!.drives({
    attentions: random.below(16),
    mediaEvent: random.below(4),
    ...{ writeCache: flag(), descriptorSense: flag(), trayOpen: flag(), locked: flag(), subscribed: flag() },
  });
}

/** Sends a drive commands, some of which reach the disk. */
function commandDrive({ built, machine }: DeviceRig, random: Random): void {
  for (let count = 0; count < 20; count++) {
    const byte = () => random.below(256);
    const registers = {
      command: random.pick([
        0x20,
        0x25,
        0x35,
        0x60,
        0x06,
        0xb0,
        0xe7,
        0xef,
        0xc6,
        0x91,
        0xa0,
        0xa1,
        0xec,
        byte(),
      ]),
      features: random.pick([1, 2, 3, 0x82, 0xd0, byte()]),
      count: random.pick([1, 8, 0x45, random.below(2 ** 16)]),
      lba: random.pick([0, 0xc24f00, random.u32()]),
      device: random.pick([0x40, byte()]),
    };
    built.ata!.execute(registers, {
      transfer: (phase, done) => {
        if (phase.kind === 'disk') built.ata!.port?.readInto(phase.offset, new Uint8Array(512), done);
        else done(null, phase.direction === 'out' ? new Uint8Array(phase.length).fill(byte()) : undefined);
      },
      takePacket: then =>
        then(Uint8Array.from({ length: 12 }, () => random.pick([0, 1, 2, 0x1b, 0x43, 0x4a, byte()]))),
      complete: () => {},
    });
  }
  (machine.disk as FakeBlockBackend).port?.settle();
}

/** Sets queues up that contain garbage, and rings doorbells. */
function driveNvme({ machine: { pci, memory, memoryBus }, built }: DeviceRig, random: Random): void {
  pci.assign();
  built.pci!.writeConfig(PCI.command, 2, 6);
  const base = built.pci!.bars[0]!.address;
  if (base === null) return;
  const write = (offset: number, value: number) => memoryBus.write(base + offset, 4, value);
  const number = () => random.pick([0, 1, 7, 1 << 16, 0x1_0001, random.below(300), random.u32()]);
  for (let at = 0x1_0000; at < 0x1_4000; at += 64) {
    const opcode = random.pick([0, 1, 2, 5, 6, 8, 9, 10, 12, random.below(256)]);
    memory.writeU32(at, opcode | (random.below(4) << 16));
    memory.writeU32(at + 4, random.pick([0, 1, 1, 2, 0xffff_ffff]));
    for (const prp of [24, 32]) {
      memory.writeU32(at + prp, random.pick([0x2_0000, 0x1_2000, 0x1_3000, random.u32()]));
      memory.writeU32(at + prp + 4, random.below(20) === 0 ? random.u32() : 0);
    }
    for (let dword = 40; dword < 64; dword += 4) memory.writeU32(at + dword, number());
  }
  // Queues for I/O at once.
  for (const [index, opcode] of [5, 1].entries()) {
    const at = 0x1_0000 + 64 * index;
    memory.writeU32(at, opcode);
    memory.writeU32(at + 24, opcode === 5 ? 0x1_3000 : 0x1_2000);
    memory.writeU32(at + 28, 0);
    memory.writeU32(at + 40, 0xf_0001);
    memory.writeU32(at + 44, 0x1_0001);
  }
  if (random.below(2) === 0)
    for (const [offset, value] of [
      [0x14, 0],
      [0x24, 0x1f_001f],
      [0x28, 0x1_0000],
      [0x2c, 0],
      [0x30, 0x1_1000],
      [0x34, 0],
      [0x14, 0x46_0001],
    ] as const)
      write(offset, value);
  write(0x1000, 2 + random.below(8));
  write(0x1004, random.below(4));
  write(0x1008, random.below(16));
  write(0x100c, random.below(4));
}

/** Makes a floppy controller move the heads of its drives. */
function seek({ machine: { ports } }: DeviceRig, random: Random): void {
  for (const value of [0x00, 0x1c]) ports.write(0x3f2, 1, value);
  for (const value of [0x0f, 0x00, random.below(82), 0x08]) ports.write(0x3f5, 1, value);
  for (let byte = 0; byte < 2; byte++) ports.read(0x3f5, 1);
}

/** Sets rings up that contain garbage, and rings doorbells. */
function driveXhci({ machine: { pci, memory, memoryBus }, built }: DeviceRig, random: Random): void {
  pci.assign();
  built.pci!.writeConfig(PCI.command, 2, 6);
  const base = built.pci!.bars[0]!.address;
  if (base === null) return;
  const write = (offset: number, value: number) => memoryBus.write(base + offset, 4, value);
  for (let trb = 0x1000; trb < 0x4000; trb += 16) {
    for (let word = 0; word < 8; word += 4)
      memory.writeU32(trb + word, random.pick([0, 0x1000 + 64 * random.below(0xc0), random.u32()]));
    memory.writeU32(trb + 8, random.pick([16, 64, random.u32()]));
    memory.writeU32(trb + 12, (random.below(40) << 10) | (random.below(4) << 24) | random.below(2));
  }
  for (const [offset, value] of [
    ...([
      [0x78, random.below(16)],
      [0x70, 0x1000],
      [0x74, 0],
      [0x58, 0x2001],
      [0x5c, 0],
    ] as const),
    ...([
      [0x1028, 1],
      [0x1038, 0x3000],
      [0x103c, 0],
      [0x1030, 0x1000],
      [0x1034, 0],
      [0x1020, 2],
    ] as const),
    [0x40, random.pick([0, 1, 2, 5, 0x305])],
    [0x2000, 0],
    [0x2000 + 4 * random.below(8), random.below(8)],
  ] as const)
    write(offset, value);
}

/** Sends a card commands, often in a valid order. */
function useSdCard({ machine, built }: DeviceRig, random: Random): void {
  const card = built.sd!;
  const port = () => (machine.disk as FakeBlockBackend).port;
  const address = () => random.pick([0, 512 * random.below(300), random.u32()]);
  const command = (index: number, argument = 0) => {
    const response = card.command(index, argument);
    return response?.kind === 'short' ? response.value : 0;
  };
  if (random.below(3) === 0) {
    command(0);
    command(8, 0x1aa);
    command(55);
    command(41, 0x4010_0000);
    command(2);
    command(7, command(3));
  }
  const commands = [6, 12, 13, 16, 17, 17, 18, 23, 24, 24, 25, 32, 33, 38, 51, 55, random.below(64)];
  for (let count = 0; count < 20; count++) {
    command(random.pick(commands), random.pick([address(), address(), 1 << 16, 512, 2]));
    switch (random.below(5)) {
      case 0:
        card.read(1 + random.below(4), () => {});
        break;
      case 1:
        card.write(new Uint8Array(512 * (1 + random.below(3))), () => {});
        break;
      case 2:
        if (random.below(8) === 0) card.powerOff();
        break;
      default:
        port()?.step();
    }
  }
}

/** Sends a device requests and transfers whose addresses its controller has checked. */
function useUsbDevice({ machine, built }: DeviceRig, random: Random): void {
  const usb = built.usb!;
  const byte = () => random.below(256);
  const transfer = (length: number, bytes: Uint8Array) => ({
    length,
    segments: [{ address: 0x1000, length }],
    read: (offset: number, size: number) => bytes.slice(offset, offset + size),
    write: () => {},
    end: () => {},
  });
  const control = (requestType: number, request: number, value: number, data = new Uint8Array(0)) =>
    usb.control({ requestType, request, value, index: random.pick([0, 0x81, 2]), length: data.length }, data);
  if (random.below(4) > 0) control(0, 9, 1);
  for (let count = 0; count < 20; count++) {
    const command = random.pick([0x00, 0x03, 0x12, 0x1a, 0x1e, 0x25, 0x28, 0x2a, 0x35, byte()]);
    const wrapper = Uint8Array.from([
      ...[0x55, 0x53, 0x42, 0x43, 1, 2, 3, 4, 0, random.pick([0, 2, 4]), 0, 0, random.pick([0, 0x80])],
      ...[
        0,
        10,
        command,
        random.pick([0, 8]),
        0,
        0,
        0,
        byte(),
        0,
        0,
        random.pick([0, 1, 4]),
        0,
        0,
        0,
        0,
        0,
        0,
      ],
    ]);
    switch (random.below(6)) {
      case 0:
        control(
          byte(),
          random.below(12),
          random.pick([0, 1, 0x100, 0x2200, random.below(2 ** 16)]),
          Uint8Array.of(byte()),
        );
        break;
      case 1:
        usb.cancel(random.pick([0x81, 2]), () => {});
        usb.submit(0x81, transfer(random.pick([8, 13, 512, 1000]), wrapper));
        break;
      case 2:
        usb.cancel(2, () => {});
        usb.submit(2, transfer(random.pick([31, 31, 31, 512, 100]), wrapper));
        break;
      case 3:
      case 4:
        giveInput(built, random);
        break;
      case 5:
        (machine.disk as FakeBlockBackend).port?.step();
        break;
    }
  }
  // Its controller restarts pending transfers, as it does after loading a state.
  for (const endpoint of [0x81, 2]) usb.cancel(endpoint, () => {});
}

/** Produces input on a keyboard or pointer. */
function giveInput({ capabilities }: DeviceRig['built'], random: Random): void {
  capabilities?.keyboard?.key(random.below(128), random.below(2) === 0);
  const motion = { kind: 'motion', dx: random.below(600) - 300, dy: random.below(256) } as const;
  const button = { kind: 'button', code: 0x110 + random.below(5), down: random.below(2) === 0 } as const;
  const position = { kind: 'position', x: random.below(0x8000), y: random.below(256) } as const;
  capabilities?.pointer?.point(random.pick([motion, button, position, { kind: 'wheel', dy: 1 }]));
}

/** Starts a driver with buffers of all kinds, and produces input. */
function driveVirtioInput(rig: DeviceRig, random: Random): void {
  const { memory, eventFds } = rig.machine;
  for (const queue of [0x1000, 0x2000]) {
    for (let descriptor = queue; descriptor < queue + 0x100; descriptor += 16) {
      memory.writeU64(descriptor, BigInt(0x8000 + 8 * random.below(64)));
      memory.writeU32(descriptor + 8, random.below(8) > 0 ? 8 : random.below(16));
      memory.writeU32(descriptor + 12, random.pick([2, 2, 2, 0, 1, 3, 4, random.u32()]));
    }
    for (let entry = 0; entry < 16; entry++) memory.writeU16(queue + 0x104 + 2 * entry, entry);
    memory.writeU16(queue + 0x102, random.below(17));
  }
  startVirtio(rig, random);
  for (let count = 0; count < 20; count++) {
    giveInput(rig.built, random);
    if (random.below(4) === 0) eventFds.turn();
  }
}

/** Negotiates, enables some queues and writes DRIVER_OK. */
function startVirtio({ machine, built }: DeviceRig, random: Random): void {
  machine.pci.assign();
  const driver = new GuestDriver(machine, built.pci!.place.slot);
  const features = random.pick([0n, EVENT_IDX, INDIRECT, PACKED, RING_RESET]) & driver.offered;
  driver.negotiate(VERSION_1 | features);
  const count = driver.get16(COMMON.numQueues);
  if (random.below(2) === 0) driver.enableMsix(count + 1);
  for (let index = 0; index < count; index++) {
    if (random.below(4) > 0)
      driver.queue(index, 16, 0x1000 * (index + 1)).enable(random.pick([index, 0xffff]));
  }
  driver.driverOk();
}

/** Sends the TPM commands, some of them invalid, by either interface. */
function commandTpm({ machine }: DeviceRig, random: Random): void {
  const at = (register: number) => 0xfed4_0000 + register;
  const write = (register: number, size: 1 | 4, value: number) =>
    machine.memoryBus.write(at(register), size, value);
  const command = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, random.below(64)];
  write(0x00, 1, random.pick([0x02, 0x20, 0x08]));
  write(0x08, 1, random.pick([1, 1, 2]));
  write(0x40, 1, random.pick([1, 1, 2]));
  write(0x18, 1, 0x40);
  for (const [index, byte] of command.entries()) {
    write(0x24, 1, byte);
    write(0x80 + index, 1, byte);
  }
  write(0x18, 1, random.pick([0x20, 0x40, 0x02]));
  write(0x4c, 1, 1);
}

/** Creates, fills and shows resources, and sends commands that contain garbage. */
function driveGpu({ machine, built }: DeviceRig, random: Random): void {
  machine.pci.assign();
  built.pci!.writeConfig(PCI.command, 2, 7);
  const gpu = new GpuDriver(machine, new GuestDriver(machine, built.pci!.place.slot), 0n);
  const id = () => 1 + random.below(3);
  const number = () => random.pick([0, 1, 16, 64, random.u32()]);
  const rect = () => [0, 0, random.pick([16, 64]), random.pick([16, 64])] as const;
  for (let count = 0; count < 8; count++) {
    gpu.create(id(), 64, random.pick([64, 128]), random.pick([1, 67, number()]));
    gpu.attach(id(), [0x1_0000, random.below(0x8000)], [number(), random.below(0x1000)]);
    gpu.transfer(id(), rect(), random.pick([0, 256, number()]));
    gpu.setScanout(random.below(3), rect());
    gpu.updateCursor(random.below(4), random.below(64), random.below(64));
    gpu.send(random.pick(Object.values(TYPE)), Array.from({ length: random.below(12) }, number));
  }
}

const SEEDS = [1, 2, 3, 4, 5];
const ACCESSES = 2000;
/** Of the rig. */
const RAM = 2 ** 20;

/** The same contract applies to a user's device. */
const ROWS = [...deviceTable.rows, moduleRow(tickCounter, 'tick-counter.ts')];

const rigOf = (row: DeviceRow) =>
  new DeviceRig(row, OPTIONS[row.type], DRIVERS[row.type], DISK_BYTES[row.type]);

describe.each(ROWS.filter(({ type }) => !UNSAVED.includes(type)))('$type', row => {
  const rig = () => rigOf(row);
  const without = (state: DeviceState, keys: readonly string[] = []) =>
    Object.fromEntries(Object.entries(state).filter(([key]) => !keys.includes(key)));
  const resetState = (state: DeviceState) => {
    const own = without(state, KEPT[row.type]);
    const behind = KEPT_BEHIND[row.type];
    return behind === undefined ? own : { ...own, device: without(own.device as DeviceState, behind) };
  };

  /** A quiesced device after a guest's garbage. */
  const used = (random: Random) => {
    const one = rig();
    one.garbage(random, ACCESSES);
    one.quiesce();
    return one;
  };

  test.each(SEEDS)('has the same state after a reset as after power-on (%i)', seed => {
    const random = new Random(seed);
    const fresh = rig();
    fresh.quiesce();
    const one = used(random);
    for (let round = 0; round < 3; round++) {
      one.reset();
      expect(resetState(one.save())).toEqual(resetState(fresh.save()));
      expect(one.machine.lines.filter(line => line.level)).toEqual([]);
      one.device.resume?.();
      one.garbage(random, ACCESSES);
      one.quiesce();
    }
  });

  test.each(SEEDS)('has the same state in two devices that behave alike (%i)', seed => {
    const random = new Random(seed);
    const one = used(random);
    const state = one.save();
    const other = rig();
    const memory = one.machine.memory.readable(0, RAM);
    other.machine.memory.writable(0, RAM).set(memory);
    other.machine.clock.jump(one.machine.clock.now() - other.machine.clock.now());
    other.quiesce();
    other.device.load(structuredClone(state));
    expect(other.save()).toEqual(state);
    expect(levels(other)).toEqual(levels(one));
    expect(one.save()).toEqual(state);

    // A guest can't distinguish the two, whatever it does.
    one.device.load(structuredClone(state));
    for (const { device } of [one, other]) device.resume?.();
    expect(other.garbage(new Random(seed), ACCESSES)).toEqual(one.garbage(new Random(seed), ACCESSES));
    for (const each of [one, other]) each.quiesce();
    expect(other.save()).toEqual(one.save());
  });

  test.each(SEEDS)('rejects a damaged state, or works with it (%i)', seed => {
    const random = new Random(seed);
    const states = [rig(), used(random)].map(each => {
      each.quiesce();
      return each.save();
    });
    const fresh = rig();
    fresh.quiesce();
    const one = rig();
    let refused = 0;
    for (let round = 0; round < 200; round++) {
      one.quiesce();
      let state = random.pick(states);
      for (let damages = 1 + random.below(3); damages > 0; damages--) state = damaged(state, random);
      try {
        one.device.load(state);
      } catch (error) {
        if (!(error instanceof DeviceStateError)) throw error;
        refused++;
      }
      one.save();
      one.device.resume?.();
      one.garbage(random, 30);
      one.quiesce();
      one.reset();
      expect(resetState(one.save())).toEqual(resetState(fresh.save()));
      one.device.resume?.();
    }
    if (Object.keys(states[0]!).length > 0) expect(refused).toBeGreaterThan(0);
  });

  test('initiates nothing while it is quiesced, or before it runs', () => {
    const one = used(new Random(6));
    const { clock, eventFds, doorbells } = one.machine;
    expect(clock.timers).toBe(0);
    const before = one.save();
    eventFds.settle();
    expect(one.save()).toEqual(before);
    one.device.load(before);
    expect(clock.timers).toBe(0);
    one.reset();
    expect([clock.timers, doorbells.size]).toEqual([0, 0]);
  });
});

describe.each(ROWS.filter(({ type }) => UNSAVED.includes(type)))('$type', row => {
  test.each(SEEDS)('has the same state after a reset as after power-on (%i)', seed => {
    const random = new Random(seed);
    const expected = rigOf(row).garbage(new Random(seed), ACCESSES);
    const one = rigOf(row);
    for (let round = 0; round < 3; round++) {
      one.garbage(random, ACCESSES);
      one.quiesce();
      one.reset();
      expect(one.machine.lines.filter(line => line.level)).toEqual([]);
      one.device.resume?.();
      expect(one.garbage(new Random(seed), ACCESSES)).toEqual(expected);
    }
  });

  test('refuses to be saved, and names the next step', () => {
    const one = rigOf(row);
    one.quiesce();
    expect(() => one.save()).toThrow(/cannot be saved, snapshotted or moved; detach it first$/);
    expect(() => one.device.load({})).toThrow(DeviceStateError);
  });

  test('initiates nothing while it is quiesced', () => {
    const one = rigOf(row);
    one.garbage(new Random(6), ACCESSES);
    one.quiesce();
    const { clock, doorbells, eventFds } = one.machine;
    expect([clock.timers, doorbells.size, eventFds.turn()]).toEqual([0, 0, 0]);
  });
});

describe.each(ROWS)('$type', row => {
  test('leaves nothing behind', () => {
    const one = rigOf(row);
    one.garbage(new Random(7), ACCESSES);
    one.close();
    const { clock, eventFds, doorbells, vectors, statistics } = one.machine;
    expect([clock.timers, doorbells.size, eventFds.watched, eventFds.counts.size]).toEqual([0, 0, 0, 0]);
    expect(vectors.every(vector => vector.released)).toBe(true);
    expect(statistics.size).toBe(0);
  });
});

function levels({ machine }: DeviceRig): boolean[] {
  return machine.lines.map(line => line.level);
}
