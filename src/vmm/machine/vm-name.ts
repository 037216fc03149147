/** The rule for VM names: they become file names and are printed as they are. */
export const VM_NAME = {
  pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
  rule: 'a name of at most 63 letters, digits, ".", "_" and "-", which starts with a letter or digit',
} as const;
