import { readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseSize } from '../../text/option-values.ts';
import { readLimited } from '../../text/read-limited.ts';
import { UsageError } from '../../text/usage-error.ts';
import type { CloudNetwork } from './cloud-seed.ts';
import { parseNic } from './network-option.ts';
import type { NewVm } from './plan.ts';

export type NicsInput = NonNullable<NonNullable<NewVm['more']>['nics']>;

/** The network cards that `user`, `bridge:br0` and so on stand for. @throws UsageError */
export function parseNetwork(text: string): NicsInput {
  return text === 'none' ? [] : [parseNic(text, '--network')];
}

/** `size=20G,format=qcow2`. @throws UsageError */
export function parseNewDisk(text: string): { size?: number; format?: 'raw' | 'qcow2' } {
  const wrong = (what: string) => new UsageError(`--disk ${text}: ${what}`);
  const disk: { size?: number; format?: 'raw' | 'qcow2' } = {};
  for (const setting of text.split(',')) {
    const [key, value = ''] = setting.split('=', 2);
    if (key === 'size') disk.size = parseSize(value, `--disk ${text}: size`);
    else if (key === 'format' && (value === 'raw' || value === 'qcow2')) disk.format = value;
    else throw wrong(key === 'format' ? 'format takes raw or qcow2' : 'expected size=20G,format=raw|qcow2');
  }
  return disk;
}

/** @throws UsageError for anything but the address of a PCI function, or of a device */
export function checkAddress(text: string): string {
  if (/^([0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f](\.[0-7])?$/i.test(text)) return text;
  throw new UsageError(
    `--pci ${text}: expected a PCI address, such as 0000:02:00.0 or 02:00.0, or 02:00 for all functions of a device`,
  );
}

/** Room for thousands of keys. */
const MAX_KEYS_BYTES = 2 ** 20;

/** SSH public keys: the lines of a file, or a key itself. @throws UsageError */
export function readSshKeys(keyOrFile: string): string[] {
  if (/^(ssh|ecdsa|sk)-\S+ /.test(keyOrFile)) return [keyOrFile.trim()];
  try {
    return readLimited(keyOrFile, keyOrFile, MAX_KEYS_BYTES)
      .split('\n')
      .map(line => line.trim())
      .filter(line => line !== '' && !line.startsWith('#'));
  } catch (error) {
    throw new UsageError(`--ssh-key ${(error as Error).message}`);
  }
}

/** The user's own public key, the strongest type first; null if there is none. */
export function ownSshKeyFile(folder = join(homedir(), '.ssh')): string | null {
  try {
    const files = readdirSync(folder);
    const name = ['id_ed25519.pub', 'id_ecdsa.pub', 'id_rsa.pub'].find(name => files.includes(name));
    return name === undefined ? null : join(folder, name);
  } catch {
    return null;
  }
}

/** The network of a guest's first card: DHCP unless it has a static address. @throws UsageError */
export function cloudNetwork(
  address: string | undefined,
  gateway: string | undefined,
  nameservers: readonly string[],
): CloudNetwork {
  if (address === undefined) {
    if (gateway !== undefined || nameservers.length > 0)
      throw new UsageError(
        `${gateway === undefined ? '--dns' : '--gateway'} is only valid with --address: DHCP has its own`,
      );
    return { kind: 'dhcp' };
  }
  return { kind: 'static', address, ...(gateway !== undefined && { gateway }), nameservers };
}
