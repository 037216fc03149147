import { createCipheriv, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { type SecureContext, TLSSocket } from 'node:tls';
import { ByteReader } from './byte-reader.ts';

/** Security types (RFC 6143 §7.2, and VeNCrypt's in the registry of rfbproto). */
const TYPE = { none: 1, vncAuthentication: 2, veNCrypt: 19 } as const;
/** VeNCrypt's subtypes: TLS with a certificate, then no authentication or a password. */
const SUBTYPE = { x509None: 260, x509Vnc: 261 } as const;

const CHALLENGE = 16;
const PASSWORD_MAX = 8;

/** What a client must present, and how the connection is protected. */
export type Security = {
  /** Null for none. VNC authentication uses the first 8 characters. */
  readonly password: string | null;
  /** Null for no TLS. */
  readonly tls: SecureContext | null;
};

/** A client that was refused, with the reason sent to it. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/** A connection after the security handshake. */
export type Secured = { readonly stream: Duplex; readonly reader: ByteReader };

/**
 * Negotiates security with a client of RFB 3.8 (3.7 only lacks reasons, which are not sent to it). @throws Refused,
 * ConnectionEnded
 */
export async function secure(
  stream: Duplex,
  reader: ByteReader,
  minor: 3 | 7 | 8,
  security: Security,
): Promise<Secured> {
  const { password, tls } = security;
  const offered = tls !== null ? TYPE.veNCrypt : password !== null ? TYPE.vncAuthentication : TYPE.none;
  if (minor === 3) {
    if (tls !== null) throw new Refused('its version of the protocol has no TLS');
    stream.write(Buffer.from([0, 0, 0, offered]));
  } else {
    stream.write(Buffer.from([1, offered]));
    const [chosen] = await reader.read(1);
    if (chosen !== offered) throw new Refused(`it chose security type ${chosen}, which was not offered`);
  }
  const secured = tls === null ? { stream, reader } : await startTls(stream, reader, password, tls);
  if (password !== null) await authenticate(secured, password, minor);
  // RFB before 3.8 sends no result if nothing is checked.
  else if (minor === 8 || tls !== null) secured.stream.write(Buffer.alloc(4));
  return secured;
}

async function authenticate({ stream, reader }: Secured, password: string, minor: number): Promise<void> {
  const challenge = randomBytes(CHALLENGE);
  stream.write(challenge);
  const response = await reader.read(CHALLENGE);
  if (timingSafeEqual(response, encrypted(challenge, password))) {
    stream.write(Buffer.alloc(4));
    return;
  }
  const reason = Buffer.from('the password is wrong');
  const failed = Buffer.alloc(8);
  failed.writeUInt32BE(1, 0);
  failed.writeUInt32BE(reason.length, 4);
  stream.write(minor === 8 ? Buffer.concat([failed, reason]) : failed.subarray(0, 4));
  throw new Refused(reason.toString());
}

/** The challenge, encrypted with DES; the key is the password with the bits of each byte reversed. */
export function encrypted(challenge: Uint8Array, password: string): Buffer {
  const key = Buffer.alloc(PASSWORD_MAX);
  Buffer.from(password).copy(key, 0, 0, PASSWORD_MAX);
  for (const [index, byte] of key.entries()) {
    let reversed = 0;
    for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) reversed |= 0x80 >> bit;
    key[index] = reversed;
  }
  // Triple DES with three equal keys is DES, which OpenSSL 3 no longer offers.
  const cipher = createCipheriv('des-ede3', Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}

/** VeNCrypt 0.2. */
async function startTls(
  stream: Duplex,
  reader: ByteReader,
  password: string | null,
  secureContext: SecureContext,
): Promise<Secured> {
  stream.write(Buffer.from([0, 2]));
  const version = await reader.read(2);
  const isKnown = version[0] === 0 && version[1] === 2;
  stream.write(Buffer.from([isKnown ? 0 : 0xff]));
  if (!isKnown) throw new Refused('it has another version of VeNCrypt');
  const subtype = password === null ? SUBTYPE.x509None : SUBTYPE.x509Vnc;
  const list = Buffer.alloc(5);
  list[0] = 1;
  list.writeUInt32BE(subtype, 1);
  stream.write(list);
  const chosen = (await reader.read(4)).readUInt32BE(0);
  stream.write(Buffer.from([chosen === subtype ? 1 : 0]));
  if (chosen !== subtype) throw new Refused(`it chose VeNCrypt's type ${chosen}, which was not offered`);
  // From here on, TLS reads the stream.
  stream.removeAllListeners('readable');
  const secured = new TLSSocket(stream as never, { isServer: true, secureContext });
  await new Promise<void>((resolve, reject) => {
    secured.once('secure', resolve);
    secured.once('error', error => reject(new Refused(`TLS failed: ${error.message}`)));
    secured.once('close', () => reject(new Refused('TLS failed: it closed the connection')));
  });
  return { stream: secured, reader: new ByteReader(secured) };
}
