/** QEMU's and libvirt's names of CPU features that differ from /proc/cpuinfo by more than `-` or `.` for `_`. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  sse3: 'pni',
  i64: 'lm',
  xd: 'nx',
  ffxsr: 'fxsr_opt',
  tsc_deadline: 'tsc_deadline_timer',
  spec_ctrl: 'ibrs',
  amd_ssbd: 'ssbd',
  amd_stibp: 'stibp',
  invtsc: 'nonstop_tsc',
  pclmuldq: 'pclmulqdq',
  lzcnt: 'abm',
  avx512bitalg: 'avx512_bitalg',
  avx512vnni: 'avx512_vnni',
  avx512vbmi2: 'avx512_vbmi2',
  avx512_vbmi: 'avx512vbmi',
  cr8legacy: 'cr8_legacy',
  cet_ibt: 'ibt',
  cet_ss: 'user_shstk',
  shstk: 'user_shstk',
  ds: 'dts',
  cmt: 'cqm',
  sgxlc: 'sgx_lc',
  tsx_ldtrk: 'tsxldtrk',
  prefetchiti: 'prefetchit',
  xstore: 'rng',
  xstore_en: 'rng_en',
  xcrypt: 'ace',
  xcrypt_en: 'ace_en',
};

/** The /proc/cpuinfo name of a QEMU or libvirt feature. */
export function linuxFeature(name: string): string {
  const plain = name.toLowerCase().replaceAll(/[-.]/g, '_');
  return Object.hasOwn(OTHER_NAMES, plain) ? OTHER_NAMES[plain]! : plain;
}
