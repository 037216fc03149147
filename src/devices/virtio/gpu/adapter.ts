import type { Device, DeviceState, IoHandler } from '../../device.ts';
import type { ScreenCanvas } from '../../display/screen-canvas.ts';
import type { ScreenControl } from '../../display/screen-frame.ts';
import { type ScreenPainter, ScreenSource } from '../../display/screen-source.ts';
import { VgaCore } from '../../display/vga/vga-core.ts';
import type { MachineServices } from '../../machine-services.ts';
import type { PciFunction } from '../../pci/pci-function.ts';
import { stateOf } from '../../state.ts';
import type { Statistic } from '../../statistic.ts';
import { VirtioPci } from '../transport-pci.ts';
import { type GpuOptions, VirtioGpu } from './gpu.ts';

/** The BAR in which QEMU's virtio-vga has the registers of its VGA, followed by those of virtio. */
const REGISTER_BAR = 2;
const CLASS = { vga: 0x03_0000, other: 0x03_8000 } as const;

export type GpuAdapterOptions = Omit<GpuOptions, 'pciClass'> & {
  /** The size of its VGA's memory in bytes; null if it has no VGA. */
  readonly vgaMemory: number | null;
};

/** A virtio GPU as a display adapter, which may act as a VGA until its driver starts. */
export class GpuAdapter implements Device {
  readonly name: string;
  readonly screen: ScreenSource;
  readonly vga: VgaCore | null;
  readonly gpu: VirtioGpu;
  readonly #transport: VirtioPci;
  readonly #statistics: readonly Statistic[];

  constructor({ vgaMemory, ...options }: GpuAdapterOptions, services: MachineServices) {
    const { name, monitor, edid } = options;
    this.name = name;
    const [frames, flushes, bytes] = ['frames', 'flushes', 'picture bytes'].map(each =>
      services.statistic({ device: name, name: each }),
    );
    this.#statistics = [frames!, flushes!, bytes!];
    const pciClass = vgaMemory === null ? CLASS.other : CLASS.vga;
    this.gpu = new VirtioGpu({ ...options, pciClass }, services, { flushes: flushes!, bytes: bytes! });
    if (vgaMemory === null) {
      this.#transport = new VirtioPci(this.gpu, services);
      this.vga = null;
    } else {
      // The VGA needs an existing function.
      const firstPage: IoHandler = {
        read: (offset, size) => this.vga!.mmio.read(offset, size),
        write: (offset, size, value) => this.vga!.mmio.write(offset, size, value),
      };
      this.#transport = new VirtioPci(this.gpu, services, { index: REGISTER_BAR, firstPage });
      const vga = { name, memoryBytes: vgaMemory, monitor: edid ? monitor : null };
      this.vga = new VgaCore(vga, this.#transport.function, services);
    }
    const painter = new AdapterPainter(this.gpu, this.vga?.painter ?? null);
    this.screen = new ScreenSource(services.clock, painter, count => frames!.add(count));
  }

  get control(): ScreenControl {
    const textMode = this.vga?.textMode;
    return {
      next: (...given) => this.screen.next(...given),
      resize: size => this.gpu.resize(size),
      ...(textMode && { textMode }),
    };
  }

  get function(): PciFunction {
    return this.#transport.function;
  }

  reset(): void {
    this.#transport.reset();
    this.vga?.reset();
  }

  quiesce(done: () => void): void {
    this.#transport.quiesce(done);
  }

  resume(): void {
    this.#transport.resume();
  }

  save(): DeviceState {
    return { ...this.#transport.save(), ...(this.vga && { vga: this.vga.save() }) };
  }

  load(state: DeviceState): void {
    const loadTransport = () => this.#transport.load(state);
    if (this.vga === null) loadTransport();
    else this.vga.load(stateOf(state, 'vga'), loadTransport);
  }

  close(): void {
    this.screen.close();
    const closeTransport = () => this.#transport.close();
    if (this.vga === null) closeTransport();
    else this.vga.close(closeTransport);
    for (const statistic of this.#statistics) statistic.release();
  }
}

/** Draws the GPU's display once its driver has taken over, and the VGA's before. */
class AdapterPainter implements ScreenPainter {
  readonly #gpu: VirtioGpu;
  readonly #vga: ScreenPainter | null;
  #drawn: ScreenPainter | null = null;

  constructor(gpu: VirtioGpu, vga: ScreenPainter | null) {
    this.#gpu = gpu;
    this.#vga = vga;
  }

  watched(watched: boolean): void {
    this.#gpu.picture.watched(watched);
    this.#vga?.watched(watched);
  }

  paint(canvas: ScreenCanvas, all: boolean): void {
    const painter = this.#gpu.isInUse ? this.#gpu.picture : (this.#vga ?? this.#gpu.picture);
    const isOther = painter !== this.#drawn;
    this.#drawn = painter;
    painter.paint(canvas, all || isOther);
  }
}
