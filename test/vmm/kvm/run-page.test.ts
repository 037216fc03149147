import { describe, expect, it } from 'vitest';
import { RunPage } from '../../../src/vmm/kvm/run-page.ts';
import {
  kvmRun,
  kvmRunEmulationFailure,
  kvmRunFailEntry,
  kvmRunInternal,
  kvmRunMmio,
  kvmRunSystemEvent,
} from '../../../src/vmm/kvm/structs.ts';

const UNION = kvmRun.offset('exit');

function pageWith(fill: (bytes: Uint8Array) => void): RunPage {
  const pages = new ArrayBuffer(12288);
  fill(new Uint8Array(pages));
  return new RunPage(0x7000_0000_0000n, pages);
}

const words = (...values: bigint[]) => [...values, ...Array(16 - values.length).fill(0n)];

describe('a kvm_run page', () => {
  it('reports an emulation failure with its instruction', () => {
    const page = pageWith(bytes => {
      const insn_bytes = new Uint8Array(15).fill(0x90);
      insn_bytes.set([0x0f, 0x01, 0xca]);
      kvmRunEmulationFailure.write(
        bytes,
        { suberror: 1, ndata: 4, flags: 1n, insn_size: 3, insn_bytes },
        UNION,
      );
    });
    expect(page.internalError).toMatchObject({ suberror: 1, instruction: Uint8Array.of(0x0f, 0x01, 0xca) });
    expect(page.internalError.data).toHaveLength(4);
  });

  it('has no instruction when the flag is not set, or the error is of another kind', () => {
    const without = (suberror: number, flags: bigint) =>
      pageWith(bytes =>
        kvmRunInternal.write(bytes, { suberror, ndata: 2, data: words(flags, 0xffn) }, UNION),
      );
    expect(without(1, 0n).internalError.instruction).toBeNull();
    expect(without(3, 1n).internalError).toEqual({ suberror: 3, data: [1n, 0xffn], instruction: null });
  });

  it('stays within its fields when the counts are too large', () => {
    const internal = pageWith(bytes =>
      kvmRunInternal.write(bytes, { suberror: 2, ndata: 2 ** 32 - 1, data: words(1n) }, UNION),
    );
    expect(internal.internalError.data).toHaveLength(16);
    const event = pageWith(bytes =>
      kvmRunSystemEvent.write(bytes, { type: 3, ndata: 99, data: words(5n) }, UNION),
    );
    expect(event.systemEvent).toEqual({ type: 3, data: words(5n) });
  });

  it('reports why the hardware refused to run', () => {
    const page = pageWith(bytes =>
      kvmRunFailEntry.write(bytes, { hardware_entry_failure_reason: 0x8000_0021n, cpu: 3 }, UNION),
    );
    expect(page.failEntry).toEqual({ reason: 0x8000_0021n, cpu: 3 });
  });

  it('has exact addresses above 4 GiB', () => {
    const mmio = { phys_addr: 0x12_3456_7890n, data: new Uint8Array(8), len: 8, is_write: 1 };
    const page = pageWith(bytes => kvmRunMmio.write(bytes, mmio, UNION));
    expect(page).toHaveProperty('mmioAddress', 0x12_3456_7890);
  });
});
