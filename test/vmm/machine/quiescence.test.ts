import { describe, expect, test } from 'vitest';
import type { Device } from '../../../src/devices/device.ts';
import { VcpuGroup } from '../../../src/vmm/cpu/vcpu-group.ts';
import { Quiescence } from '../../../src/vmm/machine/quiescence.ts';

/** A device that records requests, and stops when the test says so. */
class FakeDevice implements Device {
  readonly name: string;
  readonly #log: string[];
  stopped: (() => void) | null = null;

  constructor(name: string, log: string[]) {
    this.name = name;
    this.#log = log;
  }

  quiesce(done: () => void): void {
    this.#log.push(`${this.name} stops`);
    this.stopped = done;
  }

  resume(): void {
    this.#log.push(`${this.name} resumes`);
  }

  reset(): void {}

  save() {
    return {};
  }

  load(): void {}
}

function rig(names = ['blk0', 'blk1']) {
  const log: string[] = [];
  const devices = names.map(name => new FakeDevice(name, log));
  const vcpus = new VcpuGroup(
    { pauseVcpu: index => log.push(`pause ${index}`), resumeVcpu: index => log.push(`run ${index}`) },
    [0, 1],
  );
  const quiescence = new Quiescence({
    vcpus,
    devices: () => devices,
    beforeResume: () => log.push('note'),
    onChange: () => {},
  });
  const start = quiescence.hold({});
  const taken = () => log.splice(0);
  const hold = (name: string) => quiescence.hold({ quiesced: () => log.push(`${name} quiesced`) });
  return { log, devices, vcpus, quiescence, start, taken, hold };
}

/** One that runs. */
function running(names?: string[]) {
  const made = rig(names);
  made.start();
  made.taken();
  return made;
}

describe('quiescence', () => {
  test('runs from its start on, without notifying the guest of a stop', () => {
    const { start, taken, quiescence } = rig();
    expect(quiescence).toMatchObject({ running: false, quiesced: true });
    start();
    start();
    expect(taken()).toEqual(['blk0 resumes', 'blk1 resumes', 'run 0', 'run 1']);
    expect(quiescence).toMatchObject({ running: true, quiesced: false });
  });

  test('stops vCPUs before devices, and reports when each has stopped', () => {
    const { hold, vcpus, devices, taken, quiescence } = running();
    const release = hold('reset');
    expect(taken()).toEqual(['pause 0', 'pause 1']);
    vcpus.parked(0);
    expect([taken(), quiescence.parked]).toEqual([[], false]);
    vcpus.parked(1);
    expect(taken()).toEqual(['blk0 stops', 'blk1 stops']);
    expect(quiescence.holdups).toEqual(['blk0', 'blk1']);
    devices[1]!.stopped!();
    devices[1]!.stopped!();
    expect([taken(), quiescence.holdups]).toEqual([[], ['blk0']]);
    devices[0]!.stopped!();
    expect([taken(), quiescence.holdups]).toEqual([['reset quiesced'], []]);
    release();
    expect(taken()).toEqual(['blk0 resumes', 'blk1 resumes', 'note', 'run 0', 'run 1']);
  });

  test('keeps a machine stopped that has another hold', () => {
    const { hold, vcpus, devices, taken, quiescence } = running(['blk0']);
    const unpause = hold('pause');
    for (const index of [0, 1]) vcpus.parked(index);
    const release = hold('reset');
    expect(taken().slice(2)).toEqual(['blk0 stops']);
    devices[0]!.stopped!();
    expect(taken()).toEqual(['pause quiesced', 'reset quiesced']);
    hold('snapshot')();
    expect(taken()).toEqual(['snapshot quiesced']);
    release();
    release();
    expect([taken(), quiescence.running]).toEqual([[], false]);
    unpause();
    expect(quiescence.running).toBe(true);
  });

  test('does not notify a hold that ended early, and ignores late completions', () => {
    const { hold, vcpus, devices, taken, quiescence } = running(['blk0']);
    hold('first')();
    expect(taken()).toEqual(['pause 0', 'pause 1', 'run 0', 'run 1']);
    const release = hold('second');
    for (const index of [0, 1]) vcpus.parked(index);
    const late = devices[0]!.stopped!;
    release();
    taken();
    late();
    expect([taken(), quiescence.running]).toEqual([[], true]);
    hold('third');
    for (const index of [0, 1]) vcpus.parked(index);
    late();
    expect(quiescence.quiesced).toBe(false);
    devices[0]!.stopped!();
    expect(quiescence.quiesced).toBe(true);
  });

  test('does not report the quiesced state while a holder is using it', () => {
    const { hold, vcpus, devices, taken, quiescence, log } = running(['blk0']);
    let finish = (_then: () => void) => {};
    const release = quiescence.hold({
      quiesced: () => {
        log.push('reset begins');
        finish = quiescence.occupy();
      },
    });
    const other = hold('snapshot');
    for (const index of [0, 1]) vcpus.parked(index);
    devices[0]!.stopped!();
    expect(taken().slice(2)).toEqual(['blk0 stops', 'reset begins']);
    hold('pause')();
    expect([taken(), quiescence.quiesced, quiescence.parked]).toEqual([[], false, true]);
    finish(() => log.push('reset is done'));
    expect([taken(), quiescence.quiesced]).toEqual([['reset is done', 'snapshot quiesced'], true]);
    release();
    other();
    expect(quiescence.running).toBe(true);
  });

  test('allows a hold to end in its own callback', () => {
    const { quiescence, vcpus, devices } = running(['blk0']);
    const release = quiescence.hold({ quiesced: () => release() });
    for (const index of [0, 1]) vcpus.parked(index);
    expect(quiescence.running).toBe(false);
    devices[0]!.stopped!();
    expect(quiescence.running).toBe(true);
  });
});

test('a machine that has ended does not run again when its holds end', () => {
  const { devices, vcpus, quiescence, taken, hold } = running(['blk0']);
  const release = hold('snapshot');
  for (const index of [0, 1]) vcpus.parked(index);
  devices[0]!.stopped!();
  expect(taken()).toEqual(['pause 0', 'pause 1', 'blk0 stops', 'snapshot quiesced']);
  quiescence.end();
  release();
  expect(taken()).toEqual([]);
  expect(quiescence.running).toBe(false);
});
