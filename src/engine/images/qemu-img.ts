import { execa } from 'execa';

/** An image operation that failed, with a sentence for the user. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
}

export type QemuImgOptions = {
  /** Percent. */
  readonly progress?: (percent: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** Exit statuses that are not failures. */
  readonly accepted?: readonly number[];
};

/** Runs qemu-img. @returns its output and exit status. @throws ImageError; the reason of `signal` */
export async function qemuImg(
  what: string,
  args: readonly string[],
  { progress, signal, accepted = [] }: QemuImgOptions = {},
): Promise<{ readonly stdout: string; readonly status: number }> {
  const running = execa('qemu-img', args, {
    stdin: 'ignore',
    reject: false,
    ...(signal && { cancelSignal: signal }),
  });
  running.stdout.on('data', (text: Buffer) => {
    const percent = /\((\d+(?:\.\d+)?)\/100%\)\s*$/.exec(text.toString())?.[1];
    if (percent !== undefined) progress?.(Number(percent));
  });
  const result = await running;
  signal?.throwIfAborted();
  if (result.code === 'ENOENT') {
    throw new ImageError(
      `${what} needs qemu-img: install the package qemu-utils (Debian, Ubuntu) or qemu-img (Fedora), then try again`,
    );
  }
  const status = result.exitCode ?? -1;
  if (result.failed && !accepted.includes(status)) {
    const lines = result.stderr.trim().split('\n');
    const line = lines.find(line => line.startsWith('qemu-img: ')) ?? lines.at(-1);
    throw new ImageError(`${what} failed: ${line?.replace(/^qemu-img: /, '') || result.shortMessage}`);
  }
  return { stdout: result.stdout, status };
}
