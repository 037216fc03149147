import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { undoLast } from '../../../src/commands/host/undo.ts';
import { Journal } from '../../../src/host/plan/journal.ts';
import { hostLock } from '../../../src/manager/host-lock.ts';
import { canFreeze, FrozenFolder } from '../../support/frozen-folder.ts';
import { isRunning } from '../../support/manager-process.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { desktopTree } from '../trees/desktop.ts';
import { SimulatedHost } from './simulated-host.ts';
import { SimulatedPci } from './simulated-pci.ts';

const nic = '0000:00:1f.6';
const audio = '0000:01:00.1';
const program = path.join(import.meta.dirname, '../../support/host-process.ts');

/** A change of the host in a process of its own. */
class Change {
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  output = '';
  #changed = () => {};

  constructor(tree: TreeBuilder, journal: string, args: readonly string[], seconds = 60) {
    this.process = spawn(process.execPath, [program, tree.directory, journal, String(seconds), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.process.stdout!.setEncoding('utf8').on('data', text => {
      this.output += text;
      this.#changed();
    });
    this.ended = once(this.process, 'close').then(([code]) => code);
  }

  async says(pattern: RegExp): Promise<string> {
    let over = false;
    void this.ended.then(() => {
      over = true;
      this.#changed();
    });
    for (;;) {
      const match = pattern.exec(this.output);
      if (match) return match[1] ?? match[0];
      if (over) throw new Error(`it ended without saying ${pattern}: ${this.output}`);
      await new Promise<void>(resolve => {
        this.#changed = resolve;
      });
    }
  }
}

/** The kernel's side of a tree: control files are FIFOs, which it reads when the test asks it to. */
class FifoKernel {
  readonly pci: SimulatedPci;
  readonly #tree: TreeBuilder;
  readonly #ends = new Map<string, fs.promises.FileHandle>();

  constructor(tree: TreeBuilder) {
    this.#tree = tree;
    this.pci = new SimulatedPci(tree);
    for (const driver of ['e1000e', 'pci-stub', 'snd_hda_intel']) {
      tree.driver(driver);
      for (const file of ['bind', 'unbind']) this.#fifo(`/sys/bus/pci/drivers/${driver}/${file}`);
    }
    this.#fifo('/sys/bus/pci/drivers_probe');
  }

  /** Handles one write to a driver's unbind. */
  async unbinds(driver: string): Promise<void> {
    const address = await this.#takes(`/sys/bus/pci/drivers/${driver}/unbind`);
    this.pci.unbind(address, driver);
  }

  async probes(): Promise<void> {
    const address = await this.#takes('/sys/bus/pci/drivers_probe');
    this.#takeOverride(address);
    this.pci.probe(address);
  }

  /** The write overwrote only the start of the file; its newline ends the value. */
  #takeOverride(address: string): void {
    const text = fs.readFileSync(this.#tree.at(`${this.pci.directory(address)}/driver_override`), 'utf8');
    this.pci.setOverride(address, text.split('\n')[0]!);
  }

  async close(): Promise<void> {
    for (const end of this.#ends.values()) await end.close();
  }

  /** Opened for reading and writing, so that it neither waits for a writer nor reaches the end of file. */
  async #takes(hostPath: string): Promise<string> {
    const end = this.#ends.get(hostPath) ?? (await fs.promises.open(this.#tree.at(hostPath), 'r+'));
    this.#ends.set(hostPath, end);
    const buffer = Buffer.alloc(100);
    const { bytesRead } = await end.read(buffer, 0, buffer.length, null);
    return buffer.toString('utf8', 0, bytesRead);
  }

  #fifo(hostPath: string): void {
    fs.rmSync(this.#tree.at(hostPath));
    execFileSync('mkfifo', [this.#tree.at(hostPath)]);
  }
}

let tree: TreeBuilder;
let kernel: FifoKernel;
let journal: string;
const changes: Change[] = [];

beforeEach(() => {
  tree = desktopTree();
  // The host's own network does not matter here.
  tree.file('/proc/net/route', '');
  tree.facts.addresses = {};
  tree.module('pci_stub');
  kernel = new FifoKernel(tree);
  journal = temporaryFolder();
});
afterEach(async () => {
  for (const change of changes.splice(0)) {
    if (change.process.exitCode === null && change.process.signalCode === null) {
      change.process.kill('SIGKILL');
      await change.ended;
    }
  }
  await kernel.close();
  kernel.pci.dispose();
});

function start(args: readonly string[], seconds?: number): Change {
  const change = new Change(tree, journal, args, seconds);
  changes.push(change);
  return change;
}

const entries = () => new Journal(journal).read().entries;

describe('two processes that change the host', () => {
  test('are serialized; the second one sees the changes of the first', async () => {
    const first = start(['bind', audio]);
    await first.says(/^1\/\d write/m);
    const second = start(['bind', audio]);
    const holder = await second.says(/^warning: waiting: (the host is being changed by process .*)$/m);
    expect(holder).toContain(`process ${first.process.pid} of `);
    expect(second.output).not.toMatch(/^1\//m);
    await kernel.unbinds('snd_hda_intel');
    await kernel.probes();
    expect([await first.ended, await second.ended]).toEqual([0, 0]);
    expect(first.output).toContain(`done: Bind ${audio} to pci-stub`);
    expect(second.output).toContain(`${audio} is already bound to pci-stub`);
    expect(entries()).toHaveLength(1);
  });

  test('killing a process releases its lock; the next one reports the interrupted plan, and undo works', async () => {
    const first = start(['bind', audio]);
    await kernel.unbinds('snd_hda_intel');
    await first.says(/^3\/3 write/m);
    first.process.kill('SIGKILL');
    await first.ended;
    expect(kernel.pci.driverOf(audio)).toBeNull();

    const second = start(['bind', nic]);
    expect(await second.says(/^warning: (.*)$/m)).toMatch(
      /^"Bind 0000:01:00.1 to pci-stub" of .* was interrupted at step 3 of 3: undo it with vring undo$/,
    );
    second.process.kill('SIGKILL');
    await second.ended;
    fs.rmSync(path.join(journal, '000002.json'), { force: true });

    const host = new SimulatedHost(tree);
    host.pci.know(audio, 'snd_hda_intel');
    host.pci.setOverride(audio, 'pci-stub');
    const said: string[] = [];
    const say = (line: string) => said.push(line);
    const context = { writer: () => host, journal: () => new Journal(journal), lock: hostLock(journal) };
    expect(await undoLast(host.root, {}, { ...context, say, sayJson: () => {}, warn: say })).toBe(0);
    expect(said).toEqual([`undone: Bind ${audio} to pci-stub`]);
    expect([host.pci.driverOf(audio), host.pci.override(audio)]).toEqual(['snd_hda_intel', '']);
    expect(entries().map(entry => entry.state)).toEqual(['undone']);
  });
});

describe('a write that does not return', () => {
  test('is reported with the processes that have the device open; then the plan is undone', async () => {
    const node = `${tree.pathOf(audio)}/sound/card1/controlC1`;
    tree.file(`${node}/dev`, '116:2\n').file(`${node}/uevent`, 'DEVNAME=snd/controlC1\n');
    const bind = start(['bind', audio], 5);
    await bind.says(/^1\/3 write/m);
    tree.file('/proc/812/comm', 'pipewire\n').link('/proc/812/fd/9', '/dev/snd/controlC1');
    expect(await bind.says(/^warning: (step 1 .*)$/m)).toBe(
      'step 1 is slow: 3 s of at most 5 s; the device is open in pipewire (pid 812)',
    );
    expect(await bind.ended).toBe(1);
    expect(bind.output).toMatch(
      /^error: step 1 of 3 failed: cannot write 0000:01:00.1 to .*\/unbind: it did not finish within 5 s and was interrupted$/m,
    );
    expect(entries()).toEqual([]);
    expect(kernel.pci.driverOf(audio)).toBe('snd_hda_intel');
  });

  test.skipIf(!canFreeze)(
    'in uninterruptible sleep: the plan stops, and nothing else hangs (needs root and a loop device)',
    async () => {
      let pid = 0;
      const driver = '/sys/bus/pci/drivers/snd_hda_intel';
      const frozen = new FrozenFolder(tree.at(driver), () => {
        tree.file(`${driver}/unbind`, '').file(`${driver}/bind`, '');
      });
      try {
        const bind = start(['bind', audio], 4);
        await bind.says(/^1\/3 write/m);
        // It ends although its child cannot.
        expect(await bind.ended).toBe(1);
        pid = Number(
          await bind.says(
            /^error: step 1 of 3 hangs: .* within 4 s: process (\d+) is stuck and cannot be killed/m,
          ),
        );
        expect(fs.readFileSync(`/proc/${pid}/stat`, 'utf8')).toMatch(/^\d+ \(.*\) D /);
        expect(bind.output).toContain('this step may or may not have taken effect');
        expect(entries()).toMatchObject([{ state: 'hanging', steps: ['hanging', 'pending', 'pending'] }]);

        const again = start(['bind', audio], 4);
        expect(await again.ended).toBe(1);
        expect(again.output).toMatch(
          new RegExp(
            `^  ${audio}: process ${pid} has been writing ${audio} to .*/unbind since .*, and the kernel has not completed it`,
            'm',
          ),
        );
        const undo = start(['undo'], 4);
        expect(await undo.ended).toBe(1);
        expect(undo.output).toMatch(/^error: cannot undo .*: process \d+ has been writing/m);
      } finally {
        frozen.thaw();
      }
      await until(() => !isRunning(pid));
      expect(await start(['undo'], 4).ended).toBe(0);
      expect(entries().map(entry => entry.state)).toEqual(['undone']);
    },
  );
});
