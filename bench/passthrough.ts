import { EmulatedHost } from '../test/rig/emulated-host.ts';
import { dhcp, PEER, startPeer } from '../test/rig/peer.ts';
import { AGENT_GUEST, SerialGuest } from '../test/rig/serial-guest.ts';
import { atMost, type Measurement } from './measurement.ts';

const VF = '0000:01:10.0';
const SECONDS = 10;
const LONG = { seconds: 600 };

type Figures = {
  readonly exits: number;
  readonly attach: number;
  /** The part of `attach` in which the guest has the device; null if not known. */
  readonly guest: number | null;
};

/** One of the VMMs, in the emulated host. */
type Contestant = {
  /** Starts the guest with the VF. The returned command has its serial port on standard input and output. */
  start(host: EmulatedHost): Promise<string>;
  readonly detach: string;
  readonly attach: string;
  /** Waits in the background until the guest is notified of the device; null if that cannot be observed. */
  readonly told: string | null;
  readonly stop: string;
};

const MONITOR = '/root/monitor';
const TOLD = '/root/told';

const contestants: Readonly<Record<'vring' | 'qemu', Contestant>> = {
  vring: {
    async start(host) {
      await host.check(
        `vring run --detach --name bench ${AGENT_GUEST} -device vfio-pci,host=${VF},id=nic`,
        LONG,
      );
      return 'vring vm console bench';
    },
    detach: 'vring vm detach bench nic --wait 300',
    attach: `vring vm attach bench --pci ${VF} --id nic`,
    told: "until grep -q 'nic was plugged in' /var/lib/vring/manager.log; do sleep 0.05; done",
    stop: 'vring manager stop --force',
  },
  qemu: {
    async start(host) {
      await host.check(`
        mkfifo ${MONITOR}.in ${MONITOR}.out; (cat ${MONITOR}.out >/root/monitor.log) >/dev/null 2>&1 &
        echo vfio-pci >/sys/bus/pci/devices/${VF}/driver_override; echo ${VF} >/sys/bus/pci/drivers_probe`);
      return (
        'qemu-system-x86_64 -accel kvm -cpu host -nodefaults -display none -serial stdio -monitor pipe:/root/monitor ' +
        '-M q35,hpet=off,vmport=off,usb=off,sata=off,smbus=off -device pcie-root-port,id=rp1,slot=1,chassis=1 ' +
        `${AGENT_GUEST} -device vfio-pci,host=${VF},id=nic,bus=rp1`
      );
    },
    detach: `echo device_del nic >${MONITOR}.in`,
    attach: `echo device_add vfio-pci,host=${VF},id=nic,bus=rp1 >${MONITOR}.in`,
    told: null,
    stop: 'kill $(pidof qemu-system-x86_64)',
  },
};

/**
 * A VF of an igb card in a Linux guest, in the emulated host: exits to the VMM while the guest pings its peer as fast
 * as it can, minus those of an idle guest, and the time from attaching the VF to link up. Times in the emulated host
 * are only meaningful in comparison.
 */
export async function measurePassthrough(): Promise<Measurement[]> {
  const host = await EmulatedHost.boot({
    devices: ['iommu', 'igb', 'virtio-net'],
    modules: ['kvm-amd', 'vfio-pci', 'vfio_iommu_type1'],
    qemu: true,
  });
  try {
    await startPeer(host);
    await host.check(`
      mount -t debugfs debugfs /sys/kernel/debug
      pf=/sys/bus/pci/drivers/igb/0000:01:00.0; /bin/ip link set $(ls $pf/net) up
      until [ "$(cat $pf/net/*/carrier)" = 1 ]; do sleep 0.1; done
      echo 0 >$pf/sriov_drivers_autoprobe; echo 1 >$pf/sriov_numvfs`);
    const vring = await measure(host, contestants.vring);
    const qemu = await measure(host, contestants.qemu);
    return [
      {
        what: 'a passed VF under ping flood: exits to the VMM',
        unit: '/s',
        values: { vring: vring.exits, qemu: qemu.exits },
        target: atMost(0, '/s', vring.exits),
      },
      {
        what: 'a passed VF: attach to link up',
        unit: 's',
        values: { vring: vring.attach, qemu: qemu.attach },
      },
      {
        // Before that, vring takes the VF from the host, which was done beforehand for QEMU: three starts of Node, on
        // an emulated CPU.
        what: 'a passed VF: plugged in to link up',
        unit: 's',
        values: { vring: vring.guest! },
        target: atMost(1.5, 'x QEMU', vring.guest! / qemu.attach),
      },
    ];
  } finally {
    await host.close();
  }
}

async function measure(host: EmulatedHost, contestant: Contestant): Promise<Figures> {
  const guest = await SerialGuest.connect(host, await contestant.start(host));
  await guest.booted();
  await guest.check(dhcp('eth0'));
  const idle = await exitsDuring(host, guest, `sleep ${SECONDS}`);
  const flood = await exitsDuring(host, guest, `ping -A -q -w ${SECONDS} ${PEER} >/tmp/pings`);
  const pings = /(\d+) packets received/.exec(await guest.check('cat /tmp/pings'));
  if (pings === null || Number(pings[1]) < SECONDS) throw new Error('the guest did not ping its peer');

  await host.check(contestant.detach, LONG);
  await guest.check('until [ ! -e /sys/class/net/eth0 ]; do sleep 0.1; done', LONG);
  const linked = await guest.send(
    `until [ -e /sys/class/net/eth0 ]; do sleep 0.05; done; ip link set eth0 up;
    until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do sleep 0.05; done`,
    LONG,
  );
  const before = await uptime(host);
  const { told } = contestant;
  const note = told === null ? '' : `(${told}; cat /proc/uptime >${TOLD}) & `;
  await host.check(`${note}${contestant.attach}; wait`, LONG);
  await linked();
  const end = await uptime(host);
  const guestSince = told === null ? null : Number((await host.check(`cat ${TOLD}`)).split(' ')[0]);
  await host.check(contestant.stop, LONG);
  return {
    exits: Math.max(0, flood - idle),
    attach: end - before,
    guest: guestSince === null ? null : end - guestSince,
  };
}

/** @returns exits per second of the only VM to its VMM */
async function exitsDuring(host: EmulatedHost, guest: SerialGuest, script: string): Promise<number> {
  // Both reads of the counters happen while the guest's script runs: its serial port is idle in between, and used alike
  // at both ends.
  const counted = async () =>
    (await host.check('cat /sys/kernel/debug/kvm/io_exits /sys/kernel/debug/kvm/mmio_exits'))
      .split('\n')
      .reduce((sum, count) => sum + Number(count), 0);
  const done = await guest.send(`sleep 2; ${script}; sleep 2`, LONG);
  await host.check('sleep 1');
  const before = await counted();
  await host.check(`sleep ${SECONDS + 2}`);
  const after = await counted();
  await done();
  return (after - before) / SECONDS;
}

async function uptime(host: EmulatedHost): Promise<number> {
  return Number((await host.check('cat /proc/uptime')).split(' ')[0]);
}
