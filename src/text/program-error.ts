/**
 * The error message of a program that has failed: the first line marked as an error, as nft and ip write it, else the
 * last one. nft quotes the rule after that, and marks the place in it with carets.
 */
export function programError(stderr: string, stdout = ''): string | null {
  const lines = (stderr.trim() || stdout.trim()).split('\n').map(line => line.trim());
  const error = lines.find(line => ERROR.test(line));
  return (error?.replace(ERROR, '$1') ?? lines.findLast(line => /[^\s^~]/.test(line))) || null;
}

/** After a location: `/run/vring/networks/lab.nft:3:3-5: `. */
const ERROR = /^(\S+: )?Error: /;
