import { execFileSync } from 'node:child_process';
import { closeSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { REG as CARD } from '../../../src/devices/net/gigabit/registers.ts';
import { WAKE } from '../../../src/devices/net/gigabit/wake-up.ts';
import { REG as PCI } from '../../../src/devices/pci/registers.ts';
import type { GivenWire } from '../../../src/vmm/backends/net/given-wires.ts';
import { BootError } from '../../../src/vmm/boot/boot-error.ts';
import type { MachineConfigInput } from '../../../src/vmm/machine/config.ts';
import { GPE, PORT } from '../../../src/vmm/memory/layout.ts';
import { SOCK_SEQPACKET, setNonblocking, socketPair } from '../../../src/vmm/native/libc.ts';
import { resultOf } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { LiveMachine } from '../../support/live-machine.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const MiB = 2 ** 20;
/** Of the PM1 status: what has woken the machine up, and that it slept. */
const [BUTTON, ALARM, NEITHER] = [0x8100, 0x8400, 0x8000];
/** Power management control: D3hot, with events. */
const D3_PME = 0x103;
/** To all: six bytes of ones, and 16 times the address of the card. */
const MAGIC_PACKET = Buffer.from(
  `${'ff'.repeat(6)}5254009988770842${'ff'.repeat(6)}${'525400123456'.repeat(16)}`,
  'hex',
);

const machines: LiveMachine[] = [];
afterEach(() => {
  for (const machine of machines.splice(0)) machine.close();
});

function machineWith(
  command: string,
  options: Partial<MachineConfigInput> = {},
  wires: readonly GivenWire[] = [],
): LiveMachine {
  const machine = new LiveMachine(`quiet run="${command}"`, options, wires);
  machines.push(machine);
  return machine;
}

/** Calls back in its loop once its guest has made a request. */
function whenRequested(machine: LiveMachine, request: string, then: () => void): void {
  const look = () => {
    if (machine.requests.includes(request)) then();
    else machine.after(1, look);
  };
  look();
}

/** Does something with it while it is quiesced, and lets it run again. */
function quiesced({ machine, loop }: LiveMachine, act: () => void): void {
  const release = machine.quiesce(() => {
    act();
    loop.at(0n, () => release());
  });
}

/** Runs it until its guest ends it. */
function run(machine: LiveMachine, limitMs = 20_000): void {
  machine.after(limitMs, () => machine.end(`it is still running: ${machine.output}`));
  machine.machine.run();
  machine.run();
}

const wokenBy = (machine: LiveMachine) =>
  Number.parseInt(`${resultOf(machine.output, 'suspend').status}`, 16);

describe.skipIf(noKvm !== null)(onKvm('a machine whose guest suspends to RAM'), () => {
  test.each([1, 2])('wakes up with its memory (%i vCPUs)', cpus => {
    const machine = machineWith(`${cpus > 1 ? 'smp 1ms; ' : ''}suspend; info; halt`, { cpus });
    whenRequested(machine, 'sleep', () => {
      expect(machine.machine.asleep).toBe(true);
      // It does not continue on its own, or after a pause.
      quiesced(machine, () => {});
      machine.after(50, () => {
        expect([machine.output.includes('result suspend'), machine.machine.asleep]).toEqual([false, true]);
        quiesced(machine, () => machine.machine.wake('user'));
      });
    });
    run(machine);
    expect([machine.ended, machine.requests]).toEqual(['power-off', ['sleep']]);
    expect(machine.output).toContain('memory=kept');
    expect(wokenBy(machine)).toBe(BUTTON);
    expect(machine.output).toContain('result info');
  });

  test('has working devices for drivers that reinitialize them', () => {
    const path = join(temporaryFolder(), 'disk.img');
    writeFileSync(path, '');
    truncateSync(path, 8 * MiB);
    const use = 'blk verify 16; blk read 4k 1 20 irq';
    const machine = machineWith(`${use}; suspend; ${use}; halt`, { devices: [{ type: 'virtio-blk', path }] });
    whenRequested(machine, 'sleep', () => quiesced(machine, () => machine.machine.wake('user')));
    run(machine);
    expect(machine.ended).toBe('power-off');
    const after = machine.output.slice(machine.output.indexOf('result suspend'));
    expect(resultOf(after, 'blk-verify')).toMatchObject({ bad: 0 });
    expect(resultOf(after, 'blk-read')).toMatchObject({ errors: 0 });
    expect(machine.output).not.toContain('error ');
  });

  test('is woken up by the alarm of its RTC if enabled', () => {
    const machine = machineWith('suspend 2; halt');
    whenRequested(machine, 'wake', () => quiesced(machine, () => machine.machine.wake('rtc')));
    run(machine);
    expect([machine.ended, machine.requests]).toEqual(['power-off', ['sleep', 'wake']]);
    expect(wokenBy(machine)).toBe(ALARM);
  });

  test('is woken up by its network card if enabled', () => {
    const [end, network] = socketPair(SOCK_SEQPACKET);
    setNonblocking(end);
    const wire = { fds: [end], header: 'none', label: 'the network' } as const;
    const devices = [{ type: 'e1000', name: 'card', mac: '52:54:00:12:34:56', network: { type: 'tap' } }];
    const machine = machineWith('suspend; halt', { devices }, [{ device: 'card', wire }]);
    const { chipset, buses } = machine.machine.parts;
    const { pci: card } = chipset.part('card')!.built;
    whenRequested(machine, 'sleep', () => {
      card!.writeConfig(PCI.command, 2, 2);
      buses.memory.write(card!.bars[0]!.address! + 4 * CARD.WUFC, 4, WAKE.MAG);
      card!.writeConfig(card!.config.u8(PCI.capabilities) + 4, 2, D3_PME);
      expect(chipset.wakesBy('network')).toBe(false);
      buses.ports.write(PORT.gpe0 + 2, 2, 1 << GPE.pme);
      expect(chipset.wakesBy('network')).toBe(true);
      writeSync(network, MAGIC_PACKET);
    });
    whenRequested(machine, 'wake', () => quiesced(machine, () => machine.machine.wake('network')));
    run(machine);
    expect([machine.ended, machine.requests]).toEqual(['power-off', ['sleep', 'wake']]);
    expect(wokenBy(machine)).toBe(NEITHER);
    expect(buses.ports.read(PORT.gpe0, 2)).toBe(1 << GPE.pme);
    closeSync(network);
  });

  test('stays suspended in another machine that loads its state', () => {
    const machine = machineWith('suspend; halt');
    const next = machineWith('');
    whenRequested(machine, 'sleep', () =>
      quiesced(machine, () => {
        const state = machine.machine.save();
        for (const { address, size } of machine.ram.blocks)
          next.ram.writable(address, size).set(machine.ram.readable(address, size));
        next.machine.load(state);
        machine.end('moved');
      }),
    );
    run(machine);
    expect(next.machine.asleep).toBe(true);
    next.after(50, () => {
      expect(next.output).toBe('');
      quiesced(next, () => next.machine.wake('user'));
    });
    run(next);
    expect(next.ended).toBe('power-off');
    expect(next.output).toContain('memory=kept');
  });

  test('reboots after a reset', () => {
    const machine = machineWith('suspend; halt');
    whenRequested(machine, 'sleep', () => {
      const release = machine.machine.quiesce(() =>
        machine.machine.reset(() => {
          expect(machine.machine.asleep).toBe(false);
          machine.loop.at(0n, () => release());
          machine.after(1, () => {
            machine.requests.length = 0;
            whenRequested(machine, 'sleep', () => machine.end('asleep again'));
          });
        }),
      );
    });
    run(machine);
    expect(machine.ended).toBe('asleep again');
  });

  test.each([
    ['has set none', [0, 0], 'the guest has set the waking vector 0x0, which is not a real-mode address'],
    ['asks for protected mode', [0x8000, 0x8000], 'the guest wants to be woken up in protected mode'],
    ['has overwritten its tables', null, 'the guest has overwritten its ACPI tables'],
  ])('does not wake up a guest that %s', (_, vectors, message) => {
    const machine = machineWith('suspend; halt');
    whenRequested(machine, 'sleep', () =>
      quiesced(machine, () => {
        const tables = machine.ram.writable(0xe_0000, 0x1_0000);
        const facs = Buffer.from(tables.buffer, tables.byteOffset, tables.length).indexOf('FACS');
        if (vectors === null) tables.fill(0xff);
        else
          for (const [index, at] of [12, 24].entries())
            machine.ram.writeU32(0xe_0000 + facs + at, vectors[index]!);
        expect(() => machine.machine.wake('user')).toThrow(new RegExp(message));
        expect(() => machine.machine.wake('user')).toThrow(BootError);
        machine.end('refused');
      }),
    );
    run(machine);
    expect(machine.ended).toBe('refused');
  });

  test('has no S3 when it is disabled', () => {
    const machine = machineWith('suspend', { sleepStates: { s3: false } });
    machine.onPrinted = () => {
      if (machine.output.includes('does not sleep')) machine.end('awake');
    };
    run(machine);
    expect([machine.ended, machine.requests]).toEqual(['awake', []]);
  });
});

describe.skipIf(noKvm !== null)(onKvm('SeaBIOS'), () => {
  test('jumps to the waking vector of its guest', { timeout: 120_000 }, () => {
    const folder = temporaryFolder();
    const [object, path] = [join(folder, 'suspend.o'), join(folder, 'suspend.img')];
    execFileSync('gcc', ['-c', '-o', object, join(import.meta.dirname, 'suspend-sector.S')]);
    execFileSync('ld', ['-Ttext=0x7c00', '-e', '0x7c00', '--oformat', 'binary', '-o', path, object]);
    const machine = machineWith('', {
      boot: { kind: 'firmware' },
      memory: { bytes: 64 * MiB },
      devices: [
        { type: 'isa-debugcon', iobase: 0x402 },
        { type: 'virtio-blk', path, format: 'raw' },
      ],
    });
    whenRequested(machine, 'sleep', () => quiesced(machine, () => machine.machine.wake('user')));
    run(machine, 100_000);
    expect([machine.ended, machine.requests]).toEqual(['power-off', ['sleep']]);
    const said = machine.printed[1];
    expect(said).toContain('In resume (status=254)');
    expect(said).toContain('SLEEPS');
    expect(said).toContain('AWAKE');
  });
});
