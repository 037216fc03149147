import { dirname, join } from 'node:path';

/** The checkout that is tested. */
export const repository = dirname(dirname(import.meta.dirname));
/** What was downloaded or unpacked once and can be had again. Git ignores it. */
export const cacheDirectory = join(repository, '.cache');
