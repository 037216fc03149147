import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatedHost } from '../../rig/emulated-host.ts';
import { DIGEST_PORT, dhcp } from '../../rig/peer.ts';
import { DEVICES_GUEST, SerialGuest } from '../../rig/serial-guest.ts';
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

describe.skipIf(missing !== null)("Debian's kernel with disks and networks", () => {
  let host: EmulatedHost;
  let guest: SerialGuest;

  beforeAll(async () => {
    host = await EmulatedHost.boot({ modules: ['kvm-amd', 'tun', 'bridge', 'loop'], guestDevices: true });
    await host.check(`
      truncate -s ${DISK_MIB}M /root/blk.img /root/scsi.img
      mkdir /root/content && head -c 300000 /dev/urandom >/root/content/file
      genisoimage -quiet -R -o /root/cd.iso /root/content`);
    await host.check(`
      ip() { /bin/ip "$@"; }
      for name in tap0 tap1; do ip tuntap add $name mode tap vnet_hdr; done
      ip link add br0 type bridge; ip link set tap1 master br0
      ip addr add ${tap.host}/24 dev tap0; ip addr add ${bridged.host}/24 dev br0
      for name in tap0 tap1 br0; do ip link set $name up; done
      nc -ll -p ${DIGEST_PORT} -e sha256sum >/dev/null 2>&1 &`);
    await host.startManager();
    await host.check(
      `vring run --detach --name debian ${DEVICES_GUEST} -device virtio-rng-pci \
         -drive file=/root/blk.img,format=raw,if=virtio -device virtio-scsi-pci,id=scsi0 \
         -drive file=/root/scsi.img,format=raw,if=none,id=hd -device scsi-hd,drive=hd,bus=scsi0.0,scsi-id=0 \
         -drive file=/root/cd.iso,format=raw,if=none,id=cd,readonly=on -device scsi-cd,drive=cd,bus=scsi0.0,scsi-id=1 \
         -netdev tap,id=net0,ifname=tap0,script=no,downscript=no -device virtio-net-pci,netdev=net0,mac=${tap.mac} \
         -netdev tap,id=net1,ifname=tap1,script=no,downscript=no -device virtio-net-pci,netdev=net1,mac=${bridged.mac} \
         -netdev user,id=net2,hostfwd=tcp:127.0.0.1:${FORWARDED_PORT}-:${OFFER_PORT} -device virtio-net-pci,netdev=net2,mac=${user.mac}`,
      { seconds: 400 },
    );
    guest = await SerialGuest.connect(host, 'vring vm console debian');
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

  test.each([tap, bridged, user])(
    'ping and TCP in both directions over $what',
    async card => {
      const name = (await guest.check(`grep -l ${card.mac} /sys/class/net/*/address | cut -d / -f 5`)).trim();
      expect(await guest.check(`basename $(readlink /sys/class/net/${name}/device/driver)`)).toContain(
        'virtio_net',
      );
      await guest.check(`ip link set ${name} up; ${card.address(name)}`);
      expect(await guest.check(`ping -c 3 -W 5 ${card.host}`)).toContain('3 packets received');
      await guest.check('head -c 1000000 /dev/urandom >/tmp/data');
      const sent = await digest(guest, '/tmp/data');
      expect(await guest.check(`nc ${card.host} ${DIGEST_PORT} </tmp/data`)).toContain(sent);
      await guest.check(`(nc -l -p ${OFFER_PORT} -e cat /tmp/data >/dev/null 2>&1 &) ; true`);
      const [address, port] = card.guest;
      expect(await host.check(`nc ${address} ${port} </dev/null | sha256sum`)).toContain(sent);
      await guest.check(`ip link set ${name} down; ip addr flush dev ${name}`);
    },
    900_000,
  );

  test('there are random numbers of the host', async () => {
    expect(await guest.check('cat /sys/class/misc/hw_random/rng_current')).toMatch(/^virtio_rng/);
    const bytes = 'head -c 16 /dev/hwrng | od -An -tx1';
    const first = await guest.check(bytes);
    expect(first).toMatch(/^( [0-9a-f]{2}){16}/);
    expect(await guest.check(bytes)).not.toBe(first);
  }, 300_000);
});
