import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EmulatedHost } from '../../../rig/emulated-host.ts';
import { run } from '../../../rig/tools.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const HTTP_PORT = 8081;
const SERVER = `http://10.0.2.2:${HTTP_PORT}`;
/** What the firmware of network cards fetches by HTTP, in bytes. */
const PAYLOAD = 2 ** 20;
/** Where VMs boot from by TFTP. */
const TFTP = '/srv/tftp';

/** A user-mode network of this name, by which VMs boot iPXE's scripts. */
export const networkOfIpxe = `user,tftp=${TFTP},bootfile=boot.ipxe`;

/**
 * Makes the emulated host a server of what VMs boot from the network: by TFTP a script of iPXE's, which has the next one fetched by HTTP, a kernel that prints
 * its command line (the card's name in iPXE) and the CRC-32 of its initrd, and that.
 * @param sizes of what some cards get, by their names in iPXE, in bytes (default: a mebibyte)
 * @returns the checksum for a card, as the kernel prints it
 */
export async function startBootServer(
  host: EmulatedHost,
  sizes: Readonly<Record<string, number>> = {},
): Promise<(chip: string) => string> {
  const folder = temporaryFolder();
  const file = (name: string) => join(folder, name);
  await run('gcc', ['-c', '-o', file('sum.o'), join(import.meta.dirname, 'checksum-kernel.S')]);
  await run('ld', ['-Ttext=0', '-e', '0', '--oformat', 'binary', '-o', file('sum'), file('sum.o')]);
  await host.check(`mkdir -p ${TFTP} /srv/http && httpd -p 127.0.0.1:${HTTP_PORT} -h /srv/http`);
  await host.write(`${TFTP}/boot.ipxe`, Buffer.from(`#!ipxe\nchain ${SERVER}/next.ipxe\n`));
  const next = `#!ipxe\nkernel ${SERVER}/sum \${net0/chip}\ninitrd ${SERVER}/\${net0/chip} || initrd ${SERVER}/payload\nboot\n`;
  await host.write('/srv/http/next.ipxe', Buffer.from(next));
  await host.write('/srv/http/sum', await readFile(file('sum')));
  const payload = async (name: string, bytes: number) => {
    const made = await host.check(
      `cd /srv/http; head -c ${bytes} /dev/urandom >${name}; test $(wc -c <${name}) = ${bytes} && crc32 ${name}`,
    );
    return made.split(' ')[0]!.trim();
  };
  const checksums = new Map<string, string>();
  for (const [chip, bytes] of Object.entries(sizes)) checksums.set(chip, await payload(chip, bytes));
  const usual = await payload('payload', PAYLOAD);
  return chip => checksums.get(chip) ?? usual;
}
