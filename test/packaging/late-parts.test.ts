import { cpSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isHotpluggable } from '../../src/devices/device-type.ts';
import { deviceTable } from '../../src/devices/registry.ts';
import { projectRoot } from '../../src/project-root.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { Sandbox } from '../support/sandbox.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const MARK = 'a part was evaluated';

/** Those that provide the buses for others. */
const CONTROLLERS = `devices:
  - { type: ahci, name: ahci }
  - { type: qemu-xhci, name: usb }
  - { type: virtio-scsi, name: scsi }
  - { type: sdhci-pci, name: sd }
  - { type: nvme-controller, name: fast }
`;

const MODELS = deviceTable.configurable.filter(
  row => isHotpluggable(row) && row.definition?.key !== 'passthrough',
);

describe.skipIf(noKvm !== null)(onKvm('device models of the bundle'), () => {
  let installed: string;
  let sandbox: Sandbox;

  const vring = (...args: string[]) =>
    execa(join(projectRoot(), 'bin/vring'), args, {
      env: sandbox.env,
      stdin: 'ignore',
      timeout: 60_000,
      reject: false,
    });

  /** Its manager is the installed one's. */
  const startWith = (name: string) =>
    execa(join(installed, 'bin/vring'), ['vm', 'start', name], { env: sandbox.env, stdin: 'ignore' });

  const show = async (name: string) => JSON.parse(await sandbox.vring('vm', 'show', name, '--json')).vms[0];

  beforeEach(() => {
    const folder = temporaryFolder();
    installed = join(folder, 'lib/vring');
    sandbox = new Sandbox(folder);
    mkdirSync(join(installed, 'bin'), { recursive: true });
    cpSync(join(projectRoot(), 'bin/vring'), join(installed, 'bin/vring'));
    symlinkSync(realpathSync(process.execPath), join(installed, 'bin/node'));
    cpSync(join(projectRoot(), 'dist'), join(installed, 'dist'), { recursive: true });
  });

  afterEach(async () => {
    process.kill(await sandbox.managerPid(), 'SIGKILL');
  });

  /** Makes every part throw. Each keeps its place; its text may have several lines. */
  function breakParts(): void {
    const path = join(installed, 'dist/machine-parts.js');
    const [digest, ...parts] = readFileSync(path, 'latin1')
      .trimEnd()
      .split(/\n(?=\(function\(exports,)/);
    const broken = parts.map(part => `(()=>{throw new Error('${MARK}')})`.padEnd(part.length));
    writeFileSync(path, `${[digest, ...broken].join('\n')}\n`);
  }

  test('are not evaluated by a VM that has none of them', async () => {
    breakParts();
    sandbox.define('plain');
    sandbox.define('card', 'quiet', 'devices: [{ type: rtl8139 }]\n');
    await startWith('plain');
    expect(await show('plain')).toMatchObject({ state: 'running' });
    // Where they are needed, they are.
    expect((await vring('vm', 'attach', 'plain', '--device', 'e1000')).stderr).toContain(MARK);
    expect((await vring('vm', 'start', 'card')).exitCode).toBe(1);
    expect(await show('plain')).toMatchObject({ state: 'running' });
  });

  test('can be attached to a confined VM after an upgrade has removed them', {
    timeout: 120_000,
  }, async () => {
    sandbox.define('web', 'quiet', CONTROLLERS);
    await startWith('web');
    const { confinement } = await show('web');
    expect(JSON.stringify(confinement)).toContain('seccomp');
    rmSync(installed, { recursive: true });
    expect(MODELS.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['e1000', 'rtl8139', 'pcnet', 'sata-hd', 'scsi-cd', 'usb-kbd', 'sd-card']),
    );
    for (const { type, backend, prefix, definition } of MODELS) {
      const disk = join(temporaryFolder(), `${type}.img`);
      writeFileSync(disk, Buffer.alloc(1024 * 1024));
      const device =
        backend === 'net'
          ? ['--net', `none,model=${definition?.value}`]
          : ['--device', backend === 'disk' ? `${type},path=${disk}` : type];
      const { stderr, stdout } = await vring('vm', 'attach', 'web', ...device);
      expect(`${stderr}${stdout}`).toMatch(new RegExp(`^web: ${prefix}\\d+ is attached`));
      // There are fewer slots than models.
      const [, name] = /^web: (\S+) is attached at \S+ of pci\.0/.exec(stdout) ?? [];
      if (name !== undefined)
        expect((await vring('vm', 'detach', 'web', name, '--force')).stdout).toBe(`web: ${name} is detached`);
    }
    expect(await show('web')).toMatchObject({ state: 'running' });
  });
});
