/** Polls until `poll` returns a value. */
export async function until<T>(poll: () => T | null | undefined | false): Promise<T> {
  for (let tries = 0; tries < 2000; tries++) {
    const value = poll();
    if (value !== null && value !== undefined && value !== false) return value;
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  throw new Error(`it did not come true within 10 s: ${poll}`);
}
