import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { MigrationHost } from '../../support/migration-hosts.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const variables = (host: MigrationHost) => join(host.env.VRING_STATE_DIR!, 'firmware', 'efi.fd');
const MARK = Buffer.from('written by the guest');

describe.skipIf(noKvm !== null || !existsSync('/usr/share/OVMF/OVMF_CODE_4M.fd'))(
  onKvm('a VM with UEFI that migrates'),
  () => {
    test('takes its variables along', { timeout: 60_000 }, async () => {
      const folder = temporaryFolder();
      const [a, b] = await Promise.all(['alpha', 'beta'].map(name => MigrationHost.start(folder, name)));
      const config = {
        name: 'efi',
        memory: { bytes: 128 * 2 ** 20 },
        boot: { kind: 'firmware', firmware: 'uefi' },
      } as const;
      await a!.engine.start(config);
      await a!.engine.kill('efi');
      const first = readFileSync(variables(a!));
      writeFileSync(variables(a!), Buffer.concat([first.subarray(0, -MARK.length), MARK]), { flag: 'r+' });
      await a!.engine.start(config);
      await a!.engine.pause('efi');
      const before = readFileSync(variables(a!));
      await a!.engine.migrate('efi', b!.options);
      const after = readFileSync(variables(b!));
      expect(after.subarray(-MARK.length)).toEqual(MARK);
      expect(after.equals(before)).toBe(true);
      expect(existsSync(variables(a!))).toBe(false);
      expect(b!.vm('efi')).toMatchObject({ state: 'paused' });
    });
  },
);
