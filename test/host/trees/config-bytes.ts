/** What a function's config space is to say. Offsets of capabilities follow from their order. */
export type ConfigSpec = {
  readonly vendor: string;
  readonly device: string;
  readonly class: string;
  readonly revision?: string;
  readonly subsystem?: string;
  readonly multifunction?: boolean;
  readonly bridge?: { readonly secondary: number; readonly subordinate: number };
  /** VFs read ones for their ids. */
  readonly virtual?: boolean;
  readonly capabilities?: readonly CapabilitySpec[];
};

export type CapabilitySpec =
  | { readonly kind: 'pm' }
  | { readonly kind: 'msi'; readonly vectorsPower: number }
  | { readonly kind: 'msix'; readonly vectors: number; readonly bar: number; readonly enabled?: boolean }
  | {
      readonly kind: 'pcie';
      /** Device/port type of the PCI Express capabilities register: 0 endpoint, 4 root port, 7 PCIe-to-PCI bridge. */
      readonly type: number;
      readonly flr?: boolean;
      /** Speed code and width: of the hardware, and now. */
      readonly link?: readonly [maxSpeed: number, maxWidth: number, speed: number, width: number];
      readonly ariForwarding?: boolean;
    }
  | { readonly kind: 'serial'; readonly serial: string }
  /** Bit masks of the ACS capability and control registers. */
  | { readonly kind: 'acs'; readonly capability: number; readonly control: number }
  | { readonly kind: 'ari' }
  | { readonly kind: 'ats'; readonly enabled: boolean }
  | {
      readonly kind: 'sriov';
      readonly total: number;
      readonly current: number;
      readonly offset: number;
      readonly stride: number;
      readonly vfDevice: string;
    };

const extended = new Set(['serial', 'acs', 'ari', 'ats', 'sriov']);

/** The 4096 bytes of a PCI Express function's config space, 256 of a conventional one's. */
export function configBytes(spec: ConfigSpec): Buffer {
  const capabilities = spec.capabilities ?? [];
  const bytes = Buffer.alloc(capabilities.some(each => each.kind === 'pcie') ? 4096 : 256);
  bytes.writeUInt16LE(spec.virtual ? 0xffff : hex(spec.vendor), 0);
  bytes.writeUInt16LE(spec.virtual ? 0xffff : hex(spec.device), 2);
  bytes.writeUInt16LE(capabilities.length > 0 ? 0x10 : 0, 6);
  bytes.writeUInt8(hex(spec.revision ?? '01'), 8);
  bytes.writeUIntLE(hex(spec.class), 9, 3);
  bytes.writeUInt8((spec.bridge ? 1 : 0) | (spec.multifunction ? 0x80 : 0), 0x0e);
  if (spec.bridge) {
    bytes.writeUInt8(spec.bridge.secondary, 0x19);
    bytes.writeUInt8(spec.bridge.subordinate, 0x1a);
  } else if (spec.subsystem) {
    const [vendor, device] = spec.subsystem.split(':') as [string, string];
    bytes.writeUInt16LE(hex(vendor), 0x2c);
    bytes.writeUInt16LE(hex(device), 0x2e);
  }
  writeList(bytes, capabilities);
  return bytes;
}

function writeList(bytes: Buffer, capabilities: readonly CapabilitySpec[]): void {
  let pointer = 0x34;
  let at = 0x40;
  for (const each of capabilities.filter(capability => !extended.has(capability.kind))) {
    bytes.writeUInt8(at, pointer);
    writeCapability(bytes, at, each);
    pointer = at + 1;
    at += 0x40;
  }
  at = 0x100;
  let previous = 0;
  for (const each of capabilities.filter(capability => extended.has(capability.kind))) {
    if (previous) bytes.writeUInt32LE((bytes.readUInt32LE(previous) | (at << 20)) >>> 0, previous);
    writeCapability(bytes, at, each);
    previous = at;
    at += 0x60;
  }
}

function writeCapability(bytes: Buffer, at: number, spec: CapabilitySpec): void {
  const u8 = (offset: number, value: number) => bytes.writeUInt8(value, at + offset);
  const u16 = (offset: number, value: number) => bytes.writeUInt16LE(value, at + offset);
  const u32 = (offset: number, value: number) => bytes.writeUInt32LE(value >>> 0, at + offset);
  const extendedHeader = (id: number) => u32(0, id | (1 << 16));
  switch (spec.kind) {
    case 'pm':
      u8(0, 1);
      u16(4, 0x8);
      return;
    case 'msi':
      u8(0, 5);
      u16(2, 0x80 | (spec.vectorsPower << 1));
      return;
    case 'msix':
      u8(0, 0x11);
      u16(2, (spec.vectors - 1) | (spec.enabled ? 0x8000 : 0));
      u32(4, spec.bar);
      u32(8, 0x2000 | spec.bar);
      return;
    case 'pcie': {
      u8(0, 0x10);
      u16(2, 2 | (spec.type << 4));
      u32(4, 1 | (spec.flr ? 1 << 28 : 0));
      const [maxSpeed, maxWidth, speed, width] = spec.link ?? [0, 0, 0, 0];
      u32(0x0c, maxSpeed | (maxWidth << 4));
      u16(0x12, speed | (width << 4));
      u16(0x28, spec.ariForwarding ? 0x20 : 0);
      return;
    }
    case 'serial': {
      extendedHeader(3);
      const digits = spec.serial.replaceAll('-', '');
      u32(8, hex(digits.slice(0, 8)));
      u32(4, hex(digits.slice(8)));
      return;
    }
    case 'acs':
      extendedHeader(13);
      u16(4, spec.capability);
      u16(6, spec.control);
      return;
    case 'ari':
      extendedHeader(14);
      return;
    case 'ats':
      extendedHeader(15);
      u16(6, spec.enabled ? 0x8000 : 0);
      return;
    case 'sriov':
      extendedHeader(16);
      u16(8, spec.current > 0 ? 9 : 0);
      u16(0x0c, spec.total);
      u16(0x0e, spec.total);
      u16(0x10, spec.current);
      u16(0x14, spec.offset);
      u16(0x16, spec.stride);
      u16(0x1a, hex(spec.vfDevice));
  }
}

function hex(text: string): number {
  return Number.parseInt(text, 16);
}
