import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ControlChannel, type ScriptResult } from './control-channel.ts';
import { debianKernel, type Kernel } from './debian-kernel.ts';
import { deviceArgs, deviceFiles, deviceModules, type PciDevice } from './devices.ts';
import { initramfs } from './initramfs.ts';
import { resolveModules } from './kernel-modules.ts';
import { patchedQemu } from './patched-qemu.ts';
import { makeRootDisk, type RootDiskOptions } from './root-disk.ts';
import { run } from './tools.ts';

export type EmulatedHostOptions = RootDiskOptions & {
  /** PCI devices to test with (default: none). */
  readonly devices?: readonly PciDevice[];
  /** Modules to load at boot besides the devices' own, such as kvm-amd. */
  readonly modules?: readonly string[];
  /** At most 2048 (the default): with more, igb's VFs are above 4 GiB, and their PF does not receive their messages. */
  readonly memoryMebibytes?: number;
};

/** How long an emulated host may take from power-on to its first response, in seconds. */
const BOOT_SECONDS = 120;
const LOG_LINES_IN_ERRORS = 60;

/**
 * A whole x86 machine in QEMU without KVM: a real Linux kernel with PCI devices, IOMMU, SR-IOV and its own KVM, and the
 * built checkout in /opt/vring, with its command on the PATH.
 */
export class EmulatedHost {
  readonly #options: EmulatedHostOptions;
  readonly #kernel: Kernel;
  /** Its disks, sockets and console log, on this machine. */
  readonly directory: string;
  #powerOff: (() => Promise<void>) | undefined;
  #channel: ControlChannel | undefined;

  private constructor(options: EmulatedHostOptions, kernel: Kernel, directory: string) {
    this.#options = options;
    this.#kernel = kernel;
    this.directory = directory;
  }

  /** Creates a machine with a fresh root disk, starts it, and waits until it accepts scripts. */
  static async boot(options: EmulatedHostOptions = {}): Promise<EmulatedHost> {
    const kernel = await debianKernel();
    const directory = await mkdtemp(join(tmpdir(), 'vring-rig-'));
    const host = new EmulatedHost(options, kernel, directory);
    try {
      await makeRootDisk(kernel, host.#file('root.img'), options);
      const modules = await resolveModules(kernel, ['virtio_blk', 'crc32c_generic', 'ext4']);
      const script = join(import.meta.dirname, 'image/early-init.sh');
      await writeFile(host.#file('initrd'), await initramfs(script, modules));
      for (const [name, bytes] of deviceFiles(options.devices ?? []))
        await makeSparseFile(host.#file(name), bytes);
      await host.#start();
      return host;
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  /** Runs a shell script as root. @throws if the machine is gone or hangs, with the end of its console log */
  async run(script: string, { seconds = 60 }: { seconds?: number } = {}): Promise<ScriptResult> {
    if (this.#channel === undefined) throw new Error('the emulated host is off');
    try {
      return await this.#channel.run(script, seconds);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n\nIts console:\n${await this.#consoleEnd()}`, {
        cause: error,
      });
    }
  }

  /** Like `run`, for scripts that must succeed. @returns standard output. */
  async check(script: string, options: { seconds?: number } = {}): Promise<string> {
    const { status, stdout, stderr } = await this.run(script, options);
    if (status !== 0) throw new Error(`exit status ${status} of: ${script}\n${stdout}\n${stderr}`);
    return stdout;
  }

  /** Writes a file in the emulated host. */
  async write(path: string, contents: Uint8Array): Promise<void> {
    const text = Buffer.from(contents).toString('base64');
    await this.check(`base64 -d >'${path}' <<'end'\n${text.replace(/.{1,4000}/g, '$&\n')}end\n`);
  }

  /** @returns the process ID of a vring process: the manager (`vring serve`), or a VM's machine (`vring: web`) */
  async pid(commandLine: string): Promise<number> {
    const found = await this.check(`grep -l '^${commandLine}' /proc/[0-9]*/cmdline || true`);
    const pids = [...found.matchAll(/^\/proc\/(\d+)\//gm)].map(([, pid]) => Number(pid));
    if (pids.length !== 1) throw new Error(`${pids.length} processes are ${commandLine}`);
    return pids[0]!;
  }

  /** Starts vring's manager, which takes a while here. @param prefix of the command, for limits and privileges */
  async startManager(prefix = ''): Promise<void> {
    await this.check(
      // A manager that was killed leaves its socket.
      `rm -f /run/vring/control.sock
       (${prefix} vring serve </dev/null >/root/manager.log 2>&1 &)
       until [ -S /run/vring/control.sock ]; do sleep 0.2; done`,
      { seconds: 300 },
    );
  }

  /** Power-cycles it; its disks keep their contents. */
  async reboot(): Promise<void> {
    await this.check('sync');
    await this.#stop();
    await this.#start();
  }

  async close(): Promise<void> {
    await this.#stop();
    if (process.env.VRING_RIG_KEEP !== undefined)
      console.warn(`the emulated host's files are in ${this.directory}`);
    else await rm(this.directory, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const program = this.#options.bootMedia ? await patchedQemu() : 'qemu-system-x86_64';
    const qemu = run(program, this.#qemuArgs(), {
      stdin: 'ignore',
      stdout: { file: this.#file('qemu.log') },
      stderr: { file: this.#file('qemu.log') },
      reject: false,
    });
    this.#powerOff = async () => {
      qemu.kill('SIGKILL');
      await qemu;
    };
    const ended = qemu.then(async ({ exitCode, signal }) => {
      const output = await readFile(this.#file('qemu.log'), 'utf8');
      throw new Error(
        `QEMU ended (${signal ?? `exit status ${exitCode}`}): ${output}\n${await this.#consoleEnd()}`,
      );
    });
    const ready = ControlChannel.connect(this.#file('output.sock'), this.#file('errors.sock')).then(
      channel => {
        this.#channel = channel;
        return this.run('true', { seconds: BOOT_SECONDS });
      },
    );
    await Promise.race([ready, ended]);
    ended.catch(() => {}); // from now on, the channel reports it
  }

  async #stop(): Promise<void> {
    this.#channel?.close();
    this.#channel = undefined;
    await this.#powerOff?.();
    this.#powerOff = undefined;
  }

  #qemuArgs(): string[] {
    const { devices = [], modules = [], memoryMebibytes = 2048 } = this.#options;
    const append = [
      // A busy machine is too slow for the kernel's timer check.
      'console=ttyS0 loglevel=5 panic=-1 nokaslr mitigations=off no_timer_check',
      devices.includes('iommu') ? 'intel_iommu=on' : '',
      `rig.modules=${[...deviceModules(devices), ...modules].join(',')}`,
    ];
    return [
      ...['-machine', 'q35,vmport=off', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '1'],
      ...['-m', String(memoryMebibytes), '-nodefaults', '-display', 'none', '-no-reboot'],
      ...deviceArgs(devices, this.directory),
      ...['-drive', `file=${this.#file('root.img')},if=none,id=root,format=raw,cache=unsafe`],
      ...['-device', 'virtio-blk-pci,drive=root,bus=pcie.0,addr=2'],
      ...['-device', 'virtio-serial-pci,bus=pcie.0,addr=3'],
      ...this.#port(1, 'output'),
      ...this.#port(2, 'errors'),
      ...['-chardev', `file,id=console,path=${this.#file('console.log')}`, '-serial', 'chardev:console'],
      ...['-kernel', this.#kernel.vmlinux, '-initrd', this.#file('initrd'), '-append', append.join(' ')],
    ];
  }

  #port(number: number, name: string): string[] {
    return [
      ...['-chardev', `socket,id=${name},path=${this.#file(`${name}.sock`)},server=on,wait=off`],
      ...['-device', `virtserialport,chardev=${name},nr=${number},name=${name}`],
    ];
  }

  #file(name: string): string {
    return join(this.directory, name);
  }

  async #consoleEnd(): Promise<string> {
    const log = await readFile(this.#file('console.log'), 'utf8').catch(() => '');
    return log.split('\n').slice(-LOG_LINES_IN_ERRORS).join('\n');
  }
}

async function makeSparseFile(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w');
  await file.truncate(bytes);
  await file.close();
}
