import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { builtFile } from '../../src/project-root.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { withOwnFolders } from '../support/manager-process.ts';
import { RfbClient } from '../support/rfb-client.ts';
import { Survival } from '../support/survival.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';

withOwnFolders();

/** /proc/PID/status of the process of the VNC server. */
function statusOf(name: string): string {
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      if (words.includes(`vm vnc ${name} --child`)) return readFileSync(`/proc/${pid}/status`, 'utf8');
    } catch {
      // It has ended in the meantime.
    }
  }
  throw new Error(`no process is the VNC server of ${name}`);
}

test.skipIf(noKvm !== null)(
  onKvm('a confined VNC server serves encrypted clients, and leaves no socket behind'),
  async () => {
    const folder = temporaryFolder();
    const [cert, key, password] = ['cert.pem', 'key.pem', 'password'].map(name => join(folder, name));
    const subject = ['-subj', '/CN=vring', '-days', '1'];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, '-keyout', key!, '-out', cert!],
      { stdio: 'ignore' },
    );
    writeFileSync(password!, 'secret\n');
    const survival = new Survival(1);
    onTestFinished(() => survival[Symbol.asyncDispose]());
    await survival.startManager();
    const { engine } = survival;
    const socket = join(folder, 'vnc');
    const id = await engine.start({
      name: 'shown',
      memory: { bytes: 32 * 2 ** 20 },
      boot: { kind: 'kernel', path: builtFile('guest.elf') },
      devices: [{ type: 'vga' }],
      vnc: { listen: `unix:${socket}`, passwordFile: password!, tlsCert: cert!, tlsKey: key! },
    });
    const info = () => engine.vms().find(vm => vm.id === id)!;
    await until(() => info().servedVnc !== undefined);
    expect(info().servedVnc!.address).toBe(socket);
    const on = info().servedVnc!.confinement.flatMap(({ name, state }) => (state === 'on' ? [name] : []));
    expect(on).toEqual(expect.arrayContaining(['landlock', 'capabilities', 'dumpable', 'seccomp']));
    // As the kernel sees it.
    const status = statusOf('shown');
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(status).toMatch(/^Seccomp:\s+2$/m);
    // The second client finds everything that the first one used.
    for (let round = 0; round < 2; round++) {
      const client = await RfbClient.connect({ path: socket }, { password: 'secret' });
      while (client.width !== 720) await client.update();
      await client.update({ incremental: false });
      client.close();
    }
    await engine.kill(id);
    await until(() => !existsSync(socket));
  },
  60_000,
);
