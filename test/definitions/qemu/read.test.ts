import { describe, expect, test } from 'vitest';
import { plainDefinition } from '../../../src/definitions/plain.ts';
import { rowEntry } from '../../../src/definitions/qemu/device-rows.ts';
import { deviceNames } from '../../../src/definitions/qemu/devices.ts';
import { Draft } from '../../../src/definitions/qemu/draft.ts';
import { readDrive } from '../../../src/definitions/qemu/drives.ts';
import { QemuError } from '../../../src/definitions/qemu/error.ts';
import { noteText } from '../../../src/definitions/qemu/notes.ts';
import { readQemuOptions } from '../../../src/definitions/qemu/read.ts';
import { Settings } from '../../../src/definitions/qemu/settings.ts';
import { notYet, toMachine } from '../../../src/definitions/to-machine.ts';

const host = {
  cwd: '/vms',
  exists: (file: string) =>
    !file.startsWith('/usr/share/edk2') && !/^\/vms\/(OVMF.fd|bios-256k.bin)$/.test(file),
  needsBios: (kernel: string) => kernel.endsWith('.lkrn'),
};

/** The words of a command line without quotes, as a shell hands them on. */
const words = (line: string) => line.split(/\s+/).filter(word => word !== '');
/** What a line describes, without the card that a guest has where no option says what networks it has. */
const read = (line: string) =>
  plainDefinition(readQemuOptions([...words(line), '-nic', 'none'], 'web', host).definition);

function problems(line: string, more: Partial<Parameters<typeof readQemuOptions>[2]> = {}): string[] {
  try {
    readQemuOptions(words(line), 'web', { ...host, ...more });
  } catch (error) {
    if (!(error instanceof QemuError)) throw error;
    return error.problems.map(({ option, message }) => `${option}: ${message}`);
  }
  return [];
}

test('a -device of a type that vring lacks is one of a device module, if there are any', () => {
  const line = '-kernel /k -device tick,interval=5,on,id=first,odd=a=b';
  const { definition } = readQemuOptions(words(line), 'web', host, ['/m.ts']);
  expect(plainDefinition(definition)).toMatchObject({
    deviceModules: ['/m.ts'],
    devices: [{ type: 'tick', name: 'first', interval: '5', on: 'on', odd: 'a=b' }],
  });
  expect(problems(line)).toEqual([expect.stringContaining('vring has no device "tick" yet')]);
});

const base = { name: 'web', cpus: 1, memory: '256M', rng: false };

describe('command lines as administrators write them', () => {
  test('all at once', () =>
    expect(
      read(`-m 1024 -smp 2 -drive file=disk.img,if=virtio -net nic,model=virtio -net user -device virtio-rng-pci
        -device virtio-balloon-pci -device virtio-scsi-pci -drive file=data.img,if=none,id=hd0 -device scsi-hd,drive=hd0
        -device vfio-pci,host=02:00.0 -boot order=dc,once=d -kernel .. -append ..`),
    ).toEqual({
      name: 'web',
      memory: '1G',
      cpus: 2,
      machine: { kernel: '/', append: '..' },
      disks: [{ file: '/vms/disk.img' }, { file: '/vms/data.img', bus: 'scsi' }],
      nics: [{ network: 'user' }],
      balloon: true,
      passthrough: [{ host: '0000:02:00.0' }],
      boot: { order: ['cdrom', 'disk'], once: ['cdrom'] },
    }));

  test.each([
    ['-m 1024', { memory: '1G' }],
    ['-smp 2', { cpus: 2 }],
    ['-drive file=disk.img,if=virtio', { disks: [{ file: '/vms/disk.img' }] }],
    [
      '-drive file=d,if=virtio,throttling.iops-total=500,throttling.iops-total-max=2000,throttling.bps-total=52428800',
      { disks: [{ file: '/vms/d', limits: { iops: 500, 'iops-burst': 2000, bps: '50M' } }] },
    ],
    [
      '-drive file=d,if=virtio,iops=500,bps=1000000,bps_max=2000000',
      { disks: [{ file: '/vms/d', limits: { iops: 500, bps: '976.5625K', 'bps-burst': '1953.125K' } }] },
    ],
    ['-drive file=d,if=virtio,throttling.iops-total=0', { disks: [{ file: '/vms/d' }] }],
    [
      '-fw_cfg name=opt/com.coreos/config,file=config.ign -fw_cfg opt/ovmf/X-PciMmio64Mb,string=65536',
      {
        machine: {
          'fw-cfg': [
            { name: 'opt/com.coreos/config', file: '/vms/config.ign' },
            { name: 'opt/ovmf/X-PciMmio64Mb', text: '65536' },
          ],
        },
      },
    ],
    [
      '-kernel vmlinuz -fw_cfg opt/a,string=',
      {
        machine: { kernel: '/vms/vmlinuz', firmware: 'bios', 'fw-cfg': [{ name: 'opt/a', text: '' }] },
      },
    ],
    ['-drive file=d,if=virtio,snapshot=on', { disks: [{ file: '/vms/d', transient: true }] }],
    [
      '-drive file=a,if=virtio -drive file=b,if=virtio,snapshot=off -drive file=c,if=virtio,readonly=on -snapshot -cdrom d',
      {
        disks: [
          { file: '/vms/a', transient: true },
          { file: '/vms/b' },
          { file: '/vms/c', readonly: true },
          { file: '/vms/d', bus: 'ide', addr: '2', cdrom: true },
        ],
      },
    ],
    [
      '-snapshot -blockdev file,filename=a,node-name=a -device virtio-blk-pci,drive=a -drive file=b,if=none,id=b -device virtio-blk-pci,drive=b',
      {
        disks: [
          { file: '/vms/a', format: 'raw' },
          { file: '/vms/b', transient: true },
        ],
      },
    ],
    ['-net nic,model=virtio -net user', { nics: [{ network: 'user' }] }],
    ['-device virtio-rng-pci', { rng: undefined }],
    ['-device virtio-rng-pci,max-bytes=1024,period=1000', { rng: { 'max-bytes': 1024, period: 1000 } }],
    [
      '-drive file=d,if=none,id=d -device virtio-blk-pci,drive=d,packed=on,event_idx=off,iommu_platform=on',
      { disks: [{ file: '/vms/d', virtio: { packed: true, 'event-idx': false, 'iommu-platform': true } }] },
    ],
    ['-device virtio-balloon-pci', { balloon: true }],
    [
      '-device virtio-scsi-pci -drive file=disk.img,if=none,id=hd0 -device scsi-hd,drive=hd0',
      { disks: [{ file: '/vms/disk.img', bus: 'scsi' }] },
    ],
    ['-usbdevice tablet -device usb-kbd -device usb-mouse', { inputs: ['tablet', 'keyboard', 'mouse'] }],
    [
      '-device virtio-keyboard-pci -device virtio-mouse -device virtio-tablet-device',
      { inputs: ['virtio-keyboard', 'virtio-mouse', 'virtio-tablet'] },
    ],
    [
      // As libvirt starts QEMU.
      `-device {"driver":"virtio-tablet-pci","id":"input0","bus":"pcie.0","addr":"0x3"} -device virtio-tablet-pci,wheel-axis=true`,
      { inputs: ['virtio-tablet'], devices: [{ type: 'virtio-tablet', addr: '03.0' }] },
    ],
    [
      '-device virtio-keyboard-pci,serial=desk,packed=on,id=kbd',
      { devices: [{ type: 'virtio-keyboard', serial: 'desk', packed: true }] },
    ],
    [
      '-device nec-usb-xhci,id=xhci,addr=0x7',
      { devices: [{ type: 'qemu-xhci', name: 'xhci', addr: '07.0' }] },
    ],
    [
      '-device qemu-xhci -drive file=stick.img,if=none,id=s -device usb-storage,drive=s,bootindex=1',
      { disks: [{ file: '/vms/stick.img', bus: 'usb', bootindex: 1 }], devices: [{ type: 'qemu-xhci' }] },
    ],
    [
      '-drive file=stick.img,if=none,id=s,discard=unmap -device usb-storage,drive=s,port=3,removable=on',
      {
        devices: [
          expect.objectContaining({
            type: 'usb-storage',
            path: '/vms/stick.img',
            addr: '3',
            removable: true,
          }),
        ],
      },
    ],
    [
      '-drive file=a.img,if=sd -sd b.img -device sdhci-pci,id=sd1,addr=0x7',
      {
        disks: [
          { file: '/vms/a.img', bus: 'sd' },
          { file: '/vms/b.img', bus: 'sd' },
        ],
        devices: [{ type: 'sdhci-pci', name: 'sd1', addr: '07.0' }],
      },
    ],
    [
      '-device sdhci-pci -drive file=c.img,if=none,id=c,readonly=on -device sd-card,drive=c,spec_version=3,bootindex=1',
      {
        disks: [{ file: '/vms/c.img', bus: 'sd', readonly: true, bootindex: 1 }],
        devices: [{ type: 'sdhci-pci' }],
      },
    ],
    ['-device vfio-pci,host=02:00.0', { passthrough: [{ host: '0000:02:00.0' }] }],
    ['-boot order=dc,once=d', { boot: { order: ['cdrom', 'disk'], once: ['cdrom'] } }],
    [
      '-kernel vmlinuz -append console=ttyS0',
      { machine: { kernel: '/vms/vmlinuz', append: 'console=ttyS0' } },
    ],
  ])('%s', (line, expected) => expect(read(line)).toEqual({ ...base, ...expected }));
});

describe('each option', () => {
  test.each([
    ['', {}],
    [
      'qemu-system-x86_64 -enable-kvm -nographic -nodefaults -display none -serial mon:stdio -monitor none',
      { display: 'none' },
    ],
    ['/usr/bin/qemu-system-x86_64 disk.img', { disks: [{ file: '/vms/disk.img', bus: 'ide', addr: '0' }] }],
    ['-machine q35,accel=kvm --cpu host -vga none -no-hpet -sandbox on -accel kvm', { display: 'none' }],
    ['-nographic', { boot: { serial: true } }],
    ['-machine q35,graphics=off -boot c', { boot: { order: ['disk'], serial: true } }],
    ['-machine graphics=on', {}],
    ['-vga std -nographic', { display: 'vga', boot: { serial: true } }],
    ['-nographic -vga none', { display: 'none' }],
    ['-nodefaults -nographic -device VGA', { display: 'vga', boot: { serial: true } }],
    ['-nographic -kernel vmlinuz', { display: 'none', machine: { kernel: '/vms/vmlinuz' } }],
    ['-nodefaults -device VGA', { display: 'vga' }],
    [
      '-device tpm-crb,tpmdev=t -tpmdev emulator,id=t,chardev=c -chardev socket,id=c,path=/run/swtpm.sock',
      { tpm: { version: 2, model: 'crb', socket: '/run/swtpm.sock' } },
    ],
    ['-vga virtio', { display: 'virtio' }],
    ['-nodefaults -device virtio-vga', { display: 'virtio' }],
    ['-device virtio-gpu-pci', { display: 'virtio-gpu' }],
    ['-device virtio-vga-gl', { display: 'virtio' }],
    [
      '-device virtio-gpu-pci,max_hostmem=64M,xres=1024',
      { devices: [{ type: 'virtio-gpu', 'max-hostmem': 64 * 2 ** 20, xres: 1024, yres: 800, edid: true }] },
    ],
    [
      '-device VGA,vgamem_mb=32,xres=1024,edid=off',
      { devices: [{ type: 'vga', vgamem: 32, xres: 1024, yres: 800, edid: false, rombar: true }] },
    ],
    ['-M pc-q35-9.0,mem-merge=on -m 2G', { memory: { size: '2G', mergeable: true } }],
    ['-m size=1G', { memory: '1G' }],
    ['-name guest=db', { name: 'db' }],
    [
      '-smp cpus=2,sockets=1,cores=2,threads=1',
      { cpus: { count: 2, topology: { sockets: 1, cores: 2, threads: 1 } } },
    ],
    ['-smp 8,sockets=2,threads=2', { cpus: { count: 8, topology: { sockets: 2, cores: 2, threads: 2 } } }],
    ['-smp 12,cores=6,sockets=1', { cpus: { count: 12, topology: { sockets: 1, cores: 6, threads: 2 } } }],
    [
      '-smp 16,sockets=1,dies=2,clusters=2,cores=2,threads=2',
      { cpus: { count: 16, topology: { sockets: 1, cores: 8, threads: 2 } } },
    ],
    ['-smp 8,dies=2', { cpus: 8 }],
    ['-smp 8,cores=2', { cpus: { count: 8, topology: { sockets: 4, cores: 2, threads: 1 } } }],
    ['-smp sockets=2,cores=3', { cpus: { count: 6, topology: { sockets: 2, cores: 3, threads: 1 } } }],
    ['-smp 4,maxcpus=4', { cpus: 4 }],
    ['-smp cpus=2,maxcpus=8', { cpus: { count: 2, maxcpus: 8 } }],
    ['-smp maxcpus=8', { cpus: 8 }],
    ['-smp 1,cores=1,threads=1,sockets=240,maxcpus=240', { cpus: 1 }],
    [
      '-smp 2,maxcpus=8,sockets=2',
      { cpus: { count: 2, maxcpus: 8, topology: { sockets: 2, cores: 4, threads: 1 } } },
    ],
    [
      '-smp 1,maxcpus=4,sockets=4,cores=1,threads=1',
      { cpus: { count: 1, maxcpus: 4, topology: { sockets: 4, cores: 1, threads: 1 } } },
    ],
    [
      '-smp 1,sockets=2,cores=2,threads=1',
      { cpus: { count: 1, maxcpus: 4, topology: { sockets: 2, cores: 2, threads: 1 } } },
    ],
    [
      '-smp 2 -cpu host,-cx16,sse4.1=off,+avx2,kvm=off',
      { cpus: { count: 2, features: ['-cx16', '-sse4_1', '+avx2'], 'hide-hypervisor': true } },
    ],
    [
      '-hda a.img -hdb /b.img -cdrom c.iso',
      {
        disks: [
          { file: '/vms/a.img', bus: 'ide', addr: '0' },
          { file: '/b.img', bus: 'ide', addr: '1' },
          { file: '/vms/c.iso', bus: 'ide', addr: '2', cdrom: true },
        ],
      },
    ],
    [
      '-fdb b.img -fda a.img -drive if=floppy,index=1',
      {
        disks: [
          { file: '/vms/a.img', bus: 'floppy', addr: '0' },
          { file: '/vms/b.img', bus: 'floppy', addr: '1' },
          { bus: 'floppy', addr: '1' },
        ],
      },
    ],
    [
      '-drive if=none,id=f,file=f.img -device floppy,unit=1,drive=f -device floppy',
      {
        disks: [
          { bus: 'floppy', addr: '0' },
          { file: '/vms/f.img', bus: 'floppy', addr: '1' },
        ],
      },
    ],
    [
      '-drive if=none,id=d,file=d.img -drive if=none,id=c,media=cdrom -device ide-cd,drive=c,bus=ide.1 -device ide-hd,drive=d,bus=ide.1,unit=1',
      {
        disks: [
          { bus: 'ide', addr: '2', cdrom: true },
          { file: '/vms/d.img', bus: 'ide', addr: '3' },
        ],
      },
    ],
    [
      '-drive file=a,,b.img,if=virtio,format=raw,id=d0,readonly=on,cache=none,serial=S-1',
      { disks: [{ file: '/vms/a,b.img', format: 'raw', readonly: true, cache: 'none', serial: 'S-1' }] },
    ],
    [
      '-drive file=a.img,if=virtio,readonly -drive file=b.qcow2,if=virtio,format=qcow2,index=1',
      {
        disks: [
          { file: '/vms/a.img', readonly: true },
          { file: '/vms/b.qcow2', format: 'qcow2' },
        ],
      },
    ],
    [
      '-device ich9-ahci,id=sata -drive if=none,id=a,file=a -device ide-hd,drive=a,bus=sata.2,serial=S,bootindex=1',
      {
        disks: [{ file: '/vms/a', bus: 'sata', addr: '2', serial: 'S', bootindex: 1 }],
        devices: [{ type: 'ahci', name: 'sata', 'staggered-spin-up': false }],
      },
    ],
    [
      '-device ahci -device ide-cd,bus=ahci0.5,unit=0',
      {
        disks: [{ bus: 'sata', addr: '5', cdrom: true }],
        devices: [{ type: 'ahci', name: 'ahci0', 'staggered-spin-up': false }],
      },
    ],
    [
      '-device ahci,id=a -device ich9-ahci,id=b,addr=7 -drive if=none,id=d,file=d -device ide-hd,drive=d,bus=b.0,rotation_rate=1',
      {
        devices: [
          { type: 'ahci', name: 'a', 'staggered-spin-up': false },
          { type: 'ahci', name: 'b', addr: '07.0', 'staggered-spin-up': false },
          {
            ...{ type: 'sata-hd', path: '/vms/d', readonly: false, cache: 'writeback' },
            ...{ 'rotation-rate': 1, bus: 'b', addr: '0' },
          },
        ],
      },
    ],
    [
      '-drive file=c.iso,media=cdrom',
      { disks: [{ file: '/vms/c.iso', bus: 'ide', addr: '0', cdrom: true }] },
    ],
    [
      '-M q35 -hda a -cdrom c -drive if=none,id=d,file=d -device ide-hd,drive=d,bus=ide.3',
      {
        disks: [
          { file: '/vms/a', bus: 'sata', addr: '0' },
          { file: '/vms/c', bus: 'sata', addr: '2', cdrom: true },
          { file: '/vms/d', bus: 'sata', addr: '3' },
        ],
      },
    ],
    ['-drive media=cdrom,bus=1', { disks: [{ bus: 'ide', addr: '2', cdrom: true }] }],
    ['-drive file=a,if=virtio,aio=io_uring,discard=unmap,cache=writeback', { disks: [{ file: '/vms/a' }] }],
    [
      '-drive file=a,if=virtio,discard=unmap,detect-zeroes=unmap -drive file=b,if=virtio,detect-zeroes=off',
      { disks: [{ file: '/vms/a', 'detect-zeroes': 'unmap' }, { file: '/vms/b' }] },
    ],
    [
      '-drive if=none,id=a,file=a -drive file=b,if=virtio -device virtio-blk-pci,drive=a,serial=A,num-queues=4,id=first',
      { disks: [{ file: '/vms/b' }, { file: '/vms/a', serial: 'A', queues: 4 }] },
    ],
    [
      '-device virtio-scsi-pci,id=scsi0 -drive if=none,id=a,file=a -device scsi-cd,drive=a,bus=scsi0.0',
      { disks: [{ file: '/vms/a', cdrom: true }] },
    ],
    [
      '-device virtio-scsi-pci,id=scsi0 -device scsi-cd,bus=scsi0.0,scsi-id=1,lun=2',
      { disks: [{ cdrom: true, addr: '1:2' }] },
    ],
    [
      '-nic user,model=virtio-net-pci,mac=52:54:00:AA:00:01,hostfwd=tcp::2222-:22,hostfwd=udp:127.0.0.1:53-10.0.2.15:5353',
      {
        nics: [
          {
            mac: '52:54:00:aa:00:01',
            network: {
              type: 'user',
              forward: [
                { address: '0.0.0.0', host: 2222, guest: 22 },
                { protocol: 'udp', host: 53, guest: 5353, 'guest-address': '10.0.2.15' },
              ],
            },
          },
        ],
      },
    ],
    ['-nic none', {}],
    ['-net none', {}],
    [
      '-nic user,net=192.168.76.0/255.255.255.0,host=192.168.76.9,dhcpstart=192.168.76.20,dns=192.168.76.3,hostname=web,' +
        'domainname=example.org,dnssearch=a.org,dnssearch=b.org,restrict=y,tftp=tftp,bootfile=/boot/grub,ipv6-prefix=fd00:1::,' +
        'ipv6-host=fd00:1::2,ipv6-dns=fd00:1::3,model=virtio',
      {
        nics: [
          {
            network: {
              type: 'user',
              net: '192.168.76.0/24',
              host: '192.168.76.9',
              'dhcp-start': '192.168.76.20',
              dns: '192.168.76.3',
              hostname: 'web',
              domain: 'example.org',
              search: ['a.org', 'b.org'],
              restrict: true,
              tftp: '/vms/tftp',
              bootfile: '/boot/grub',
              'ipv6-net': 'fd00:1::/64',
              'ipv6-host': 'fd00:1::2',
              'ipv6-dns': 'fd00:1::3',
            },
          },
        ],
      },
    ],
    // Networks without a mask, as QEMU takes them.
    ['-nic user,net=10.9.0.0,model=virtio', { nics: [{ network: { type: 'user', net: '10.9.0.0/8' } }] }],
    [
      '-nic user,net=172.16.0.0,model=virtio',
      { nics: [{ network: { type: 'user', net: '172.16.0.0/12' } }] },
    ],
    [
      '-nic user,net=192.168.9.0,model=virtio',
      { nics: [{ network: { type: 'user', net: '192.168.9.0/16' } }] },
    ],
    ['-nic user,ip=10.9.8.0,model=virtio', { nics: [{ network: { type: 'user', net: '10.9.8.0/24' } }] }],
    // One version of IP that is asked for alone turns the other off.
    ['-nic user,ipv6=on,model=virtio', { nics: [{ network: { type: 'user', ipv4: false } }] }],
    ['-nic user,ipv6=off,model=virtio', { nics: [{ network: { type: 'user', ipv6: false } }] }],
    ['-nic user,ipv4=on,ipv6=on,model=virtio', { nics: [{ network: 'user' }] }],
    [
      '-nic user,model=virtio,guestfwd=tcp:10.0.2.100:80-tcp:[::1]:8080,guestfwd=tcp:10.0.2.101:514-cmd:/bin/log',
      {
        nics: [
          {
            network: {
              type: 'user',
              'guest-forward': [
                { address: '10.0.2.100', port: 80, to: { address: '::1', port: 8080 } },
                { address: '10.0.2.101', port: 514, command: ['/bin/log'] },
              ],
            },
          },
        ],
      },
    ],
    [
      '-netdev tap,id=n,ifname=tap0,queues=4,vhost=on,script=up.sh,downscript=/d -device virtio-net-pci,netdev=n,mq=on,vectors=10,host_mtu=9000,bootindex=1',
      {
        nics: [
          {
            network: { type: 'tap', interface: 'tap0', script: '/vms/up.sh', downscript: '/d' },
            queues: 4,
            vhost: true,
            vectors: 10,
            mtu: 9000,
            bootindex: 1,
            virtio: { mq: true },
          },
        ],
      },
    ],
    [
      '-netdev tap,id=n,br=br0,vhostforce=off -device virtio-net,netdev=n',
      { nics: [{ network: { type: 'bridge', bridge: 'br0' }, vhost: false }] },
    ],
    [
      '-nic passt,model=virtio,interface=eth1,address=192.0.2.7,tcp-ports=2222:22,udp-ports=127.0.0.1/53',
      {
        nics: [
          {
            network: {
              type: 'passt',
              interface: 'eth1',
              address: '192.0.2.7',
              forward: [
                { address: '0.0.0.0', host: 2222, guest: 22 },
                { protocol: 'udp', host: 53, guest: 53 },
              ],
            },
          },
        ],
      },
    ],
    [
      '-device virtio-net-pci,mac=52:54:00:00:00:01',
      { nics: [{ network: 'none', mac: '52:54:00:00:00:01' }] },
    ],
    // Cards and networks of one vlan are on a hub, which has its networks with its first card.
    [
      '-net nic,vlan=1,model=virtio -net nic,vlan=1,model=virtio -net user,vlan=1 -net tap,vlan=1,ifname=t0 -net nic,model=virtio -net bridge',
      {
        nics: [
          { network: { type: 'hub', hub: 1, networks: ['user', { type: 'tap', interface: 't0' }] } },
          { network: { type: 'hub', hub: 1 } },
          { network: { type: 'bridge', bridge: 'br0' } },
        ],
      },
    ],
    [
      '-netdev hubport,id=p,hubid=0,netdev=u -netdev user,id=u -net nic,model=virtio -netdev hubport,id=q,hubid=0 -device virtio-net-pci,netdev=q',
      {
        nics: [
          { network: { type: 'hub', hub: 0, networks: ['user'] } },
          { network: { type: 'hub', hub: 0 } },
        ],
      },
    ],
    [
      '-nic tap,ifname=tap0,script=no,downscript=no,model=e1000',
      { nics: [{ model: 'e1000', network: { type: 'tap', interface: 'tap0' } }] },
    ],
    [
      '-netdev bridge,id=n0,br=br1 -device virtio-net-pci,netdev=n0,mac=52:54:00:00:00:02',
      { nics: [{ network: { type: 'bridge', bridge: 'br1' }, mac: '52:54:00:00:00:02' }] },
    ],
    ['-netdev user,id=n0 -device e1000e,netdev=n0', { nics: [{ model: 'e1000e', network: 'user' }] }],
    ['-netdev user,id=n0 -device i82551,netdev=n0', { nics: [{ model: 'i82551', network: 'user' }] }],
    ['-netdev user,id=n0 -device ne2k_isa,netdev=n0', { nics: [{ model: 'ne2k_isa', network: 'user' }] }],
    [
      '-netdev tap,id=n0,ifname=tap0,script=no -device ne2k_isa,netdev=n0,iobase=0x320,irq=5',
      {
        devices: [
          { type: 'ne2k_isa', network: { type: 'tap', ifname: 'tap0' }, link: true, iobase: 0x320, irq: 5 },
        ],
      },
    ],
    ['-object rng-random,filename=/dev/urandom,id=r0 -device virtio-rng-pci,rng=r0', { rng: undefined }],
    ['-boot dc', { boot: { order: ['cdrom', 'disk'] } }],
    ['-boot once=n', { boot: { once: ['network'] } }],
    [
      '-uuid 3F2504E0-4F89-11D3-9A0C-0305E82C3301',
      { machine: { uuid: '3f2504e0-4f89-11d3-9a0c-0305e82c3301' } },
    ],
    [
      '-smbios type=1,uuid=3f2504e0-4f89-11d3-9a0c-0305e82c3301',
      { machine: { uuid: '3f2504e0-4f89-11d3-9a0c-0305e82c3301' } },
    ],
    [
      '-smbios type=1,manufacturer=Example,serial=ds=nocloud;s=http://10.0.2.2/ -smbios type=2 -smbios type=11,value=a,value=b -smbios type=11,value=c',
      {
        machine: {
          smbios: {
            system: { manufacturer: 'Example', serial: 'ds=nocloud;s=http://10.0.2.2/' },
            board: {},
            'oem-strings': ['a', 'b', 'c'],
          },
        },
      },
    ],
    [
      '-smbios type=0,vendor=V,release=4.11,uefi=on -smbios type=4,sock_pfx=S,max-speed=3000 -smbios type=17,loc_pfx=L,speed=2400',
      {
        machine: {
          smbios: {
            bios: { vendor: 'V', release: '4.11', uefi: true },
            processor: { socket: 'S', 'max-speed': 3000 },
            memory: { location: 'L', speed: 2400 },
          },
        },
      },
    ],
    [
      '-boot order=ac,menu=on,splash-time=3000',
      { boot: { order: ['floppy', 'disk'], menu: true, 'menu-wait': 3000 } },
    ],
    [
      '-boot menu=on,splash-time=0,reboot-timeout=5000',
      { boot: { menu: true, 'menu-wait': 0, 'retry-wait': 5000 } },
    ],
    ['-boot reboot-timeout=-1', {}],
    ['-bios /srv/my-bios.bin', { machine: { firmware: 'bios', 'firmware-file': '/srv/my-bios.bin' } }],
    ['-no-reboot', { 'on-reboot': 'stop' }],
    ['-kernel k -initrd i', { machine: { kernel: '/vms/k', initrd: '/vms/i' } }],
  ])('%s', (line, expected) => expect(read(line)).toEqual({ ...base, ...expected }));

  test('of one word, with spaces', () => {
    const { definition } = readQemuOptions(
      ['-kernel', 'my kernel', '-append', 'root=/dev/vda console=ttyS0'],
      'web',
      host,
    );
    expect(definition.machine).toEqual({ kernel: '/vms/my kernel', append: 'root=/dev/vda console=ttyS0' });
  });

  test('what the VMM supports can start', () => {
    const { definition } = readQemuOptions(
      words(
        '-m 512 -smp 2 -cpu host,-cx16 -kernel k -drive file=a,if=virtio,readonly=on -device virtio-rng-pci',
      ),
      'web',
      host,
    );
    expect(notYet(definition)).toEqual([]);
    expect(toMachine(definition)).toMatchObject({
      cpus: 2,
      memory: { bytes: 2 ** 29 },
      devices: [{ type: 'virtio-blk', path: '/vms/a', readonly: true }, { type: 'virtio-rng' }],
    });
  });
});

test.each([
  ['romfile=', { romfile: '' }],
  ['romfile=my.rom', { romfile: '/vms/my.rom' }],
  ['rombar=0', { rombar: false }],
  // QEMU's own name for what vring finds itself.
  ['romfile=efi-virtio.rom,rombar=1', {}],
])('a network card with %s', (properties, rom) => {
  const line = `-netdev user,id=n -device virtio-net-pci,netdev=n,${properties}`;
  const [nic] = readQemuOptions(words(line), 'web', host).definition.nics;
  const { romfile, rombar } = nic!;
  expect({ romfile, rombar }).toEqual({ romfile: undefined, rombar: undefined, ...rom });
});

test.each([
  ['-balloon virtio', { balloon: true }],
  ['-balloon none', { balloon: undefined }],
  ['-bios OVMF.fd', { machine: { firmware: 'uefi' } }],
  ['-bios bios-256k.bin -kernel k', { machine: { firmware: 'bios', kernel: '/vms/k' } }],
  ['-bios qboot.rom -kernel k', { machine: { kernel: '/vms/k' } }],
  ['-kernel ipxe.lkrn', { machine: { firmware: 'bios', kernel: '/vms/ipxe.lkrn' } }],
  [
    '-drive if=pflash,file=OVMF.fd -kernel k',
    { machine: { firmware: 'uefi', 'firmware-file': '/vms/OVMF.fd', kernel: '/vms/k' } },
  ],
  [
    '-debugcon file:debug.log -global isa-debugcon.iobase=0x402',
    {
      devices: [
        {
          type: 'isa-debugcon',
          iobase: 0x402,
          chardev: { type: 'file', path: '/vms/debug.log', append: false },
        },
      ],
    },
  ],
  [
    '-chardev pty,id=p -device isa-debugcon,iobase=0x402,chardev=p',
    { devices: [{ type: 'isa-debugcon', iobase: 0x402, chardev: { type: 'pty' } }] },
  ],
  [
    '-parallel file:lpt.prn -parallel none -parallel pty',
    { parallel: [{ type: 'file', path: '/vms/lpt.prn', append: false }, 'pty'] },
  ],
  ['-machine q35,hpet=on', { machine: { hpet: true } }],
  ['-global ICH9-LPC.disable_s3=1', { machine: { suspend: false } }],
  ['-global driver=PIIX4_PM,property=disable_s4,value=1', { machine: { hibernate: false } }],
  ['-global PIIX4_PM.disable_s3=0', { machine: { suspend: true } }],
  ['-drive if=sd,file=a,id=d -device sd-card,drive=d', { disks: [{ file: '/vms/a', bus: 'sd' }] }],
  ['-drive file=a,id=d -device virtio-blk-pci,drive=d', { disks: [{ file: '/vms/a' }] }],
  ['-drive file=a,if=virtio,serial=', { disks: [{ file: '/vms/a' }] }],
  [
    '-drive file=a,if=virtio,serial=8ca429f5-285d-41b6-8ce9-ec74a519e3b9',
    { disks: [{ file: '/vms/a', serial: '8ca429f5-285d-41b6-8' }] },
  ],
  // Relative to where the command is.
  ['-serial unix:s,server,nowait', { serial: [{ type: 'unix', path: '/vms/s' }] }],
  [
    '-chardev file,id=f,path=f.log,logfile=g.log -serial chardev:f',
    { serial: [{ type: 'file', path: '/vms/f.log', append: false }] },
  ],
  [
    '-chardev socket,id=t,path=swtpm.sock -tpmdev emulator,id=t,chardev=t -device tpm-crb,tpmdev=t',
    { tpm: { version: 2, model: 'crb', socket: '/vms/swtpm.sock' } },
  ],
  ['-vnc unix:v', { display: 'vga', graphics: { type: 'vnc', listen: 'unix:/vms/v' } }],
  [
    // Firmware that needs SMM.
    '-drive if=pflash,file=OVMF_CODE_4M.secboot.fd,readonly=on -drive if=pflash,file=VARS.fd',
    { machine: { firmware: 'uefi', 'firmware-variables': '/vms/VARS.fd' } },
  ],
  ['-localtime', { machine: { clock: 'localtime' } }],
  ['-option-rom a.rom', { machine: { 'fw-cfg': [{ name: 'genroms/a.rom', file: '/vms/a.rom' }] } }],
  [
    '-kernel k -option-rom a.rom',
    {
      machine: {
        firmware: 'bios',
        kernel: '/vms/k',
        'fw-cfg': [{ name: 'genroms/a.rom', file: '/vms/a.rom' }],
      },
    },
  ],
  ['-display vnc=:5', { display: 'vga', graphics: { type: 'vnc', listen: '127.0.0.1:5' } }],
  ['-display vnc=unix:/v,websocket=5700', { display: 'vga', graphics: { type: 'vnc', listen: 'unix:/v' } }],
  ['-spice port=5930,disable-ticketing=on', { display: 'vga', graphics: { type: 'vnc', listen: 'auto' } }],
  ['-spice unix=on,addr=/s -vga qxl', { display: 'vga', graphics: { type: 'vnc', listen: 'unix:/s' } }],
  ['-vnc :1 -spice port=5930', { display: 'vga', graphics: { type: 'vnc', listen: '127.0.0.1:1' } }],
  ['-device usb-wacom-tablet', { inputs: ['tablet'] }],
  ['-device virtio-input-host-pci,evdev=/dev/input/event1', {}],
  ['-device virtio-tablet-pci,display=video0,head=0', { inputs: ['virtio-tablet'] }],
  ['-device virtio-mouse-pci,wheel-axis=off', { inputs: ['virtio-mouse'] }],
  ['-serial telnet::4444,server,nowait', { serial: [{ type: 'tcp', host: '127.0.0.1', port: 4444 }] }],
  [
    '-chardev socket,id=t,telnet=on,port=4444,host=::1,server=on -serial chardev:t',
    { serial: [{ type: 'tcp', host: '::1', port: 4444 }] },
  ],
  // Several ports on one terminal.
  [
    '-chardev stdio,id=m,mux=on -serial chardev:m -device virtconsole,chardev=m -mon chardev=m',
    { devices: [{ type: 'virtconsole', chardev: { type: 'console' } }] },
  ],
  ['-cpu host,-cet-ss,-kvmclock,-osxsave', { cpus: { count: 1, features: ['-user_shstk'] } }],
  ['-rtc base=localtime', { machine: { clock: 'localtime' } }],
  ['-rtc base=2006-06-17T16:01:21,clock=host', { machine: { clock: '2006-06-17T16:01:21' } }],
  ['-bios ./OVMF.fd', { machine: { firmware: 'uefi', 'firmware-file': '/vms/OVMF.fd' } }],
  [
    '-drive if=pflash,unit=1,file=vars.fd -drive if=pflash,unit=0,file=/usr/share/OVMF/OVMF_CODE.fd,readonly=on',
    {
      machine: {
        firmware: 'uefi',
        'firmware-file': '/usr/share/OVMF/OVMF_CODE.fd',
        'firmware-variables': '/vms/vars.fd',
      },
    },
  ],
  // A file of another distribution.
  ['-pflash /usr/share/edk2/x64/OVMF_CODE.4m.fd', { machine: { firmware: 'uefi' } }],
  [
    '-pflash a.fd -pflash b.fd',
    { machine: { firmware: 'uefi', 'firmware-file': '/vms/a.fd', 'firmware-variables': '/vms/b.fd' } },
  ],
  [
    '-blockdev file,node-name=c,filename=c.fd,read-only=on -blockdev file,node-name=v,filename=v.fd -machine q35,pflash0=c,pflash1=v',
    { machine: { firmware: 'uefi', 'firmware-file': '/vms/c.fd', 'firmware-variables': '/vms/v.fd' } },
  ],
  [
    '-blockdev driver=file,node-name=f,filename=a.raw,cache.direct=on -blockdev driver=raw,node-name=d,file=f -device virtio-blk-pci,drive=d',
    { disks: [{ file: '/vms/a.raw', format: 'raw', cache: 'none' }] },
  ],
  [
    '-blockdev qcow2,node-name=d,file.driver=file,file.filename=a.img,read-only=on -device scsi-hd,drive=d,bootindex=2',
    {
      disks: [{ file: '/vms/a.img', bus: 'scsi', format: 'qcow2', readonly: true, bootindex: 2 }],
    },
  ],
  [
    '-drive file=b,if=virtio,index=1 -drive file=a,if=virtio,index=0',
    { disks: [{ file: '/vms/a' }, { file: '/vms/b' }] },
  ],
  [
    '-M pc -cpu Nehalem,+aes,-x2apic,enforce',
    { cpus: { count: 1, model: 'Nehalem', features: ['+aes'], enforce: true } },
  ],
  ['-action reboot=shutdown', { 'on-reboot': 'stop' }],
  ['-watchdog-action poweroff -watchdog i6300esb', { devices: [{ type: 'i6300esb', action: 'poweroff' }] }],
  [
    '-device i6300esb,id=dog -action watchdog=debug',
    { devices: [{ type: 'i6300esb', name: 'dog', action: 'none' }] },
  ],
  [
    '-device pvpanic -device pvpanic-pci',
    { devices: [{ type: 'pvpanic', ioport: 0x505 }, { type: 'pvpanic-pci' }] },
  ],
  ['-device isa-debug-exit', { devices: [{ type: 'isa-debug-exit', iobase: 0x501, iosize: 2 }] }],
  [
    '-nodefaults -device virtio-serial -device virtconsole,chardev=c -chardev stdio,id=c',
    { console: 'virtio', display: 'none' },
  ],
  [
    '-serial stdio -device virtio-serial -device virtconsole -device virtconsole,chardev=c -chardev pty,id=c',
    {
      devices: [
        { type: 'virtconsole', chardev: { type: 'console' } },
        { type: 'virtconsole', chardev: { type: 'pty' } },
      ],
    },
  ],
  [
    '-nodefaults -device virtio-serial -device virtconsole,chardev=c -chardev stdio,id=c -device virtconsole,chardev=d -chardev null,id=d',
    { console: 'virtio', display: 'none', devices: [{ type: 'virtconsole', chardev: { type: 'null' } }] },
  ],
])('also %s', (line, expected) => expect(read(line)).toEqual({ ...base, ...expected }));

test('huge pages come from a hugetlbfs, by its page size', () => {
  const hugepageSize = (path: string) =>
    ({ '/dev/hugepages': 2 ** 21, '/mnt/1G': 2 ** 30, '/tmp': null, '/mnt/64K': 2 ** 16 })[path];
  const memory = (line: string) =>
    plainDefinition(readQemuOptions(words(line), 'web', { ...host, hugepageSize }).definition).memory;
  expect(memory('-m 1G -mem-path /dev/hugepages')).toEqual({ size: '1G', hugepages: '2M' });
  expect(memory('-m 1G -mem-path /mnt/1G')).toEqual({ size: '1G', hugepages: '1G' });
  expect(memory('-m 1G -mem-path /tmp')).toBe('1G');
  // Files that QEMU makes, and folders that libvirt made.
  expect(memory('-m 1G -mem-path /tmp/ram')).toBe('1G');
  expect(memory('-m 1G -mem-path /dev/hugepages/libvirt/qemu/1-a')).toEqual({ size: '1G', hugepages: '2M' });
  expect(problems('-mem-path /tmp/a/b', { hugepageSize }).join()).toContain('/tmp/a/b does not exist');
  const backend = '-object memory-backend-memfd,id=m,size=1G,hugetlb=on';
  expect(memory(`${backend} -machine memory-backend=m`)).toEqual({ size: '1G', hugepages: '2M' });
  expect(memory(`${backend},hugetlbsize=1G -numa node,memdev=m`)).toEqual({ size: '1G', hugepages: '1G' });
  expect(problems('-mem-path /mnt/64K', { hugepageSize })).toEqual([
    '-mem-path /mnt/64K: expected huge pages of 2M or 1G, not 64K',
  ]);
  expect(problems('-mem-path /none', { hugepageSize }).join()).toContain('/none does not exist on this host');
  expect(problems(`-m 2G ${backend} -machine memory-backend=m`).join()).toContain(
    'its size is 1G, but -m says 2G',
  );
});

describe('NUMA nodes', () => {
  const numa = (line: string) =>
    read(`-m 2G -smp 4,sockets=2 ${line}`).numa?.map(({ cpus, memory, distances }) => [
      cpus,
      memory,
      distances,
    ]);

  test.each([
    ['-numa node', undefined],
    ['-numa node,cpus=0-3,mem=2G', undefined],
    [
      '-numa node,cpus=0-1,mem=1G -numa node,cpus=2-3,mem=1G',
      [
        [[0, 1], '1G', undefined],
        [[2, 3], '1G', undefined],
      ],
    ],
    [
      '-numa node,nodeid=1,cpus=0,cpus=2,mem=512 -numa node,nodeid=0,cpus=1,cpus=3 -numa dist,src=0,dst=1,val=21',
      [
        [[1, 3], '1536M', [10, 21]],
        [[0, 2], '512M', [21, 10]],
      ],
    ],
    [
      '-numa node -numa node',
      [
        [[0, 1], '1G', undefined],
        [[2, 3], '1G', undefined],
      ],
    ],
    [
      '-object memory-backend-ram,id=a,size=512M -object memory-backend-ram,id=b,size=1536M -numa node,memdev=b,cpus=0-2 -numa node,memdev=a,cpus=3',
      [
        [[0, 1, 2], '1536M', undefined],
        [[3], '512M', undefined],
      ],
    ],
  ])('%s', (line, expected) => expect(numa(line)).toEqual(expected));

  test.each([
    ['-numa node,nodeid=1 -numa node,nodeid=3', 'expected consecutive values of nodeid, from 0'],
    ['-numa node -numa node -numa dist,src=0,dst=2,val=20', 'expected nodes from 0 to 1'],
    ['-numa node,cpus=3-1', 'cpus=3-1: expected vCPUs such as 0-3'],
    ['-numa cpu,node-id=0,socket-id=0', 'use -numa node,cpus= with the numbers of the vCPUs instead'],
    ['-numa hmat-lb,x=1', 'vring has no -numa "hmat-lb": expected node or dist'],
  ])('%s', (line, message) => expect(problems(line).join()).toContain(message));
});

describe('what a guest does not need is left out, and named', () => {
  test.each([
    [
      '-qmp unix:/run/qmp,server,nowait -qmp-pretty stdio -monitor none -mon chardev=m',
      [
        '-qmp unix:/run/qmp,server,nowait: VMs are controlled with vring vm, or by the API (docs/api.md)',
        '-qmp-pretty stdio: VMs are controlled with vring vm, or by the API (docs/api.md)',
        '-mon chardev=m: VMs are controlled with vring vm, or by the API (docs/api.md)',
      ],
    ],
    [
      '-daemonize -pidfile /run/vm.pid -no-shutdown -S',
      [
        '-daemonize: a VM outlives its terminal with vring vm start, or vring run --detach',
        '-pidfile /run/vm.pid: vring keeps track of its processes: vring vm show has the pid',
        '-no-shutdown: VMs that are off stay in the list',
        '-S: VMs run as soon as they are started: use vring vm pause',
      ],
    ],
    [
      '-d int -D log -trace x -msg timestamp=on',
      [
        '-d int: vring has its own log',
        '-D log: vring has its own log',
        '-trace x: vring has its own log',
        '-msg timestamp=on: vring has its own log',
      ],
    ],
    ['-parallel none -serial none', ['-serial none: every guest has COM1']],
    [
      '-usb -usbdevice tablet -k de -localtime -mem-prealloc',
      [
        '-usb: USB devices are on an xHCI controller, which vring creates for them',
        '-mem-prealloc: guest RAM is allocated when the guest first uses it; huge pages are reserved at the start',
      ],
    ],
    [
      '-soundhw hda -audiodev pa,id=p -device intel-hda -device hda-duplex,audiodev=p -device AC97 -device usb-audio',
      [
        '-soundhw hda: this version has no sound',
        '-audiodev pa,id=p: this version has no sound',
        '-device intel-hda: this version has no sound',
        '-device hda-duplex,audiodev=p: this version has no sound',
        '-device AC97: this version has no sound',
        '-device usb-audio: this version has no sound',
      ],
    ],
    [
      // In the order of a management program, which names what comes later.
      '-device virtserialport,chardev=s,name=com.redhat.spice.0 -chardev spicevmc,id=s,name=vdagent,debug=0',
      [
        '-device virtserialport,chardev=s,name=com.redhat.spice.0: nothing would be connected to it',
        '-chardev spicevmc,id=s,name=vdagent,debug=0: vring has no spicevmc: nothing is connected',
      ],
    ],
    [
      '-M rhel6.5.0 -no-kvm-pit-reinjection -global virtio-mmio.force-legacy=false -drive file=a,serial=123456789012345678901',
      [
        'type=rhel6.5.0 of -machine rhel6.5.0: vring has one machine type, a PC like q35',
        '-no-kvm-pit-reinjection: only old versions of QEMU used it',
        '-global virtio-mmio.force-legacy=false: the chip has no such setting in vring',
        'serial=123456789012345678901 of -drive file=a: a serial number has at most 20 characters',
      ],
    ],
    [
      '-chardev file,id=f,path=f,logfile=g -serial chardev:f',
      ['logfile=g of -chardev file: all output is in the file already'],
    ],
    [
      '-bios ./OVMF.secboot.fd',
      [
        '-bios ./OVMF.secboot.fd: it needs SMM, which VMs do not have: vring takes firmware that does without',
      ],
    ],
    [
      '-smp 2,cores=1,sockets=240,maxcpus=240',
      [
        'maxcpus=240 of -smp 2: a VM has room for at most 64 vCPUs',
        'the topology of -smp 2: it is that of the vCPUs that are left out',
      ],
    ],
    [
      '-smp 8,dies=2,cores=4 -serial telnet::1',
      [
        'dies=2 of -smp 8: each socket has their cores',
        'telnet of -serial telnet::1: its bytes are plain TCP, without the options of Telnet: use nc or socat, or telnet as it is',
      ],
    ],
    [
      '-object iothread,id=io -object secret,id=s,data=x',
      [
        '-object iothread,id=io: each queue has its own thread',
        '-object secret,id=s,data=x: the guest does not see it',
      ],
    ],
    [
      '-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=on -global kvm-pit.lost_tick_policy=delay',
      [
        '-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=on: the chip has no such setting in vring',
        '-global kvm-pit.lost_tick_policy=delay: the chip has no such setting in vring',
      ],
    ],
    [
      '-name web,debug-threads=on,process=x',
      [
        'debug-threads=on of -name web: threads are always named',
        'process=x of -name web: vring names the process of a VM after it',
      ],
    ],
    [
      '-display gtk -spice port=1 -full-screen',
      [
        '-display gtk: vring opens no windows: vring vm screen shows the screen, and VNC clients do (graphics)',
        '-spice port=1: it is a VNC server instead, whose clients vring vm show tells where to connect',
        '-full-screen: vring opens no windows: vring vm screen shows the screen, and VNC clients do (graphics)',
      ],
    ],
    ['-m 1G,slots=2,maxmem=4G', ['slots=2, maxmem=4G of -m 1G: memory cannot be added while the guest runs']],
    ['-m 1G -m 2G', []],
    ['-kernel a -kernel b', ['-kernel a: a later -kernel replaces it']],
    [
      '-cpu host,hv_relaxed,hv-time,migratable=off',
      [
        'hv_relaxed, hv-time of -cpu host: vring offers no Hyper-V enlightenments; Windows runs without them',
        'migratable=off of -cpu host: the guest gets what this host has, and a migration is refused if the other host lacks some of it',
      ],
    ],
    ['-cpu host,phys-bits=40', ["phys-bits=40 of -cpu host: the guest sees the host CPU's value"]],
    ['-machine pc', ['type=pc of -machine pc: vring has one machine type, a PC like q35']],
    [
      '-M pc-i440fx-9.0+pve0,usb=on,acpi=off',
      [
        'type=pc-i440fx-9.0+pve0 of -machine pc-i440fx-9.0+pve0: vring has one machine type, a PC like q35',
        'acpi=off of -machine pc-i440fx-9.0+pve0: every guest has it',
        'usb=on of -machine pc-i440fx-9.0+pve0: USB devices are on an xHCI controller, which vring creates for them',
      ],
    ],
    ['-machine accel=tcg:kvm', []],
    ['-accel tcg -accel kvm', ['-accel tcg: vring only runs guests on KVM']],
    [
      '-drive file=a,cache=directsync,aio=native,throttling.iops-read=5,throttling.group=g',
      [
        'aio=native of -drive file=a: vring chooses how data is transferred',
        'throttling.iops-read=5 of -drive file=a: limits hold for reads and writes together: use iops-total, bps-total and their -max',
        'throttling.group=g of -drive file=a: each disk has limits of its own',
      ],
    ],
    ['-drive media=cdrom,if=virtio', ['-drive media=cdrom,if=virtio: it has no medium']],
    ['-drive file=a,if=none,id=a', ['-drive file=a,if=none,id=a: no device uses a']],
    ['-device virtio-scsi-pci', ['-device virtio-scsi-pci: it has no disks']],
    [
      '-drive file=a,if=none,id=a -device virtio-blk-pci,drive=a,bus=pci.3,addr=5,disable-legacy=auto',
      [
        'bus=pci.3, addr=5 of -device virtio-blk-pci: vring has no such bus: the slot follows from the order of the devices',
        'disable-legacy=auto of -device virtio-blk-pci: devices are virtio 1.x only',
      ],
    ],
    ['-netdev user,id=n', ['-netdev user,id=n: no device uses n']],
    ['-net user', ['-net user: no card is connected to it']],
    [
      '-nic tap,helper=/usr/lib/qemu/qemu-bridge-helper,vhostfd=3,sndbuf=0,br=br0',
      [
        'vhostfd=3, sndbuf=0 of -nic tap: vring chooses how packets are transferred',
        'helper=/usr/lib/qemu/qemu-bridge-helper of -nic tap: vring attaches interfaces to bridges itself',
      ],
    ],
    ['-net nic', ['nic of -net nic: no network is connected to it: the card has no link']],
    [
      '-netdev hubport,hubid=1,id=h,netdev=n -netdev tap,id=n',
      ['-netdev hubport,hubid=1,id=h,netdev=n: no card is connected to it'],
    ],
    ['-net user -net tap', ['-net user: no card is connected to it', '-net tap: no card is connected to it']],
    [
      '-net dump,file=a.pcap -nic none',
      ['-net dump,file=a.pcap: it only records packets: use tcpdump on the interface'],
    ],
    [
      '-name a/b',
      [
        '-name a/b: a name of at most 63 letters, digits, ".", "_" and "-", which starts with a letter or digit: it becomes a-b',
      ],
    ],
    ['-bios OVMF.fd', []],
    ['-bios bios-256k.bin', []],
    [
      '-kernel k -bios qboot.rom',
      ['-bios qboot.rom: the kernel is booted directly, which is what this firmware is for'],
    ],
    ['-drive if=pflash,file=OVMF_CODE.fd,readonly=on -drive if=pflash,file=OVMF_VARS.fd', []],
    [
      '-pflash /usr/share/edk2/x64/OVMF_CODE.4m.fd',
      [
        '-pflash /usr/share/edk2/x64/OVMF_CODE.4m.fd: vring finds its firmware itself, and this host does not have that file',
      ],
    ],
    ['-rtc base=localtime,driftfix=slew', ['driftfix=slew of -rtc base=localtime: KVM reinjects lost ticks']],
    [
      '-action reboot=shutdown,shutdown=pause',
      ['shutdown=pause of -action reboot=shutdown: VMs that are off stay in the list'],
    ],
    [
      '-device pcie-root-port,id=p -device qemu-xhci,p2=8 -device usb-tablet,bus=usb-bus.0,port=1 -device usb-ehci -device usb-wacom-tablet -device piix4-ide,id=ide',
      [
        '-device pcie-root-port,id=p: vring creates bridges and controllers as devices need them',
        'p2=8 of -device qemu-xhci: a USB controller has 15 ports of USB 2.0',
        'bus=usb-bus.0 of -device usb-tablet: it is on the first USB controller',
        'port=1 of -device usb-tablet: it is on any port that is free',
        '-device usb-ehci: USB devices are on an xHCI controller, which vring creates for them',
        '-device usb-wacom-tablet: the guest gets a USB tablet instead',
        '-device piix4-ide,id=ide: vring creates bridges and controllers as devices need them',
      ],
    ],
    [
      '-device virtio-serial -device virtserialport,chardev=a -chardev socket,id=a,path=/a',
      [
        '-device virtio-serial: vring creates bridges and controllers as devices need them',
        '-device virtserialport,chardev=a: nothing would be connected to it',
      ],
    ],
    [
      '-device virtconsole,nr=2,name=c',
      [
        'nr=2 of -device virtconsole: ports are numbered in their order',
        'name=c of -device virtconsole: a console has no name',
      ],
    ],
  ] as const)('%s', (line, notes) => {
    expect(readQemuOptions(words(line), 'web', host).leftOut.map(noteText)).toEqual(notes);
  });
});

describe('what a guest needs and vring lacks is refused, with an alternative', () => {
  test.each([
    ['-memory 1G', '-memory 1G: vring does not support it: leave it out'],
    ['-krnel k', '-krnel k: QEMU has no such option: did you mean "-kernel"?'],
    ['-constructor', '-constructor: vring does not support it: leave it out'],
    [
      `-blockdev {"file":${'{"file":'.repeat(5000)}1${'}'.repeat(5001)}`,
      expect.stringMatching(/^-blockdev .*: its JSON is nested too deeply$/),
    ],
    ['-m', '-m: expected a value after it: [size=]SIZE'],
    ['-m 1X', '-m 1X: expected a size such as 512M or 2G, not "1X"'],
    ['-m 1', '-m: memory.size: expected a whole number of MiB, at least 2M, not 1M'],
    ['-smp two', '-smp two: cpus takes a whole number, not "two"'],
    ['-smp 3,cores=2', '-smp: cpus.topology: sockets x cores x threads (1 x 2 x 1 = 2) must equal count, 3'],
    ['-smp 4,maxcpus=2', '-smp 4,maxcpus=2: maxcpus=2: expected at least 4, the number of vCPUs'],
    [
      '-smp 2,maxcpus=8,sockets=2,cores=2,threads=1',
      '-smp: cpus.topology: sockets x cores x threads (2 x 2 x 1 = 4) must equal maxcpus, 8',
    ],
    ['-smp 100', '-smp 100: expected at most 64 vCPUs, not 100'],
    [
      '-cpu host,-cx61',
      '-cpu host,-cx61: there is no CPU feature "cx61": did you mean "cx16"? Names are those of /proc/cpuinfo',
    ],
    [
      '-machine accel=tcg',
      '-machine accel=tcg: vring only runs guests on KVM, not on tcg: use -accel kvm, the default',
    ],
    ['-accel tcg', '-accel tcg: vring only runs guests on KVM, not on tcg: use -accel kvm, the default'],
    ['-drive if=virtio', '-drive if=virtio: file is missing'],
    [
      '-drive file=a,if=mtd',
      '-drive file=a,if=mtd: if=mtd: no PC has flash memory that its guest finds as an MTD device: use if=virtio, or if=pflash for firmware',
    ],
    [
      '-drive file=a,if=usb',
      '-drive file=a,if=usb: if takes ide, virtio, scsi, none, floppy, sd, mtd, pflash, xen, not "usb"',
    ],
    [
      '-drive file=a,format=vmdk',
      '-drive file=a,format=vmdk: format=vmdk: expected raw or qcow2; convert it with qemu-img convert -O raw',
    ],
    ['-fw_cfg opt/a', '-fw_cfg opt/a: expected file= or string=, one of them'],
    [
      '-fw_cfg opt/a,gen_id=x',
      '-fw_cfg opt/a,gen_id=x: gen_id is not supported: give the data by file= or string=',
    ],
    [
      '-drive file=a,fromat=raw',
      '-drive file=a,fromat=raw: vring does not support "fromat" here: did you mean "format"?',
    ],
    [
      '-drive file=nbd:localhost:1',
      '-drive file=nbd:localhost:1: "nbd:localhost:1": vring only opens files and block devices of this host: attach it to this host with nbd-client, and give its /dev/nbd',
    ],
    ['-serial file:', '-serial file:: the path is empty'],
    ['-smp 99999', '-smp 99999: expected at most 64 vCPUs, not 99999'],
    [
      '-smp sockets=999999999,cores=999999999',
      '-smp sockets=999999999,cores=999999999: expected at most 64 vCPUs, not 999999998000000000',
    ],
    // What refers to an option that is refused is not wrong itself.
    [
      '-netdev socket,id=n,listen=:1 -device e1000,netdev=n',
      '-netdev socket,id=n,listen=:1: vring has no "socket" networks: connect VMs by a bridge (-netdev bridge), or by a network of vring net create',
    ],
    [
      '-blockdev {"driver":"nbd","node-name":"d"} -device virtio-blk-pci,drive=d',
      '-blockdev {"driver":"nbd","node-name":"d"}: vring has no block driver "nbd": attach it to this host with nbd-client, and give its /dev/nbd',
    ],
    [
      '-drive if=virtio,file=a,id=d -device ide-hd,drive=d',
      '-device ide-hd,drive=d: its drive has if=virtio: a drive for a -device needs if=none',
    ],
    ['-device isa-ipmi-kcs', '-device isa-ipmi-kcs: there is no management controller (IPMI): leave it out'],
    [
      '-device nonesuch',
      '-device nonesuch: vring has no device "nonesuch" yet: -device help lists those that it has',
    ],
    [
      '-drive file=a,if=virtio,media=cdrom',
      '-drive file=a,if=virtio,media=cdrom: disks[0].bus: a CD-ROM must be on bus sata, ide or scsi',
    ],
    [
      '-drive file=a,if=none',
      '-drive file=a,if=none: a drive with if=none needs an id=, for a -device to name',
    ],
    [
      '-device scsi-hd,drive=hd0',
      '-device scsi-hd,drive=hd0: drive=hd0: it does not exist: define it with -drive file=...,if=none,id=hd0',
    ],
    [
      '-drive file=a,if=none,id=a -device virtio-blk-pci,drive=a -device virtio-blk-pci,drive=a',
      '-device virtio-blk-pci,drive=a: drive=a is already used by another option',
    ],
    [
      '-device virtoi-rng-pci',
      '-device virtoi-rng-pci: vring has no device "virtoi-rng-pci" yet: did you mean "virtio-rng-pci"?',
    ],
    [
      '-usbdevice virtio-tablet',
      '-usbdevice virtio-tablet: expected tablet, mouse or keyboard, not "virtio-tablet": disks are -device usb-storage',
    ],
    [
      '-device vhost-vsock-pci,guest-cid=3',
      '-device vhost-vsock-pci,guest-cid=3: sockets between guest and host (vsock) are not supported yet: use the network, or -device virtserialport',
    ],
    [
      '-device vhost-user-vsock-pci,chardev=c',
      '-device vhost-user-vsock-pci,chardev=c: sockets between guest and host (vsock) are not supported yet: use the network, or -device virtserialport',
    ],
    [
      '-device vhost-user-blk-pci',
      '-device vhost-user-blk-pci: such disks are not supported: use -device virtio-blk-pci',
    ],
    ['-device vfio-pci', '-device vfio-pci: host is missing'],
    [
      '-device vfio-pci,host=2',
      '-device vfio-pci,host=2: passthrough[0].host: expected a PCI address, such as 0000:02:00.0, or 0000:02:00 for all functions of the device, not "2"',
    ],
    [
      '-netdev socket,id=n',
      '-netdev socket,id=n: vring has no "socket" networks: connect VMs by a bridge (-netdev bridge), or by a network of vring net create',
    ],
    [
      '-nic user,model=tulip',
      '-nic user,model=tulip: vring has no network card "tulip": expected one of e1000, e1000e, i82551, i82557b, i82559er, igb, ne2k_isa, ne2k_pci, pcnet, rtl8139, virtio, vmxnet3',
    ],
    [
      '-nic user,hostfwd=22',
      '-nic user,hostfwd=22: hostfwd=22: expected a host port and a guest port, such as tcp::2222-:22',
    ],
    [
      '-nic user,mac=1',
      '-nic user,mac=1: nics[0].mac: expected a unicast MAC address, such as 52:54:00:12:34:56, not "1"',
    ],
    [
      '-nic bdige',
      '-nic bdige: vring has no "bdige" networks: expected one of user, tap, bridge, passt, hubport',
    ],
    ['-nic tap,fd=3', '-nic tap,fd=3: vring does not support "fd" here: name the TAP interface with ifname='],
    [
      '-nic user,net=10.0.2.0/255.0.255.0',
      '-nic user,net=10.0.2.0/255.0.255.0: net=10.0.2.0/255.0.255.0: 255.0.255.0 is not a netmask: write the number of its bits, as in /24',
    ],
    [
      '-nic user,guestfwd=tcp:10.0.2.9:1-chardev:x',
      '-nic user,guestfwd=tcp:10.0.2.9:1-chardev:x: guestfwd=tcp:10.0.2.9:1-chardev:x: "chardev:x" is not supported: use tcp:ADDRESS:PORT, or cmd:PROGRAM',
    ],
    ['-net nic -net hubport,hubid=x', '-net hubport,hubid=x: hubid takes a whole number, not "x"'],
    [
      '-netdev hubport,id=h,hubid=1,netdev=n',
      '-netdev hubport: netdev=n: it does not exist: define it with -netdev user,id=n',
    ],
    ['-object memory-backend-ram,id=m', '-object memory-backend-ram,id=m: size is missing'],
    [
      '-boot order=x',
      '-boot order=x: expected some of the letters a (floppy), c (disk), d (CD-ROM) and n (network), not "x"',
    ],
    ['-append x', '-kernel: machine.append: this needs a kernel: set machine.kernel'],
  ])('%s', (line, problem) => expect(problems(line)).toEqual([problem]));

  test('QEMU for another architecture', () =>
    expect(problems('/usr/bin/qemu-system-aarch64 -m 1G')).toEqual([
      '/usr/bin/qemu-system-aarch64: vring only runs x86 guests',
    ]));

  test('all problems in one message', () => {
    const line = '-m 1G -vga xenfb -drive file=a,if=mtd -device ramfb';
    expect(problems(line)).toHaveLength(3);
    expect(() => readQemuOptions(words(line), 'web', host)).toThrow(
      /-vga xenfb: .*; -drive file=a,if=mtd: .*; -device ramfb: /,
    );
  });

  test('control characters do not reach the terminal', () =>
    expect(() => readQemuOptions(['-\u001b[2J'], 'web', host)).not.toThrow(/\u001b/));

  test('a file that looks like another format is refused', () => {
    const imageFormat = () => 'qed';
    expect(problems('-hda a.img', { imageFormat })).toEqual([
      '-hda a.img: /vms/a.img looks like qed: make a raw one with `qemu-img convert -f qed -O raw /vms/a.img /vms/a.raw`, or, if a guest wrote that header to a raw disk, add format=raw',
    ]);
    expect(problems('-drive file=a.img,format=raw', { imageFormat })).toEqual([]);
    expect(problems('-cdrom a.img', { imageFormat: () => 'vmdk' })).toEqual([
      '-cdrom a.img: /vms/a.img looks like vmdk: make a raw one with `qemu-img convert -f vmdk -O raw /vms/a.img /vms/a.raw`, or, if a guest wrote that header to a raw disk, add format=raw',
    ]);
  });
});

test('serial ports and channels are connected as they are there', () => {
  const line =
    '-M q35 -kernel /k -serial mon:stdio -serial none -device isa-serial,chardev=t -serial unix:/s,server,nowait ' +
    '-chardev socket,id=t,host=0.0.0.0,port=4555,server=on,wait=off,logfile=/l -device virtio-serial-pci ' +
    '-chardev socket,id=c,path=/c,server=on -device virtserialport,chardev=c,name=org.test.0 ' +
    '-chardev socket,id=a,path=/a,server=on -device virtserialport,chardev=a,name=org.qemu.guest_agent.0';
  const { definition } = readQemuOptions(words(line), 'web', host);
  expect(definition).toMatchObject({
    serial: [
      { type: 'console' },
      { type: 'null' },
      { type: 'unix', path: '/s', server: true },
      { type: 'tcp', host: '127.0.0.1', port: 4555, server: true, logfile: '/l' },
    ],
    channels: [{ name: 'org.test.0', chardev: { type: 'unix', path: '/c', server: true } }],
    agent: true,
  });
});

test.each([
  ['-serial chardev:none', 'none'],
  ['-chardev pipe,id=a,path=/p -serial chardev:a', 'pipe'],
  ['-chardev socket,id=a,path=/p,websocket=on -serial chardev:a', 'websocket'],
])('%s is refused', (line, what) => {
  expect(() => readQemuOptions(words(`-kernel /k ${line}`), 'web', host)).toThrow(what);
});

test.each(['on', 'true', 'yes'])('a switch of a device that only the table has may be %s', on => {
  const line = `-kernel /k -device virtio-scsi-pci,iommu_platform=${on} -drive if=none,id=d,file=d -device scsi-hd,drive=d`;
  const { devices } = readQemuOptions(words(line), 'web', host).definition;
  expect(devices).toMatchObject([{ type: 'virtio-scsi', 'iommu-platform': true }]);
});

test('a fifth serial port is left out', () => {
  const { definition, leftOut } = readQemuOptions(
    words(`-kernel /k${' -serial stdio'.repeat(5)}`),
    'web',
    host,
  );
  expect(definition.serial).toHaveLength(4);
  expect(leftOut.map(noteText)).toEqual(['-serial stdio: a guest has at most four serial ports']);
});

test('devices on the root bus keep their slots', () => {
  const line =
    '-M q35 -kernel /k -drive file=a,if=none,id=a -device virtio-blk-pci,drive=a,bus=pcie.0,addr=0x5 ' +
    '-netdev user,id=n -device virtio-net-pci,netdev=n,addr=1E.1,multifunction=on -device virtio-rng-pci,addr=7 ' +
    '-device vfio-pci,host=02:00.0,addr=8 -device virtio-balloon-pci,bus=pcie.0';
  const { definition, leftOut } = readQemuOptions(words(line), 'web', host);
  expect(definition.disks[0]).toMatchObject({ file: '/vms/a', addr: '05.0' });
  expect(definition.nics[0]).toMatchObject({ addr: '1e.1' });
  expect(definition.passthrough[0]).toMatchObject({ addr: '08.0' });
  expect(definition.devices).toEqual([{ type: 'virtio-rng', addr: '07.0' }]);
  expect(definition).toMatchObject({ rng: false, balloon: true });
  expect(leftOut).toEqual([]);
});

test('a bridge of a Q35 may be called pci.0', () => {
  const line =
    '-M q35 -kernel /k -device i82801b11-bridge,id=dmi,bus=pcie.0,addr=1e.0 -device pci-bridge,id=pci.0,bus=dmi,addr=1.0 ' +
    '-drive file=a,if=none,id=a -device virtio-blk-pci,drive=a,bus=pci.0,addr=0x5 -device vfio-pci,host=02:00.0,bus=pci.0,addr=0x6';
  const { definition } = readQemuOptions(words(line), 'web', host);
  expect(definition.disks[0]!.addr).toBeUndefined();
  expect(definition.passthrough).toMatchObject([{ bus: 'pci-0', addr: '06.0' }]);
  expect(definition.devices).toEqual([
    { type: 'pcie-pci-bridge', name: 'dmi', addr: '1e' },
    { type: 'pci-bridge', name: 'pci-0', bus: 'dmi', addr: '01' },
  ]);
});

test('a device that only the table has takes the options of its row', () => {
  const draft = new Draft(host);
  readDrive(draft, 'if=none,id=d,file=a,readonly=on', { at: 0, option: '-drive' });
  const properties = { drive: 'path', serial: 'serial', 'num-queues': 'queues' };
  const settings = new Settings('drive=d,serial=S,num-queues=2');
  expect(
    rowEntry(draft, settings, { type: 'virtio-blk', qemu: { devices: ['nvme'], properties } }, 'disk0'),
  ).toEqual({
    type: 'virtio-blk',
    name: 'disk0',
    path: '/vms/a',
    readonly: true,
    cache: 'writeback',
    serial: 'S',
    queues: 2,
  });
  expect(deviceNames([{ type: 'nvme', qemu: { devices: ['nvme'], properties } }])).toContain('nvme');
});

describe('command lines without an end', () => {
  const many = 10_000;
  const repeated = (word: (index: number) => string[]) =>
    Array.from({ length: many }, (_, index) => word(index)).flat();

  test('devices', () => {
    const options = repeated(() => ['-device', 'virtio-rng-pci']);
    expect(readQemuOptions(options, 'web', host).definition.rng).toBe(true);
  });

  test('disks', () => {
    const options = repeated(index => ['-drive', `file=${index},if=virtio`]);
    expect(() => readQemuOptions(options, 'web', host)).toThrow('-drive: disks: expected at most 64 disks');
  });

  test('bridges on bridges, and one on itself', () => {
    const chain = repeated(index => ['-device', `pci-bridge,id=b${index},bus=b${index - 1}`]);
    const last = ['-device', `vfio-pci,host=1:0.0,bus=b${many - 1}`];
    expect(() => readQemuOptions([...chain, ...last], 'web', host)).not.toThrow(RangeError);
    const self = ['-device', 'pci-bridge,id=b,bus=b', '-device', 'vfio-pci,host=1:0.0,bus=b'];
    expect(readQemuOptions(self, 'web', host).definition.devices).toMatchObject([{ name: 'b' }]);
  });
});
