import { expect, test } from 'vitest';
import { PrintedFeed } from '../../../src/engine/remote/printed-feed.ts';

/** A client that reads occasionally, and what was sent to it. */
function client() {
  const sent: object[] = [];
  return { congested: false, sent, send: (_: string, params: object) => void sent.push(params) };
}

const bytes = (text: string) => Buffer.from(text);
const base64 = (text: string) => bytes(text).toString('base64');

test('output from before the console was opened is replayed, even to a client that lags behind', () => {
  const sink = client();
  const feed = new PrintedFeed(1, sink);
  sink.congested = true;
  feed.printed(bytes('old '), true);
  feed.printed(bytes('new'), false);
  sink.congested = false;
  feed.flush();
  feed.printed(bytes('now'), false);
  expect(sink.sent).toEqual([
    { console: 1, bytes: base64('old new'), replayed: true, again: false },
    { console: 1, bytes: base64('now'), replayed: false, again: false },
  ]);
});

test('a client that missed too much starts over with the last part of the output', () => {
  const sink = client();
  const feed = new PrintedFeed(1, sink);
  sink.congested = true;
  feed.printed(Buffer.alloc(64 * 1024, 'a'), false);
  feed.printed(bytes('b'), false);
  sink.congested = false;
  feed.flush();
  const kept = `${'a'.repeat(64 * 1024 - 1)}b`;
  expect(sink.sent).toEqual([{ console: 1, bytes: base64(kept), replayed: true, again: true }]);
});
