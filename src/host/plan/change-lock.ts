/**
 * Runs a change of the host while no other process makes one. It waits for the one that does.
 * @param onWait called once when it has to wait, with a sentence on who is in the way
 * @throws when the other one does not end within a time
 */
export type ChangeLock = <T>(change: () => Promise<T>, onWait?: (holder: string) => void) => Promise<T>;
