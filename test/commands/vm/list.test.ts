import { afterEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { listVms } from '../../../src/commands/vm/list.ts';
import { FakeEngine } from '../../support/fake-engine.ts';

afterEach(() => vi.restoreAllMocks());

/** The last columns of the rows that `vring vm list` prints. */
function notes(engine: FakeEngine): string[] {
  let text = '';
  vi.spyOn(process.stdout, 'write').mockImplementation(chunk => {
    text += String(chunk);
    return true;
  });
  listVms(engine, {});
  const [head, ...rows] = text.split('\n').slice(0, -1);
  const at = head!.indexOf('NOTE');
  return rows.map(row => (at < 0 ? '' : row.slice(at)));
}

test('a VM with an operation in progress shows its progress', () => {
  const engine = new FakeEngine(systemClock);
  const task = { phase: 'sending', done: 2 ** 20, total: 2 ** 22, waitingFor: [] } as const;
  engine.add('db', { vcpus: [] }, { defined: true });
  engine.add('new', { vcpus: [] }, { state: 'off', defined: false });
  engine.add('web', { vcpus: [] }, { defined: true });
  expect(notes(engine)).toEqual(['', 'no definition', '']);
  engine.become('new', 'off', {
    task: { kind: 'receive', name: 'host1', ...task, phase: 'arriving' },
  });
  engine.become('web', 'running', { task: { kind: 'migrate', name: 'host2', ...task } });
  expect(notes(engine)).toEqual([
    '',
    'migration to this host: its memory is arriving',
    'migration to another host: sending memory 1M of 4M, 25%',
  ]);
});
