import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, describe } from 'vitest';
import { projectRoot } from '../../../src/project-root.ts';
import { layerTitle } from '../../../src/vmm/confinement/layer.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import type { ProbeFailure, ProbeOutcome, ProbeRun } from './run-probe.ts';

/** A user who starts confined processes. Root can also act as an unprivileged user. */
export type User = {
  readonly title: string;
  readonly uid: number;
  readonly drop: readonly string[];
  /** Why this user in particular cannot open /dev/kvm; null if there is no such reason. */
  readonly noKvm: string | null;
};

const NOBODY = 12_345;
const isRoot = process.getuid!() === 0;

/** Runs a command in a mount namespace in which every user can open /dev/kvm; null if that is not possible here. */
const withKvm = isRoot ? kvmForAll() : null;

const USERS: readonly User[] = isRoot
  ? [
      { title: 'root', uid: 0, drop: [], noKvm: null },
      {
        title: 'a user without privileges',
        uid: NOBODY,
        drop: [
          ...(withKvm ?? []),
          ...['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups'],
        ],
        noKvm: withKvm === null ? 'no mount namespace can be made that shows /dev/kvm to all users' : null,
      },
    ]
  : [{ title: 'this user', uid: process.getuid!(), drop: [], noKvm: null }];

function kvmForAll(): readonly string[] | null {
  if (!existsSync('/dev/kvm')) return null;
  const node = join(temporaryFolder(), 'kvm');
  const { rdev } = statSync('/dev/kvm');
  const command = ['unshare', '--mount', 'sh', '-c', `mount --bind ${node} /dev/kvm && exec "$@"`, 'sh'];
  try {
    execFileSync('mknod', [node, 'c', String(rdev >> 8), String(rdev & 0xff)], { stdio: 'ignore' });
    chmodSync(node, 0o666);
    execFileSync(command[0]!, [...command.slice(1), 'test', '-w', '/dev/kvm'], { stdio: 'ignore' });
    return command;
  } catch {
    return null;
  }
}

/** Why this host, or the sandbox that the tests run in, cannot fully confine a process of the user; null if it can. */
async function lackOf(user: User): Promise<string | null> {
  const [outcome] = await runAs(user, [
    { program: program(user, 'life.ts'), args: ['nothing'], confinement: {} },
  ]);
  const missing = outcome!.layers.find(({ state }) => state === 'unavailable');
  if (missing !== undefined) return `${layerTitle(missing.name)}: ${missing.reason}`;
  return outcome!.said === 'confined\n' ? null : outcome!.said;
}

/** A suite for each user with every layer available here; the others are skipped with the reason. */
export async function describeUsers(what: string, suite: (user: User) => void): Promise<void> {
  for (const user of USERS) {
    const lack = await lackOf(user);
    const skipped = lack === null ? '' : ` (skipped: ${lack})`;
    describe.skipIf(lack !== null)(`${what} of ${user.title}${skipped}`, () => suite(user));
  }
}

/** A program in this folder, at a path that the user can read. */
export function program(user: User, name: string): string {
  return join(checkoutFor(user), 'test/support/confinement', name);
}

/** Runs confined programs as this user. @throws if one could not be started */
export async function runAs(user: User, runs: readonly ProbeRun[]): Promise<readonly ProbeOutcome[]> {
  const outcomes = await tryAs(user, runs);
  return outcomes.map(outcome => {
    if ('error' in outcome) throw new Error(outcome.error);
    return outcome;
  });
}

/** The same, including programs that could not be started. */
export async function tryAs(
  user: User,
  runs: readonly ProbeRun[],
): Promise<readonly (ProbeOutcome | ProbeFailure)[]> {
  const command = [...user.drop, nodeFor(user), program(user, 'run-probe.ts'), JSON.stringify(runs)];
  const { stdout } = await execa(command[0]!, command.slice(1), { env: { HOME: '/' }, cwd: '/' });
  return JSON.parse(stdout);
}

/** An idle process of this user. @returns its id */
export function waiter(user: User): number {
  const command = [...user.drop, 'sleep', 'infinity'];
  const child = spawn(command[0]!, command.slice(1), { stdio: 'ignore' });
  afterAll(() => {
    child.kill('SIGKILL');
  });
  return child.pid!;
}

function nodeFor(user: User): string {
  const root = checkoutFor(user);
  return root === projectRoot() ? process.execPath : join(root, 'node');
}

const checkouts = new Map<number, string>();

/** The checkout, or a copy of the files that the programs need if the user cannot read it. */
function checkoutFor(user: User): string {
  const known = checkouts.get(user.uid);
  if (known !== undefined) return known;
  const checkout = canRead(user) ? projectRoot() : copyOfCheckout();
  checkouts.set(user.uid, checkout);
  return checkout;
}

function canRead({ drop }: User): boolean {
  if (drop.length === 0) return true;
  try {
    const [command, ...args] = [...drop, process.execPath, join(import.meta.dirname, 'raw-syscall.ts')];
    execFileSync(command!, args, { stdio: 'ignore', cwd: '/' });
    return true;
  } catch {
    return false;
  }
}

function copyOfCheckout(): string {
  const copy = mkdtempSync(join(tmpdir(), 'vring-test-'));
  chmodSync(copy, 0o755);
  afterAll(() => rmSync(copy, { recursive: true, force: true }));
  const from = projectRoot();
  for (const part of ['package.json', 'src', 'dist', 'test/support', 'node_modules']) {
    mkdirSync(dirname(join(copy, part)), { recursive: true });
    const filter = (path: string) =>
      !/node_modules\/(?:\.|typescript|@typescript|vitest|@biomejs)/.test(path);
    if (existsSync(join(from, part))) cpSync(join(from, part), join(copy, part), { recursive: true, filter });
  }
  cpSync(process.execPath, join(copy, 'node'));
  execFileSync('chmod', ['-R', 'a+rX', copy]);
  return copy;
}
