// Writes the table of docs/ERRORS.md from src/base/errors.ts. Run it after a change there: npm run docs:errors.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { errorLines } from './error-lines.ts';

const path = fileURLToPath(new URL('../docs/ERRORS.md', import.meta.url));
const lines = readFileSync(path, 'utf8').split('\n');
const isRow = (line: string): boolean => /^\| `[A-Z_]+` +\|/.test(line);
const heading = lines.findIndex((line) => /^\| ?-+/.test(line));
const others = lines.filter((line) => !isRow(line));
writeFileSync(path, others.toSpliced(heading + 1, 0, ...errorLines()).join('\n'));
