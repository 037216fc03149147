import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { userArm } from '../../../../src/devices/backends/net-user.ts';
import { openUserNetwork } from '../../../../src/engine/networks/user/open-user.ts';
import type { ExitStatus } from '../../../../src/vmm/confinement/exit-status.ts';
import { enterOwnMounts, enterOwnNetwork, mountOver } from '../../../support/own-network.ts';
import { Random } from '../../../support/random.ts';
import { dhcp } from '../../../support/raw-dhcp.ts';
import {
  ARP,
  checksum,
  ICMP,
  IPV4,
  IPV6,
  RawConnection,
  RawGuest,
  readIp,
} from '../../../support/raw-guest.ts';
import { RawWire } from '../../../support/raw-wire.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const HOST = '10.0.2.2';
const folder = temporaryFolder();

type Options = z.input<ReturnType<typeof userArm>>;

let openWires: RawWire[] = [];
let ends: Promise<ExitStatus>[] = [];

beforeAll(() => {
  enterOwnNetwork();
  enterOwnMounts();
  writeFileSync(join(folder, 'resolv.conf'), 'nameserver 127.0.0.1\n');
  mountOver('/etc/resolv.conf', join(folder, 'resolv.conf'));
});

afterEach(async () => {
  for (const wire of openWires) wire.close();
  openWires = [];
  const statuses = await Promise.all(ends);
  ends = [];
  // Whatever the guest sent, the program exits normally when its wire is closed.
  for (const status of statuses) expect(status).toEqual({ code: 0, signal: null });
});

async function open(options: Omit<Options, 'type'> = {}, largeFrames = false): Promise<RawWire> {
  const { promise, resolve } = Promise.withResolvers<ExitStatus>();
  const parsed = userArm(z).parse({ type: 'user', ...options });
  const wire = await openUserNetwork(parsed, { vm: 'web', largeFrames }, { ended: resolve });
  ends.push(promise);
  const raw = new RawWire(wire.fds[0]!);
  openWires.push(raw);
  return raw;
}

async function guestOf(options: Omit<Options, 'type'> = {}, largeFrames = false): Promise<RawGuest> {
  const guest = new RawGuest(await open(options, largeFrames), '10.0.2.15');
  await guest.arp(HOST);
  return guest;
}

/** A server on loopback that handles each connection. @returns its port */
async function serve(handle: (socket: Socket) => void): Promise<number> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  server.unref();
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const echo = (socket: Socket) => socket.on('error', () => {}).pipe(socket);

function bytes(length: number): Buffer {
  const random = new Random(length);
  return Buffer.from(Uint8Array.from({ length }, () => random.below(256)));
}

test('the program of a network is confined by every layer, as strict confinement requires', async () => {
  const parsed = userArm(z).parse({ type: 'user' });
  const { fds, program } = await openUserNetwork(parsed, { vm: 'web', largeFrames: false, strictly: true });
  openWires.push(new RawWire(fds[0]!));
  expect(program).toBe('vring-net-user, confined');
});

describe('a user-mode network', () => {
  test('responds to ARP for its host and its name server, and to ICMP', async () => {
    const guest = await guestOf();
    expect((await guest.arp(HOST)).toString('hex')).toBe('52550a000202');
    expect((await guest.arp('10.0.2.3')).toString('hex')).toBe('52550a000203');
    const ping = Buffer.from('0800000012340001', 'hex');
    const packet = Buffer.concat([ping, Buffer.from('are you there')]);
    packet.writeUInt16BE(checksum(packet), 2);
    guest.ip(HOST, ICMP, packet);
    const answer = await guest.wire.wait('echo reply', frame => {
      const ip = readIp(frame);
      return ip?.protocol === ICMP && ip.payload[0] === 0 ? ip.payload : null;
    });
    expect(answer.subarray(8).toString()).toBe('are you there');
  });

  test('assigns an address by DHCP, with the configured options', async () => {
    const guest = new RawGuest(
      await open({
        net: '192.168.76.0/24',
        dhcpstart: '192.168.76.20',
        hostname: 'web',
        domainname: 'example.org',
        dnssearch: ['a.example.org', 'b.example.org'],
        tftp: folder,
        'tftp-server-name': 'boot.example.org',
        bootfile: 'pxelinux.0',
      }),
      '0.0.0.0',
    );
    const offer = await dhcp(guest, 1);
    expect(offer.address).toBe('192.168.76.20');
    expect(offer.file).toBe('pxelinux.0');
    const text = (option: number) => offer.options.get(option)?.toString('latin1').replaceAll('\0', '');
    const ip = (option: number) => [...(offer.options.get(option) ?? [])].join('.');
    expect([ip(1), ip(3), ip(6), ip(54)]).toEqual([
      '255.255.255.0',
      '192.168.76.2',
      '192.168.76.3',
      '192.168.76.2',
    ]);
    expect([text(12), text(15), text(66)]).toEqual(['web', 'example.org', 'boot.example.org']);
    expect(offer.options.get(119)?.toString('latin1')).toContain('\x01a\x07example\x03org\0');
    expect((await dhcp(guest, 3, '192.168.76.20')).address).toBe('192.168.76.20');
  });

  test("forwards DNS queries to the host's name server", async () => {
    const server = createSocket('udp4').bind(53, '127.0.0.1');
    server.unref();
    await once(server, 'listening');
    server.on('message', (question, { port, address }) => {
      server.send(Buffer.concat([question, Buffer.from('answered')]), port, address);
    });
    const guest = await guestOf();
    await guest.arp('10.0.2.3');
    guest.udp('10.0.2.3', 53, 4000, Buffer.from('question'));
    expect((await guest.datagram(4000)).toString()).toBe('questionanswered');
    server.close();
  });

  test.each([
    ['frames of Ethernet', false, 1460],
    ['large frames', true, 65_480],
  ])('connects the guest to the host by TCP, with %s', async (_, large, mss) => {
    const guest = await guestOf({}, large);
    const port = await serve(echo);
    const connection = await RawConnection.open(guest, HOST, port, 5000, mss);
    const content = bytes(100_000);
    let largest = 0;
    for (let at = 0; at < content.length; at += 10_000) {
      const part = content.subarray(at, at + 10_000);
      for (let inside = 0; inside < part.length; inside += mss)
        connection!.write(part.subarray(inside, inside + mss));
      const read = await connection!.read(part.length);
      largest = Math.max(largest, connection!.largest);
      expect(read.equals(part)).toBe(true);
    }
    expect(largest > 1460).toBe(large);
    connection!.close();
    expect((await connection!.read(1)).length).toBe(0);
    expect(await RawConnection.open(guest, HOST, 1, 5001)).toBeNull();
  });

  test('forwards ports and sockets of the host to the guest', async () => {
    const path = join(folder, 'forward.sock');
    const guest = await guestOf({
      hostfwd: [
        { host: 2222, guest: 22 },
        { protocol: 'udp', host: 5353, guest: 53, 'guest-address': '10.0.2.15' },
        { protocol: 'unix', path, guest: 23 },
      ],
    });
    for (const [to, port] of [
      [{ host: '127.0.0.1', port: 2222 }, 22],
      [{ path }, 23],
    ] as const) {
      const client = connect(to as never);
      const connection = await RawConnection.accept(guest, port);
      client.write('hello guest');
      expect((await connection.read(11)).toString()).toBe('hello guest');
      connection.write(Buffer.from('hello host'));
      const [data] = await once(client, 'data');
      expect(data.toString()).toBe('hello host');
      client.destroy();
    }
    const client = createSocket('udp4');
    client.send('who is it', 5353, '127.0.0.1');
    expect((await guest.datagram(53)).toString()).toBe('who is it');
    client.close();
  });

  test('names the process that already listens on a port', async () => {
    await open({ hostfwd: [{ host: 2223, guest: 22 }] });
    await expect(open({ hostfwd: [{ host: 2223, guest: 22 }] })).rejects.toThrow(
      /^tcp port 2223 of 127\.0\.0\.1 cannot be forwarded to port 22 of the guest: it is in use by VM web \(pid \d+\): stop that, or choose another port$/,
    );
    await expect(open({ hostfwd: [{ address: '192.0.2.1', host: 2224, guest: 22 }] })).rejects.toThrow(
      'the host does not have this address',
    );
    await expect(
      open({ hostfwd: [{ protocol: 'unix', path: join(folder, 'none/a.sock'), guest: 22 }] }),
    ).rejects.toThrow('its folder does not exist');
    await expect(
      open({ hostfwd: [{ protocol: 'unix', path: '/proc/version/a.sock', guest: 22 }] }),
    ).rejects.toThrow('what would be its folder is a file');
    await expect(open({ hostfwd: [{ address: 'fe80::1', host: 2224, guest: 22 }] })).rejects.toThrow(
      'it is a link-local address',
    );
  });

  test('says why a folder cannot be served by TFTP', async () => {
    const file = join(folder, 'kernel');
    writeFileSync(file, '');
    for (const [tftp, why] of [
      [join(folder, 'none'), 'it does not exist: create it'],
      [file, 'it is not a folder: give one'],
      [join(file, 'sub'), 'it is not a folder: give one'],
    ] as const)
      await expect(open({ tftp })).rejects.toThrow(`folder ${tftp} cannot be served by TFTP: ${why}`);
  });

  test('forwards its own addresses to the host: to a port, a socket, a command', async () => {
    const path = join(folder, 'server.sock');
    const server = createServer(socket => socket.end('from a socket')).listen(path);
    await once(server, 'listening');
    const port = await serve(echo);
    const guest = await guestOf({
      restrict: true,
      guestfwd: [
        { address: '10.0.2.100', port: 80, to: { port } },
        { address: '10.0.2.100', port: 81, to: { path } },
        { port: 82, to: { command: ['sh', '-c', 'read -r line; echo "$line, $0"', "it's me"] } },
      ],
    });
    const first = await RawConnection.open(guest, '10.0.2.100', 80, 6000);
    first!.write(Buffer.from('echo'));
    expect((await first!.read(4)).toString()).toBe('echo');
    // Every connection is a separate one.
    const second = await RawConnection.open(guest, '10.0.2.100', 80, 6001);
    second!.write(Buffer.from('again'));
    expect((await second!.read(5)).toString()).toBe('again');
    const third = await RawConnection.open(guest, '10.0.2.100', 81, 6002);
    expect((await third!.read(99)).toString()).toBe('from a socket');
    const fourth = await RawConnection.open(guest, '10.0.2.4', 82, 6003);
    fourth!.write(Buffer.from('hello\n'));
    expect((await fourth!.read(99)).toString()).toBe("hello, it's me\n");
    server.close();
    await expect(open({ guestfwd: [{ address: HOST, port: 80, to: { port } }] })).rejects.toThrow(
      /port 80 cannot be forwarded/,
    );
  });

  test('restricts a guest to the forwarded ports', async () => {
    const port = await serve(echo);
    const free = await guestOf();
    expect(await RawConnection.open(free, HOST, port, 7000)).not.toBeNull();
    const guest = await guestOf({ restrict: true });
    expect(await RawConnection.open(guest, HOST, port, 7001)).toBeNull();
  });

  test('serves a folder by TFTP, and nothing outside it', async () => {
    const tftp = join(folder, 'tftp');
    mkdirSync(join(tftp, 'sub'), { recursive: true });
    const content = bytes(3000);
    writeFileSync(join(tftp, 'sub/kernel'), content);
    writeFileSync(join(folder, 'secret'), 'secret');
    symlinkSync('../secret', join(tftp, 'link'));
    const guest = await guestOf({ tftp });
    expect((await tftpRead(guest, '/sub/kernel', 8000))?.equals(content)).toBe(true);
    expect(await tftpRead(guest, '/link', 8001)).toBeNull();
    expect(await tftpRead(guest, '/../secret', 8002)).toBeNull();
    expect(await tftpRead(guest, '/etc/resolv.conf', 8003)).toBeNull();
    await expect(open({ tftp: join(folder, 'nothing') })).rejects.toThrow(
      `folder ${join(folder, 'nothing')} cannot be served by TFTP: it does not exist`,
    );
  });

  test('has IPv6 unless it is turned off', async () => {
    const solicit = Buffer.concat([
      Buffer.from('6000000000083aff', 'hex'),
      Buffer.alloc(16),
      Buffer.from('ff020000000000000000000000000002', 'hex'),
      Buffer.from('8500000000000000', 'hex'),
    ]);
    const pseudo = Buffer.concat([solicit.subarray(8, 40), Buffer.from('000000080000003a', 'hex')]);
    solicit.writeUInt16BE(checksum(Buffer.concat([pseudo, solicit.subarray(40)])), 42);
    const advertised = (frame: Buffer) => frame.readUInt16BE(12) === IPV6 && frame[54] === 134;
    const guest = await guestOf({ 'ipv6-net': 'fd00:7::/64' });
    guest.ethernet(IPV6, solicit, Buffer.from('333300000002', 'hex'));
    const prefix = await guest.wire.wait('router advertisement', frame => (advertised(frame) ? frame : null));
    expect(prefix.includes(Buffer.from('fd00000700000000', 'hex'))).toBe(true);
    const without = await guestOf({ ipv6: false });
    without.ethernet(IPV6, solicit, Buffer.from('333300000002', 'hex'));
    await without.arp(HOST);
    expect(without.wire.passed.some(advertised)).toBe(false);
  });

  test('withstands hostile frames', async () => {
    const wire = await open({ hostfwd: [{ host: 2225, guest: 22 }], tftp: folder });
    const guest = new RawGuest(wire, '10.0.2.15');
    await guest.arp(HOST);
    const random = new Random(7);
    const types = [ARP, IPV4, IPV6, 0x0806, 0x8100, 0x88f8];
    for (let round = 0; round < 20_000; round++) {
      const frame = bytes(random.below(random.pick([20, 80, 600, 1514])) + 1);
      if (frame.length >= 14) {
        frame.writeUInt16BE(random.pick(types), 12);
        if (frame.length > 40 && random.below(2) === 0) {
          // Frames that pass the first checks: valid versions, lengths and protocols.
          frame[14] = random.pick([0x45, 0x46, 0x4f, 0x60, 0x40]);
          frame[23] = random.pick([1, 6, 17, 41, 58]);
          if (random.below(2) === 0) frame.writeUInt16BE(frame.length - 14, 16);
          Buffer.from(random.pick(['0a000202', '0a000203', 'ffffffff', '0a0002ff']), 'hex').copy(frame, 30);
          if (frame.length > 60 && frame[14] === 0x45) {
            frame.fill(0, 24, 26);
            frame.writeUInt16BE(random.pick([53, 67, 69, 80, 2225]), 36);
            frame.writeUInt16BE(checksum(frame.subarray(14, 34)), 24);
          }
        }
      }
      wire.send(frame);
    }
    wire.send(Buffer.alloc(70_000));
    expect(wire.ended).toBe(false);
    expect((await guest.arp(HOST)).length).toBe(6);
  });

  test('is confined: no files, no capabilities, no other processes', async () => {
    await open();
    const [pid] = readdirSync('/proc').filter(
      name => /^\d+$/.test(name) && commandLine(name).endsWith('/dist/vring-net-user'),
    );
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(status).toMatch(new RegExp(`^${set}:\\t0{16}$`, 'm'));
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    expect(status).toMatch(/^Seccomp:\t2$/m);
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
    expect(mounts).toHaveLength(1);
    expect(mounts[0]).toMatch(/ \/ \/ ro,nosuid,nodev,noexec/);
    expect(readdirSync(`/proc/${pid}/root/`)).toEqual(['etc', 'tftp']);
    expect(existsSync(`/proc/${pid}/root/etc/passwd`)).toBe(false);
  });
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]!;
  } catch {
    return '';
  }
}

/** RFC 1350. @returns null: refused */
async function tftpRead(guest: RawGuest, path: string, port: number): Promise<Buffer | null> {
  guest.udp(HOST, 69, port, Buffer.from(`\0\x01${path}\0octet\0`));
  const parts: Buffer[] = [];
  for (let block = 1; ; block++) {
    const packet = await guest.datagram(port);
    if (packet.readUInt16BE(0) === 5) return null;
    expect(packet.readUInt16BE(0)).toBe(3);
    expect(packet.readUInt16BE(2)).toBe(block);
    parts.push(Buffer.from(packet.subarray(4)));
    if (packet.length < 516) return Buffer.concat(parts);
    const ack = Buffer.from([0, 4, 0, 0]);
    ack.writeUInt16BE(block, 2);
    guest.udp(HOST, 69, port, ack);
  }
}
