import { chmodSync, mkdirSync, readFileSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeUsers, program, runAs } from '../../support/confinement/users.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const folder = temporaryFolder();
chmodSync(folder, 0o777);

await describeUsers('a confined process', user => {
  const life = async (...args: readonly string[]) => {
    const [outcome] = await runAs(user, [{ program: program(user, 'life.ts'), args, confinement: {} }]);
    const { said, end, forbidden } = outcome!;
    return { said: said.trim().split('\n'), end, forbidden };
  };
  const well = { end: { code: 0, signal: null }, forbidden: null };

  it('can still run JavaScript', async () => {
    expect(await life('v8')).toEqual({
      ...well,
      said: [
        'confined',
        '79276 10 Thu Jan 01 1970 01:00:00 GMT+0100 (Central European Standard Time) 1.234,5 true',
        'workers end and start',
      ],
    });
  });

  it('accepts connections, and passes files over them', async () => {
    expect(await life('pass a file')).toEqual({
      ...well,
      said: ['confined', '1 1 false a file', '1 1 false a file'],
    });
  });

  it('keeps its requested paths, and can create no other file', async () => {
    const [read, write] = ['read', 'write'].map(name => join(folder, `${name}-${user.uid}`));
    for (const path of [read!, write!]) {
      mkdirSync(path);
      chmodSync(path, 0o777);
      writeFileSync(join(path, 'file'), 'text');
      chmodSync(join(path, 'file'), 0o666);
    }
    const { said, ...rest } = await life('keep paths', read!, write!);
    expect(rest).toEqual(well);
    expect(said).toEqual([
      'empty-root off,uid off,capabilities on,dumpable on,landlock on,rlimits off,seccomp on',
      'done,done,EACCES,done,done,EACCES,EACCES',
    ]);
  });

  /** Waits for a signal, and gets it. */
  async function waiting(uid: number, end: NodeJS.Signals = 'SIGTERM') {
    const args = ['wait for a signal', String(uid)];
    const [outcome] = await runAs(user, [{ program: program(user, 'life.ts'), args, confinement: {}, end }]);
    return outcome!;
  }

  it.each([
    ['SIGTERM', 143],
    ['SIGSEGV', 139],
    ['SIGBUS', 135],
    ['SIGABRT', 134],
    ['SIGHUP', 129],
  ] as const)(
    'is killed by %s as the first of its namespace, while its thread waits outside the loop',
    async (signal, code) => {
      expect(await waiting(0, signal)).toMatchObject({ said: 'confined\n', end: { code, signal: null } });
    },
  );

  it.each([
    ['SIGSEGV', 139],
    ['SIGBUS', 135],
    ['SIGABRT', 134],
  ] as const)('ends by its own fault, %s', async (signal, code) => {
    const { said, ...rest } = await life('fault', signal);
    expect(rest).toEqual({ end: { code, signal: null }, forbidden: null });
    expect(said[0]).toBe('confined');
  });

  it('has no capability and a filter on each of its threads, and its own namespaces', async () => {
    const { threads, namespaces } = await waiting(0);
    expect(threads.map(({ Name }) => Name)).toContain('SignalInspector');
    const none = '0'.repeat(16);
    for (const thread of threads) {
      expect(thread).toMatchObject({
        CapInh: none,
        CapPrm: none,
        CapEff: none,
        CapBnd: none,
        CapAmb: none,
        NoNewPrivs: '1',
        Seccomp: '2',
      });
      // The handler that reports a call must be reached.
      expect(BigInt(`0x${thread.SigBlk}`) & (1n << BigInt(constants.signals.SIGSYS - 1))).toBe(0n);
    }
    const shared = Object.entries(namespaces).filter(
      ([name, id]) => id === readlinkSync(`/proc/self/ns/${name}`),
    );
    expect(shared.map(([name]) => name)).toEqual(user.uid === 0 ? ['user'] : []);
  });

  if (user.uid === 0) {
    it('switches to its own uid on all of its threads', async () => {
      const { said, threads, end } = await waiting(54_321);
      expect({ said, end }).toEqual({ said: 'confined\n', end: { code: 143, signal: null } });
      const ids = '54321\t54321\t54321\t54321';
      for (const thread of threads) expect(thread).toMatchObject({ Uid: ids, Gid: ids });
    });
  }

  const kvm = (text: string) => (user.noKvm === null ? onKvm(text) : `${text} (skipped: ${user.noKvm})`);
  const kvmTest = it.skipIf(noKvm !== null || user.noKvm !== null);

  kvmTest(kvm('resets a machine, and runs its guest with a disk'), async () => {
    const disk = join(folder, `disk-${user.uid}`);
    writeFileSync(disk, '');
    chmodSync(disk, 0o666);
    truncateSync(disk, 2 ** 20);
    const { said, ...rest } = await life('guest', disk, 'blk verify 20; blk read 4k 4 20; halt');
    expect(rest).toEqual(well);
    const text = said.join('\n');
    expect(text).toMatch(/^confined/);
    expect(text).toContain('event: reset\n');
    expect(text).toMatch(/result blk-verify .*errors=0/);
    expect(text).toMatch(/result blk-read .*errors=0/);
    expect(text).toContain('"reason":"the guest powered off"');
    expect(readFileSync(disk).some(byte => byte !== 0)).toBe(true);
  });

  kvmTest(kvm('cannot confine itself once a vCPU runs, and says so'), async () => {
    const reason = 'a thread has a filter of its own already: confine the process before its vCPUs start';
    const { said } = await life('too late');
    const layers = ['capabilities', 'landlock', 'seccomp'].map(name => ({
      name,
      state: 'unavailable',
      reason,
    }));
    expect(JSON.parse(said[0]!)).toEqual(layers);
  });
});
