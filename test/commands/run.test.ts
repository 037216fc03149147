import { symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { noKvm, onKvm } from '../support/kvm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const GUEST = 'dist/guest.elf';

/** Runs `vring ARGS` from the sources, without a terminal. */
function vring(...args: string[]) {
  return execa(process.execPath, ['src/cli.ts', ...args], {
    reject: false,
    stdin: 'ignore',
    timeout: 20_000,
  });
}

const runs = (commands: string) => ['--append', `run="${commands}"`];

describe.skipIf(noKvm !== null)(onKvm('vring run'), () => {
  test("prints the guest's output, and exits with 0 when it powers off", async () => {
    const { exitCode, stdout } = await vring('run', GUEST, ...runs('info; halt'));
    expect(stdout).toMatch(/vring guest .*result info /s);
    expect(exitCode).toBe(0);
  });

  test('exits with the code of the debug exit port', async () => {
    expect((await vring('run', GUEST, ...runs('exit 42'))).exitCode).toBe(42);
  });

  test('exits with 1, the reason and the registers when the guest crashes', async () => {
    const { exitCode, stderr } = await vring('run', GUEST, ...runs('crash'), '--name', 'web');
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/vring: web crashed: triple fault.*vCPU 0, .*RIP=/s);
  });

  test('gives the guest its memory, vCPUs and disks', async () => {
    const disk = join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, '');
    truncateSync(disk, 2 ** 20);
    const options = ['--memory', '64M', '--cpus', '2', '--disk', disk, '--no-rng'];
    const { stdout } = await vring('run', GUEST, ...options, ...runs('info; blk verify 16; halt'));
    expect(stdout).toMatch(/6[34] MiB memory, 2 vCPUs/);
    expect(stdout).toContain('virtio-blk');
    expect(stdout).not.toContain('virtio-rng');
    expect(stdout).toMatch(/result blk-verify .*errors=0/);
  });

  test('accepts QEMU options', async () => {
    const disk = join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, Buffer.alloc(2 ** 20));
    const drive = `file=${disk},if=virtio,format=raw`;
    const options = ['-m', '64', '-smp', '2', '-drive', drive, '-device', 'virtio-rng-pci'];
    const { stdout, exitCode } = await vring(
      'run',
      ...options,
      '-kernel',
      GUEST,
      '-append',
      'run="info; halt"',
      '--name',
      'web',
    );
    expect(stdout).toMatch(/6[34] MiB memory, 2 vCPUs/);
    expect(stdout).toMatch(/virtio-blk.*virtio-rng/s);
    expect(exitCode).toBe(0);
  });

  test('names QEMU options that it ignores, and exits like QEMU', async () => {
    const { stderr, exitCode } = await vring(
      ...['run', 'qemu-system-x86_64', '-accel', 'tcg', '-accel', 'kvm', '-m', '64', '-cpu', 'qemu64'],
      ...['--no-reboot', '-spice', 'port=1', '-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04'],
      ...['-kernel', GUEST, '-append', 'run="exit 3"'],
    );
    expect(stderr).toContain('-spice port=1: it is a VNC server instead');
    expect(stderr).toContain('-accel tcg: vring only runs guests on KVM');
    expect(exitCode).toBe(7);
  });

  test('ends when the reader of its output goes away', async () => {
    const guest = `${process.execPath} src/cli.ts run ${GUEST} --append 'run="exits io 1000000"'`;
    const { exitCode } = await execa('sh', ['-c', `${guest} | head -c 1 >/dev/null`], { timeout: 20_000 });
    expect(exitCode).toBe(0);
  });

  test.each([
    ['no such kernel', ['/no/such/kernel'], 'cannot open the kernel /no/such/kernel'],
    ['no such disk', [GUEST, '--disk', '/no/such.img'], '/no/such.img'],
    ['no such initrd', [GUEST, '--initrd', '/no/such.cpio'], 'cannot open the initrd /no/such.cpio'],
  ])('fails with 1: %s', async (_, args, message) => {
    const { exitCode, stderr } = await vring('run', ...args);
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(exitCode).toBe(1);
  });

  test('refuses two disks that are the same file', async () => {
    const disk = join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, Buffer.alloc(4096));
    symlinkSync(disk, `${disk}.link`);
    const { exitCode, stderr } = await vring('run', GUEST, '--disk', disk, '--disk', `${disk}.link`);
    expect(stderr).toContain('disk.img.link is the same file as');
    expect(stderr).toContain('remove one of the two disks, or make both read-only');
    expect(exitCode).toBe(2);
  });

  test('refuses a disk that another process uses, and names the process', async () => {
    const disk = join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, Buffer.alloc(4096));
    const args = ['src/cli.ts', 'run', GUEST, '--disk', disk];
    const holder = execa(process.execPath, args, { reject: false, stdin: 'ignore' });
    for await (const line of holder.iterable()) {
      if (!line.includes('virtio-blk')) continue;
      const { exitCode, stderr } = await vring('run', GUEST, '--disk', disk);
      expect(stderr).toMatch(new RegExp(`in use by "vring run .*" \\(process ${holder.pid}\\)`));
      expect(exitCode).toBe(1);
      holder.kill();
    }
    await holder;
  });

  test('refuses a disk that is not a whole number of sectors', async () => {
    const disk = join(temporaryFolder(), 'odd.img');
    writeFileSync(disk, Buffer.alloc(1000));
    const { exitCode, stderr } = await vring('run', GUEST, '--disk', disk);
    expect(stderr).toMatch(/odd\.img.*1000.*512/);
    expect(exitCode).toBe(1);
  });
});

describe('a usage error exits with 2 and names the problem', () => {
  test.each([
    [['run'], 'kernel'],
    [['run', GUEST, '--cpus', '0'], '--cpus 0'],
    [['run', GUEST, '--cpus', 'many'], '--cpus many'],
    [['run', GUEST, '--memory', '12Q'], '--memory 12Q'],
    [['run', GUEST, '--disk', 'a.img,cache=some'], 'cache'],
    [['run', GUEST, '--cpu-features', 'sse'], '--cpu-features sse'],
    [['run', GUEST, '--name', 'two words'], '--name: a name starts with'],
    [['run', GUEST, '--memory', '1M'], '--memory: at least 2M'],
    [
      ['run', GUEST, '--disk', 'a.img,format=vmdk'],
      '--disk a.img,format=vmdk: format takes raw, qcow2, fat, fat32, fat-floppy, not vmdk; `vring image convert`',
    ],
    [['run', GUEST, '--hugepages', '3M'], 'hugepages'],
    [['run', GUEST, '--kvm', 'perhaps'], '--kvm'],
    [['run', GUEST, '--no-such-option'], '--no-such-option'],
    [['run', ''], 'kernel: the path is empty'],
    [['run', GUEST, '--initrd', ''], '--initrd: the path is empty'],
    [['run', GUEST, '--ui'], 'terminal'],
    [['run', GUEST, '--ui', '--detach'], '--detach'],
    [
      ['run', GUEST, '--memory', '65M', '--hugepages', '2M'],
      '--memory 65M: expected a multiple of --hugepages 2M',
    ],
    [['run', GUEST, '--detach', '--memory', '1M'], '--memory: at least 2M'],
    [['run', GUEST, GUEST], 'one kernel'],
    [
      ['run', '-m', '64', '-kernel', GUEST, '-fsdev', 'local'],
      '-fsdev local: shared folders are not supported',
    ],
    [['run', '-m', '64', '-kernel', GUEST, '-nosuch'], '-nosuch'],
    [['run', '-m', '64', '-kernel'], '-kernel: expected a value'],
    [['run', '--memory', '64M', '-kernel', GUEST], '--memory: write -m'],
    [['runn'], 'did you mean run?'],
    [['vm', 'lsit'], 'did you mean "vm list"?'],
    [['no-such-command'], 'no-such-command'],
    [[], 'terminal'],
  ])('vring %j', async (args, named) => {
    const { exitCode, stderr } = await vring(...args);
    expect(stderr).toContain(named);
    expect(exitCode).toBe(2);
  });
});
