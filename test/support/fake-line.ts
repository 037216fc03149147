import type { InterruptLine } from '../../src/devices/device.ts';

/** An interrupt line that records its level and its eventfds, and counts its rising edges. */
export class FakeLine implements InterruptLine {
  level = false;
  edges = 0;
  /** Resample eventfd by eventfd; null if there is none. */
  readonly fds = new Map<number, number | null>();

  set(level: boolean): void {
    if (level && !this.level) this.edges++;
    this.level = level;
  }

  connect(fd: number, resampleFd?: number): void {
    if (this.fds.has(fd)) throw new Error(`fd ${fd} is connected already`);
    this.fds.set(fd, resampleFd ?? null);
  }

  disconnect(fd: number): void {
    if (!this.fds.delete(fd)) throw new Error(`fd ${fd} is not connected`);
  }

  release(): void {
    this.fds.clear();
    this.set(false);
  }
}

/** A wire with several ends, asserted while any of them is. */
export class FakeWire {
  /** The ends that have been made and not released. */
  readonly ends = new Set<FakeLine>();

  get level(): boolean {
    return [...this.ends].some(end => end.level);
  }

  end(): FakeLine {
    const end = new FakeLine();
    this.ends.add(end);
    const { release } = end;
    end.release = () => {
      release.call(end);
      this.ends.delete(end);
    };
    return end;
  }
}
