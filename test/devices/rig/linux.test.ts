import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatedHost } from '../../rig/emulated-host.ts';
import { DIGEST_PORT, dhcp } from '../../rig/peer.ts';
import { devicesGuest, SerialGuest } from '../../rig/serial-guest.ts';
import { missingForRig } from '../../rig/tools.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

/** ext4 wants 8 MiB or more for a journal. */
const DISK_MIB = 24;
/** The mounted disks have files of half of that. */
const FILE_MIB = 6;

/** The port at which the guest offers what it has. */
const OFFER_PORT = 5003;
const FORWARDED_PORT = 2003;

const MiB = 2 ** 20;

/** A card of the guest, and the host's address on its network. */
type Card = {
  readonly what: string;
  readonly mac: string;
  readonly host: string;
  /** Takes an address in the guest, on the interface. */
  readonly address: (name: string) => string;
  /** Where the host reaches the guest's port. */
  readonly guest: readonly [address: string, port: number];
};

const fixed = (address: string) => (name: string) => `ip addr add ${address}/24 dev ${name}`;

const tap: Card = {
  ...{ what: 'a tap', mac: '52:54:00:00:00:01', host: '10.20.0.1' },
  ...{ address: fixed('10.20.0.2'), guest: ['10.20.0.2', OFFER_PORT] },
};
const bridged: Card = {
  ...{ what: 'a tap in a bridge', mac: '52:54:00:00:00:02', host: '10.21.0.1' },
  ...{ address: fixed('10.21.0.2'), guest: ['10.21.0.2', OFFER_PORT] },
};
const user: Card = {
  ...{ what: 'user mode', mac: '52:54:00:00:00:03', host: '10.0.2.2' },
  ...{ address: dhcp, guest: ['127.0.0.1', FORWARDED_PORT] },
};
/** All devices of a usual guest. One of the cards is served by the kernel, one by threads though it is on an interface. */
const DEFINITION = `
name: debian
${devicesGuest.replace('machine: {', 'machine: {hpet: true, ')}
console: virtio
agent: true
balloon: true
disks:
  - {file: /root/blk.img, format: raw}
  - {file: /root/scsi.img, format: raw, bus: scsi, addr: '0:0'}
  - {file: /root/cd.iso, format: raw, cdrom: true, addr: '1:0'}
  - {file: /small/grows.qcow2, format: qcow2, bus: scsi, addr: '2:0', werror: stop}
nics:
  - {mac: '${tap.mac}', network: {type: tap, interface: tap0}}
  - {mac: '${bridged.mac}', network: {type: bridge, bridge: br0}, vhost: false}
  - {mac: '${user.mac}', network: {type: user, forward: [{host: ${FORWARDED_PORT}, guest: ${OFFER_PORT}}]}}
`;

describe.skipIf(missing !== null)("Debian's kernel with disks and networks", () => {
  let host: EmulatedHost;
  let guest: SerialGuest;

  beforeAll(async () => {
    host = await EmulatedHost.boot({
      modules: ['kvm-amd', 'tun', 'bridge', 'loop', 'vhost_net'],
      guestDevices: true,
    });
    await host.check(
      `set -e
      truncate -s ${DISK_MIB}M /root/blk.img /root/scsi.img
      mkdir /small && mount -t tmpfs -o size=4m tmpfs /small
      cp /boot/disk.qcow2 /small/grows.qcow2
      mkdir /root/content && head -c 300000 /dev/urandom >/root/content/file
      genisoimage -quiet -R -o /root/cd.iso /root/content`,
      { seconds: 300 },
    );
    await host.check(`
      ip() { /bin/ip "$@"; }
      ip tuntap add tap0 mode tap vnet_hdr
      ip link add br0 type bridge
      ip addr add ${tap.host}/24 dev tap0; ip addr add ${bridged.host}/24 dev br0
      for name in tap0 br0; do ip link set $name up; done
      nc -ll -p ${DIGEST_PORT} -e sha256sum >/dev/null 2>&1 &`);
    await host.startManager();
    await host.check(
      `mkdir -p /etc/vring/vms && cat >/etc/vring/vms/debian.yaml <<'end'\n${DEFINITION}\nend`,
    );
    await host.check('vring vm start debian', { seconds: 400 });
    guest = await SerialGuest.connect(host, 'vring vm console debian --port com1');
    await guest.booted();
  }, 900_000);

  afterAll(async () => {
    await host?.close();
  });

  const digest = async (on: Pick<EmulatedHost, 'check'> | SerialGuest, file: string) =>
    (await on.check(`sha256sum ${file} | cut -d ' ' -f 1`)).trim();

  test.each([
    ['virtio-blk', 'vda', 'blk.img'],
    ['virtio-scsi', 'sda', 'scsi.img'],
  ])(
    'a file system on %s takes a file, is sound, and is the same on the host',
    async (_, device, image) => {
      await guest.check(
        `/bin/mke2fs -q -t ext4 /dev/${device} && mkdir -p /mnt && mount /dev/${device} /mnt`,
      );
      await guest.check(`dd if=/dev/urandom of=/mnt/file bs=1M count=${FILE_MIB} 2>/dev/null; sync`);
      const written = await digest(guest, '/mnt/file');
      await guest.check('umount /mnt; echo 3 >/proc/sys/vm/drop_caches');
      expect(await guest.check(`e2fsck -f -n /dev/${device} 2>&1`)).toMatch(/Pass 5/);
      await guest.check(`mount -o ro /dev/${device} /mnt`);
      expect(await digest(guest, '/mnt/file')).toBe(written);
      await guest.check('umount /mnt');
      await host.check(`mkdir -p /mnt && mount -o loop,ro /root/${image} /mnt`);
      expect(await digest(host, '/mnt/file')).toBe(written);
      await host.check('umount /mnt');
    },
    900_000,
  );

  test('a CD is mounted, read and ejected', async () => {
    await guest.check('mkdir -p /mnt; mount -t iso9660 -o ro /dev/sr0 /mnt');
    expect(await digest(guest, '/mnt/file')).toBe(await digest(host, '/root/content/file'));
    const { status } = await guest.run('umount /mnt; dd if=/dev/zero of=/dev/sr0 bs=2048 count=1 2>&1');
    expect(status).not.toBe(0);
    const read = () => guest.run('dd if=/dev/sr0 of=/dev/null bs=2048 count=1 2>&1');
    // Else the kernel closes an open tray before it reads.
    await guest.check('echo 0 >/proc/sys/dev/cdrom/autoclose; eject --cdrom /dev/sr0');
    expect((await read()).stdout).toContain('No medium found');
    await guest.check('eject --cdrom --trayclose /dev/sr0');
    expect((await read()).status).toBe(0);
  }, 600_000);

  const interfaceOf = async ({ mac }: Card) =>
    (await guest.check(`grep -l ${mac} /sys/class/net/*/address | cut -d / -f 5`)).trim();

  /** Sends a file each way, and says that it arrived. */
  async function transfer(card: Card): Promise<void> {
    await guest.check('head -c 1000000 /dev/urandom >/tmp/data');
    const sent = await digest(guest, '/tmp/data');
    expect(await guest.check(`nc ${card.host} ${DIGEST_PORT} </tmp/data`)).toContain(sent);
    await guest.check(`(nc -l -p ${OFFER_PORT} -e cat /tmp/data >/dev/null 2>&1 &) ; true`);
    const [address, port] = card.guest;
    expect(await host.check(`nc ${address} ${port} </dev/null | sha256sum`)).toContain(sent);
  }

  async function pingAndTransfer(card: Card): Promise<void> {
    const name = await interfaceOf(card);
    expect(await guest.check(`basename $(readlink /sys/class/net/${name}/device/driver)`)).toContain(
      'virtio_net',
    );
    await guest.check(`ip link set ${name} up; ${card.address(name)}`);
    expect(await guest.check(`ping -c 3 -W 5 ${card.host}`)).toContain('3 packets received');
    await transfer(card);
    await guest.check(`ip link set ${name} down; ip addr flush dev ${name}`);
  }

  test.each([tap, bridged, user])('ping and TCP in both directions over $what', pingAndTransfer, 900_000);

  test('the HPET is a clock', async () => {
    const clocks = '/sys/devices/system/clocksource/clocksource0';
    expect(await guest.check(`cat ${clocks}/available_clocksource`)).toContain('hpet');
    const before = (await guest.check(`cat ${clocks}/current_clocksource`)).trim();
    await guest.check(`echo hpet >${clocks}/current_clocksource`);
    expect(await guest.check(`cat ${clocks}/current_clocksource; sleep 1`)).toContain('hpet');
    await guest.check(`echo ${before} >${clocks}/current_clocksource`);
  }, 600_000);

  test("what the balloon takes is the host's again", async () => {
    await guest.check(`dd if=/dev/zero of=/tmp/fill bs=1M count=80 2>/dev/null; rm /tmp/fill`);
    const pid = await host.pid('vring: debian');
    const resident = async () =>
      1024 * Number(/RssShmem:\s+(\d+) kB/.exec(await host.check(`cat /proc/${pid}/status`))![1]);
    const before = await resident();
    await host.check('vring vm balloon debian 220M', { seconds: 300 });
    await host.check(
      `until vring vm balloon debian --json | grep -q '"current": *${220 * MiB}'; do sleep 0.5; done`,
      { seconds: 300 },
    );
    expect(before - (await resident())).toBeGreaterThan(50 * MiB);
    await host.check('vring vm balloon debian 320M', { seconds: 300 });
  }, 900_000);

  test('a shell answers on the virtio console', async () => {
    await guest.check('(setsid getty -n -l /bin/sh 38400 hvc0 </dev/null >/dev/null 2>&1 &); true');
    await host.check(
      `cd /root; mkfifo keys; (vring vm console debian --port hvc0 <>keys >screen 2>&1 &)
       echo 'echo on-$((40 + 2))' >keys; until grep -q on-42 screen; do sleep 0.2; done`,
      { seconds: 300 },
    );
  }, 300_000);

  test('the guest agent runs programs', async () => {
    await guest.check(`
      mkdir -p /var/run /run;
      port=$(grep -l org.qemu.guest_agent.0 /sys/class/virtio-ports/*/name | cut -d / -f 5);
      qemu-ga --daemonize --method virtio-serial --path /dev/$port --pidfile /run/ga.pid`);
    const id = '/proc/sys/kernel/random/boot_id';
    const { stdout } = await host.run(`vring vm exec debian -- cat ${id}`, { seconds: 300 });
    expect(stdout.trim()).toBe((await guest.check(`cat ${id}`)).trim());
    const failed = await host.run("vring vm exec debian -- sh -c 'echo no >&2; exit 3'", { seconds: 300 });
    expect(failed).toMatchObject({ status: 3, stderr: expect.stringContaining('no') });
  }, 600_000);

  test('a write that finds no space left pauses the VM, and is done once there is some', async () => {
    await guest.check(`dd if=/dev/urandom of=/tmp/data bs=1M count=${FILE_MIB} 2>/dev/null`);
    const written = await digest(guest, '/tmp/data');
    const name = '$(basename $(dirname $(grep -l 131072 /sys/block/sd*/size)))';
    const writing = await guest.send(`dd if=/tmp/data of=/dev/${name} bs=64k oflag=direct 2>/dev/null; sync`);
    await host.check('until vring vm list | grep -q paused; do sleep 0.5; done', { seconds: 300 });
    expect(await host.check('vring vm show debian', { seconds: 300 })).toMatch(/no space/i);
    await host.check('mount -o remount,size=64m /small && vring vm resume debian', { seconds: 300 });
    expect((await writing(300)).status).toBe(0);
    await guest.check('echo 3 >/proc/sys/vm/drop_caches');
    expect(await guest.check(`head -c ${FILE_MIB * MiB} /dev/${name} | sha256sum`)).toContain(written);
  }, 900_000);

  test('there are random numbers of the host', async () => {
    expect(await guest.check('cat /sys/class/misc/hw_random/rng_current')).toMatch(/^virtio_rng/);
    const bytes = 'head -c 16 /dev/hwrng | od -An -tx1';
    const first = await guest.check(bytes);
    expect(first).toMatch(/^( [0-9a-f]{2}){16}/);
    expect(await guest.check(bytes)).not.toBe(first);
  }, 300_000);
});
