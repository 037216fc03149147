/** The files of a snapshot, in its folder; the folder `disks` has a copy of each disk that is in it. */
export const FILES = { manifest: 'snapshot.json', state: 'state', ram: 'ram', ramSums: 'ram.sums' } as const;
