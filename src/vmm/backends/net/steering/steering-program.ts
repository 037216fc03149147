import { RSS_HASH } from '../../../../devices/backends/net.ts';
import { BpfCode } from './bpf-code.ts';
import { HASH_BYTES, HASHED_BYTES, STEERING_TABLE } from './steering-table.ts';

/** bpf_skb_load_bytes (linux/bpf.h). */
const LOAD_BYTES = 26;

const ETHERNET_BYTES = 14;
const ETHERTYPE_AT = 12;
const TAG_BYTES = 4;
const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd, tag: 0x8100, outerTag: 0x88a8 } as const;
const MAX_TAGS = 2;
const PROTOCOL = { tcp: 6, udp: 17 } as const;
/** IPv6 extension headers with their length in their second byte (RFC 8200 §4). */
const EXTENSIONS = { hopByHop: 0, routing: 43, destination: 60 } as const;
const MAX_EXTENSIONS = 6;
const IPV4 = { bytes: 20, fragment: 6, protocol: 9, source: 12, destination: 16 } as const;
/** The offset of a fragment, and whether more follow. */
const IS_FRAGMENT = 0x3fff;
const IPV6 = { bytes: 40, next: 6, addresses: 8 } as const;
const ADDRESSES_6 = 32;
const PORT_BYTES = 4;
/** Bytes hashed of IPv4: addresses and ports. */
const HASHED_4 = 12;

const RESULT = 0;
const FRAME_POINTER = 10;
/** Registers that are preserved across calls. */
const PACKET = 6;
const TABLE = 7;
const TYPES = 8;
/** The position in the packet. */
const AT = 9;

/** On the stack: the input of the hash, a header, and a few bytes. */
const INPUT = -40;
const HEADER = -88;
const SCRATCH = -96;

/**
 * A program that a TAP interface with several queues runs for each frame to the guest (TUNSETSTEERINGEBPF), which
 * returns the number of its queue. It hashes as for receive-side scaling (virtio 1.3 §5.1.6.4.3), using the table in
 * this map. Fragments are hashed by address only, since not all of them have ports.
 */
export function steeringProgram(mapFd: number): Uint8Array {
  const code = new BpfCode();
  code.aluRegister('mov', PACKET, 1);
  code.loadMapValue(TABLE, mapFd);
  code.load(4, TYPES, TABLE, STEERING_TABLE.types);
  for (let at = INPUT; at < 0; at += 8) code.clear(FRAME_POINTER, at);
  code.alu('mov', AT, ETHERNET_BYTES);
  readEthertype(code);
  code.jumpIf('equal', 1, ETHERTYPE.ipv4, 'ipv4');
  code.jumpIf('equal', 1, ETHERTYPE.ipv6, 'ipv6');
  code.jump('unclassified');
  readIpv4(code);
  readIpv6(code);
  hash(code);
  code.label('unclassified');
  code.load(4, RESULT, TABLE, STEERING_TABLE.unclassified);
  code.exit();
  return code.bytes();
}

/** Leaves the type of the frame's payload in r1, and its offset in AT. */
function readEthertype(code: BpfCode): void {
  const read = () => {
    code.load(2, 1, FRAME_POINTER, SCRATCH);
    code.fromNetworkOrder16(1);
  };
  code.alu('mov', 2, ETHERTYPE_AT);
  copy(code, SCRATCH, 2, 'unclassified');
  read();
  for (let tag = 0; tag < MAX_TAGS; tag++) {
    code.jumpIf('equal', 1, ETHERTYPE.outerTag, `tag ${tag}`);
    code.jumpIf('not equal', 1, ETHERTYPE.tag, 'no tag');
    code.label(`tag ${tag}`);
    code.aluRegister('mov', 2, AT);
    code.alu('add', 2, TAG_BYTES - 2);
    copy(code, SCRATCH, 2, 'unclassified');
    code.alu('add', AT, TAG_BYTES);
    read();
  }
  code.label('no tag');
}

function readIpv4(code: BpfCode): void {
  code.label('ipv4');
  code.aluRegister('mov', 2, AT);
  copy(code, HEADER, IPV4.bytes, 'unclassified');
  for (const [index, field] of [IPV4.source, IPV4.destination].entries()) {
    code.load(4, 1, FRAME_POINTER, HEADER + field);
    code.store(4, FRAME_POINTER, INPUT + 4 * index, 1);
  }
  code.load(2, 1, FRAME_POINTER, HEADER + IPV4.fragment);
  code.fromNetworkOrder16(1);
  code.jumpIf('any bit', 1, IS_FRAGMENT, 'addresses 4');
  code.load(1, 1, FRAME_POINTER, HEADER);
  code.alu('and', 1, 0x0f);
  code.alu('shl', 1, 2);
  code.aluRegister('add', AT, 1);
  code.load(1, 1, FRAME_POINTER, HEADER + IPV4.protocol);
  readPorts(code, '4', { tcp: RSS_HASH.tcp4, udp: RSS_HASH.udp4, ip: RSS_HASH.ipv4, at: INPUT + 8 });
}

function readIpv6(code: BpfCode): void {
  code.label('ipv6');
  code.aluRegister('mov', 2, AT);
  copy(code, HEADER, IPV6.bytes, 'unclassified');
  for (let at = 0; at < ADDRESSES_6; at += 8) {
    code.load(8, 1, FRAME_POINTER, HEADER + IPV6.addresses + at);
    code.store(8, FRAME_POINTER, INPUT + at, 1);
  }
  code.alu('add', AT, IPV6.bytes);
  code.load(1, 1, FRAME_POINTER, HEADER + IPV6.next);
  for (let extension = 0; extension < MAX_EXTENSIONS; extension++) {
    for (const type of Object.values(EXTENSIONS)) code.jumpIf('equal', 1, type, `extension ${extension}`);
    code.jump('no extension');
    code.label(`extension ${extension}`);
    code.aluRegister('mov', 2, AT);
    copy(code, SCRATCH, 2, 'addresses 6');
    code.load(1, 2, FRAME_POINTER, SCRATCH + 1);
    code.alu('add', 2, 1);
    code.alu('shl', 2, 3);
    code.aluRegister('add', AT, 2);
    code.load(1, 1, FRAME_POINTER, SCRATCH);
  }
  code.label('no extension');
  const at = INPUT + ADDRESSES_6;
  readPorts(code, '6', { tcp: RSS_HASH.tcp6, udp: RSS_HASH.udp6, ip: RSS_HASH.ipv6, at });
}

type Ports = { readonly tcp: number; readonly udp: number; readonly ip: number; readonly at: number };

/** r1 has the protocol; AT is the offset of its header. */
function readPorts(code: BpfCode, version: '4' | '6', { tcp, udp, ip, at }: Ports): void {
  code.jumpIf('equal', 1, PROTOCOL.tcp, `tcp ${version}`);
  code.jumpIf('equal', 1, PROTOCOL.udp, `udp ${version}`);
  code.jump(`addresses ${version}`);
  for (const [name, type] of [
    ['tcp', tcp],
    ['udp', udp],
  ] as const) {
    code.label(`${name} ${version}`);
    code.jumpIf('any bit', TYPES, type, `ports ${version}`);
    code.jump(`addresses ${version}`);
  }
  code.label(`ports ${version}`);
  code.aluRegister('mov', 2, AT);
  copy(code, at, PORT_BYTES, `addresses ${version}`);
  code.jump(`hash ${version}`);
  code.label(`addresses ${version}`);
  code.jumpIf('any bit', TYPES, ip, `hash ${version}`);
  code.jump('unclassified');
}

/** XORs the contributions of all bytes to the hash, and returns its queue. */
function hash(code: BpfCode): void {
  const add = (byte: number) => {
    code.load(1, 1, FRAME_POINTER, INPUT + byte);
    code.alu('shl', 1, 2);
    code.aluRegister('mov', 2, TABLE);
    code.alu('add', 2, STEERING_TABLE.hashes + byte * HASH_BYTES);
    code.aluRegister('add', 2, 1);
    code.load(4, 3, 2, 0);
    code.aluRegister('xor', RESULT, 3);
  };
  code.label('hash 4');
  code.alu('mov', RESULT, 0);
  code.jump('hash');
  code.label('hash 6');
  code.alu('mov', RESULT, 0);
  for (let byte = HASHED_4; byte < HASHED_BYTES; byte++) add(byte);
  code.label('hash');
  for (let byte = 0; byte < HASHED_4; byte++) add(byte);
  code.load(4, 1, TABLE, STEERING_TABLE.mask);
  code.aluRegister('and', RESULT, 1);
  code.alu('and', RESULT, 0x7f);
  code.alu('shl', RESULT, 1);
  code.aluRegister('mov', 2, TABLE);
  code.aluRegister('add', 2, RESULT);
  code.load(2, RESULT, 2, STEERING_TABLE.queues);
  code.exit();
}

/** Copies bytes of the packet, from the offset in r2, to the stack; goes to a label if it is too short. */
function copy(code: BpfCode, to: number, bytes: number, tooShort: string): void {
  code.aluRegister('mov', 1, PACKET);
  code.aluRegister('mov', 3, FRAME_POINTER);
  code.alu('add', 3, to);
  code.alu('mov', 4, bytes);
  code.call(LOAD_BYTES);
  code.jumpIf('not equal', RESULT, 0, tooShort);
}
