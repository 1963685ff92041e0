// Builds dist/: the WebAssembly kernel first, as a module that the TypeScript imports, then TypeScript.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a script with the Node that runs this one. */
function run(script, args) {
  const result = spawnSync(process.execPath, [join(root, script), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

run('scripts/build-chunk-scan.mjs', ['src/kernels/chunk-scan-wasm.ts']);
run('node_modules/typescript/bin/tsc', ['-b', 'tsconfig.json']);
