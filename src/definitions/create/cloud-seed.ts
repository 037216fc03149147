import { isIP } from 'node:net';
import { shown } from '../words.ts';
import { yaml11 } from '../yaml-for-others.ts';
import { CreateError } from './image-info.ts';

/** The first user of a guest created from a cloud image. */
export type CloudUser = {
  readonly name: string;
  /** Lines of an authorized_keys file. */
  readonly sshKeys: readonly string[];
  /** As in /etc/shadow (`openssl passwd -6` makes one); without it, password logins are disabled. */
  readonly passwordHash?: string;
};

export type CloudNetwork =
  | { readonly kind: 'dhcp' }
  /** `address` with its prefix: 192.0.2.10/24. */
  | {
      readonly kind: 'static';
      readonly address: string;
      readonly gateway?: string;
      readonly nameservers: readonly string[];
    };

export type CloudSeed = {
  readonly hostname: string;
  /** A guest that finds an ID other than that of its last boot sets itself up again. */
  readonly instanceId: string;
  readonly user: CloudUser;
  /** Of the first card; null if there is none. */
  readonly network: (CloudNetwork & { readonly mac: string }) | null;
};

/** A line of an authorized_keys file, without characters that cloud-init's Python would take for the end of a line. */
const SSH_KEY =
  /^(ssh-(ed25519|rsa)|ecdsa-sha2-[\w.@-]+|sk-[\w.@-]+) [A-Za-z0-9+/]+={0,2}( [^\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029]*)?$/;

/** RFC 1123 §2.1. */
const HOST_LABEL = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** The files of a NoCloud seed (cloud-init's documentation, "NoCloud"), by name. @throws CreateError */
export function seedFiles({ hostname, instanceId, user, network }: CloudSeed): Record<string, string> {
  checkHostname(hostname);
  checkUser(user);
  return {
    'meta-data': yaml11({ 'instance-id': instanceId, 'local-hostname': hostname }),
    'user-data': `#cloud-config\n${yaml11({ users: [userData(user)], ssh_pwauth: user.passwordHash !== undefined })}`,
    ...(network !== null && {
      'network-config': yaml11({
        version: 2,
        ethernets: { nic0: { match: { macaddress: network.mac }, ...addresses(network) } },
      }),
    }),
  };
}

/**
 * A guest's host name, derived from its VM's name: it cannot contain "_", and begins and ends with a letter or digit
 * (RFC 1123 §2.1).
 */
export function hostnameOf(vm: string): string {
  const labels = vm.split('.').map(label => label.replaceAll('_', '-').replace(/^-+|-+$/g, ''));
  return labels.filter(label => label !== '').join('.');
}

/** @throws CreateError */
function checkHostname(name: string): void {
  if (name.length <= 253 && name.split('.').every(label => HOST_LABEL.test(label))) return;
  throw new CreateError(
    `expected a host name of letters, digits and "-", with its domain after a ".", not ${shown(name)}`,
  );
}

function userData({ name, sshKeys, passwordHash }: CloudUser): object {
  return {
    name,
    shell: '/bin/bash',
    sudo: 'ALL=(ALL) NOPASSWD:ALL',
    lock_passwd: passwordHash === undefined,
    ...(passwordHash !== undefined && { passwd: passwordHash }),
    ...(sshKeys.length > 0 && { ssh_authorized_keys: sshKeys }),
  };
}

function addresses(network: CloudNetwork): object {
  if (network.kind === 'dhcp') return { dhcp4: true };
  const { address, gateway, nameservers } = network;
  const [ip = '', prefix = ''] = address.split('/');
  const family = isIP(ip);
  if (family === 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === 4 ? 32 : 128)) {
    throw new CreateError(
      `expected an address with its prefix, such as 192.0.2.10/24, not ${shown(address)}`,
    );
  }
  for (const each of [...(gateway === undefined ? [] : [gateway]), ...nameservers]) {
    if (isIP(each) === 0)
      throw new CreateError(`expected an IP address, such as 192.0.2.1, not ${shown(each)}`);
  }
  return {
    addresses: [address],
    ...(gateway !== undefined && {
      routes: [{ to: isIP(gateway) === 4 ? '0.0.0.0/0' : '::/0', via: gateway }],
    }),
    ...(nameservers.length > 0 && { nameservers: { addresses: nameservers } }),
  };
}

/** @throws CreateError */
function checkUser({ name, sshKeys, passwordHash }: CloudUser): void {
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(name)) {
    throw new CreateError(
      `expected a user name of lower-case letters, digits, "_" and "-", not ${shown(name)}`,
    );
  }
  for (const key of sshKeys) {
    if (SSH_KEY.test(key)) continue;
    const hint = key.includes('PRIVATE KEY') ? 'never the private one' : 'the line in an id_*.pub file';
    throw new CreateError(`expected an SSH public key (${hint}), not ${shown(key)}`);
  }
  if (passwordHash !== undefined && !/^\$(5|6|7|y|gy|2[aby])\$[\x21-\x7e]+$/.test(passwordHash)) {
    throw new CreateError(
      'expected a password hash, as `openssl passwd -6` prints it, not the password itself',
    );
  }
  if (sshKeys.length === 0 && passwordHash === undefined) {
    throw new CreateError(`nobody could log in: give ${name} an SSH public key or a password hash`);
  }
}
