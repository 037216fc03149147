import { expect, it } from 'vitest';
import { MII, MiiPhy } from '../../../src/devices/net/mii-phy.ts';

it('negotiates 100 Mbit/s and full duplex immediately', () => {
  const phy = new MiiPhy(0x0141_0cc2);
  expect([MII.id1, MII.id2].map(register => phy.read(register))).toEqual([0x0141, 0x0cc2]);
  expect([MII.control, MII.status].map(register => phy.read(register))).toEqual([0x3100, 0x782d]);
  expect([MII.advertisement, MII.linkPartner].map(register => phy.read(register))).toEqual([0x01e1, 0x45e1]);
  expect([phy.is100, phy.isFullDuplex]).toEqual([true, true]);
});

it('follows the driver when it turns negotiation off, or advertises less', () => {
  const phy = new MiiPhy(0);
  phy.write(MII.control, 0x0000);
  expect([phy.is100, phy.isFullDuplex, phy.read(MII.status) & 0x20]).toEqual([false, false, 0]);
  phy.write(MII.control, 0x1200);
  expect([phy.read(MII.control), phy.is100]).toEqual([0x1000, true]);
  phy.write(MII.advertisement, 0x0061);
  expect([phy.is100, phy.isFullDuplex]).toEqual([false, true]);
  phy.write(MII.control, 0x8000);
  expect([phy.read(MII.control), phy.read(MII.advertisement)]).toEqual([0x3100, 0x01e1]);
});

it('reports that the link is down', () => {
  const phy = new MiiPhy(0);
  phy.link = false;
  expect([MII.status, MII.linkPartner].map(register => phy.read(register))).toEqual([0x7809, 0]);
});
