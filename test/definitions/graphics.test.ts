import { expect, test } from 'vitest';
import { readDomain } from '../../src/definitions/libvirt/read.ts';
import { plainDefinition } from '../../src/definitions/plain.ts';
import { noteText } from '../../src/definitions/qemu/notes.ts';
import { readQemuOptions } from '../../src/definitions/qemu/read.ts';
import { toMachine } from '../../src/definitions/to-machine.ts';

const host = { defaultCpu: null } as unknown as Parameters<typeof readQemuOptions>[2];
const qemu = (...words: string[]) => {
  const { definition, leftOut } = readQemuOptions(words, 'web', host);
  return {
    graphics: definition.graphics,
    display: definition.display,
    notes: leftOut.map(noteText),
    definition,
  };
};

test("QEMU's -vnc becomes a VNC server, on loopback if it was public", () => {
  expect(qemu('-vnc', ':1')).toMatchObject({
    graphics: { type: 'vnc', listen: '127.0.0.1:1' },
    display: 'vga',
    notes: [],
  });
  expect(qemu('-k', 'de', '-vnc', 'unix:/run/web.vnc,password=on')).toMatchObject({
    graphics: { listen: 'unix:/run/web.vnc', layout: 'de' },
    notes: ['password=on of -vnc unix:/run/web.vnc: a password is that of graphics.password-file'],
  });
  const open = qemu('-vnc', '0.0.0.0:0', '-nodefaults');
  expect(open).toMatchObject({ graphics: { listen: '127.0.0.1:0' }, display: 'none' });
  expect(open.notes.join()).toContain('beyond the host, VNC needs a password and TLS');
  expect(qemu('-vnc', 'none').graphics).toBeUndefined();
  expect(() => qemu('-vnc', 'x')).toThrow('expected [HOST]:DISPLAY, unix:PATH or none, not x');
  expect(toMachine(qemu('-vnc', ':1', '-kernel', '/k').definition)).toMatchObject({
    vnc: { listen: '127.0.0.1:1' },
  });
});

const libvirt = (graphics: string) => {
  const { definition, leftOut } = readDomain(
    `<domain type='kvm'><name>web</name><devices>${graphics}</devices></domain>`,
    'web.xml',
  );
  return { graphics: plainDefinition(definition).graphics, reasons: leftOut.map(({ reason }) => reason) };
};

test("libvirt's <graphics>, even SPICE, becomes a VNC server", () => {
  expect(libvirt("<graphics type='vnc' port='5903' autoport='no' listen='127.0.0.1'/>")).toEqual({
    graphics: { type: 'vnc', listen: '127.0.0.1::5903' },
    reasons: [],
  });
  expect(
    libvirt("<graphics type='vnc' port='-1' autoport='yes'><listen type='address'/></graphics>"),
  ).toEqual({
    graphics: { type: 'vnc', listen: 'auto' },
    reasons: [],
  });
  expect(libvirt("<graphics type='vnc' socket='/run/web.sock'/>").graphics).toMatchObject({
    listen: 'unix:/run/web.sock',
  });
  expect(libvirt("<graphics type='spice' autoport='yes'/><graphics type='vnc'/>")).toEqual({
    graphics: { type: 'vnc', listen: 'auto' },
    reasons: ['it is a VNC server instead', 'a VM has one VNC server'],
  });
  expect(libvirt("<graphics type='vnc' port='5901' listen='0.0.0.0'/>").reasons).toEqual([
    'it listens at 127.0.0.1 instead of 0.0.0.0: beyond the host, VNC needs a password and TLS',
  ]);
});
