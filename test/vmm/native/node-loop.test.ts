import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { NodeLoop } from '../../../src/vmm/native/node-loop.ts';
import { waitForFds } from '../../../src/vmm/native/unix-socket.ts';

/** Turns after which a loop that nothing happens in has long been quiet. */
const MANY = 1000;

const turn = (node: NodeLoop) => new Promise<void>(resolve => node.afterTurn(resolve));

/** @returns after how many turns the loop is quiet, while `busy` runs in each */
async function turnsUntilQuiet(node: NodeLoop, busy = () => {}): Promise<number> {
  for (let turns = 1; turns <= MANY; turns++) {
    await turn(node);
    if (node.isQuiet()) return turns;
    busy();
  }
  return Infinity;
}

describe("Node's event loop", () => {
  test('is idle once it has polled and nothing has happened', async () => {
    const node = new NodeLoop();
    const turns = await turnsUntilQuiet(node);
    expect(turns).toBeGreaterThan(1);
    expect(turns).toBeLessThan(MANY);
  });

  test('is not idle while a callback is due', async () => {
    const node = new NodeLoop();
    let called = 0;
    const again = () => {
      called++;
      if (called < 2 * MANY) setImmediate(again);
    };
    setImmediate(again);
    expect(await turnsUntilQuiet(node)).toBe(Infinity);
    called = 2 * MANY;
  });

  test('has the deadline of its next timer, and its fd signals events', async () => {
    const node = new NodeLoop();
    const timer = setTimeout(() => {}, 100_000);
    const soon = setTimeout(() => {}, 30_000);
    await turnsUntilQuiet(node);
    const left = Number(node.deadline! - process.hrtime.bigint()) / 1e6;
    clearTimeout(timer);
    clearTimeout(soon);
    expect(left).toBeLessThanOrEqual(30_000);
    const arrived = once(process, 'SIGUSR2');
    await turnsUntilQuiet(node);
    process.kill(process.pid, 'SIGUSR2');
    expect(waitForFds([{ fd: node.fd }], 10_000)).toEqual([node.fd]);
    await arrived;
  });
});
