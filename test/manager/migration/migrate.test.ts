import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { builtFile } from '../../../src/project-root.ts';
import { GuestVm, resultOf } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { MigrationHost } from '../../support/migration-hosts.ts';
import { emptyDisk } from '../../support/snapshot-rounds.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

/** A guest's speed of writing to memory is no subject here. */
const ANY_DOWNTIME = { maxDowntimeMs: 10_000 };

async function twoHosts() {
  const folder = temporaryFolder();
  const [a, b] = await Promise.all(['alpha', 'beta'].map(name => MigrationHost.start(folder, name)));
  return { folder, a: a!, b: b! };
}

function definitionOf(disk: string, more = ''): string {
  return `# A comment
name: web
memory: 32M
${more}machine:
  kernel: ${builtFile('guest.elf')}
  append: quiet
disks:
  - file: ${disk}
    format: raw
`;
}

describe.skipIf(noKvm !== null)(onKvm('a VM that migrates'), () => {
  test('continues on the other host, with its definition, console, log and counters', {
    timeout: 60_000,
  }, async () => {
    const { folder, a, b } = await twoHosts();
    const definition = definitionOf(emptyDisk(folder, 'disk.img'));
    await a.engine.define('web', definition, { replace: false });
    await a.engine.restart('web');
    const before = GuestVm.of(a.engine, 'web');
    await before.command('info');
    const { output } = before;
    const exits = Number(
      /vring_vcpu_exits_total\{[^}]*reason="IO"[^}]*\} (\d+)/.exec(await a.engine.metrics('prometheus'))![1],
    );

    const migrated = await a.engine.migrate('web', b.options);
    expect(migrated).toMatchObject({ name: 'web', destination: 'beta' });
    expect(migrated.downtimeMs).toBeLessThan(migrated.totalMs);
    expect(a.vm('web')).toBeUndefined();
    expect([a.definition('web'), b.definition('web')]).toEqual([null, definition]);
    expect(b.vm('web')).toMatchObject({ state: 'running', defined: true });
    const there = GuestVm.of(b.engine, 'web');
    await there.printed(/> $/);
    expect(there.output).toBe(output);
    expect(resultOf(await there.command('blk verify 100'), 'blk-verify')).toMatchObject({
      bad: 0,
      errors: 0,
    });
    const after = Number(
      /vring_vcpu_exits_total\{[^}]*reason="IO"[^}]*\} (\d+)/.exec(await b.engine.metrics('prometheus'))![1],
    );
    expect(after).toBeGreaterThan(exits);
    expect(a.log('web').at(-1)).toMatch(/^migrated to beta in [\d.]+ s; its guest stood still for \d+ ms$/);
    await until(() => b.log('web').includes('started'));
    expect(b.log('web').some(text => text.startsWith('arrived from '))).toBe(true);
    await b.engine.reset('web');
    await there.printed(/info[\s\S]*> $/);
    await b.engine.kill('web');
    await b.engine.restart('web');
    expect(b.vm('web')).toMatchObject({ state: 'running' });
  });

  test.each([
    { format: 'raw', cpus: 1 },
    { format: 'qcow2', cpus: 2 },
  ])(
    'at work on $format does not notice it, there and back, with $cpus vCPUs',
    {
      timeout: 120_000,
    },
    async ({ format, cpus }) => {
      const { folder, a, b } = await twoHosts();
      const disk = emptyDisk(folder, 'disk.img');
      if (format === 'qcow2') execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', disk, '64M']);
      let guest = await GuestVm.start(a.engine, {
        cpus,
        memory: { bytes: 64 * 2 ** 20 },
        devices: [{ type: 'virtio-blk', path: disk, format: format as 'raw' }, { type: 'virtio-rng' }],
      });
      let [here, there] = [a, b];
      for (const command of ['memory 8m', 'blk soak', 'memory 24m', 'blk soak']) {
        const running = guest.command(command);
        running.catch(() => {});
        await guest.printed(new RegExp(`> ${command}\\r?\\n[\\s\\S]*$`));
        await here.engine.migrate('guest', { ...there.options, ...ANY_DOWNTIME });
        [here, there] = [there, here];
        guest = GuestVm.of(here.engine, 'guest');
        await guest.printed(new RegExp(`> ${command}\\r?\\n`));
        // Without a round, it has no result.
        if (command === 'blk soak') await guest.printed(/> blk soak\r?\n(?![\s\S]*> )[\s\S]*\d+ rounds/);
        const seen = guest.output.match(/^result /gm)?.length ?? 0;
        await guest.interrupt();
        await guest.printed(/> $/);
        await until(() => (guest.output.match(/^result /gm)?.length ?? 0) > seen).catch(error => {
          throw new Error(`${command}: ${guest.output.slice(-1500)}`, { cause: error });
        });
        const result = guest.output.match(/^result .*$/gm)!.at(-1)!;
        expect(result).toMatch(/ bad=0\b/);
        if (command.startsWith('blk')) expect(result).toMatch(/ errors=0\b/);
      }
      if (cpus > 1) expect(resultOf(await guest.command('smp 500ms'), 'smp')).toMatchObject({ cpus });
    },
  );

  test('stays paused, gets another name, and keeps its definition if asked to', {
    timeout: 60_000,
  }, async () => {
    const { folder, a, b } = await twoHosts();
    const definition = definitionOf(emptyDisk(folder, 'disk.img'));
    await a.engine.define('web', definition, { replace: false });
    await a.engine.restart('web');
    await a.engine.pause('web');
    await a.engine.migrate('web', { ...b.options, as: 'www', keep: true });
    expect(a.vm('web')).toMatchObject({ state: 'off', reason: 'migrated to beta', defined: true });
    expect(b.vm('www')).toMatchObject({ state: 'paused', defined: true });
    expect(b.definition('www')).toBe(definition.replace('name: web', 'name: www'));
    await b.engine.resume('www');
    await GuestVm.of(b.engine, 'www').command('info');
    await expect(a.engine.restart('web')).rejects.toThrow(/disk\.img is in use by /);
  });

  test('is refused with every reason before any of it is sent', { timeout: 60_000 }, async () => {
    const { folder, a, b } = await twoHosts();
    const disk = emptyDisk(folder, 'disk.img');
    await a.engine.define('web', definitionOf(disk), { replace: false });
    await b.engine.define('web', definitionOf(disk), { replace: false });
    const migrate = (more = {}) => a.engine.migrate('web', { ...b.options, ...more });
    await expect(migrate()).rejects.toThrow(
      'web cannot migrate: it is off, and only one that runs or is paused migrates',
    );
    await a.engine.restart('web');
    await expect(migrate()).rejects.toThrow(
      'web cannot run there: there is already a VM named web: choose another name with --as',
    );
    await expect(migrate({ destination: '-oProxyCommand=x', command: undefined })).rejects.toThrow(
      '"-oProxyCommand=x" is no host',
    );
    await expect(migrate({ command: 'echo Welcome' })).rejects.toThrow(
      'sent something other than a migration',
    );
    await expect(migrate({ command: "printf 'no route\\r\\n' >&2; exit 3" })).rejects.toThrow(
      'the other host cannot be reached: the command ended with status 3: no route',
    );
    await expect(migrate({ destination: 'host.invalid', command: undefined })).rejects.toThrow(
      /^the other host cannot be reached: ssh ended .* make this work for the user of the manager: ssh -T .* -- host.invalid vring --version$/,
    );
    expect(a.vm('web')).toMatchObject({ state: 'running' });
    expect(b.vm('web')).toMatchObject({ state: 'off' });
    await migrate({ as: 'other' });
    expect(b.vm('other')).toMatchObject({ state: 'running' });
  });
});
