import type { RawWire } from './raw-wire.ts';

const BROADCAST = Buffer.alloc(6, 0xff);

export const IPV4 = 0x0800;
export const ARP = 0x0806;
export const IPV6 = 0x86dd;
export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;

export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const FIN = 1;

export function address(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

/** RFC 1071. */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export type Ip = {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly payload: Buffer;
};
export type Segment = {
  readonly from: number;
  readonly to: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly data: Buffer;
};

/** A guest with a static address that builds its own frames. */
export class RawGuest {
  readonly wire: RawWire;
  readonly mac = Buffer.from('525400123456', 'hex');
  readonly address: string;
  #gateway: Buffer = BROADCAST;
  /**
   * The length that it pads short frames to, as most network cards do (IEEE 802.3 §4.2.3.3: 60 without the checksum).
   */
  padding = 0;

  constructor(wire: RawWire, itsAddress: string) {
    this.wire = wire;
    this.address = itsAddress;
  }

  ethernet(type: number, payload: Buffer, to = this.#gateway): void {
    const header = Buffer.alloc(14);
    to.copy(header, 0);
    this.mac.copy(header, 6);
    header.writeUInt16BE(type, 12);
    const rest = Buffer.alloc(Math.max(0, this.padding - header.length - payload.length));
    this.wire.send(Buffer.concat([header, payload, rest]));
  }

  /** Resolves an address to its MAC by ARP. */
  async arp(target: string): Promise<Buffer> {
    const request = Buffer.alloc(28);
    Buffer.from('0001080006040001', 'hex').copy(request);
    this.mac.copy(request, 8);
    address(this.address).copy(request, 14);
    address(target).copy(request, 24);
    const mac = await this.wire.wait(
      `ARP answer for ${target}`,
      frame => {
        const isReply = frame.readUInt16BE(12) === ARP && frame.readUInt16BE(20) === 2;
        return isReply && frame.subarray(28, 32).equals(address(target)) ? frame.subarray(22, 28) : null;
      },
      () => this.ethernet(ARP, request, BROADCAST),
    );
    this.#gateway = mac;
    return mac;
  }

  ip(to: string, protocol: number, payload: Buffer, from = this.address): void {
    const header = Buffer.alloc(20);
    header[0] = 0x45;
    header.writeUInt16BE(20 + payload.length, 2);
    header[8] = 64;
    header[9] = protocol;
    address(from).copy(header, 12);
    address(to).copy(header, 16);
    header.writeUInt16BE(checksum(header), 10);
    this.ethernet(IPV4, Buffer.concat([header, payload]));
  }

  udp(to: string, port: number, fromPort: number, data: Buffer, from = this.address): void {
    const header = Buffer.alloc(8);
    header.writeUInt16BE(fromPort, 0);
    header.writeUInt16BE(port, 2);
    header.writeUInt16BE(8 + data.length, 4);
    this.ip(to, UDP, Buffer.concat([header, data]), from);
  }

  /** The next datagram to a port of this guest, in answer to `ask` if given. */
  datagram(port: number, ask?: () => void): Promise<Buffer> {
    return this.wire.wait(
      `datagram to port ${port}`,
      frame => {
        const ip = readIp(frame);
        return ip?.protocol === UDP && ip.payload.readUInt16BE(2) === port ? ip.payload.subarray(8) : null;
      },
      ask,
    );
  }

  tcp(to: string, segment: Segment, options: Buffer = Buffer.alloc(0)): void {
    const header = Buffer.alloc(20 + options.length);
    header.writeUInt16BE(segment.from, 0);
    header.writeUInt16BE(segment.to, 2);
    header.writeUInt32BE(segment.seq >>> 0, 4);
    header.writeUInt32BE(segment.ack >>> 0, 8);
    header[12] = ((20 + options.length) / 4) << 4;
    header[13] = segment.flags;
    header.writeUInt16BE(65_535, 14);
    options.copy(header, 20);
    const bytes = Buffer.concat([header, segment.data]);
    const pseudo = Buffer.concat([address(this.address), address(to), Buffer.from([0, TCP, 0, 0])]);
    pseudo.writeUInt16BE(bytes.length, 10);
    bytes.writeUInt16BE(checksum(Buffer.concat([pseudo, bytes])), 16);
    this.ip(to, TCP, bytes);
  }
}

export function readIp(frame: Buffer): Ip | null {
  if (frame.length < 34 || frame.readUInt16BE(12) !== IPV4) return null;
  const ip = frame.subarray(14, 14 + frame.readUInt16BE(16));
  const text = (at: number) => [...ip.subarray(at, at + 4)].join('.');
  return { from: text(12), to: text(16), protocol: ip[9]!, payload: ip.subarray((ip[0]! & 15) * 4) };
}

export function readTcp(frame: Buffer): (Segment & { readonly ip: Ip }) | null {
  const ip = readIp(frame);
  if (ip?.protocol !== TCP) return null;
  const { payload } = ip;
  return {
    ip,
    from: payload.readUInt16BE(0),
    to: payload.readUInt16BE(2),
    seq: payload.readUInt32BE(4),
    ack: payload.readUInt32BE(8),
    flags: payload[13]!,
    data: payload.subarray((payload[12]! >> 4) * 4),
  };
}

/** One TCP connection of the guest: in order, without retransmission. */
export class RawConnection {
  readonly #guest: RawGuest;
  readonly #to: string;
  readonly #ports: { readonly from: number; readonly to: number };
  #seq = 1000;
  #ack = 0;
  /** Bytes of the largest segment received. */
  largest = 0;

  private constructor(guest: RawGuest, to: string, ports: { from: number; to: number }) {
    this.#guest = guest;
    this.#to = to;
    this.#ports = ports;
  }

  /** @returns null if it was refused */
  static async open(guest: RawGuest, to: string, port: number, from: number, mss = 1460) {
    const connection = new RawConnection(guest, to, { from, to: port });
    const option = Buffer.from([2, 4, 0, 0]);
    option.writeUInt16BE(mss, 2);
    connection.#send(SYN, Buffer.alloc(0), option);
    connection.#seq += 1;
    const answer = await connection.#next('answer to SYN');
    if (answer.flags & RST) return null;
    connection.#ack = answer.seq + 1;
    connection.#send(ACK);
    return connection;
  }

  /** Accepts a connection from the stack to a port of the guest. */
  static async accept(guest: RawGuest, port: number): Promise<RawConnection> {
    const syn = await guest.wire.wait('SYN', frame => {
      const segment = readTcp(frame);
      return segment?.to === port && segment.flags === SYN ? segment : null;
    });
    const connection = new RawConnection(guest, syn.ip.from, { from: port, to: syn.from });
    connection.#ack = syn.seq + 1;
    connection.#send(SYN | ACK);
    connection.#seq += 1;
    return connection;
  }

  write(data: Buffer): void {
    this.#send(PSH | ACK, data);
    this.#seq += data.length;
  }

  /** Reads until `length` bytes, or everything up to the other side's close. */
  async read(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let size = 0;
    while (size < length) {
      const segment = await this.#next(
        'data',
        ({ data, flags }) => data.length > 0 || (flags & (FIN | RST)) !== 0,
      );
      if (segment.seq !== this.#ack) continue;
      parts.push(Buffer.from(segment.data));
      size += segment.data.length;
      this.largest = Math.max(this.largest, segment.data.length);
      this.#ack += segment.data.length + (segment.flags & FIN ? 1 : 0);
      this.#send(ACK);
      if (segment.flags & (FIN | RST)) break;
    }
    return Buffer.concat(parts);
  }

  close(): void {
    this.#send(FIN | ACK);
    this.#seq += 1;
  }

  #send(flags: number, data: Buffer = Buffer.alloc(0), options?: Buffer): void {
    this.#guest.tcp(this.#to, { ...this.#ports, seq: this.#seq, ack: this.#ack, flags, data }, options);
  }

  #next(what: string, accept: (segment: Segment) => boolean = () => true): Promise<Segment> {
    const { from, to } = this.#ports;
    return this.#guest.wire.wait(what, frame => {
      const segment = readTcp(frame);
      return segment !== null && segment.from === to && segment.to === from && accept(segment)
        ? segment
        : null;
    });
  }
}
