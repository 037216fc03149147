/** Control messages (virtio 1.3 §5.3.6.2): {le32 id, le16 event, le16 value}, some followed by a text or a size. */
export const EVENT = {
  deviceReady: 0,
  deviceAdd: 1,
  deviceRemove: 2,
  portReady: 3,
  consolePort: 4,
  resize: 5,
  portOpen: 6,
  portName: 7,
} as const;

const HEADER_BYTES = 8;
/** The maximum size of a driver's message: those that a device understands are headers. */
export const MAX_MESSAGE_BYTES = HEADER_BYTES;

export type ControlMessage = { readonly id: number; readonly event: number; readonly value: number };

/** Null if it is too short. */
export function parseMessage(bytes: Uint8Array): ControlMessage | null {
  if (bytes.length < HEADER_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { id: view.getUint32(0, true), event: view.getUint16(4, true), value: view.getUint16(6, true) };
}

export function encodeMessage(
  { id, event, value }: ControlMessage,
  rest: Uint8Array = new Uint8Array(),
): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + rest.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, id, true);
  view.setUint16(4, event, true);
  view.setUint16(6, value, true);
  bytes.set(rest, HEADER_BYTES);
  return bytes;
}

/** {le16 columns, le16 rows}, which follow the header of a resize. */
export function encodeSize({
  columns,
  rows,
}: {
  readonly columns: number;
  readonly rows: number;
}): Uint8Array {
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, columns, true);
  view.setUint16(2, rows, true);
  return bytes;
}

/** Messages that wait for the driver's buffers: only the latest of each kind for each port, so that there are few. */
export class PendingMessages {
  #messages: Uint8Array[] = [];

  add(message: Uint8Array): void {
    const { id, event } = parseMessage(message)!;
    this.#messages = this.#messages.filter(other => {
      const { id: otherId, event: otherEvent } = parseMessage(other)!;
      return otherId !== id || otherEvent !== event;
    });
    this.#messages.push(message);
  }

  get first(): Uint8Array | undefined {
    return this.#messages[0];
  }

  shift(): void {
    this.#messages.shift();
  }

  clear(): void {
    this.#messages = [];
  }

  /** For a state. */
  get all(): readonly Uint8Array[] {
    return this.#messages;
  }
}
