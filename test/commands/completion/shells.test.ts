import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const checkout = join(import.meta.dirname, '../../..');
const TIMEOUT = 25_000;

/** A home with a few files, and a `vring` on the PATH that says with what it was called; it completes for real. */
function home(): { folder: string; env: NodeJS.ProcessEnv } {
  const folder = temporaryFolder();
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const run = `exec ${process.execPath} ${checkout}/src/cli.ts "$@"`;
  const script = `case $1 in completion|__complete) ${run};; *) echo "<<$*>>";; esac`;
  writeFileSync(join(bin, 'vring'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, 'vring'), 0o755);
  writeFileSync(join(folder, 'vmlinuz-unusual'), '');
  return {
    folder,
    env: { PATH: `${bin}:${process.env.PATH}`, HOME: folder, TERM: 'dumb', LC_ALL: 'C.UTF-8' },
  };
}

const has = (shell: string) => spawnSync(shell, ['-c', 'exit 0']).status === 0;
const unless = (shell: string, what: string) => (has(shell) ? what : `${what}: ${shell} is not installed`);

/**
 * An interactive shell on a terminal of its own, with the completion loaded; `keys` are typed when it says that it is ready.
 * @returns what the terminal showed until the last key's line was run
 */
async function typeInto(command: string, setUp: string, keys: string): Promise<string> {
  const { folder, env } = home();
  const run = spawn('script', ['-qec', command, '/dev/null'], { cwd: folder, env, timeout: TIMEOUT });
  run.stdin.write(`${setUp}; echo rea''dy\n`);
  let output = '';
  let typed = false;
  for await (const bytes of run.stdout) {
    output += bytes;
    if (!typed && /ready\r?\n/.test(output)) {
      typed = true;
      // The end of what was typed is a line that runs, and shows what stood in it.
      run.stdin.write(keys);
    }
    if (/<<.*>>\r?\n/.test(output.replace(/.*echo.*/g, ''))) run.kill();
  }
  return output;
}

describe.skipIf(!has('bash'))(unless('bash', 'bash'), () => {
  const bash = (keys: string) =>
    typeInto('bash --norc --noprofile -i', 'eval "$(vring completion bash)"', keys);

  test('completes a command, an option and its value', async () => {
    expect(await bash('vring vfi\tunb\t--pers\t\n')).toContain('<<vfio unbind --persist>>');
    expect(await bash('vring sriov set --autop\tof\t\n')).toContain('<<sriov set --autoprobe off>>');
  });

  test('inserts addresses with colons once', async () => {
    expect(await bash('vring pci show 0000:00:00.\t\n')).toContain('<<pci show 0000:00:00.0>>');
  });

  test('leaves files to the shell', async () => {
    expect(await bash('vring run vmlinuz-u\t\n')).toContain('<<run vmlinuz-unusual>>');
  });

  test('does not evaluate input', async () => {
    expect(await bash('vring pci show $(touch ran) \t\x15ls; echo "<<done>>"\n')).not.toMatch(/^ran/m);
  });
});

describe.skipIf(!has('zsh'))(unless('zsh', 'zsh'), () => {
  const zsh = (keys: string) =>
    typeInto('zsh -f -i', 'autoload -Uz compinit; compinit -u; eval "$(vring completion zsh)"', keys);

  test('completes a command, an option and its value', async () => {
    expect(await zsh('vring vfi\tunb\t--pers\t\n')).toContain('<<vfio unbind --persist>>');
    expect(await zsh('vring sriov set --autop\tof\t\n')).toContain('<<sriov set --autoprobe off>>');
  });

  test('inserts addresses with colons once', async () => {
    expect(await zsh('vring pci show 0000:00:00.\t\n')).toContain('<<pci show 0000:00:00.0>>');
  });

  test('leaves files to the shell', async () => {
    expect(await zsh('vring run vmlinuz-u\t\n')).toContain('<<run vmlinuz-unusual>>');
  });
});

describe.skipIf(!has('fish'))(unless('fish', 'fish'), () => {
  /** fish prints what it would offer. */
  function fish(line: string): string[] {
    const { folder, env } = home();
    const script = `vring completion fish | source; complete -C '${line}'`;
    const { stdout } = spawnSync('fish', ['--no-config', '-c', script], {
      cwd: folder,
      env,
      encoding: 'utf8',
    });
    return stdout.trim().split('\n');
  }

  test('offers commands, options and values with descriptions', () => {
    expect(fish('vring vfi')).toEqual(['vfio\tBind devices to VFIO drivers for passthrough']);
    expect(fish('vring vfio unbind --pers')).toEqual([expect.stringMatching(/^--persist\t/)]);
    expect(fish('vring sriov set --autoprobe=of')).toEqual(['--autoprobe=off']);
    expect(fish('vring pci show 0000:00:00.')).toContain('0000:00:00.0');
  });

  test('leaves files to the shell', () => {
    expect(fish('vring run vmlinuz-u')).toEqual(['vmlinuz-unusual']);
  });
});
