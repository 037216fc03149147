import type { UsbSpeed } from './usb-device.ts';

/** Types of descriptors (USB 2.0 table 9-5). */
export const DESCRIPTOR = {
  device: 1,
  configuration: 2,
  string: 3,
  interface: 4,
  endpoint: 5,
  deviceQualifier: 6,
  otherSpeed: 7,
} as const;

export const ENDPOINT_TYPE = { bulk: 2, interrupt: 3 } as const;

export type EndpointDescription = {
  /** The endpoint's number, with bit 7 set for an IN endpoint. */
  readonly address: number;
  readonly type: (typeof ENDPOINT_TYPE)[keyof typeof ENDPOINT_TYPE];
  readonly maxPacket: number;
  /** In the descriptor's encoding. */
  readonly interval: number;
};

/** What a device with one configuration and one interface reports about itself. */
export type UsbDescription = {
  readonly vendor: number;
  readonly product: number;
  readonly speed: UsbSpeed;
  /** The maximum packet size of endpoint 0, in bytes. */
  readonly maxPacket: number;
  readonly names: { readonly manufacturer: string; readonly product: string; readonly serial: string };
  /** Class, subclass and protocol of the interface. */
  readonly interfaceClass: readonly [number, number, number];
  /** Class descriptors, which follow the interface descriptor. */
  readonly classDescriptors: Uint8Array;
  readonly endpoints: readonly EndpointDescription[];
  /** The endpoints at full speed, for a device that is faster. */
  readonly otherEndpoints?: readonly EndpointDescription[];
};

const USB_2_0 = 0x0200;
const US_ENGLISH = 0x0409;
/** Bus powered, without remote wakeup; 100 mA. */
const ATTRIBUTES = 0x80;
const POWER = 50;
const STRINGS = ['manufacturer', 'product', 'serial'] as const;
/** The maximum number of UTF-16 code units in a string descriptor. */
const MAX_STRING = 126;

const le16 = (value: number) => [value & 0xff, value >> 8];

/** The descriptor of this type and index (USB 2.0 §9.6); null if there is none. */
export function descriptor(description: UsbDescription, type: number, index: number): Uint8Array | null {
  const { speed, endpoints, otherEndpoints } = description;
  if (type === DESCRIPTOR.string) return stringDescriptor(description, index);
  if (index !== 0) return null;
  switch (type) {
    case DESCRIPTOR.device:
      return deviceDescriptor(description);
    case DESCRIPTOR.configuration:
      return configuration(description, endpoints, DESCRIPTOR.configuration);
    case DESCRIPTOR.deviceQualifier:
      return speed === 'high' ? qualifier(description) : null;
    case DESCRIPTOR.otherSpeed:
      return otherEndpoints ? configuration(description, otherEndpoints, DESCRIPTOR.otherSpeed) : null;
    default:
      return null;
  }
}

function deviceDescriptor({ vendor, product, maxPacket }: UsbDescription): Uint8Array {
  const RELEASE = 0x0100;
  return withLength(DESCRIPTOR.device, [
    ...le16(USB_2_0),
    ...[0, 0, 0, maxPacket],
    ...[...le16(vendor), ...le16(product), ...le16(RELEASE)],
    ...STRINGS.map((_, at) => at + 1),
    1,
  ]);
}

function qualifier({ maxPacket }: UsbDescription): Uint8Array {
  return withLength(DESCRIPTOR.deviceQualifier, [...le16(USB_2_0), 0, 0, 0, maxPacket, 1, 0]);
}

function configuration(
  { interfaceClass, classDescriptors }: UsbDescription,
  endpoints: readonly EndpointDescription[],
  type: number,
): Uint8Array {
  const parts = [
    ...withLength(DESCRIPTOR.interface, [0, 0, endpoints.length, ...interfaceClass, 0]),
    ...classDescriptors,
    ...endpoints.flatMap(({ address, type, maxPacket, interval }) => [
      ...withLength(DESCRIPTOR.endpoint, [address, type, ...le16(maxPacket), interval]),
    ]),
  ];
  const HEADER = 9;
  const header = withLength(type, [...le16(HEADER + parts.length), 1, 1, 0, ATTRIBUTES, POWER]);
  return Uint8Array.from([...header, ...parts]);
}

function stringDescriptor({ names }: UsbDescription, index: number): Uint8Array | null {
  if (index === 0) return withLength(DESCRIPTOR.string, le16(US_ENGLISH));
  const key = STRINGS[index - 1];
  if (key === undefined) return null;
  const units = Array.from({ length: Math.min(names[key].length, MAX_STRING) }, (_, at) =>
    names[key].charCodeAt(at),
  );
  return withLength(DESCRIPTOR.string, units.flatMap(le16));
}

function withLength(type: number, content: readonly number[]): Uint8Array {
  return Uint8Array.from([content.length + 2, type, ...content]);
}
