import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import {
  ATTR,
  ATTR_MASK,
  ATTR_VIDEO,
  CRTC,
  CRTC_PORT,
  GFX_MASK,
  MISC,
  OVERFLOW_LINE_COMPARE,
  PORT,
  PROTECT,
  SEQ_MASK,
  STATUS1,
  TEXT_MODE,
} from './registers.ts';

const DAC_BYTES = 3 * 256;

/** The value of registers that do not exist. */
const NOTHING = 0xff;

/**
 * The registers of a VGA behind its ports: sequencer, graphics controller, attribute controller, CRTC and DAC. What
 * they mean for memory and picture is up to others, which are notified of each change.
 */
export class VgaRegisters {
  readonly sequencer = new Uint8Array(SEQ_MASK.length);
  readonly graphics = new Uint8Array(GFX_MASK.length);
  readonly attribute = new Uint8Array(ATTR.count);
  readonly crtc = new Uint8Array(CRTC.count);
  /** Red, green and blue of each color. */
  readonly dac = new Uint8Array(DAC_BYTES);
  misc = 0;
  dacMask = 0xff;
  attributeIndex = 0;
  #attributeIsData = false;
  #feature = 0;
  #sequencerIndex = 0;
  #graphicsIndex = 0;
  #crtcIndex = 0;
  #dacReadIndex = 0;
  #dacWriteIndex = 0;
  #dacState = 0;
  #dacStep = 0;
  /** The first two parts of a color that is being written. */
  readonly #dacParts = new Uint8Array(2);
  #status1 = 0;
  /** Counts changes that affect the picture. */
  pictureVersion = 0;
  /** Called when the way in which the CPU reaches memory may have changed. */
  readonly #memoryChanged: () => void;

  constructor(memoryChanged: () => void) {
    this.#memoryChanged = memoryChanged;
  }

  /** @param port 0x3b0-0x3df */
  readByte(port: number): number {
    switch (port) {
      case PORT.attribute:
        return this.#attributeIsData ? 0 : this.attributeIndex;
      case PORT.attributeRead:
        return this.attribute[this.attributeIndex & 0x1f] ?? 0;
      case PORT.misc:
        return 0;
      case PORT.sequencerIndex:
        return this.#sequencerIndex;
      case PORT.sequencer:
        return this.sequencer[this.#sequencerIndex] ?? 0;
      case PORT.dacMask:
        return this.dacMask;
      case PORT.dacRead:
        return this.#dacState;
      case PORT.dacWrite:
        return this.#dacWriteIndex;
      case PORT.dac:
        return this.#readDac();
      case PORT.featureRead:
        return this.#feature;
      case PORT.miscRead:
        return this.misc;
      case PORT.graphicsIndex:
        return this.#graphicsIndex;
      case PORT.graphics:
        return this.graphics[this.#graphicsIndex] ?? 0;
    }
    const offset = this.#crtcPort(port);
    if (offset === CRTC_PORT.index) return this.#crtcIndex;
    if (offset === CRTC_PORT.data) return this.crtc[this.#crtcIndex] ?? 0;
    if (offset !== CRTC_PORT.status) return NOTHING;
    this.#attributeIsData = false;
    // A guest that polls for retrace should not wait long.
    this.#status1 ^= STATUS1.displayDisabled | STATUS1.verticalRetrace;
    return this.#status1;
  }

  writeByte(port: number, value: number): void {
    switch (port) {
      case PORT.attribute:
        this.#writeAttribute(value);
        return;
      case PORT.misc:
        this.misc = value & ~0x10;
        this.#changed();
        this.#memoryChanged();
        return;
      case PORT.sequencerIndex:
        this.#sequencerIndex = value & 7;
        return;
      case PORT.sequencer:
        if (this.#set(this.sequencer, this.#sequencerIndex, value & (SEQ_MASK[this.#sequencerIndex] ?? 0)))
          this.#memoryChanged();
        return;
      case PORT.dacMask:
        this.dacMask = value;
        this.#changed();
        return;
      case PORT.dacRead:
        this.#dacReadIndex = value;
        this.#dacStep = 0;
        this.#dacState = 3;
        return;
      case PORT.dacWrite:
        this.#dacWriteIndex = value;
        this.#dacStep = 0;
        this.#dacState = 0;
        return;
      case PORT.dac:
        this.#writeDac(value);
        return;
      case PORT.graphicsIndex:
        this.#graphicsIndex = value & 0x0f;
        return;
      case PORT.graphics:
        if (this.#set(this.graphics, this.#graphicsIndex, value & (GFX_MASK[this.#graphicsIndex] ?? 0)))
          this.#memoryChanged();
        return;
    }
    const offset = this.#crtcPort(port);
    if (offset === CRTC_PORT.index) this.#crtcIndex = value;
    else if (offset === CRTC_PORT.data) this.#writeCrtc(value);
    else if (offset === CRTC_PORT.status) this.#feature = value & 0x10;
  }

  /** Sets registers on behalf of something other than the guest, and notifies of the change. */
  change(action: () => void): void {
    action();
    this.#changed();
    this.#memoryChanged();
  }

  reset(): void {
    this.change(() => {
      for (const registers of [this.sequencer, this.graphics, this.attribute, this.crtc, this.dac])
        registers.fill(0);
      this.misc = 0;
      this.dacMask = 0xff;
      this.attributeIndex = 0;
      this.#attributeIsData = false;
      this.#feature = 0;
      this.#sequencerIndex = 0;
      this.#graphicsIndex = 0;
      this.#crtcIndex = 0;
      this.#dacReadIndex = 0;
      this.#dacWriteIndex = 0;
      this.#dacState = 0;
      this.#dacStep = 0;
      this.#dacParts.fill(0);
      this.#status1 = 0;
    });
  }

  /** Sets mode 3 and its colors, as a VGA BIOS does. */
  setTextMode(): void {
    this.change(() => {
      this.misc = TEXT_MODE.misc;
      this.sequencer.set(TEXT_MODE.sequencer);
      this.graphics.set(TEXT_MODE.graphics);
      this.attribute.set(TEXT_MODE.attribute);
      this.crtc.set(TEXT_MODE.crtc);
      this.attributeIndex = ATTR_VIDEO;
      // Six bits: two intensities of red, green and blue each.
      for (let color = 0; color < 64; color++) {
        for (const [index, bit] of [2, 1, 0].entries()) {
          this.dac[3 * color + index] = 0x2a * ((color >> bit) & 1) + 0x15 * ((color >> (bit + 3)) & 1);
        }
      }
    });
  }

  save(): DeviceState {
    return {
      sequencer: this.sequencer.slice(),
      graphics: this.graphics.slice(),
      attribute: this.attribute.slice(),
      crtc: this.crtc.slice(),
      dac: this.dac.slice(),
      dacParts: this.#dacParts.slice(),
      misc: this.misc,
      dacMask: this.dacMask,
      attributeIndex: this.attributeIndex,
      attributeIsData: this.#attributeIsData ? 1 : 0,
      feature: this.#feature,
      sequencerIndex: this.#sequencerIndex,
      graphicsIndex: this.#graphicsIndex,
      crtcIndex: this.#crtcIndex,
      dacReadIndex: this.#dacReadIndex,
      dacWriteIndex: this.#dacWriteIndex,
      dacState: this.#dacState,
      dacStep: this.#dacStep,
      status1: this.#status1,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const bytes = (key: string, length: number, mask?: Uint8Array) => {
      const value = bytesOf(state, key);
      if (value.length !== length || (mask && value.some((byte, index) => byte & ~mask[index]!)))
        throw new DeviceStateError(key, `${length} registers`);
      return value;
    };
    const loaded = {
      sequencer: bytes('sequencer', this.sequencer.length, SEQ_MASK),
      graphics: bytes('graphics', this.graphics.length, GFX_MASK),
      attribute: bytes('attribute', this.attribute.length, ATTR_MASK),
      crtc: bytes('crtc', this.crtc.length),
      dac: bytes('dac', DAC_BYTES),
      parts: bytes('dacParts', 2),
    };
    this.change(() => {
      this.sequencer.set(loaded.sequencer);
      this.graphics.set(loaded.graphics);
      this.attribute.set(loaded.attribute);
      this.crtc.set(loaded.crtc);
      this.dac.set(loaded.dac);
      this.#dacParts.set(loaded.parts);
      this.misc = numberOf(state, 'misc', 0xff);
      this.dacMask = numberOf(state, 'dacMask', 0xff);
      this.attributeIndex = numberOf(state, 'attributeIndex', 0x3f);
      this.#attributeIsData = numberOf(state, 'attributeIsData', 1) === 1;
      this.#feature = numberOf(state, 'feature', 0xff);
      this.#sequencerIndex = numberOf(state, 'sequencerIndex', 7);
      this.#graphicsIndex = numberOf(state, 'graphicsIndex', 0x0f);
      this.#crtcIndex = numberOf(state, 'crtcIndex', 0xff);
      this.#dacReadIndex = numberOf(state, 'dacReadIndex', 0xff);
      this.#dacWriteIndex = numberOf(state, 'dacWriteIndex', 0xff);
      this.#dacState = numberOf(state, 'dacState', 3);
      this.#dacStep = numberOf(state, 'dacStep', 2);
      this.#status1 = numberOf(state, 'status1', 0xff);
    });
  }

  /** The offset in the active group of ports, or -1. */
  #crtcPort(port: number): number {
    const start = (this.misc & MISC.color) !== 0 ? PORT.color : PORT.mono;
    return port >= start && port < start + 0x10 ? port - start : -1;
  }

  #set(registers: Uint8Array, index: number, value: number): boolean {
    if (index >= registers.length || registers[index] === value) return false;
    registers[index] = value;
    this.#changed();
    return true;
  }

  #writeAttribute(value: number): void {
    if (this.#attributeIsData) {
      const index = this.attributeIndex & 0x1f;
      this.#set(this.attribute, index, value & (ATTR_MASK[index] ?? 0));
    } else {
      this.attributeIndex = value & 0x3f;
      this.#changed();
    }
    this.#attributeIsData = !this.#attributeIsData;
  }

  #writeCrtc(value: number): void {
    const index = this.#crtcIndex;
    const isProtected = index <= CRTC.overflow && (this.crtc[CRTC.verticalRetraceEnd]! & PROTECT) !== 0;
    if (!isProtected) {
      this.#set(this.crtc, index, value);
    } else if (index === CRTC.overflow) {
      const kept = this.crtc[index]! & ~OVERFLOW_LINE_COMPARE;
      this.#set(this.crtc, index, kept | (value & OVERFLOW_LINE_COMPARE));
    }
  }

  #readDac(): number {
    const value = this.dac[3 * this.#dacReadIndex + this.#dacStep]!;
    if (++this.#dacStep === 3) {
      this.#dacStep = 0;
      this.#dacReadIndex = (this.#dacReadIndex + 1) & 0xff;
    }
    return value;
  }

  #writeDac(value: number): void {
    if (this.#dacStep < 2) {
      this.#dacParts[this.#dacStep++] = value;
      return;
    }
    const at = 3 * this.#dacWriteIndex;
    this.dac.set(this.#dacParts, at);
    this.dac[at + 2] = value;
    this.#dacStep = 0;
    this.#dacWriteIndex = (this.#dacWriteIndex + 1) & 0xff;
    this.#changed();
  }

  #changed(): void {
    this.pictureVersion++;
  }
}
