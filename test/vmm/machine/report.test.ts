import { expect, test } from 'vitest';
import { MachineReport } from '../../../src/vmm/machine/report.ts';
import { saidBy } from '../../support/machine-link.ts';

const said = (report: MachineReport, kind: string) => saidBy(report).filter(message => message.kind === kind);

test('disk errors are events, and a state that ends with them or with the boot', () => {
  const report = new MachineReport();
  report.diskFailed('blk0', 'write at sector 8 failed: ENOSPC (No space left on device)');
  report.diskFailed('blk1', 'flush failed: EIO (I/O error)');
  expect(saidBy(report)).toMatchObject([
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
  expect(saidBy(report)).toEqual([
    { kind: 'disk-errors', diskErrors: { blk1: 'flush failed: EIO (I/O error)' } },
  ]);
  report.beginAgain({ protocol: 1, version: '1', token: '' });
  expect(said(report, 'disk-errors')).toHaveLength(1);
  report.repaired();
  expect(saidBy(report)).toEqual([{ kind: 'disk-errors', diskErrors: {} }]);
});
