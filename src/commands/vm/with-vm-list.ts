import type { VmBook } from './vm-list.ts';

/** Does something with the VMs that there are, whether an owner runs or not. */
export async function withBook<Result>(run: (book: VmBook) => Promise<Result>): Promise<Result> {
  const { openBook } = await import('./vm-list.ts');
  const book = await openBook();
  try {
    return await run(book);
  } finally {
    await book.close();
  }
}
