import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import { projectRoot, version } from '../../src/project-root.ts';
import { noKvm } from '../support/kvm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { BareRoot, noBareRoot } from './bare-root.ts';

const folder = temporaryFolder();
const TAR = `vring-${version()}-linux-x64.tar.xz`;
const DEB = `vring_${version()}_amd64.deb`;
const RPM = `vring-${version()}-1.x86_64.rpm`;
/** Where no Node has to run in it, a small program stands for the Node in the package: it compresses in no time. */
const SMALL = join(folder, 'small/bin/node');
const SMALL_PACKAGES = ['--node', SMALL, '--level', '1'];
const smallPackages = join(folder, 'small-packages');
const EPOCH = '1700000000';
const SCRIPT = join(projectRoot(), 'scripts/package.ts');

async function lines(command: string, ...args: string[]): Promise<string[]> {
  const { stdout } = await execa(command, args);
  return stdout.split('\n');
}

beforeAll(async () => {
  mkdirSync(join(folder, 'small/bin'), { recursive: true });
  copyFileSync('/bin/true', SMALL);
  writeFileSync(join(folder, 'small/LICENSE'), 'The license of Node');
  await execa(process.execPath, [SCRIPT, '--out', smallPackages, ...SMALL_PACKAGES], {
    env: { SOURCE_DATE_EPOCH: EPOCH },
  });
}, 60_000);

describe('the content of the packages', () => {
  const installed = (paths: string[]) =>
    paths
      .filter(path => !/\/$|share\/(doc|lintian|zsh)\//.test(path))
      .map(path => path.replace(/^\.?\/usr\/|^vring-[\d.]+-linux-x64\//, '').replace(/ (->|link to) .*/, ''))
      .sort();

  test('the three have the same files, and only those needed to run', async () => {
    const tar = installed(await lines('tar', '--list', '--file', join(smallPackages, TAR)));
    const contents = await lines('dpkg-deb', '--contents', join(smallPackages, DEB));
    const deb = installed(contents.map(line => line.replace(/^(\S+\s+){5}/, '')));
    const rpm = installed(
      await lines(
        'sh',
        '-c',
        `rpm -qp --queryformat '[%{FILEMODES:perms} %{FILENAMES}\\n]' ${join(smallPackages, RPM)} | sed -n 's/^[^d]\\S* //p'`,
      ),
    );
    expect(deb).toEqual(tar);
    expect(rpm).toEqual(tar);
    for (const name of ['cli.js', 'run.cjs', 'serve.cjs', 'ui.cjs', 'ui-program.cjs'])
      expect(tar).toContain(`lib/vring/dist/${name}`);
    expect(tar.filter(path => !/^lib\/vring\/dist\/.*\.c?js$/.test(path))).toEqual([
      'bin/vring',
      'lib/modules-load.d/vring.conf',
      'lib/systemd/system/vring.service',
      'lib/systemd/user/vring.service',
      'lib/vring/bin/node',
      'lib/vring/bin/vring',
      'lib/vring/dist/guest-multiboot.elf',
      'lib/vring/dist/guest.elf',
      'lib/vring/dist/koffi.node',
      'lib/vring/dist/libvring_native.so',
      'lib/vring/dist/linuxboot.bin',
      'lib/vring/dist/load-ahead.json',
      'lib/vring/dist/vring-net-user',
      'share/bash-completion/completions/vring',
      'share/fish/vendor_completions.d/vring.fish',
      'share/man/man1/vring.1.gz',
      'share/vring/grafana/vring.json',
      'share/vring/prometheus/vring.rules.yml',
    ]);
  });

  test('everything belongs to root, and the units start what is installed', async () => {
    const owners = new Set(
      (await lines('tar', '--list', '--verbose', '--file', join(smallPackages, TAR))).map(
        line => line.split(/\s+/)[1],
      ),
    );
    expect([...owners]).toEqual(['0/0']);
    const fromTar = await lines(
      'tar',
      '--extract',
      '--to-stdout',
      '--file',
      join(smallPackages, TAR),
      '--wildcards',
      '*/system/vring.service',
    );
    expect(fromTar).toContain('ExecStart=/usr/local/bin/vring serve --shutdown-timeout 90');
    const fromDeb = await lines(
      'sh',
      '-c',
      `dpkg-deb --fsys-tarfile ${join(smallPackages, DEB)} | tar --extract --to-stdout ./usr/lib/systemd/system/vring.service`,
    );
    expect(fromDeb).toContain('ExecStart=/usr/bin/vring serve --shutdown-timeout 90');
  });

  test('they require no newer glibc than the oldest supported one', async () => {
    const requires = await lines('rpm', '-qp', '--requires', join(smallPackages, RPM));
    const minors = requires.flatMap(
      line =>
        line
          .match(/^libc\.so\.6\(GLIBC_2\.(\d+)/)
          ?.slice(1)
          .map(Number) ?? [],
    );
    expect(Math.max(...minors)).toBe(34);
    expect(await lines('dpkg-deb', '--field', join(smallPackages, DEB), 'Depends')).toEqual([
      expect.stringMatching(/^libc6 \(>= 2\.34\), /),
    ]);
  });

  test('licenses of bundled software are included', async () => {
    const text = (
      await lines(
        'sh',
        '-c',
        `tar --extract --to-stdout --file ${join(smallPackages, TAR)} --wildcards '*/third-party-licenses.txt.gz' | zcat`,
      )
    ).join('\n');
    for (const part of ['ink 8', 'koffi 3', 'kvm-bindings 0', 'Node.js\n\nThe license of Node'])
      expect(text).toContain(`\n${part}`);
    for (const only of ['vitest', 'esbuild', 'typescript'])
      expect(text).not.toMatch(new RegExp(`^${only} \\d`, 'm'));
  });
});

test.skipIf(noBareRoot !== null)(
  'rpm installs the .rpm, and removes all of it',
  async () => {
    const root = join(folder, 'rpm-root');
    const rpm = (...args: string[]) => execa('rpm', ['--root', root, '--dbpath', '/rpm', ...args]);
    mkdirSync(root);
    // There is no shell in that root, nor anything that is required: Debian's rpm knows nothing of either.
    await rpm('--install', '--nodeps', '--noscripts', join(smallPackages, RPM));
    await rpm('--verify', '--nodeps', '--noscripts', 'vring');
    expect(readlinkSync(join(root, 'usr/bin/vring'))).toBe('../lib/vring/bin/vring');
    expect(existsSync(join(root, 'usr/bin', '../lib/vring/bin/vring'))).toBe(true);
    await rpm('--erase', '--noscripts', 'vring');
    expect(await lines('find', join(root, 'usr'), '-name', '*vring*')).toEqual(['']);
  },
  60_000,
);

test('the same files and the same SOURCE_DATE_EPOCH give the same packages, elsewhere and under another umask', async () => {
  const out = join(folder, 'again');
  const args = [process.execPath, SCRIPT, '--out', out, ...SMALL_PACKAGES];
  await execa('sh', ['-c', 'umask 077 && exec "$@"', 'sh', ...args], {
    env: { SOURCE_DATE_EPOCH: EPOCH, TZ: 'Asia/Tokyo', TMPDIR: temporaryFolder() },
  });
  for (const name of [TAR, DEB, RPM]) {
    const [first, second] = [smallPackages, out].map(packages => readFileSync(join(packages, name)));
    expect(first!.equals(second!), name).toBe(true);
  }
  const [line] = await lines('tar', '--list', '--verbose', '--utc', '--file', join(out, TAR));
  expect(line).toContain('2023-11-14 22:13');
}, 60_000);

test.each([
  [['zip'], 'package: no format "zip"; the formats are: tar, deb, rpm'],
  [['--level', '10'], 'package: --level 10: must be 0 to 9'],
  [['--frobnicate'], expect.stringMatching(/^package: Unknown option '--frobnicate'/)],
])('%j is a usage error', async (args, message) => {
  const { exitCode, stderr } = await execa(process.execPath, [SCRIPT, ...args], { reject: false });
  expect(stderr).toEqual(message);
  expect(exitCode).toBe(2);
});

describe.skipIf(noBareRoot !== null)(
  `in a bare Debian root${noBareRoot === null ? '' : ` (skipped: ${noBareRoot})`}`,
  () => {
    const root = new BareRoot(join(folder, 'root'));
    const node = realpathSync(process.execPath);

    beforeAll(async () => {
      const args = [SCRIPT, '--out', join(folder, 'packages'), '--level', '0', '--node', node, 'deb'];
      await Promise.all([root.build(), execa(process.execPath, args)]);
      copyFileSync(join(folder, 'packages', DEB), join(root.folder, 'root', DEB));
      copyFileSync(join(smallPackages, TAR), join(root.folder, 'root', TAR));
    }, 120_000);

    test('there is neither Node nor a compiler', async () => {
      const { stdout } = await root.run(
        'command -v sh; for tool in node npm cargo gcc cc make; do command -v $tool; done',
      );
      expect(stdout).toBe('/usr/bin/sh');
    });

    test('the .deb is installed, and vring and its demo run', async () => {
      const { all, exitCode } = await root.run(`dpkg --install /root/${DEB} && dpkg --verify vring`);
      expect(exitCode, all).toBe(0);
      const { stdout } = await root.run('vring version --json');
      expect(JSON.parse(stdout)).toMatchObject({ vring: version(), node: process.version });
      const { stdout: page } = await execa('mandoc', [
        '-T',
        'ascii',
        join(root.folder, 'usr/share/man/man1/vring.1.gz'),
      ]);
      expect(page).toContain('VRING(1)');
    });

    test.skipIf(noKvm !== null)('the demo reports what it measured', async () => {
      const { stdout, stderr, exitCode } = await root.run('vring demo | cat');
      expect(stderr).toBe('');
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/demo/);
    });

    test('the .deb leaves nothing behind', async () => {
      const { all, exitCode } = await root.run(
        'dpkg --remove vring && find /usr /etc /var/lib -name "*vring*" | grep -v /var/lib/dpkg',
      );
      expect(exitCode).toBe(1);
      expect(all).not.toMatch(/warning|error|\/usr/);
    });

    test('the tar.xz runs where it is unpacked, and from /usr/local', async () => {
      const { all, exitCode } = await root.run(
        `mkdir -p /opt /usr/local && tar -C /opt -xf /root/${TAR} && tar -C /usr/local --strip-components=1 -xf /root/${TAR}`,
      );
      expect(exitCode, all).toBe(0);
      for (const prefix of [`opt/vring-${version()}-linux-x64`, 'usr/local']) {
        copyFileSync(node, join(root.folder, prefix, 'lib/vring/bin/node'));
        const { stdout } = await root.run(`/${prefix}/bin/vring --version`);
        expect(stdout).toBe(version());
      }
      const { stdout } = await root.run('vring --version');
      expect(stdout).toBe(version());
    });

    test('a system without glibc gets an explanation in one sentence', async () => {
      const small = new BareRoot(join(folder, 'musl'));
      small.buildWithoutGlibc();
      await execa('tar', [
        '--extract',
        '--file',
        join(smallPackages, TAR),
        '--directory',
        small.folder,
        '--strip-components=1',
      ]);
      const { all, exitCode } = await small.run('/bin/vring version');
      expect(all).toBe(
        'vring: needs glibc 2.34 or newer, and this system has none: use Debian 12, RHEL 9, or another one with glibc',
      );
      expect(exitCode).toBe(1);
    });
  },
);
