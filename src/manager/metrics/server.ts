import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { MetricsFormat } from '../../engine/engine.ts';
import { CONTENT_TYPE } from '../../report/exposition.ts';
import { type MetricsAddress, metricsUrl } from './address.ts';
import { negotiate } from './negotiate.ts';
import { bindUnix, claimSocketPath } from './socket-file.ts';

const MAX_CONNECTIONS = 32;
const MAX_HEADER_BYTES = 8 * 1024;
/** From the first byte of a request, or of a connection, to the end of its headers. */
const HEADERS_TIMEOUT_MS = 5_000;
/** A response that has not been read by then is aborted. */
const RESPONSE_TIMEOUT_MS = 30_000;
/** Longer than common scrape intervals, so that a scraper keeps its connection. */
const KEEP_ALIVE_MS = 90_000;
/** Scrapes within this time get the same text, so that more scrapers cause no more work. */
const SHARED_FOR_MS = 500;

type Metrics = (format: MetricsFormat) => Promise<string>;

/** Serves only `/metrics` over HTTP. */
export class MetricsServer {
  readonly #metrics: Metrics;
  readonly #server: Server;
  /** The text of each format that is being written, or was a moment ago. */
  readonly #recent = new Map<MetricsFormat, Promise<string>>();
  #url = '';

  private constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: HEADERS_TIMEOUT_MS,
        connectionsCheckingInterval: 1000,
        keepAliveTimeout: KEEP_ALIVE_MS,
        insecureHTTPParser: false,
      },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    // Without a handler, a CONNECT would leave a connection open without any time limit. A request for an upgrade, as
    // `curl --http2` sends it, needs none: it is answered like any other.
    this.#server.on('connect', (_, socket) => socket.destroy());
    // At the connection limit, idle connections make room.
    this.#server.on('drop', () => this.#server.closeIdleConnections());
  }

  /** @throws with a sentence when it cannot listen there */
  static async listen(address: MetricsAddress, metrics: Metrics): Promise<MetricsServer> {
    const server = new MetricsServer(metrics);
    try {
      server.#url = metricsUrl(await server.#bind(address));
    } catch (error) {
      throw new Error(`metrics cannot be served at ${metricsUrl(address)}: ${reason(error)}`);
    }
    return server;
  }

  /** Where it listens, with the port that the kernel chose. */
  get url(): string {
    return this.#url;
  }

  /** Ends every connection. */
  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #bind(address: MetricsAddress): Promise<MetricsAddress> {
    if (address.kind === 'unix') {
      await claimSocketPath(address.path);
      await bindUnix(this.#server, address.path);
      return address;
    }
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: address.host, port: address.port, ipv6Only: true }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    return { ...address, port: (this.#server.address() as AddressInfo).port };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const deadline = setTimeout(() => response.destroy(), RESPONSE_TIMEOUT_MS);
    response.on('close', () => clearTimeout(deadline));
    response.on('error', () => {});
    response.setHeader('X-Content-Type-Options', 'nosniff');
    const refusal = refusalOf(request);
    if (refusal !== null) {
      const { status, text, headers = {} } = refusal;
      response.writeHead(status, {
        'Content-Type': 'text/plain; charset=utf-8',
        Connection: 'close',
        ...headers,
      });
      response.end(request.method === 'HEAD' ? undefined : `${text}\n`);
      return;
    }
    const format = negotiate(request.headers.accept);
    try {
      const body = Buffer.from(await this.#text(format));
      response.writeHead(200, {
        'Content-Type': CONTENT_TYPE[format],
        'Content-Length': body.byteLength,
        'Cache-Control': 'no-store',
        Vary: 'Accept',
      });
      response.end(request.method === 'HEAD' ? undefined : body);
    } catch (error) {
      response.writeHead(500, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' });
      response.end(`the metrics could not be collected: ${(error as Error).message}\n`);
    }
  }

  #text(format: MetricsFormat): Promise<string> {
    const recent = this.#recent.get(format);
    if (recent !== undefined) return recent;
    const text = this.#metrics(format);
    this.#recent.set(format, text);
    const forget = () => this.#recent.delete(format);
    text.then(() => setTimeout(forget, SHARED_FOR_MS).unref(), forget);
    return text;
  }
}

type Refusal = {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
};

function refusalOf({ method, url = '', headers }: IncomingMessage): Refusal | null {
  if (method !== 'GET' && method !== 'HEAD')
    return { status: 405, text: 'only GET and HEAD are supported', headers: { Allow: 'GET, HEAD' } };
  if ((headers['content-length'] ?? '0') !== '0' || headers['transfer-encoding'] !== undefined)
    return { status: 400, text: 'a request for metrics has no body' };
  if (url.split('?', 1)[0] !== '/metrics') return { status: 404, text: 'not found; there is only /metrics' };
  return null;
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'EADDRINUSE':
      return 'another process listens there (EADDRINUSE); choose another port, or end that process';
    case 'EADDRNOTAVAIL':
      return 'this host has no such address (EADDRNOTAVAIL); see ip address';
    case 'EACCES':
      return 'permission denied (EACCES); ports below 1024 are for root, and a socket needs a writable folder';
    case 'ENOENT':
      return 'its folder does not exist (ENOENT); create it first';
    default:
      return message;
  }
}
