import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  bridged,
  digest,
  FORWARDED_PORT,
  nat,
  OFFER_PORT,
  PASST_OPTIONS,
  passt,
  ping,
  pingAndTransfer,
  prepareNetworks,
  sendMagicPacket,
  tap,
  user,
  WAKING_MAC,
  withCard,
} from '../../rig/cards.ts';
import { EmulatedHost } from '../../rig/emulated-host.ts';
import { dhcp } from '../../rig/peer.ts';
import { devicesGuest, SerialGuest } from '../../rig/serial-guest.ts';
import { missingForRig } from '../../rig/tools.ts';
import { HALVES_PORT, SEND_REST, SENT_HALF, WORLD, WORLD_FILE } from '../../rig/world.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

/** ext4 wants 8 MiB or more for a journal. */
const DISK_MIB = 24;
/** The mounted disks have files of half of that. */
const FILE_MIB = 6;

const MiB = 2 ** 20;

/** All devices of a usual guest. One of the cards is served by the kernel, one by threads though it is on an interface. */
const DEFINITION = `
name: debian
${devicesGuest.replace('machine: {', 'machine: {hpet: true, ')}
cpus: {count: 1, maxcpus: 3}
console: virtio
agent: true
balloon: true
inputs: [tablet, keyboard]
disks:
  - {file: /root/blk.img, format: raw}
  - {file: /root/scsi.img, format: raw, bus: scsi, addr: '0:0'}
  - {file: /root/cd.iso, format: raw, cdrom: true, addr: '1:0'}
  - {file: /root/stick.img, format: raw, bus: usb, addr: '4'}
  - {file: /root/card.img, format: raw, bus: sd}
  - {file: /small/grows.qcow2, format: qcow2, bus: scsi, addr: '2:0', werror: stop}
nics:
  - {mac: '${tap.mac}', network: {type: tap, interface: tap0}}
  - {mac: '${bridged.mac}', network: {type: bridge, bridge: br0}, vhost: false}
  - {mac: '${WAKING_MAC}', model: e1000, network: {type: bridge, bridge: br0}}
  - {mac: '${user.mac}', network: {type: user, forward: [{host: ${FORWARDED_PORT}, guest: ${OFFER_PORT}}]}}
`;

const OTHER_MAC = '52:54:00:00:00:07';
const OTHER = `
name: other
${devicesGuest.replace('devices-initrd', 'agent-initrd')}
nics:
  - {mac: '${OTHER_MAC}', network: {type: network, name: lab}}
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
      truncate -s ${DISK_MIB}M /root/blk.img /root/scsi.img /root/stick.img /root/card.img
      mkdir /small && mount -t tmpfs -o size=4m tmpfs /small
      cp /boot/disk.qcow2 /small/grows.qcow2
      mkdir /root/content && head -c 300000 /dev/urandom >/root/content/file
      genisoimage -quiet -R -o /root/cd.iso /root/content`,
      { seconds: 300 },
    );
    await prepareNetworks(host);
    await host.startManager();
    await host.check('mkdir -p /etc/vring/vms');
    await startVm('debian', DEFINITION);
    guest = await SerialGuest.connect(host, 'vring vm console debian --port com1');
    await guest.booted();
  }, 900_000);

  afterAll(async () => {
    await host?.close();
  });

  async function startVm(name: string, definition: string): Promise<void> {
    await host.check(`cat >/etc/vring/vms/${name}.yaml <<'end'\n${definition}\nend`);
    // A busy machine may take longer than the command waits.
    await host.check(
      `vring vm start ${name} || until vring vm list | grep '${name}.*running'; do sleep 1; done`,
      { seconds: 400 },
    );
  }

  test.each([
    ['virtio-blk', 'vda', 'blk.img'],
    // Linux names disks in the order in which it happens to find them: this is the one at 0:0.
    ['virtio-scsi', '$(basename /sys/bus/virtio/devices/*/host*/target*:0:0/*/block/sd*)', 'scsi.img'],
    ['USB', '$(basename /sys/bus/usb/devices/*/*/host*/target*/*/block/sd*)', 'stick.img'],
    ['an SD card', 'mmcblk0', 'card.img'],
  ])(
    'a file system on %s stores a file, is consistent, and is the same on the host',
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
    card => pingAndTransfer(host, guest, card),
    900_000,
  );

  test('ping, names and TCP over a NAT network, with a card that is plugged in', async () => {
    const [address] = nat.guest;
    await host.check(
      `vring net create lab --subnet 192.168.150.0/24 --reserve ${nat.mac}=${address},debian`,
      { seconds: 300 },
    );
    await host.check(`vring vm attach debian --net network:lab,mac=${nat.mac}`, { seconds: 300 });
    await guest.check(`until grep -q ${nat.mac} /sys/class/net/*/address; do sleep 0.2; done`);
    await pingAndTransfer(host, guest, nat);
    type Listed = { vms: { nics: { mac: string; addresses?: string[] }[] }[] };
    const { vms } = JSON.parse(await host.check('vring vm list --json', { seconds: 300 })) as Listed;
    expect(vms[0]!.nics.find(({ mac }) => mac === nat.mac)?.addresses).toEqual([address]);
  }, 900_000);

  test('a guest of a NAT network finds another by its name', async () => {
    await startVm('other', OTHER);
    const other = await SerialGuest.connect(host, 'vring vm console other');
    await other.booted();
    const lease = await other.check(dhcp('eth0', 'other'));
    const [, address] = /lease of (192\.168\.150\.\d+) obtained/.exec(lease)!;
    await withCard(guest, nat, async () => {
      await ping(guest, 'other');
      expect(await guest.check('ping -c 1 other')).toContain(`PING other (${address})`);
    });
    type Shown = { network: { leases: { mac: string; address: string; name: string | null }[] } };
    const { network } = JSON.parse(await host.check('vring net show lab --json', { seconds: 300 })) as Shown;
    const leases = network.leases.map(({ mac, address, name }) => ({ mac, address, name }));
    expect(leases).toContainEqual({ mac: nat.mac, address: nat.guest[0], name: 'debian' });
    expect(leases).toContainEqual({ mac: OTHER_MAC, address, name: 'other' });
    await host.check('vring vm kill other', { seconds: 300 });
  }, 900_000);

  test('ping, names and TCP over passt, with a card that is plugged in', async () => {
    await host.check(`vring vm attach debian --net ${PASST_OPTIONS}`, { seconds: 300 });
    await guest.check(`until grep -q ${passt.mac} /sys/class/net/*/address; do sleep 0.2; done`);
    await pingAndTransfer(host, guest, passt);
  }, 900_000);

  type Shown = { vms: { devices: { all: { name: string; facts: Record<string, unknown> }[] } }[] };
  /** What carries the frames of a card, as `vring vm show` has it. */
  async function dataPathOf(card: string): Promise<unknown> {
    const { vms } = JSON.parse(await host.check('vring vm show debian --json', { seconds: 300 })) as Shown;
    const { facts } = vms[0]!.devices.all.find(({ name }) => name === card)!;
    return facts['data path'];
  }

  /** Bytes that a card has sent, by the counters of its queue. */
  async function sentBy(card: string): Promise<number> {
    const line = await host.check(`vring metrics | grep '^vring_queue_bytes_total.*${card}.*from_guest'`, {
      seconds: 300,
    });
    return Number(/queue="transmit".* (\d+)/.exec(line)![1]);
  }

  test('the kernel forwards the frames of a tap and counts them, and threads do where it cannot', async () => {
    expect(await dataPathOf('net0')).toBe('vhost-net');
    expect(await dataPathOf('net1')).toBe('threads of the VM (vhost-net: switched off)');
    const pid = await host.pid('vring: debian');
    // Linux calls the thread by the process.
    expect(await host.check('cat /proc/[0-9]*/task/*/comm')).toContain(`vhost-${pid}`);
    await host.check('vring vm limit-nic debian net0 --tx-pps 100000', { seconds: 300 });
    expect(await dataPathOf('net0')).toMatch(/^threads of the VM \(vhost-net: its rates are limited/);
    await pingAndTransfer(host, guest, tap);
    await host.check('vring vm limit-nic debian net0 --none', { seconds: 300 });
    expect(await dataPathOf('net0')).toBe('vhost-net');
    const before = await sentBy('net0');
    await pingAndTransfer(host, guest, tap);
    expect((await sentBy('net0')) - before).toBeGreaterThan(1_000_000);
  }, 900_000);

  test('it continues in another process, in the middle of a transfer, and after a pause', async () => {
    const before = await host.pid('vring: debian');
    await withCard(guest, user, async () => {
      const receiving = await guest.send(`nc ${WORLD} ${HALVES_PORT} </dev/null | sha256sum`);
      // A busy machine may be too slow for it, and the VM goes on as before then.
      await host.check(
        `until [ -e ${SENT_HALF} ]; do sleep 0.2; done
         for _ in 1 2 3; do vring vm upgrade debian --force && touch ${SEND_REST} && exit; done; exit 1`,
        { seconds: 600 },
      );
      expect((await receiving()).stdout).toContain(await digest(host, WORLD_FILE));
    });
    expect(await host.pid('vring: debian')).not.toBe(before);
    expect(await dataPathOf('net0')).toBe('vhost-net');
    await host.check('vring vm pause debian && vring vm resume debian', { seconds: 300 });
    await pingAndTransfer(host, guest, tap);
  }, 900_000);

  test('it suspends to RAM, is woken up by a magic packet, and keeps its devices', async () => {
    expect(await guest.check('cat /sys/power/mem_sleep')).toContain('deep');
    await guest.check('echo deep >/sys/power/mem_sleep');
    const back = await guest.send('echo mem >/sys/power/state; echo back');
    await host.check(`until vring vm list --json | grep -q '"state": *"suspended"'; do sleep 0.5; done`, {
      seconds: 300,
    });
    await sendMagicPacket(host);
    expect((await back()).stdout).toContain('back');
    await guest.check('dd if=/dev/urandom of=/dev/vda bs=1M count=1 conv=fsync 2>/dev/null');
    await pingAndTransfer(host, guest, tap);
  }, 900_000);

  test('vCPUs are added, work, also in another process, and are released again', async () => {
    const online = () => guest.check('cat /sys/devices/system/cpu/online');
    /** Ticks of work in user mode by each CPU. */
    const worked = async () => {
      const stat = await guest.check('cat /proc/stat');
      return [...stat.matchAll(/^cpu\d+ (\d+)/gm)].map(([, ticks]) => Number(ticks));
    };
    const workOn = async (cpu: number) => {
      const before = await worked();
      await guest.check(
        `taskset -p -c ${cpu} $$ >/dev/null; i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done`,
        {
          seconds: 300,
        },
      );
      expect((await worked())[cpu]).toBeGreaterThan(before[cpu]!);
    };
    expect((await online()).trim()).toBe('0');
    expect(await host.check('vring vm cpus debian 3 --wait 200', { seconds: 250 })).toContain('has 3 vCPUs');
    // There are no udev rules that would do this.
    await guest.check('for cpu in 1 2; do echo 1 >/sys/devices/system/cpu/cpu$cpu/online; done', {
      seconds: 300,
    });
    expect((await online()).trim()).toBe('0-2');
    await workOn(2);
    await host.check('for _ in 1 2 3; do vring vm upgrade debian --force && exit; sleep 1; done; exit 1', {
      seconds: 300,
    });
    await workOn(1);
    const profile = '/sys/firmware/acpi/hotplug/processor/enabled';
    await guest.check(`echo 0 >${profile}`);
    const refused = await host.run('vring vm cpus debian 1 --wait 200', { seconds: 250 });
    // It is asked for both, and may answer for either first.
    expect(refused.stderr).toMatch(/the guest does not release vCPU [12]: it does not support that/);
    await guest.check(`echo 1 >${profile}`);
    expect(await host.check('vring vm cpus debian 1 --wait 200', { seconds: 250 })).toContain('has 1 vCPU');
    expect((await online()).trim()).toBe('0');
  }, 1_200_000);

  test('the balloon returns memory to the host', async () => {
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

  test('a write without space left pauses the VM, and completes once there is space', async () => {
    await guest.check(`dd if=/dev/urandom of=/tmp/data bs=1M count=${FILE_MIB} 2>/dev/null`);
    const written = await digest(guest, '/tmp/data');
    const name = '$(basename $(dirname $(grep -l 131072 /sys/block/sd*/size)))';
    const writing = await guest.send(`dd if=/tmp/data of=/dev/${name} bs=64k oflag=direct 2>/dev/null; sync`);
    await host.check('until vring vm list | grep -q paused; do sleep 0.5; done', { seconds: 300 });
    expect(await host.check('vring vm show debian', { seconds: 300 })).toMatch(/no space/i);
    await host.check('mount -o remount,size=64m /small && vring vm resume debian', { seconds: 300 });
    expect((await writing()).status).toBe(0);
    await guest.check('echo 3 >/proc/sys/vm/drop_caches');
    expect(await guest.check(`head -c ${FILE_MIB * MiB} /dev/${name} | sha256sum`)).toContain(written);
  }, 900_000);

  test('keys reach a USB keyboard, and Linux receives the positions of a tablet', async () => {
    const input = (name: string) =>
      `$(grep -lx 'vring USB ${name}' /sys/class/input/event*/device/name | head -n 1)`;
    // ABS_X and ABS_Y.
    expect((await guest.check(`cat $(dirname ${input('tablet')})/capabilities/abs`)).trim()).toBe('3');
    await guest.check(`
      device=$(echo ${input('keyboard')} | cut -d / -f 5);
      (head -c 24 /dev/input/$device >/tmp/keys &);
      until ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q /dev/input/$device; do sleep 0.1; done`);
    await host.check('vring vm send-key debian a', { seconds: 300 });
    const event = await guest.check('until [ -s /tmp/keys ]; do sleep 0.1; done; od -An -tx1 -v /tmp/keys');
    // Behind its time: EV_MSC, MSC_SCAN, usage 4 of page 7.
    expect(event.trim().split(/\s+/).slice(16).join(' ')).toBe('04 00 04 00 04 00 07 00');
  }, 600_000);

  test('random numbers come from the host', async () => {
    expect(await guest.check('cat /sys/class/misc/hw_random/rng_current')).toMatch(/^virtio_rng/);
    const bytes = 'head -c 16 /dev/hwrng | od -An -tx1';
    const first = await guest.check(bytes);
    expect(first).toMatch(/^( [0-9a-f]{2}){16}/);
    expect(await guest.check(bytes)).not.toBe(first);
  }, 300_000);
});
