import { afterEach, describe, expect, it } from 'vitest';
import { Kvm, KvmError, openAdvice } from '../../../src/vmm/kvm/kvm.ts';
import { LocalOwner } from '../../support/local-owner.ts';

const owner = new LocalOwner();
afterEach(() => owner.release());

describe('opening KVM', () => {
  it('names the group to join for users without permission', () => {
    expect(openAdvice('/dev/kvm', 'EACCES', new Set())).toBe(
      'no permission for /dev/kvm: run `sudo usermod -aG kvm $USER`, then log in again',
    );
  });

  it("suggests the CPU's module if the device is missing", () => {
    const advice = (...flags: string[]) => openAdvice('/dev/kvm', 'ENOENT', new Set(flags));
    expect(advice('fpu', 'vmx')).toContain('modprobe kvm_intel');
    expect(advice('svm')).toContain('modprobe kvm_amd');
    expect(advice('fpu')).toContain('turn on VT-x or AMD-V');
    expect(() => Kvm.open(owner, '/dev/no-such-device')).toThrow(KvmError);
  });

  it('rejects a device that is not KVM, and closes it', () => {
    expect(() => Kvm.open(owner, '/dev/null')).toThrow('/dev/null is not KVM');
    expect(owner.fds.size).toBe(0);
  });
});
