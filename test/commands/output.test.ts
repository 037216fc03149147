import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builtFile } from '../../src/project-root.ts';
import { EVIL, hostileTree, OBEYED } from '../host/trees/hostile.ts';
import { serverTree } from '../host/trees/server.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { Sandbox, VRING } from '../support/sandbox.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder();
const sandbox = new Sandbox(folder);

/** Commands that print, each as a user types it; `ROOT` is a recorded host. */
const COMMANDS = [
  '--help',
  '--version',
  'run --help',
  'version',
  'version --json',
  'devices',
  'devices --json',
  'metrics',
  'metrics --format prometheus',
  'completion bash',
  '__complete vfio bind ""',
  'vm list',
  'vm list --json',
  'vm show web',
  'vm show web --json',
  'vm schema',
  'vm create new --kernel /etc/passwd --dry-run',
  'vm create new --kernel /etc/passwd --dry-run --json',
  'pci --host-root ROOT',
  'pci list --json --host-root ROOT',
  'pci show 3b:00.0 --host-root ROOT',
  'pci show 3b:00.0 --json --host-root ROOT',
  'pci tree --host-root ROOT',
  'pci tree --json --host-root ROOT',
  'iommu --host-root ROOT',
  'iommu list --json --host-root ROOT',
  'iommu enable --dry-run --host-root ROOT',
  'sriov --host-root ROOT',
  'sriov list --json --host-root ROOT',
  'sriov set 3b:00.3 2 --dry-run --host-root ROOT',
  'sriov set 3b:00.3 2 --dry-run --json --host-root ROOT',
  'vfio --host-root ROOT',
  'vfio list --json --host-root ROOT',
  'vfio bind b0:00.0 --dry-run --host-root ROOT',
  'vfio bind b0:00.0 --dry-run --json --host-root ROOT',
  'vfio bind 3b:00.0 --dry-run --host-root ROOT',
  'doctor --host-root ROOT',
  'doctor --json --host-root ROOT',
] as const;

function run(command: string, root: string, stdio: ['ignore', 'pipe' | number, 'pipe' | number]) {
  const words = command.split(' ').map(word => (word === 'ROOT' ? root : word.replaceAll('"', '')));
  const { status, stdout, stderr } = spawnSync(VRING, words, {
    stdio,
    env: { ...process.env, ...sandbox.env },
    encoding: 'utf8',
  });
  return { status, stdout: stdout ?? '', stderr: stderr ?? '' };
}

const tree = serverTree();
const hostile = hostileTree();

beforeAll(() => {
  sandbox.define('web', 'quiet');
  sandbox.define('bad');
  // An alias, a key and a text that are all control characters.
  fs.writeFileSync(
    path.join(sandbox.env.VRING_DEFINITIONS_DIR!, 'bad.yaml'),
    `name: bad\n"key${JSON.stringify(EVIL).slice(1, -1)}": 1\nmemory: *al\u009bias\n`,
  );
});
afterAll(() => {
  for (const each of [tree, hostile]) fs.rmSync(each.directory, { recursive: true, force: true });
});

describe('a full disk', () => {
  test.each(COMMANDS)('%s', command => {
    const full = fs.openSync('/dev/full', 'w');
    try {
      const { status, stderr } = run(command, tree.directory, ['ignore', full, 'pipe']);
      expect(stderr).toContain('vring: the output could not be written: no space left on device (ENOSPC)\n');
      expect(status).toBe(1);
    } finally {
      fs.closeSync(full);
    }
  });

  test('a device given as a file is written to, and kept', () => {
    const { status, stderr } = run('metrics --output /dev/full', '', ['ignore', 'pipe', 'pipe']);
    expect(stderr).toContain('vring: --output /dev/full cannot be written: ENOSPC: no space left on device');
    expect(status).toBe(1);
    expect(fs.statSync('/dev/full').isCharacterDevice()).toBe(true);
    expect(run('metrics --output /dev/null', '', ['ignore', 'pipe', 'pipe']).status).toBe(0);
    expect(fs.statSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  describe.skipIf(noKvm !== null)(onKvm('with a running VM'), () => {
    beforeAll(async () => void (await sandbox.vring('vm', 'start', 'web')));
    afterAll(async () => process.kill(await sandbox.managerPid(), 'SIGKILL'));

    test.each([
      'vm events --follow',
      'vm stats web',
      'vm stats web --watch',
      'vm stats web --watch --json',
      'vm console web',
      'top --once',
      'top --csv',
      'top --json',
      `run ${builtFile('guest.elf')} --append halt`,
    ])('%s', command => {
      const full = fs.openSync('/dev/full', 'w');
      const { status, stderr } = run(command, '', ['ignore', full, 'pipe']);
      fs.closeSync(full);
      expect(stderr).toContain('vring: the output could not be written: no space left on device (ENOSPC)\n');
      expect(status).toBe(1);
    });
  });

  test('for stderr is also an error', () => {
    const full = fs.openSync('/dev/full', 'w');
    expect(run('vm create new --iso /nowhere', '', ['ignore', 'pipe', full]).status).not.toBe(0);
    const domain = path.join(folder, 'domain.xml');
    fs.writeFileSync(
      domain,
      '<domain><name>x</name><memory>65536</memory><genid>1</genid><os><kernel>/k</kernel></os></domain>',
    );
    const words = `vm import ${domain} --dry-run`;
    expect(run(words, '', ['ignore', 'pipe', 'pipe'])).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('genid'),
    });
    expect(run(words, '', ['ignore', 'pipe', full]).status).toBe(1);
    fs.closeSync(full);
  });

  test('that fills up after part of the output is reported', () => {
    const file = path.join(folder, 'cut');
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', `ulimit -f 1; trap '' XFSZ; exec ${VRING} vm schema >${file}`],
      { env: { ...process.env, ...sandbox.env }, encoding: 'utf8' },
    );
    expect(fs.statSync(file).size).toBeGreaterThan(0);
    expect(stderr).toContain('the output could not be written: file too large (EFBIG)');
    expect(status).toBe(1);
  });
});

test('a closed reader is not an error, and gets everything it reads', () => {
  const sh = (script: string) =>
    spawnSync('bash', ['-c', `set -o pipefail; ${script}`], {
      env: { ...process.env, ...sandbox.env },
      encoding: 'utf8',
    });
  expect(sh(`${VRING} vm schema | true`)).toMatchObject({ status: 0, stderr: '' });
  // More than a pipe holds, to a reader that starts late.
  const slow = sh(
    `${VRING} pci list --json --host-root ${tree.directory} | { read -r first; cat; } | tail -c 3`,
  );
  expect(slow).toMatchObject({ status: 0, stdout: ' ]\n}\n'.slice(-3), stderr: '' });
});

describe('a hostile host', () => {
  test('has control characters in its files', () => {
    const text = fs.readFileSync(path.join(hostile.directory, 'usr/share/misc/pci.ids'), 'utf8');
    expect(text).toMatch(OBEYED);
    expect(fs.readdirSync(path.join(hostile.directory, 'sys/bus/pci/drivers')).join()).toMatch(OBEYED);
  });

  test.each(COMMANDS)('%s', command => {
    const { stdout, stderr } = run(command, hostile.directory, ['ignore', 'pipe', 'pipe']);
    expect(stdout).not.toBe('');
    expect(stdout).not.toMatch(OBEYED);
    expect(stderr).not.toMatch(OBEYED);
    if (command.includes('--json')) JSON.parse(stdout);
  });

  test('is shown with control characters escaped', () => {
    const { stdout } = run('pci --host-root ROOT', hostile.directory, ['ignore', 'pipe', 'pipe']);
    expect(stdout).toContain('i40e?[1337h?[8m?]52;c;aGk=');
    const json = run('pci list --json --host-root ROOT', hostile.directory, ['ignore', 'pipe', 'pipe']);
    expect(JSON.parse(json.stdout).functions.map((fn: { driver: string }) => fn.driver)).toContain(
      `i40e${EVIL}`,
    );
  });
});

test('a definition cannot send escape sequences to the terminal', () => {
  const { stdout, stderr } = run('vm show bad', '', ['ignore', 'pipe', 'pipe']);
  expect(stdout).toContain('al?ias');
  expect(stdout + stderr).not.toMatch(/[\0-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
});
