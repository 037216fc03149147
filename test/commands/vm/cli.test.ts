import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test, vi } from 'vitest';
import { builtFile } from '../../../src/project-root.ts';
import { readOpenMetrics } from '../../report/open-metrics-reader.ts';
import { CLI, defineGuest, definitionFile, vring, vringWith } from '../../support/cli.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { attached, guest, NODE, startManager, withOwnFolders } from '../../support/manager-process.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

const WAIT = { timeout: 30_000, interval: 20 };

withOwnFolders();

describe('without a manager', () => {
  test('autostart is shown, set, and left unchanged if already set', async () => {
    defineGuest('web');
    const before = readFileSync(definitionFile('web'), 'utf8');
    expect((await vring('vm', 'autostart', 'web')).stdout).toBe('web: autostart is off');
    expect((await vring('vm', 'autostart', 'web', 'on')).stdout).toBe('web: autostart is on');
    expect((await vring('vm', 'autostart', 'web', 'on')).stdout).toBe('web: autostart is on already');
    expect(readFileSync(definitionFile('web'), 'utf8')).toBe(`${before}autostart: true\n`);
    const { stdout } = await vring('vm', 'autostart', 'web', 'off', '--json');
    expect(JSON.parse(stdout)).toEqual({ version: 1, name: 'web', autostart: false, changed: true });
    expect((await vring('vm', 'autostart', 'web', 'maybe')).status).toBe(2);
  });

  test('renames a VM, but not to a name that is taken', async () => {
    defineGuest('web');
    defineGuest('db');
    const taken = await vring('vm', 'rename', 'web', 'db');
    expect(taken).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('db already'),
    });
    const { stdout } = await vring('vm', 'rename', 'web', 'site', '--json');
    expect(JSON.parse(stdout)).toEqual({ version: 1, name: 'site', previousName: 'web' });
    expect(existsSync(definitionFile('web'))).toBe(false);
    expect(readFileSync(definitionFile('site'), 'utf8')).toMatch(/^name: site\n/);
  });

  test('clones a VM with its own disk; a dry run creates nothing', async () => {
    await vring('vm', 'create', 'web', '--kernel', builtFile('guest.elf'), '--disk-size', '1M');
    const disk = join(process.env.VRING_STATE_DIR!, 'disks', 'copy.img');
    const dry = await vring('vm', 'clone', 'web', 'copy', '--dry-run');
    expect(dry.stdout).toMatch(/^name: copy\n/);
    expect(dry.stderr).toContain(`to ${disk}`);
    expect(existsSync(disk) || existsSync(definitionFile('copy'))).toBe(false);
    const { stdout, status } = await vring('vm', 'clone', 'web', 'copy', '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ name: 'copy', saved: true, clonedFrom: 'web', missing: [] });
    expect(statSync(disk).size).toBe(2 ** 20);
    expect(readFileSync(definitionFile('copy'), 'utf8')).toContain(disk);
    expect((await vring('vm', 'clone', 'web', 'copy')).stderr).toContain('VM copy already exists');
    expect((await vring('vm', 'clone', 'web', 'c2', '--disks', 'steal')).status).toBe(2);
  });

  test('shows the devices of a definition', async () => {
    defineGuest('web');
    appendFileSync(
      definitionFile('web'),
      `disks: [{file: ${builtFile('guest.elf')}}]\nnics: [{network: user}]\n`,
    );
    const [web] = JSON.parse((await vring('vm', 'show', 'web', '--json')).stdout).vms;
    expect(web.nics).toMatchObject([{ device: 'net0', network: { type: 'user' } }]);
    expect(web.definedDevices).toMatchObject([
      { name: 'blk0', type: 'virtio-blk', bus: 'pci.0', facts: { path: builtFile('guest.elf') } },
      { name: 'net0', facts: { network: 'user' } },
      { name: 'rng0' },
    ]);
    expect((await vring('vm', 'show', 'web')).stdout).toMatch(/^blk0 +virtio-blk +pci.0 +path .*guest.elf/m);
  });

  test('lists and shows definitions, with the reason for an invalid one', async () => {
    defineGuest('web');
    writeFileSync(definitionFile('bad'), 'name: bad\nmemroy: 1G\n');
    const { status, stdout } = await vring('vm', 'list', '--json');
    expect(status).toBe(0);
    const { version, vms } = JSON.parse(stdout);
    expect(version).toBe(1);
    expect(vms).toMatchObject([
      { name: 'bad', state: 'off', problem: expect.stringMatching(/bad\.yaml:2:.*memroy.*memory/) },
      { name: 'web', state: 'off', memoryBytes: 32 * 2 ** 20, vcpus: 1, problem: null },
    ]);
    expect((await vring('vm', 'list')).stdout).toMatch(/^bad +invalid +- +- /m);
    const shown = await vring('vm', 'show', 'web', 'wbe');
    expect(shown.stdout).toMatch(/^Name +web\nState +off\n/);
    expect(shown.stderr).toBe('vring: there is no VM wbe; did you mean web?');
    expect(shown.status).toBe(1);
  });

  test.each([
    [['vm', 'stop', 'web'], 1, 'no manager is running'],
    [['vm', 'console', 'web'], 1, 'no manager is running'],
    [['vm', 'events'], 1, 'no manager is running'],
    [['top', '--once'], 1, 'no manager is running'],
    [['attach'], 2, 'the UI needs a terminal'],
    [['vm', 'edit', 'nobody'], 1, 'there is no VM nobody; create one with vring vm create'],
    [['vm', 'start'], 2, 'expected a VM name or --all'],
    [['vm', 'frob'], 2, 'there is no command "vm frob"'],
    [['vm', 'stop', 'web', '--timeout', 'soon'], 2, '--timeout soon: expected a whole number'],
    [['top', '--interval', '1h'], 2, '--interval 1h: expected a time'],
    [['top', '--csv', '--json'], 2, 'cannot be combined'],
    [['vm', 'create', 'a b', '-m', '64', '-kernel', '/k'], 2, 'a b'],
    [
      ['vm', 'create', 'web', '-m', '64', '-fsdev', 'local'],
      2,
      '-fsdev local: shared folders are not supported',
    ],
    [['vm', 'create'], 2, 'describe the VM with'],
    [['vm', 'create', '--kernel', '/k'], 2, 'expected a name for the new VM'],
    [['vm', 'create', '-m', '64', '-kernel', '/k'], 2, 'expected a name for the new VM before -m'],
    [['vm', 'create', 'web', '--kernel', '/k', '--iso', '/i'], 2, 'one of --kernel, --iso, --cloud-image'],
    [
      ['vm', 'create', 'web', '--iso', '/i', '--ssh-key', 'k'],
      2,
      '--ssh-key is only valid with --cloud-image',
    ],
    [
      ['vm', 'create', 'web', '--memory', '1G', '-m', '1024'],
      2,
      '--memory cannot be combined with QEMU options',
    ],
    [['vm', 'create', 'web', '--kernel', '/nowhere'], 1, '/nowhere does not exist'],
    [
      ['vm', 'create', 'web', '--kernel', '/k', '--network', 'bridge'],
      2,
      '--network bridge: expected user, tap',
    ],
    [['vm', 'create', 'web', '--kernel', '/k', '--pci', 'eth0'], 2, '--pci eth0: expected a PCI'],
    [['vm', 'import', '/nowhere.xml'], 1, "/nowhere.xml can't be read: no such file or directory"],
    [['vm', 'delete', 'nope'], 1, 'there is no VM nope'],
  ])('%j exits with %i and the reason', async (args, expected, reason) => {
    const { status, stdout, stderr } = await vring(...args);
    expect([status, stdout]).toEqual([expected, '']);
    expect(stderr).toContain(reason);
    expect(stderr.split('\n')).toHaveLength(1);
  });

  test('defines a VM from QEMU options, and its file can be read back', async () => {
    const { status, stdout } = await vring(
      'vm',
      'create',
      'web',
      '--',
      '-m',
      '64',
      '-smp',
      '2',
      '-kernel',
      '/boot/k',
    );
    expect(stdout).toContain('web: defined');
    expect(status).toBe(0);
    expect(readFileSync(definitionFile('web'), 'utf8')).toContain('kernel: /boot/k');
    const again = await vring('vm', 'create', 'web', '-m', '64', '-kernel', '/boot/k');
    expect(again).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('VM web already exists'),
    });
    const replaced = await vring('vm', 'create', 'web', '--replace', '-m', '128', '-kernel', '/boot/k');
    expect(replaced.status).toBe(0);
    expect(readFileSync(`${definitionFile('web')}~`, 'utf8')).toContain('memory: 64M');
  });

  test('--dry-run prints the definition without saving it', async () => {
    const { stdout } = await vring('vm', 'create', 'web', '--dry-run', '-m', '64', '-kernel', '/boot/k');
    expect(stdout).toContain('name: web\nmemory: 64M\n');
    expect(existsSync(definitionFile('web'))).toBe(false);
  });

  test('an installer gets a disk, and a definition that boots from it', async () => {
    const iso = join(process.env.VRING_STATE_DIR!, '..', 'installer.iso');
    const image = Buffer.alloc(40_960);
    image.write('CD001', 0x8001);
    writeFileSync(iso, image);
    const create = ['vm', 'create', 'web', '--iso', iso, '--disk-size', '8M', '--memory', '1G'];
    const { status, stdout } = await vring(...create, '--json');
    expect(status).toBe(0);
    const disk = join(process.env.VRING_STATE_DIR!, 'disks/web.img');
    expect(JSON.parse(stdout)).toMatchObject({
      name: 'web',
      saved: true,
      steps: [expect.stringContaining(disk)],
    });
    expect(statSync(disk).size).toBe(8 * 2 ** 20);
    expect(readFileSync(definitionFile('web'), 'utf8')).toMatch(
      /memory: 1G.*web\.img.*installer\.iso.*cdrom: true/s,
    );
    const again = await vring(...create);
    expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining('already exists') });
  });

  test('imports a libvirt domain and lists what was left out', async () => {
    const input =
      "<domain type='kvm'><name>web</name><memory unit='MiB'>256</memory><os><type>hvm</type><kernel>/k</kernel></os>\n" +
      "<devices><sound model='ich9'/>\n<sound model='usb'/></devices></domain>";
    const { status, stdout, stderr } = await vringWith({ input }, 'vm', 'import', '-');
    expect(status).toBe(0);
    expect(stdout).toContain('web: defined');
    expect(stderr).toContain('line 2, 3: domain/devices/sound: this version has no sound');
    expect(readFileSync(definitionFile('web'), 'utf8')).toContain('memory: 256M');
  });

  test('delete needs a terminal to ask on, or --yes', async () => {
    defineGuest('web');
    expect(await vring('vm', 'delete', 'web')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('use --yes to delete without asking'),
    });
    expect(existsSync(definitionFile('web'))).toBe(true);
  });

  test('delete keeps a backup of the definition', async () => {
    defineGuest('web');
    const { status, stdout } = await vring('vm', 'delete', '--yes', 'web', '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout).vms).toMatchObject([{ name: 'web', ok: true, state: null }]);
    expect(existsSync(definitionFile('web'))).toBe(false);
    expect(readFileSync(`${definitionFile('web')}~`, 'utf8')).toContain('name: web');
  });

  test('metrics cover the host and VMs that are off', async () => {
    defineGuest('web');
    const families = readOpenMetrics(`${(await vring('metrics')).stdout}\n`);
    const states = families.get('vring_vm_state')!.samples;
    expect(states.find(({ value }) => value === 1)?.labels).toEqual({ vm: 'web', vring_vm_state: 'off' });
    expect(families.get('vring_manager_start_time_seconds')!.samples).toEqual([]);
  });

  test('completes each VM name once', async () => {
    defineGuest('web');
    defineGuest('db');
    expect((await vring('__complete', '--', 'vm', 'start', '')).stdout).toBe('words\ndb\nweb');
    expect((await vring('__complete', '--', 'vm', 'start', 'web', '')).stdout).toBe('words\ndb');
  });

  test('version reports what vring runs on', async () => {
    const { stdout } = await vring('version', '--json');
    expect(JSON.parse(stdout)).toEqual({
      version: 1,
      vring: expect.stringMatching(/^\d+\.\d+\.\d+/),
      node: process.version,
      kernel: expect.stringMatching(/^\d+\./),
      kvm: noKvm === null ? { api: 12, problem: null } : { api: null, problem: expect.any(String) },
      manager: null,
      vms: [],
    });
  });
});

describe('vring vm edit', () => {
  const editor = (script: string) => {
    const path = join(process.env.VRING_STATE_DIR!, '..', 'editor');
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return { env: { VISUAL: path } };
  };

  test('saves a valid text and keeps the previous one', async () => {
    defineGuest('web');
    const { status, stdout } = await vringWith(editor('sed -i "s/32M/64M/" "$1"'), 'vm', 'edit', 'web');
    expect([status, stdout]).toEqual([0, 'web: saved; the previous definition is kept as web.yaml~']);
    expect(readFileSync(definitionFile('web'), 'utf8')).toContain('memory: 64M');
    expect(readFileSync(`${definitionFile('web')}~`, 'utf8')).toContain('memory: 32M');
  });

  test.each([
    ['what is wrong', 'sed -i "s/memory/memroy/" "$1"', /web\.yaml:2.*memroy/],
    ['what an editor left that failed', 'echo "# mine" >> "$1"; exit 3', /ended with status 3/],
    [
      'what somebody else changed meanwhile',
      'sed -i "s/32M/64M/" "$1"; echo "# theirs" >> "$VRING_DEFINITIONS_DIR/web.yaml"',
      /changed while you were editing/,
    ],
  ])('does not save %s, and loses no text', async (_, script, reason) => {
    defineGuest('web');
    const { status, stderr } = await vringWith(editor(script), 'vm', 'edit', 'web');
    expect(status).toBe(1);
    expect(stderr).toMatch(reason);
    const kept = /your text is kept in (\S+)/.exec(stderr)![1]!;
    expect(readFileSync(kept, 'utf8')).toMatch(/memroy|mine|64M/);
    rmSync(join(kept, '..'), { recursive: true });
    expect(readFileSync(definitionFile('web'), 'utf8')).toContain('memory: 32M');
  });

  test('saves nothing without a change', async () => {
    defineGuest('web');
    expect(await vringWith({ env: { VISUAL: 'true' } }, 'vm', 'edit', 'web')).toMatchObject({
      status: 0,
      stderr: 'vring: web is unchanged',
    });
    expect(existsSync(`${definitionFile('web')}~`)).toBe(false);
  });

  test('JSON output says whether it changed, with the current definition', async () => {
    defineGuest('web');
    const edit = async (script: string) =>
      JSON.parse((await vringWith(editor(script), 'vm', 'edit', 'web', '--json')).stdout);
    expect(await edit('true')).toMatchObject({ version: 1, name: 'web', changed: false });
    const { changed, definition } = await edit('sed -i "s/32M/64M/" "$1"');
    expect([changed, definition]).toEqual([true, readFileSync(definitionFile('web'), 'utf8')]);
    expect(definition).toContain('memory: 64M');
  });

  test('names a missing editor', async () => {
    defineGuest('web');
    const { status, stderr } = await vringWith({ env: { VISUAL: 'no-such-editor' } }, 'vm', 'edit', 'web');
    expect(status).toBe(1);
    expect(stderr).toContain('there is no editor "no-such-editor": set VISUAL or EDITOR');
  });
});

describe.skipIf(noKvm !== null)(onKvm('with a manager'), () => {
  test('starts, shows and kills VMs by name', async () => {
    defineGuest('web', 'run="exits io 100000000"');
    defineGuest('db');
    startManager();
    const engine = await attached();
    const started = await vring('vm', 'start', 'web', 'db', 'nobody');
    expect(started.stdout.split('\n').sort()).toEqual(['db: started', 'web: started']);
    expect(started).toMatchObject({ status: 1, stderr: expect.stringContaining('there is no VM nobody') });

    const top = JSON.parse((await vring('top', '--once', '--json', '--interval', '300ms')).stdout);
    expect(top.vms[0]).toMatchObject({ name: 'web', state: 'running' });
    expect(top.vms[0].exits).toBeGreaterThan(100);
    const csv = (await vring('top', '--once', '--csv', '--interval', '300ms')).stdout.split('\n');
    expect(csv[0]).toMatch(/^time,name,state,cpu,exits,/);
    expect(csv[1]).toMatch(/^\d{4}-.*Z,web,running,/);

    const [stats] = JSON.parse(
      (await vring('vm', 'stats', 'web', '--json', '--interval', '300ms')).stdout,
    ).vms;
    expect(stats.vcpus[0].exits[0].reason).toBe('IO');

    const { stdout: events } = await vring('vm', 'events', 'web', '--json');
    expect(JSON.parse(events).events.map((event: { text: string }) => event.text)).toEqual(['started']);

    const stopped = await vring('vm', 'stop', 'db', '--json');
    expect(JSON.parse(stopped.stdout).vms).toMatchObject([{ name: 'db', ok: true, state: 'off' }]);
    expect((await vring('vm', 'kill', '--all')).stdout).toBe('web: killed');
    expect(engine.vms().map(vm => vm.state)).toEqual(['off', 'off']);
  });

  test('a console reads input from a pipe and prints until the VM ends', async () => {
    startManager();
    const engine = await attached();
    await engine.start(guest('web'));
    const { status, stdout, stderr } = await vringWith({ input: 'halt\r' }, 'vm', 'console', 'web');
    expect(stdout).toContain('> halt');
    expect(stderr).toContain('vring: web is off');
    expect(status).toBe(0);
  });

  test('a console in a script releases the keyboard at the end of its input', async () => {
    startManager();
    const engine = await attached();
    const id = await engine.start(guest('web'));
    let printed = '';
    const link = engine.openConsole(id, { printed: bytes => (printed += Buffer.from(bytes).toString()) });
    await vi.waitFor(() => expect(printed).toContain('> '), WAIT);
    const watching = vringWith({ input: 'info\r' }, 'vm', 'console', 'web');
    await vi.waitFor(() => expect(printed).toContain('result info'), WAIT);
    await vi.waitFor(() => expect(engine.vms()[0]!.keyboardHolder).toBeNull(), WAIT);
    await link.takeKeyboard();
    link.type(Buffer.from('halt\r'));
    expect((await watching).stdout).toMatch(/> info.*> halt/s);
  });

  test('a file is read no faster than the guest consumes it', async () => {
    startManager();
    const engine = await attached();
    const id = await engine.start(guest('web'));
    await engine.pause(id);
    const file = join(temporaryFolder(), 'input');
    writeFileSync(file, '\r'.repeat(8 * 2 ** 20));
    const stdin = openSync(file, 'r');
    const [node, ...nodeArgs] = NODE;
    const stdio = [stdin, 'ignore', 'ignore'] as const;
    const reading = spawn(node!, [...nodeArgs, CLI, 'vm', 'console', 'web'], { stdio: [...stdio] });
    const ended = once(reading, 'exit');
    // The place in the file is the open file's, which this process shares.
    const read = () => Number(/pos:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${stdin}`, 'utf8'))![1]);
    await vi.waitFor(() => expect(read()).toBeGreaterThan(0), WAIT);
    const holder = () => engine.vms()[0]!.keyboardHolder;
    await vi.waitFor(() => expect(holder()).not.toBeNull(), WAIT);
    // Nothing more is read while the manager answers again and again.
    let before = -1;
    for (let same = 0; same < 20; same++) {
      await engine.pause(id);
      if (read() !== before) same = 0;
      before = read();
    }
    expect(before).toBeLessThan(512 * 1024);
    await engine.resume(id);
    await vi.waitFor(() => expect(read()).toBeGreaterThan(before), WAIT);
    await engine.kill(id);
    await ended;
    closeSync(stdin);
  });

  test('the keyboard is not taken from its holder without --take', async () => {
    startManager();
    const engine = await attached();
    const id = await engine.start(guest('web'));
    await engine.openConsole(id, { printed: () => {} }).takeKeyboard();
    const refused = await vringWith({ input: 'halt\r' }, 'vm', 'console', 'web');
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringMatching(/has the keyboard; --take/) });
    expect((await vringWith({ input: 'halt\r' }, 'vm', 'console', '--take', 'web')).status).toBe(0);
  });

  test('run --detach leaves the VM in the manager, and its name is taken', async () => {
    startManager();
    const engine = await attached();
    const run = ['run', '--detach', '--name', 'web', 'dist/guest.elf'];
    expect(await vring(...run)).toMatchObject({ status: 0, stdout: expect.stringContaining('web: started') });
    expect(engine.vms()).toMatchObject([{ name: 'web', state: 'running', defined: false }]);
    expect(await vring(...run)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('web is running already'),
    });
  });

  test('following events ends when the reader goes away', async () => {
    defineGuest('web');
    startManager();
    const engine = await attached();
    const follow = [...NODE, CLI, 'vm', 'events', '--follow'].join(' ');
    const piped = execa('sh', ['-c', `${follow} | head -n 1`], { timeout: 20_000 });
    for (let round = 0; round < 3; round++) {
      await engine.restart('web');
      await engine.kill('web');
    }
    const stop = setInterval(
      () =>
        void engine
          .restart('web')
          .then(() => engine.kill('web'))
          .catch(() => {}),
      500,
    );
    const { exitCode, stdout } = await piped.finally(() => clearInterval(stop));
    expect(exitCode).toBe(0);
    expect(stdout.split('\n')).toHaveLength(1);
  });

  test.each([
    ['SIGINT', 0],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('top, events --follow and stats --watch end by %s with status %d', async (signal, status) => {
    startManager();
    const engine = await attached();
    await engine.start(guest('web'));
    // What is printed after the first lines comes once the command waits for its end.
    const commands = [
      ['top --csv --interval 100ms', /,web,running,/],
      ['vm events --follow', / db started/],
      ['vm stats web --watch --interval 100ms', /(EXIT REASON.*){2}/s],
    ] as const;
    const ended = commands.map(async ([words, onceItWaits]) => {
      const [node, ...nodeArgs] = NODE;
      const command = execa(node!, [...nodeArgs, CLI, ...words.split(' ')], {
        reject: false,
        timeout: 20_000,
      });
      let printed = '';
      command.stdout.on('data', text => (printed += text));
      await until(() => printed !== '');
      if (words.includes('events')) await engine.start(guest('db'));
      await until(() => onceItWaits.test(printed));
      command.kill(signal);
      return [words, (await command).exitCode];
    });
    expect(await Promise.all(ended)).toEqual(commands.map(([words]) => [words, status]));
  });
});
