import type { RawGuest } from './raw-guest.ts';

type Offer = { readonly address: string; readonly file: string; readonly options: Map<number, Buffer> };

const XID = 4;
let lastTransaction = 0xdead_beee;

/** RFC 2131, §4.1: an unanswered message is sent again. @param kind 1: discover, 3: request */
export async function dhcp(guest: RawGuest, kind: number, wanted?: string): Promise<Offer> {
  const message = Buffer.alloc(240);
  Buffer.from('01010600', 'hex').copy(message);
  lastTransaction = (lastTransaction + 1) >>> 0;
  message.writeUInt32BE(lastTransaction, XID);
  guest.mac.copy(message, 28);
  message.writeUInt32BE(0x6382_5363, 236);
  const request = wanted === undefined ? [] : [50, 4, ...wanted.split('.').map(Number)];
  const options = Buffer.from([53, 1, kind, ...request, 255]);
  const ask = () => guest.udp('255.255.255.255', 67, 68, Buffer.concat([message, options]), '0.0.0.0');
  const isOurs = (answer: Buffer) => answer.subarray(XID, XID + 4).equals(message.subarray(XID, XID + 4));
  let answer = await guest.datagram(68, ask);
  // A second answer to an earlier message, which was sent twice.
  while (!isOurs(answer)) answer = await guest.datagram(68, ask);
  const found = new Map<number, Buffer>();
  for (let at = 240; at < answer.length && answer[at] !== 255; ) {
    const code = answer[at]!;
    if (code === 0) {
      at += 1;
      continue;
    }
    const length = answer[at + 1]!;
    found.set(code, answer.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return {
    address: [...answer.subarray(16, 20)].join('.'),
    file: answer.subarray(108, 236).toString('latin1').replaceAll('\0', ''),
    options: found,
  };
}
