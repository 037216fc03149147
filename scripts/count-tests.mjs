// Prints `N passed, N failed, N skipped` over the results of cargo test and vitest in a folder, after the reason
// of each skip.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
const total = { passed: 0, failed: 0, skipped: 0 };

const cargo = readFileSync(join(folder, 'cargo.txt'), 'utf8');
for (const [, passed, failed, ignored] of cargo.matchAll(
  /^test result: .*? (\d+) passed; (\d+) failed; (\d+) ignored/gm,
)) {
  total.passed += Number(passed);
  total.failed += Number(failed);
  total.skipped += Number(ignored);
}

const vitest = JSON.parse(readFileSync(join(folder, 'vitest.json'), 'utf8'));
total.passed += vitest.numPassedTests;
total.failed += vitest.numFailedTests;
total.skipped += vitest.numPendingTests + (vitest.numTodoTests ?? 0);
for (const file of vitest.testResults) {
  // A file that fails to load has no tests.
  if (file.status === 'failed' && file.assertionResults.length === 0) total.failed += 1;
  for (const test of file.assertionResults) {
    if (test.status === 'pending' || test.status === 'skipped') console.log(`skipped: ${test.fullName}`);
  }
}

console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
if (total.passed === 0) process.exit(1);
