import { constants } from 'node:fs';
import { access, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { run } from './tools.ts';
import { cacheDirectory } from './workspace.ts';

const PROGRAM = 'qemu-system-x86_64';
/** test %al,%al; jne; patched to a jmp. */
const CHECK = Buffer.from([0x84, 0xc0, 0x75]);
const JUMP = 0xeb;
/** The check is within this distance of the start of its function. */
const NEAR = 40;

/**
 * A copy of this machine's QEMU whose emulated CPU survives UEFI firmware in a nested guest. QEMU's TCG asserts a lock
 * that it does not hold when such a guest writes CR8 while an interrupt is pending (tcg_handle_interrupt, in 10.0 and
 * 11.1), which edk2 does whenever an interrupt returns.
 */
export async function patchedQemu(): Promise<string> {
  const original = await installed();
  const { size, mtimeMs } = await stat(original);
  const copy = join(cacheDirectory, 'qemu', `${PROGRAM}-${size}-${Math.round(mtimeMs)}`);
  const isThere = await access(copy).then(
    () => true,
    () => false,
  );
  if (isThere) return copy;
  const bytes = await readFile(original);
  const start = await functionOffset(original, 'tcg_handle_interrupt');
  const at = bytes.subarray(start, start + NEAR).indexOf(CHECK);
  if (at < 0) throw new Error(`${original} is not built as test/rig/patched-qemu.ts expects`);
  bytes[start + at + CHECK.length - 1] = JUMP;
  await mkdir(join(cacheDirectory, 'qemu'), { recursive: true });
  const temporary = `${copy}.${process.pid}`;
  await writeFile(temporary, bytes, { mode: 0o755 });
  await rename(temporary, copy);
  return copy;
}

async function installed(): Promise<string> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, PROGRAM);
    const isProgram = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isProgram) return file;
  }
  throw new Error(`${PROGRAM} is not installed`);
}

/** The offset of an exported function's code in an ELF file. */
async function functionOffset(file: string, name: string): Promise<number> {
  const symbols = (await run('readelf', ['-W', '--dyn-syms', file])).stdout;
  const address = new RegExp(`^ *\\d+: ([0-9a-f]+) .* ${name}(@|$)`, 'm').exec(symbols)?.[1];
  if (address === undefined) throw new Error(`${file} has no ${name}`);
  const headers = (await run('readelf', ['-W', '-l', file])).stdout;
  for (const [, offset, start, length] of headers.matchAll(
    /^ +LOAD +0x([0-9a-f]+) 0x([0-9a-f]+) \S+ 0x([0-9a-f]+)/gm,
  )) {
    const inside = Number.parseInt(address, 16) - Number.parseInt(start!, 16);
    if (inside >= 0 && inside < Number.parseInt(length!, 16)) return Number.parseInt(offset!, 16) + inside;
  }
  throw new Error(`${file} has no code at ${address}`);
}
