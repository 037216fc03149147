import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OwnConfinement } from '../../../src/vmm/confinement/confine-self.ts';
import { type Layer, mergeLayers } from '../../../src/vmm/confinement/layer.ts';
import { UNCONFINED } from '../../../src/vmm/confinement/spawn-confined.ts';
import { errnoName } from '../../../src/vmm/native/libc.ts';
import { type Attempt, EXECUTED } from '../../support/confinement/attempts.ts';
import type { ProbeLine, ProbePlan } from '../../support/confinement/probe.ts';
import type { ProbeOutcome, ProbeRun } from '../../support/confinement/run-probe.ts';
import { describeUsers, program, runAs, tryAs, type User, waiter } from '../../support/confinement/users.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** What a confined process gets for each attempt that does not end it. */
const DENIED: { readonly [name in Attempt]?: string } = {
  'open a secret': 'EACCES',
  "open another VM's disk": 'EACCES',
  'open /dev/kvm again': 'EACCES',
  'make a file': 'EACCES',
  'remove a file': 'EACCES',
  'connect by TCP': 'EPERM',
  'connect an open socket': 'EPERM',
  'connect to a Unix socket': 'EPERM',
  'connect to an abstract socket': 'EPERM',
  'bind a TCP port': 'EPERM',
  'signal another process': 'EPERM',
  // The filter does not see what a ring is asked for: here the other layers answer.
  'open a secret by io_uring': 'ENOENT',
  'connect by io_uring and TCP': 'EACCES',
  'connect by io_uring to a Unix socket': 'ENOENT',
  'connect by io_uring to an abstract socket': 'ECONNREFUSED',
};
const ATTEMPTS = Object.keys(DENIED) as Attempt[];

/** What no part of a machine ever calls: it ends the process. */
const FATAL: readonly Attempt[] = [
  'fork',
  'ptrace',
  'process_vm_readv',
  'mount',
  'unshare',
  'setns',
  'setuid',
  'userfaultfd',
  'keyctl',
  'execve',
];

/** What takes capabilities, which a user without privileges has in a namespace of its own. */
const PRIVILEGED: readonly Attempt[] = ['mount', 'unshare', 'setns'];
const REPORT_FD = 3;

const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.close();
});

/** A server that anybody may connect to. */
function listen(where: string | number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy());
    servers.push(server);
    server.on('error', reject);
    if (typeof where === 'number') server.listen(where, '127.0.0.1', () => resolve(server));
    else server.listen({ path: where, writableAll: !where.startsWith('\0') }, () => resolve(server));
  });
}

async function targetsFor(user: User): Promise<ProbePlan['targets']> {
  const folder = temporaryFolder();
  chmodSync(folder, 0o777);
  const [secret, disk, mountPoint] = ['secret', 'disk', 'mnt'].map(name => join(folder, name));
  for (const path of [secret!, disk!]) writeFileSync(path, 'secret', { mode: 0o666 });
  for (const path of [secret!, disk!]) chmodSync(path, 0o666);
  mkdirSync(mountPoint!);
  const [unixPath, abstractName] = [join(folder, 'sock'), `vring-test-${process.pid}-${user.uid}`];
  const tcp = await listen(0);
  await listen(unixPath);
  await listen(`\0${abstractName}`);
  return {
    secret: secret!,
    disk: disk!,
    newFile: join(folder, 'new'),
    tcpPort: (tcp.address() as { port: number }).port,
    unixPath,
    abstractName,
    victim: waiter(user),
    folder: mountPoint!,
  };
}

await describeUsers('a process', user => {
  let targets: ProbePlan['targets'];
  beforeAll(async () => {
    targets = await targetsFor(user);
  });

  const run = (plan: Omit<ProbePlan, 'targets'>, spawn: ProbeRun['confinement'] = {}): ProbeRun => ({
    program: program(user, 'probe.ts'),
    args: [JSON.stringify({ ...plan, targets })],
    confinement: spawn,
  });
  const one = async (plan: Omit<ProbePlan, 'targets'>, spawn?: ProbeRun['confinement']) =>
    (await runAs(user, [run(plan, spawn)]))[0]!;

  it('that is not confined can do everything', async () => {
    const attempts = [...ATTEMPTS, ...FATAL]
      .filter(name => user.uid === 0 || name !== 'open /dev/kvm again')
      .filter(name => !PRIVILEGED.includes(name));
    const plan = { confinement: null, thread: 'main' } as const;
    const [plain, privileged] = await runAs(user, [
      run({ ...plan, attempts }, UNCONFINED),
      run({ ...plan, attempts: PRIVILEGED }),
    ]);
    const results = { ...resultsOf(plain!), ...resultsOf(privileged!) };
    expect(Object.entries(results).filter(([, result]) => result < 0)).toEqual([]);
    // It becomes another program as the last of them.
    expect(Object.keys(results)).toEqual([...attempts.filter(name => name !== 'execve'), ...PRIVILEGED]);
    expect(plain!.end).toEqual({ code: EXECUTED, signal: null });
  });

  it.each(['main', 'worker'] as const)(
    'that is confined can do nothing of that on its %s thread',
    async thread => {
      const confinement: OwnConfinement = { reportFd: REPORT_FD };
      const outcome = await one({ confinement, thread, attempts: ATTEMPTS });
      const answers = Object.entries(resultsOf(outcome)).map(([name, result]) => [name, answer(result)]);
      expect(Object.fromEntries(answers)).toEqual(DENIED);
      expect(outcome.end).toEqual({ code: 0, signal: null });
      expect(
        [...outcome.layers, ...layersOf(outcome)].filter(({ state }) => state === 'unavailable'),
      ).toEqual([]);
    },
  );

  it.each(['main', 'worker'] as const)(
    'is killed, with a report, by a forbidden call on its %s thread',
    async thread => {
      const confinement: OwnConfinement = { reportFd: REPORT_FD };
      const outcomes = await runAs(
        user,
        FATAL.map(name => run({ confinement, thread, attempts: [name] })),
      );
      const ends = outcomes.map(({ forbidden, end }) => `${forbidden} ${end.signal}`);
      expect(ends).toEqual(FATAL.map(name => `${name} SIGSYS`));
      expect(outcomes.map(outcome => Object.keys(resultsOf(outcome)))).toEqual(FATAL.map(() => []));
    },
  );

  it('that cannot be started is reported with the reason and the next step', async () => {
    const failing = async (...limit: string[]) => {
      const [outcome] = await tryAs(user, [{ ...run(plan), limit }]);
      return outcome;
    };
    const plan = { confinement: null, thread: 'main', attempts: [] } as const;
    expect(await failing('--nofile=10')).toEqual({
      error: expect.stringMatching(/: too many files are open: raise LimitNOFILE= of the systemd unit/),
    });
    // Root has no limit on its processes.
    if (user.uid === 0) return;
    expect(await failing('--nproc=1')).toEqual({
      error: expect.stringMatching(
        /^no process can be started for \S+: the limit on processes is reached: raise/,
      ),
    });
  });

  it('that is started in a sandbox without namespaces lacks the layers that need them, and reports why', async () => {
    const confinement: OwnConfinement = { reportFd: REPORT_FD };
    const probe = run({ confinement, thread: 'worker', attempts: ['open a secret', 'connect by TCP'] });
    const [outcome] = await runAs(user, [{ ...probe, restrictNamespaces: true }]);
    expect(Object.values(resultsOf(outcome!)).map(answer)).toEqual(['EACCES', 'EPERM']);
    const layers = mergeLayers(outcome!.layers, layersOf(outcome!));
    const missing = layers.filter(({ state }) => state === 'unavailable');
    const namespaces = ['mount-namespace', 'pid-namespace', 'ipc-namespace', 'uts-namespace', 'network'];
    expect(missing.map(({ name }) => name)).toEqual(
      user.uid === 0 ? namespaces : ['user-namespace', ...namespaces, 'empty-root'],
    );
    for (const { name, reason } of missing)
      if (name !== 'empty-root') expect(reason).toContain('RestrictNamespaces= ');
  });

  describe('without the seccomp filter', () => {
    type Case = readonly [
      own: OwnConfinement['off'],
      spawn: ProbeRun['confinement'],
      answers: readonly string[],
    ];

    /** What `attempts` are answered with these layers left out. */
    async function check(attempts: readonly Attempt[], cases: readonly Case[]): Promise<void> {
      const outcomes = await runAs(
        user,
        cases.map(([own = [], spawn]) =>
          run({ confinement: { off: ['seccomp', ...own] }, thread: 'worker', attempts }, spawn),
        ),
      );
      const answers = outcomes.map(outcome => Object.values(resultsOf(outcome)).map(answer));
      expect(answers).toEqual(cases.map(([, , expected]) => expected));
    }

    it('is kept from files by Landlock and by its empty root, each on its own', async () => {
      await check(
        ['open a secret', 'make a file', 'open a secret by io_uring'],
        [
          [['empty-root'], {}, ['EACCES', 'EACCES', 'EACCES']],
          [['landlock'], {}, ['ENOENT', 'ENOENT', 'ENOENT']],
          [['landlock', 'empty-root'], {}, ['done', 'done', 'done']],
        ],
      );
    });

    it('is kept from Unix sockets by its empty root', async () => {
      await check(
        ['connect to a Unix socket', 'connect by io_uring to a Unix socket'],
        [
          [['landlock'], {}, ['ENOENT', 'ENOENT']],
          [['empty-root'], {}, ['done', 'done']],
        ],
      );
    });

    it('is kept from the network by Landlock and by its namespace, each on its own', async () => {
      const off = { off: ['network'] } as const;
      await check(
        [
          'connect by TCP',
          'connect by io_uring and TCP',
          'connect to an abstract socket',
          'connect by io_uring to an abstract socket',
        ],
        [
          [[], off, ['EACCES', 'EACCES', 'EPERM', 'EPERM']],
          [['landlock'], {}, ['ENETUNREACH', 'ENETUNREACH', 'ECONNREFUSED', 'ECONNREFUSED']],
          [['landlock'], off, ['done', 'done', 'done', 'done']],
        ],
      );
    });

    it('is kept from other processes by its PID namespace and by Landlock, each on its own', async () => {
      const off = { off: ['pid-namespace'] } as const;
      await check(
        ['signal another process'],
        [
          [['landlock'], {}, ['ESRCH']],
          [[], off, ['EPERM']],
          [['landlock'], off, ['done']],
        ],
      );
    });

    it('has no capability to mount or to create a namespace', async () => {
      await check(
        ['mount', 'unshare'],
        [
          [['landlock', 'empty-root'], {}, ['EPERM', 'EPERM']],
          [['landlock', 'empty-root', 'capabilities'], {}, ['done', 'done']],
        ],
      );
    });
  });
});

const lines = ({ said }: ProbeOutcome): readonly ProbeLine[] =>
  said
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line));

function resultsOf(outcome: ProbeOutcome): Record<string, number> {
  return Object.fromEntries(
    lines(outcome).flatMap(line => ('attempt' in line ? [[line.attempt, line.result]] : [])),
  );
}

function layersOf(outcome: ProbeOutcome): readonly Layer[] {
  return lines(outcome).flatMap(line => ('layers' in line ? line.layers : []));
}

function answer(result: number): string {
  return result >= 0 ? 'done' : errnoName(-result);
}
