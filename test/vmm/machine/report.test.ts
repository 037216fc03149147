import { describe, expect, test } from 'vitest';
import { MachineReport } from '../../../src/vmm/machine/report.ts';
import { sentBy } from '../../support/machine-link.ts';

const IDENTITY = { protocol: 1, version: '1.2.3', token: 'secret' };
const TOPOLOGY = {
  shape: { vcpus: 1, queues: 0, regions: 0 },
  queues: [],
  regions: [],
  devices: [],
  consoles: [],
  vcpus: 1,
  pinning: [],
};
const END = { crashed: false, reason: 'the guest powered off', detail: null, exitCode: null };
const kinds = (report: MachineReport) => sentBy(report).map(({ kind }) => kind);
const said = (report: MachineReport, kind: string) => sentBy(report).filter(message => message.kind === kind);

describe('a report', () => {
  test('sends the latest changes, the most important first and the end last', () => {
    const report = new MachineReport();
    report.ended(END);
    report.ending(END);
    report.reply(3, null);
    report.printed(0, Buffer.from('text'));
    report.inputTaken(0, 4);
    report.happened('info', 'reset');
    report.broke('disk0', 'a bad ring');
    report.entered('paused');
    report.entered('running');
    report.built(TOPOLOGY);
    expect(sentBy(report)).toMatchObject([
      { kind: 'topology' },
      { kind: 'state', state: 'running' },
      { kind: 'broken', broken: { disk0: 'a bad ring' } },
      { kind: 'event', event: { level: 'info', text: 'reset' } },
      { kind: 'event', event: { level: 'error', text: 'disk0 is broken: a bad ring' } },
      { kind: 'printed', port: 0, text: 'text' },
      { kind: 'input-taken', port: 0, bytes: 4 },
      { kind: 'reply', id: 3, error: null },
      { kind: 'ending', end: END },
      { kind: 'ended', end: END },
    ]);
    expect(report.next()).toBeNull();
  });

  test('sends nothing that has not changed', () => {
    const report = new MachineReport();
    report.built(TOPOLOGY);
    report.entered('running');
    sentBy(report);
    report.built(structuredClone(TOPOLOGY));
    report.entered('running');
    report.repaired();
    expect(kinds(report)).toEqual([]);
    report.built({ ...TOPOLOGY, pinning: [2] });
    expect(kinds(report)).toEqual(['topology']);
  });

  test('sends everything to another manager again, but not replies to the previous one', () => {
    const report = new MachineReport();
    report.built(TOPOLOGY);
    report.entered('running');
    report.printed(0, Buffer.from('text'));
    report.happened('info', 'reset');
    report.noted({ at: 1, level: 'info', text: 'started' });
    sentBy(report);
    report.reply(1, null);
    report.inputTaken(0, 10);
    expect(report.beginAgain(IDENTITY)).not.toBeNull();
    expect(sentBy(report)).toMatchObject([
      { kind: 'topology' },
      { kind: 'state', state: 'running' },
      { kind: 'broken', broken: {} },
      { kind: 'disk-errors', diskErrors: {} },
      { kind: 'event', event: { text: 'reset' } },
      { kind: 'event', event: { text: 'started' } },
      { kind: 'printed', text: 'text' },
    ]);
  });

  test('keeps the last output from while no manager was connected', () => {
    const report = new MachineReport();
    for (let line = 0; line < 100_000; line++) report.printed(0, Buffer.from(`${line}\n`));
    const text = sentBy(report)
      .map(said => (said.kind === 'printed' ? said.text : ''))
      .join('');
    expect(text).toHaveLength(64 * 1024);
    expect(text).toMatch(/99999\n$/);
    expect(kinds(report)).toEqual([]);
  });

  test('skips output that was overwritten while its first part was being sent', () => {
    const report = new MachineReport();
    report.printed(0, Buffer.alloc(60_000, 'a'));
    report.next();
    report.printed(0, Buffer.alloc(65_536, 'b'));
    const text = sentBy(report)
      .map(said => (said.kind === 'printed' ? said.text : ''))
      .join('');
    expect(text).toBe('b'.repeat(65_536));
  });

  test('uses bounded memory however much happens without a manager', () => {
    const report = new MachineReport();
    const flood = () => {
      for (let round = 0; round < 20_000; round++) {
        report.printed(0, Buffer.alloc(100, 'x'));
        report.happened('error', `event ${round}`);
        report.broke('disk0', `reason ${round}`);
        report.repaired();
        report.entered(round % 2 === 0 ? 'paused' : 'running');
        report.noted({ at: round, level: 'info', text: 'noted' });
        report.inputTaken(0, 1);
      }
    };
    flood();
    expect(sentBy(report).length).toBeLessThan(20);
    flood();
    report.ended(END);
    const more = sentBy(report);
    expect(more.length).toBeLessThan(20);
    expect(more).toContainEqual({
      kind: 'event',
      event: {
        at: expect.any(Number),
        level: 'warning',
        text: expect.stringMatching(/^\d{5} more events were not/),
      },
    });
  });

  test('reports disk errors as events, and as a state that ends with them', () => {
    const report = new MachineReport();
    report.diskFailed('blk0', 'write at sector 8 failed: ENOSPC (No space left on device)');
    report.diskFailed('blk1', 'flush failed: EIO (I/O error)');
    expect(sentBy(report)).toMatchObject([
      {
        kind: 'disk-errors',
        diskErrors: { blk0: expect.stringMatching(/^write/), blk1: expect.stringMatching(/^flush/) },
      },
      {
        kind: 'event',
        event: { level: 'error', text: expect.stringMatching(/^blk0: write at sector 8 failed/) },
      },
      { kind: 'event', event: { level: 'error', text: expect.stringMatching(/^blk1: flush failed/) } },
    ]);

    report.diskFailed('blk0', null);
    expect(sentBy(report)).toEqual([
      { kind: 'disk-errors', diskErrors: { blk1: 'flush failed: EIO (I/O error)' } },
    ]);
    report.beginAgain({ protocol: 1, version: '1', token: '' });
    expect(said(report, 'disk-errors')).toHaveLength(1);
    // The host's disk is the same after a reset.
    report.repaired();
    expect(sentBy(report)).toEqual([]);
  });

  test('lists devices that the machine waits for until they respond', () => {
    const report = new MachineReport();
    report.draining([]);
    expect(sentBy(report)).toEqual([]);
    report.diskFailed('blk1', 'flush failed');
    sentBy(report);
    report.draining(['blk0']);
    expect(sentBy(report)).toMatchObject([
      {
        kind: 'disk-errors',
        diskErrors: { blk0: 'the host has not answered some of its requests', blk1: 'flush failed' },
      },
      { kind: 'event', event: { level: 'warning', text: expect.stringMatching(/^waits for blk0: /) } },
    ]);
    report.draining(['blk0']);
    report.draining([]);
    expect(sentBy(report)).toMatchObject([
      { kind: 'disk-errors', diskErrors: { blk1: 'flush failed' } },
      { kind: 'event', event: { level: 'info', text: 'no longer waits for blk0' } },
    ]);
  });
});

test('devices that the machine waits for have their own reason each', () => {
  const report = new MachineReport();
  report.draining(['blk0', 'tick0', 'blk1'], device =>
    device === 'tick0' ? 'it has not stopped' : undefined,
  );
  expect(sentBy(report)).toMatchObject([
    {
      kind: 'disk-errors',
      diskErrors: { tick0: 'it has not stopped', blk1: expect.stringMatching(/^the host/) },
    },
    {
      kind: 'event',
      event: {
        text: 'waits for blk0, blk1: the host has not answered some of its requests; tick0: it has not stopped',
      },
    },
  ]);
});

describe('a report that another process continues', () => {
  const TAKEN = { from: '1.0.0', stoodStillMs: 12 };

  /** What the successor of `report` sends first. */
  function continued(report: MachineReport) {
    const next = new MachineReport();
    next.takenOver(structuredClone(report.freeze()), TAKEN);
    return next;
  }

  test('sends nothing twice, and omits nothing', () => {
    const report = new MachineReport();
    report.printed(0, Buffer.from('known '));
    report.happened('info', 'known');
    sentBy(report);
    report.printed(0, Buffer.from('new '));
    report.printed(1, Buffer.from('other'));
    report.inputTaken(0, 5);
    report.happened('warning', 'new');
    report.noted({ at: 1, level: 'info', text: 'noted' });
    report.broke('disk0', 'a bad ring');
    const next = continued(report);
    next.printed(0, Buffer.from('and newer'));
    expect(sentBy(next)).toMatchObject([
      { kind: 'taken-over', ...TAKEN },
      { kind: 'broken', broken: { disk0: 'a bad ring' } },
      { kind: 'disk-errors', diskErrors: {} },
      { kind: 'event', event: { text: 'new' } },
      { kind: 'event', event: { text: 'disk0 is broken: a bad ring' } },
      { kind: 'printed', port: 0, text: 'new and newer' },
      { kind: 'printed', port: 1, text: 'other' },
      { kind: 'input-taken', port: 0, bytes: 5 },
    ]);
    // A later manager receives everything, but not that the machine was taken over.
    next.beginAgain(IDENTITY);
    const again = sentBy(next);
    expect(again.filter(({ kind }) => kind === 'printed')).toMatchObject([
      { port: 0, text: 'known new and newer' },
      { port: 1, text: 'other' },
    ]);
    expect(again.flatMap(message => (message.kind === 'event' ? [message.event.text] : []))).toEqual([
      'known',
      'new',
      'noted',
      'disk0 is broken: a bad ring',
    ]);
    expect(again.map(({ kind }) => kind)).not.toContain('taken-over');
  });

  test('keeps the last output, by its number', () => {
    const report = new MachineReport();
    for (let line = 0; line < 20_000; line++) report.printed(0, Buffer.from(`line ${line}\n`));
    sentBy(report);
    const next = continued(report);
    next.printed(0, Buffer.from('end'));
    const [printed] = sentBy(next).flatMap(message => (message.kind === 'printed' ? [message.text] : []));
    expect(printed).toBe('end');
    next.beginAgain(IDENTITY);
    const replay = sentBy(next)
      .flatMap(message => (message.kind === 'printed' ? [message.text] : []))
      .join('');
    expect(replay).toHaveLength(2 ** 16);
    expect(replay).toMatch(/line 19998\nline 19999\nend$/);
  });

  test('only sends replies in the meantime, and finally reports that the other process continues', () => {
    const report = new MachineReport();
    report.freeze();
    report.printed(0, Buffer.from('text'));
    report.happened('info', 'something');
    report.reply(3, null);
    expect(sentBy(report)).toMatchObject([{ kind: 'reply', id: 3 }]);
    report.reply(4, null);
    report.handedOver();
    expect(sentBy(report)).toMatchObject([{ kind: 'reply', id: 4 }, { kind: 'handed-over' }]);
  });

  test('continues itself if the hand-over fails', () => {
    const report = new MachineReport();
    report.printed(0, Buffer.from('one '));
    report.freeze();
    report.printed(0, Buffer.from('two'));
    report.thaw();
    expect(said(report, 'printed')).toMatchObject([{ text: 'one two' }]);
  });
});
