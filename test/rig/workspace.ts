import { dirname, join } from 'node:path';

/** The checkout under test. */
export const repository = dirname(dirname(import.meta.dirname));
/** A cache of downloaded and unpacked files. Git ignores it. */
export const cacheDirectory = join(repository, '.cache');
