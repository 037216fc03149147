import { afterEach, expect, test } from 'vitest';
import type { EngineEvent, VmInfo } from '../../src/engine/vm-info.ts';
import { VncPrograms } from '../../src/manager/vnc-programs.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { busy } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let programs: VncPrograms | null = null;
afterEach(() => programs?.close());

test('a VM with a VNC server gets a program, and the log says why it ended', async () => {
  const engine = new FakeEngine(new ManualClock());
  const id = engine.add('demo', busy);
  const vm: VmInfo = { ...engine.vms()[0]!, vnc: { listen: 'auto' } };
  const notes: string[] = [];
  const listeners: ((event: EngineEvent) => void)[] = [];
  // No manager runs there, so the program fails to find one.
  process.env.VRING_RUNTIME_DIR = temporaryFolder();
  programs = new VncPrograms({
    note: (level, text, of) => notes.push(`${level} ${of}: ${text}`),
    subscribe: listener => {
      listeners.push(listener);
      return () => {};
    },
    vms: () => [vm],
    servesVnc: () => {},
  });
  await expect.poll(() => notes, { timeout: 20_000 }).toHaveLength(1);
  expect(notes[0]).toMatch(new RegExp(`^warning ${id}: the VNC server has ended: `));
  // It is not restarted again and again.
  for (const listener of listeners) listener({ kind: 'vm', vm });
  expect(notes).toHaveLength(1);
}, 30_000);
