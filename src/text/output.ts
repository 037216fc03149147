import { writeSync } from 'node:fs';
import { getSystemErrorMessage } from 'node:util';
import { printable, UNPRINTABLE } from './printable.ts';

/**
 * The output of every command. Data from a recorded host, a definition or a guest's device only reaches the terminal as
 * plain text, and write errors are recorded.
 */

/** The first write error; a reader that has exited (`| head`) is not an error. */
let failure: NodeJS.ErrnoException | null = null;
const lost = Promise.withResolvers<void>();

/** Resolves when writing to stdout is no longer possible: its reader has exited, or its disk is full. */
export const outputLost: Promise<void> = lost.promise;

/** Records errors of stdout and stderr instead of throwing them. */
export function watchOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => failed(stream, error));
  }
}

/** The write error as a sentence; null if there is none. */
export function outputFailure(): string | null {
  if (failure === null) return null;
  const { errno, code } = failure;
  const reason = errno === undefined ? failure.message : `${getSystemErrorMessage(errno)} (${code})`;
  return `the output could not be written: ${reason}`;
}

/** Prints lines for people. Escapes line breaks within a line, so that no name can forge a line of ours. */
export function printLines(...lines: readonly string[]): void {
  write(process.stdout, lines.map(line => `${printableLine(line)}\n`).join(''));
}

/** Prints a text of several lines. */
export function printText(text: string): void {
  printLines(...text.split('\n'));
}

/** Prints a message of one or more lines on stderr. */
export function printError(text: string): void {
  const lines = text.split('\n').map(printableLine);
  write(process.stderr, `${lines.join('\n')}\n`);
}

/** Prints data as JSON: indented, or as one line of JSON lines. */
export function printData(data: unknown, layout: 'lines' | 'line' = 'lines'): void {
  write(process.stdout, `${safeJson(data, layout === 'lines' ? 2 : 0)}\n`);
}

/** JSON that is safe for a terminal: also escapes control characters that JSON doesn't. */
export function safeJson(data: unknown, indent = 0): string {
  return JSON.stringify(data, null, indent).replace(UNPRINTABLE, character =>
    character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Writes our own text, or a guest's output to its console, unfiltered. */
export function writeOut(text: string | Uint8Array): void {
  write(process.stdout, text);
}

/** Writes our own text to stderr, unfiltered. */
export function writeErr(text: string): void {
  write(process.stderr, text);
}

/** Resolves when a slow reader has read everything that was printed. */
export async function outputFlushed(): Promise<void> {
  await Promise.all([process.stdout, process.stderr].map(flushed));
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  if (isFile(stream)) return Promise.resolve();
  return new Promise(resolve => {
    stream.write('', () => resolve());
  });
}

function write(stream: NodeJS.WriteStream, text: string | Uint8Array): void {
  try {
    if (isFile(stream)) writeAll(stream === process.stdout ? 1 : 2, Buffer.from(text));
    else stream.write(text);
  } catch (error) {
    failed(stream, error as NodeJS.ErrnoException);
  }
}

/** Node's file streams treat a short write on a full disk as complete. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

/** Not a terminal, a pipe or a socket: Node writes to those asynchronously. */
function isFile(stream: NodeJS.WriteStream): boolean {
  return stream.constructor.name === 'SyncWriteStream';
}

function failed(stream: NodeJS.WriteStream, error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') failure ??= error;
  if (stream === process.stdout) lost.resolve();
}

function printableLine(line: string): string {
  return printable(line.replaceAll('\t', '  '));
}
