import type { EventEmitter } from 'node:events';

const STARTED = Symbol.for('vring.program-started');
const program: EventEmitter = process;

/** Notifies the loader of this program that it has started, as far as a program gets when nothing is wrong. */
export function announceStarted(): void {
  program.emit(STARTED);
}

/** Calls back once the program of this thread has started. */
export function onceStarted(callback: () => void): void {
  program.once(STARTED, callback);
}
