import { checked, nativeCalls } from './native-library.ts';

/**
 * From here on a repeated SIGINT, SIGTERM, SIGHUP or SIGQUIT ends this process a second after the first one, for a main
 * thread that may be busy for long: their handlers in JavaScript do not run in the meantime. Call it when they have
 * handlers; removing a handler ends it for that signal.
 */
export function insistOnSignals(): void {
  checked('vring_insist_on_signals', nativeCalls().vring_insist_on_signals());
}
