import { fstatSync, mkdtempSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { charWire } from '../../src/vmm/backends/char/opened-char.ts';
import { setNonblocking, socketPair, tryRead } from '../../src/vmm/native/libc.ts';
import { LiveMachine } from '../support/live-machine.ts';
import { makeLinux, whyNoLinux } from './linux-guest.ts';

const MiB = 2 ** 20;
const MEMORY = 160 * MiB;
/** Of what the guest has used and freed by the time that its balloon is inflated. */
const MOST_OF_IT = 40 * MiB;

const missing = whyNoLinux();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)("Linux on this machine's KVM, with its own drivers", () => {
  const directory = mkdtempSync(join(tmpdir(), 'vring-linux-'));
  let files: { readonly kernel: string; readonly initrd: string };

  beforeAll(async () => {
    files = await makeLinux(directory, 'ports.c');
  });

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  test('uses a virtio console and its size, a named port, random bytes and a balloon', () => {
    const [ours, theirs] = socketPair();
    setNonblocking(ours);
    setNonblocking(theirs);
    const wire = charWire({ file: 'stream', fd: theirs, log: null, label: 'test' });
    const append = 'console=ttyS0 quiet rodata=off';
    const machine = new LiveMachine(
      '',
      {
        memory: { bytes: MEMORY },
        boot: { kind: 'kernel', path: files.kernel, initrd: files.initrd, append },
        devices: [
          { type: 'virtio-balloon', 'guest-stats-polling-interval': 1 },
          { type: 'virtio-rng', 'max-bytes': 4096, period: 1000 },
          { type: 'virtio-serial', name: 'ports', 'max-ports': 2 },
          { type: 'virtconsole', bus: 'ports' },
          {
            type: 'virtserialport',
            bus: 'ports',
            port: 'org.test.0',
            chardev: { type: 'unix', path: '/unused' },
          },
        ],
      },
      [{ device: 'vport0', wire }],
    );
    const { devices } = machine.machine.parts.chipset;
    const balloon = devices.find(({ capabilities }) => capabilities?.balloon)!.capabilities!.balloon!;
    /** What the machine's memory takes of the host. */
    const used = () => fstatSync(machine.ram.blocks[0]!.fd!).blocks * 512;
    const seen: Record<string, number> = {};
    const typed = new Set<string>();
    const once = (console: string, text: string, then: () => void) => {
      if (typed.has(text) || !machine.printedOn(console).includes(text)) return;
      typed.add(text);
      then();
    };
    machine.onPrinted = () => {
      once('hvc0', 'hvc0 size? ', () => machine.resize('hvc0', { columns: 132, rows: 43 }));
      once('hvc0', 'hvc0 login: ', () => machine.type('hvc0', 'root\n'));
      once('com1', 'guest: ready', () => {
        seen.before = used();
        balloon.setTarget(96 * MiB);
      });
    };
    let received = '';
    machine.loop.watchFd(ours, false, () => {
      const bytes = Buffer.alloc(256);
      const count = tryRead(ours, bytes);
      // An event may be reported twice.
      if (count <= 0) return;
      received += bytes.toString('latin1', 0, count);
      if (received === 'port is open\n') writeSync(ours, 'ping over the port\n');
    });
    balloon.onChanged(() => {
      const { current, target, stats } = balloon.facts;
      if (seen.before === undefined || current !== target) return;
      if (seen.total === undefined) {
        // Pages wait for their neighbors for a while before the host has them again; then statistics come, every second.
        if (stats?.free === undefined || seen.before - used() <= MOST_OF_IT) return;
        seen.total = stats.total ?? 0;
        balloon.setTarget(MEMORY);
      } else if (target === MEMORY) machine.end('deflated');
    });
    machine.machine.run();
    machine.run();
    machine.close();
    expect(machine.output).not.toMatch(/failed|panic/i);
    expect(machine.printedOn('com1')).toMatch(/guest: random (?!0{16})[0-9a-f]{16}/);
    expect(machine.printedOn('com1')).toContain('guest: size 0084 002b');
    expect(machine.printedOn('hvc0')).toContain('hvc0 got root');
    expect(received).toBe('port is open\nport got ping over the port\n');
    expect(machine.ended).toBe('deflated');
    expect(seen.total).toBeGreaterThan(64 * MiB);
  }, 600_000);
});
