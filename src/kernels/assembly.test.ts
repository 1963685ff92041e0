import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('has WebAssembly modules that are what the build makes of their sources', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kernels-test-'));
  try {
    const script = fileURLToPath(new URL('../../scripts/build-kernels.mjs', import.meta.url));
    execFileSync(process.execPath, [script, folder]);
    const made = readdirSync(folder);
    expect(made).toHaveLength(readdirSync(new URL('./assembly/', import.meta.url)).length);
    for (const name of made) {
      const current = new URL(name, import.meta.url);
      expect(readFileSync(join(folder, name), 'utf8')).toBe(readFileSync(current, 'utf8'));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
