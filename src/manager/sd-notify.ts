import { AF_UNIX, close, SOCK_DGRAM, sendTo, socket } from '../vmm/native/libc.ts';

/**
 * Notifies systemd of the state of the service (sd_notify(3)), such as `READY=1`. Does nothing if systemd did not start this
 * process, or cannot be reached.
 */
export function notifySystemd(state: string, path: string | undefined = process.env.NOTIFY_SOCKET): void {
  if (path === undefined || !/^[/@]/.test(path)) return;
  try {
    const fd = socket(AF_UNIX, SOCK_DGRAM);
    try {
      sendTo(fd, Buffer.from(state), unixAddress(path));
    } finally {
      close(fd);
    }
  } catch {
    // systemd then relies on its timeouts.
  }
}

/** struct sockaddr_un (unix(7)). An abstract address starts with a zero, which systemd writes as "@". */
function unixAddress(path: string): Uint8Array {
  const address = Buffer.alloc(2 + Buffer.byteLength(path) + 1);
  address.writeUInt16LE(AF_UNIX);
  address.write(path, 2);
  if (!path.startsWith('@')) return address;
  address[2] = 0;
  return address.subarray(0, -1);
}
