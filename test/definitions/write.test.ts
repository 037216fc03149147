import { describe, expect, test } from 'vitest';
import { readDefinition } from '../../src/definitions/read.ts';
import type { Definition } from '../../src/definitions/schema.ts';
import { writeDefinition } from '../../src/definitions/write.ts';

const read = (text: string) => readDefinition(text, { file: 'web.yaml' });

const EVERYTHING = `name: web
description: "The web server: front"
memory:
  size: 1536M
  hugepages: 2M
cpus:
  count: 2
  maxcpus: 4
  topology:
    sockets: 1
    cores: 2
    threads: 2
  pinning:
    - 0
    - 1
    - 4
    - 5
  features:
    - -cx16
  hide-hypervisor: true
machine:
  kernel: /boot/vmlinuz
  initrd: /boot/initrd
  append: console=ttyS0 root=/dev/vda
disks:
  - file: /a.img
    cache: none
    serial: A-1
    queues: 2
  - file: /b.iso
    cdrom: true
  - file: /c.img
    bus: scsi
    format: qcow2
    readonly: true
nics:
  - network: user
  - model: "e1000"
    network:
      type: user
      forward:
        - host: 2222
          guest: 22
        - protocol: udp
          address: 0.0.0.0
          host: 53
          guest: 53
    mac: "52:54:00:12:34:56"
  - network:
      type: tap
      interface: tap0
  - network: tap
  - network:
      type: bridge
      bridge: br0
  - network:
      type: user
      guest-forward:
        - address: 10.0.3.100
          port: 80
          to:
            address: 127.0.0.1
            port: 8080
        - address: 10.0.3.101
          port: 514
          command:
            - /usr/bin/nc
            - -U
            - /run/log.sock
      net: 10.0.3.0/24
      host: 10.0.3.2
      dhcp-start: 10.0.3.15
      dns: 10.0.3.3
      hostname: web
      domain: example.org
      search:
        - a.org
      restrict: true
      tftp: /srv/tftp
      bootfile: /pxelinux.0
      ipv4: false
      ipv6: false
      ipv6-net: fd00::/64
      ipv6-host: fd00::2
      ipv6-dns: fd00::3
  - network:
      type: tap
      bridge: br0
      script: /up
      downscript: /down
  - network:
      type: macvtap
      interface: eth0
      mode: vepa
    queues: 4
    mtu: 9000
    link: down
    vhost: false
    vectors: 10
    bootindex: 1
    limits:
      receive:
        bps: 50M
        bps-burst: 100M
        pps: 1000
        pps-burst: 2000
      transmit:
        pps: 1000
    virtio:
      packed: true
      guest-tso4: false
  - network:
      type: network
      name: default
  - network: passt
  - network:
      type: passt
      interface: eth0
      address: 192.0.2.7
      forward:
        - host: 2222
          guest: 22
          guest-address: 10.0.2.15
  - network: none
  - network:
      type: hub
      hub: 0
      networks:
        - user
        - type: tap
          interface: t0
  - network:
      type: hub
      hub: 0
console: virtio
rng: false
balloon: true
passthrough:
  - host: "0000:02:00.0"
    id: 8086:1521
    name: nic
    bus: port0
    addr: "00.0"
    multifunction: true
    keep: true
    mac: "52:54:00:12:34:57"
    vlan: 42
    qos: 3
    trust: true
    spoof-check: false
    iommufd: true
    unsafe-no-iommu: true
    rombar: false
    romfile: /nic.rom
    bootindex: 1
    x-vga: true
    x-pci-vendor-id: 32902
    x-pci-device-id: 5409
    x-pci-sub-vendor-id: 32902
    x-pci-sub-device-id: 1
    x-no-mmap: true
    x-no-kvm-intx: true
    x-no-kvm-msi: true
    x-no-kvm-msix: true
    x-intx-mmap-timeout-ms: 1100
    x-req: false
  - host: "0000:03:00"
devices:
  - type: virtio-rng
    name: rng9
boot:
  order:
    - cdrom
    - disk
  once:
    - cdrom
autostart: true
on-crash: restart
on-reboot: stop
`;

describe('a new file', () => {
  test('has only what differs from the defaults', () =>
    expect(writeDefinition(read('name: web'))).toBe('name: web\nmemory: 256M\ncpus: 1\n'));

  test('can contain every key, and reads back the same', () => {
    const definition = read(EVERYTHING);
    const text = writeDefinition(definition);
    expect(text).toBe(EVERYTHING);
    expect(read(text)).toEqual(definition);
  });

  test('with a heading', () =>
    expect(writeDefinition(read('name: web'), ['Made by hand.', 'Twice.'])).toMatch(
      /^# Made by hand\.\n# Twice\.\nname: web\n/,
    ));

  test('text that YAML would not read as a string is quoted', () => {
    const definition: Definition = { ...read('name: web'), name: '1e3', description: 'yes: # "no"' };
    expect(read(writeDefinition(definition))).toEqual(definition);
  });
});
