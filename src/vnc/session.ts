import type { Duplex } from 'node:stream';
import type { MonitorSize, ScreenResize } from '../devices/display/monitor-size.ts';
import { BUTTON, type InputEvent, POSITION_MAX } from '../devices/input/input-event.ts';
import type { LayoutName } from '../devices/input/layout-names.ts';
import { ByteReader, ConnectionEnded } from './byte-reader.ts';
import {
  extendedDesktopSize,
  INVALID_LAYOUT,
  NOT_NOW,
  readDesktopSize,
  type SizeStatus,
  statusOf,
} from './desktop-size.ts';
import { rawPixels, Zrle } from './encodings.ts';
import { DirtyTiles, type Framebuffer, type Rectangle } from './framebuffer.ts';
import { keyOfScanCode, keyOfSymbol } from './key-symbols.ts';
import { CLIENT, ENCODING, rectangleHead, updateHead } from './messages.ts';
import { decodeFormat, encodeFormat, NATIVE, PIXEL_FORMAT_BYTES, PixelWriter } from './pixel-format.ts';
import { Refused, type Security, secure } from './security.ts';

const VERSION = 'RFB 003.008\n';
const CUT_TEXT_MAX = 2 ** 20;
const HANDSHAKE_MS = 15_000;

/** Bits of a pointer event: buttons, and the wheel as two more. */
const POINTER_BUTTONS: readonly (readonly [number, number])[] = [
  [0x01, BUTTON.left],
  [0x02, BUTTON.middle],
  [0x04, BUTTON.right],
];
const WHEEL: readonly (readonly [number, number])[] = [
  [0x08, -1],
  [0x10, 1],
];

export type VncSessionOptions = {
  readonly framebuffer: Framebuffer;
  readonly name: string;
  readonly security: Security;
  readonly layout: LayoutName;
  /** Null for a view-only client. */
  readonly input: ((events: readonly InputEvent[]) => void) | null;
  /** Has the guest make the screen as large as the client wants it. Null for a view-only client. */
  readonly resize: ((size: MonitorSize) => Promise<ScreenResize>) | null;
};

/** One VNC client: RFB 3.3 to 3.8 (RFC 6143). A protocol error ends the connection. */
export class VncSession {
  readonly #options: VncSessionOptions;
  #stream: Duplex;
  #reader: ByteReader;
  #writer = new PixelWriter(NATIVE);
  readonly #zrle = new Zrle();
  readonly #dirty = new DirtyTiles();
  #hasZrle = false;
  #hasDesktopSize = false;
  #hasExtendedSize = false;
  /** The size of the framebuffer as the client knows it. */
  #size: { readonly width: number; readonly height: number } = { width: 0, height: 0 };
  /** The client has requested an update. */
  #asks = false;
  #isSending = false;
  #isReady = false;
  #buttons = 0;
  readonly #held = new Set<number>();

  constructor(stream: Duplex, options: VncSessionOptions) {
    this.#options = options;
    this.#stream = stream;
    this.#reader = new ByteReader(stream);
    stream.on('error', () => {});
  }

  /** Serves the client until it is gone. @throws Refused if it was not admitted, or violated the protocol */
  async serve(): Promise<void> {
    const timer = setTimeout(() => this.close(), HANDSHAKE_MS);
    try {
      await this.#handshake();
      clearTimeout(timer);
      for (;;) await this.#message();
    } catch (error) {
      if (!(error instanceof ConnectionEnded)) throw error;
    } finally {
      clearTimeout(timer);
      this.close();
    }
  }

  close(): void {
    this.#isReady = false;
    const events: InputEvent[] = [
      ...Array.from(this.#held, code => ({ kind: 'key', code, down: false }) as const),
      ...POINTER_BUTTONS.filter(([bit]) => this.#buttons & bit).map(
        ([, code]) => ({ kind: 'button', code, down: false }) as const,
      ),
    ];
    this.#held.clear();
    this.#buttons = 0;
    if (events.length > 0) this.#options.input?.(events);
    this.#zrle.close();
    // Lets the reason still reach a refused client.
    this.#stream.end();
    setTimeout(() => this.#stream.destroy(), 1000).unref();
  }

  /** The picture has changed. @param areas null if its size has */
  changed(areas: readonly Rectangle[] | null): void {
    if (!this.#isReady) return;
    if (areas === null) this.#dirty.all(this.#options.framebuffer);
    else for (const area of areas) this.#dirty.add(area);
    void this.#send();
  }

  async #handshake(): Promise<void> {
    this.#stream.write(VERSION);
    const text = (await this.#reader.read(VERSION.length)).toString('latin1');
    const version = /^RFB (\d{3})\.(\d{3})\n$/.exec(text);
    if (version === null || Number(version[1]) !== 3) throw new Refused('it does not speak RFB 3');
    const number = Number(version[2]);
    const minor = number >= 8 ? 8 : number === 7 ? 7 : 3;
    const secured = await secure(this.#stream, this.#reader, minor, this.#options.security);
    this.#stream = secured.stream;
    this.#stream.on('error', () => {});
    this.#reader = secured.reader;
    // The shared flag is ignored: all clients share the screen.
    await this.#reader.read(1);
    const { framebuffer, name } = this.#options;
    const title = Buffer.from(name);
    const head = Buffer.alloc(4);
    head.writeUInt16BE(framebuffer.width, 0);
    head.writeUInt16BE(framebuffer.height, 2);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(title.length);
    this.#stream.write(Buffer.concat([head, encodeFormat(NATIVE), length, title]));
    this.#size = { width: framebuffer.width, height: framebuffer.height };
    this.#dirty.all(framebuffer);
    this.#isReady = true;
  }

  async #message(): Promise<void> {
    const type = (await this.#reader.read(1))[0]!;
    switch (type) {
      case CLIENT.setPixelFormat: {
        const bytes = await this.#reader.read(3 + PIXEL_FORMAT_BYTES);
        const format = decodeFormat(bytes.subarray(3));
        if (format === null) throw new Refused('it wants pixels in a format that is not offered');
        this.#writer = new PixelWriter(format);
        break;
      }
      case CLIENT.setEncodings:
        await this.#setEncodings();
        break;
      case CLIENT.framebufferUpdateRequest: {
        const request = await this.#reader.read(9);
        if (request[0] === 0) this.#dirty.all(this.#options.framebuffer);
        this.#asks = true;
        void this.#send();
        break;
      }
      case CLIENT.keyEvent: {
        const event = await this.#reader.read(7);
        this.#key(keyOfSymbol(event.readUInt32BE(3), this.#options.layout), event[0] !== 0);
        break;
      }
      case CLIENT.pointerEvent: {
        const event = await this.#reader.read(5);
        this.#point(event[0]!, event.readUInt16BE(1), event.readUInt16BE(3));
        break;
      }
      case CLIENT.clientCutText: {
        const length = (await this.#reader.read(7)).readUInt32BE(3);
        if (length > CUT_TEXT_MAX) throw new Refused(`it sends a clipboard of ${length} bytes`);
        await this.#reader.skip(length);
        break;
      }
      case CLIENT.setDesktopSize: {
        const size = await readDesktopSize(this.#reader);
        this.#answerResize(size === null ? INVALID_LAYOUT : await this.#resize(size));
        break;
      }
      case CLIENT.qemu: {
        const event = await this.#reader.read(11);
        if (event[0] !== 0) throw new Refused(`it sends QEMU's message ${event[0]}`);
        const key =
          keyOfScanCode(event.readUInt32BE(7)) ?? keyOfSymbol(event.readUInt32BE(3), this.#options.layout);
        this.#key(key, event.readUInt16BE(1) !== 0);
        break;
      }
      default:
        throw new Refused(`it sends a message of type ${type}`);
    }
  }

  async #setEncodings(): Promise<void> {
    const count = (await this.#reader.read(3)).readUInt16BE(1);
    const bytes = await this.#reader.read(4 * count);
    const known = new Set<number>();
    for (let at = 0; at < bytes.length; at += 4) known.add(bytes.readInt32BE(at));
    this.#hasZrle = known.has(ENCODING.zrle);
    this.#hasDesktopSize = known.has(ENCODING.desktopSize);
    const hadExtendedSize = this.#hasExtendedSize;
    this.#hasExtendedSize = known.has(ENCODING.extendedDesktopSize);
    // By this the client knows that it may ask for another size.
    if (this.#hasExtendedSize && !hadExtendedSize) this.#sendSize();
    if (known.has(ENCODING.qemuExtendedKey)) {
      // An empty rectangle announces that this server accepts such events.
      this.#stream.write(Buffer.concat([updateHead(1), rectangleHead(NOWHERE, ENCODING.qemuExtendedKey)]));
    }
  }

  async #resize(size: MonitorSize): Promise<SizeStatus> {
    const { resize } = this.#options;
    if (resize === null) return statusOf(null);
    try {
      return statusOf(await resize(size));
    } catch {
      // The VM is off, or has no screen any more.
      return NOT_NOW;
    }
  }

  /** Every request is answered, whatever the size is now. */
  #answerResize(status: SizeStatus): void {
    if (this.#hasExtendedSize) this.#sendSize(status);
  }

  #sendSize(status?: SizeStatus): void {
    if (this.#isReady)
      this.#stream.write(Buffer.concat([updateHead(1), extendedDesktopSize(this.#size, status)]));
  }

  #key(code: number | null, down: boolean): void {
    if (code === null || this.#options.input === null) return;
    if (down) this.#held.add(code);
    else this.#held.delete(code);
    this.#options.input([{ kind: 'key', code, down }]);
  }

  #point(buttons: number, x: number, y: number): void {
    const { framebuffer, input } = this.#options;
    if (input === null) return;
    const scale = (value: number, size: number) =>
      Math.min(POSITION_MAX, Math.round((value * POSITION_MAX) / Math.max(1, size - 1)));
    const events: InputEvent[] = [
      { kind: 'position', x: scale(x, framebuffer.width), y: scale(y, framebuffer.height) },
    ];
    const changed = buttons ^ this.#buttons;
    for (const [bit, code] of POINTER_BUTTONS) {
      if (changed & bit) events.push({ kind: 'button', code, down: (buttons & bit) !== 0 });
    }
    for (const [bit, dy] of WHEEL) if (changed & buttons & bit) events.push({ kind: 'wheel', dy });
    this.#buttons = buttons;
    input(events);
  }

  /** Sends changes once the client has requested them and has taken the previous ones. */
  async #send(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      while (this.#isReady && this.#asks && !this.#dirty.isEmpty) {
        this.#asks = false;
        const isTaken = this.#stream.write(await this.#update());
        if (!isTaken) await this.#drained();
      }
    } finally {
      this.#isSending = false;
    }
  }

  async #update(): Promise<Buffer> {
    const { framebuffer } = this.#options;
    const { width, height } = framebuffer;
    const isResized = width !== this.#size.width || height !== this.#size.height;
    if (isResized && (this.#hasExtendedSize || this.#hasDesktopSize)) {
      this.#size = { width, height };
      this.#dirty.all(framebuffer);
      const rectangle = this.#hasExtendedSize
        ? extendedDesktopSize(this.#size)
        : rectangleHead({ x: 0, y: 0, width, height }, ENCODING.desktopSize);
      return Buffer.concat([updateHead(1), rectangle]);
    }
    // A client that cannot resize sees as much as fits its size.
    const areas = this.#dirty.take(framebuffer).flatMap(area => clipped(area, this.#size));
    const parts = [updateHead(areas.length)];
    for (const area of areas) {
      parts.push(rectangleHead(area, this.#hasZrle ? ENCODING.zrle : ENCODING.raw));
      parts.push(
        this.#hasZrle
          ? await this.#zrle.encode(framebuffer, area, this.#writer)
          : rawPixels(framebuffer, area, this.#writer),
      );
    }
    return Buffer.concat(parts);
  }

  #drained(): Promise<void> {
    const stream = this.#stream;
    return new Promise(resolve => {
      const done = () => {
        stream.off('drain', done);
        stream.off('close', done);
        resolve();
      };
      stream.on('drain', done);
      stream.on('close', done);
    });
  }
}

const NOWHERE: Rectangle = { x: 0, y: 0, width: 0, height: 0 };

function clipped(area: Rectangle, size: { readonly width: number; readonly height: number }): Rectangle[] {
  const width = Math.min(area.width, size.width - area.x);
  const height = Math.min(area.height, size.height - area.y);
  return width > 0 && height > 0 ? [{ ...area, width, height }] : [];
}
