/** Resolves when a terminal has taken all that was written to it, or is gone. */
export function drained(stdout: NodeJS.WriteStream): Promise<void> {
  if (stdout.writableLength === 0 || stdout.destroyed) return Promise.resolve();
  return new Promise(resolve => {
    const done = () => {
      stdout.off('drain', done);
      stdout.off('close', done);
      resolve();
    };
    stdout.once('drain', done);
    stdout.once('close', done);
    // The buffer is empty, and was not full: there will be no 'drain'.
    if (!stdout.writableNeedDrain) done();
  });
}
