/**
 * Runs a host change under the host lock, waiting for the process that holds it.
 * @param onWait called once if it has to wait, with a sentence naming the holder
 * @throws if the lock is not released in time
 */
export type ChangeLock = <T>(change: () => Promise<T>, onWait?: (holder: string) => void) => Promise<T>;
