import { AF_UNIX, close, SOCK_DGRAM, sendTo, socket } from '../vmm/native/libc.ts';
import { unixAddress } from '../vmm/native/unix-socket.ts';

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
