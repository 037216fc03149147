import { writeSync } from 'node:fs';
import { getSystemErrorMessage } from 'node:util';
import { printable, UNPRINTABLE } from './printable.ts';

/**
 * The way out of every command: all that is printed goes through here. What a recorded host, a definition or a guest's
 * device wrote cannot reach the terminal as anything but text, and what cannot be written is remembered.
 */

/** Why something could not be written; a reader that has gone away (`| head`) is no failure. */
let failure: NodeJS.ErrnoException | null = null;
const lost = Promise.withResolvers<void>();

/** Resolves when nobody takes what is written to stdout any more: its reader is gone, or its disk is full. */
export const outputLost: Promise<void> = lost.promise;

/** Has errors of stdout and stderr noted rather than thrown. */
export function watchOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => failed(stream, error));
  }
}

/** What could not be written, as a sentence; null while all could. */
export function outputFailure(): string | null {
  if (failure === null) return null;
  const { errno, code } = failure;
  const reason = errno === undefined ? failure.message : `${getSystemErrorMessage(errno)} (${code})`;
  return `the output could not be written: ${reason}`;
}

/** Prints lines for people. A line break within one is not printed as such: nobody's name forges a line of ours. */
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

/** Prints data as JSON: over several lines, or as one line of many documents. */
export function printData(data: unknown, layout: 'lines' | 'line' = 'lines'): void {
  write(process.stdout, `${safeJson(data, layout === 'lines' ? 2 : 0)}\n`);
}

/** JSON that a terminal shows as text: what JSON leaves as it is, but a terminal obeys, is escaped. */
export function safeJson(data: unknown, indent = 0): string {
  return JSON.stringify(data, null, indent).replace(UNPRINTABLE, character =>
    character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Writes what is ours, or a guest's to the terminal that is its console, as it is. */
export function writeOut(text: string | Uint8Array): void {
  write(process.stdout, text);
}

/** Writes what is ours to stderr, as it is. */
export function writeErr(text: string): void {
  write(process.stderr, text);
}

/** Resolves when a slow reader has taken everything that was printed. */
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

/** Node's stream of a file takes a write that a full disk cut short for a whole one. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

/** Not a terminal, a pipe or a socket, which Node writes to in the background. */
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
