// Builds dist/: the WebAssembly kernel first, because everything else loads it, then TypeScript.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs one of the checkout's own tools with the Node that runs this script. */
function run(tool, args) {
  const result = spawnSync(process.execPath, [join(root, 'node_modules', tool), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

mkdirSync(join(root, 'dist/kernels'), { recursive: true });
const scan = 'src/kernels/assembly/chunk-scan.ts';
if (existsSync(join(root, scan))) {
  const output = ['-o', 'dist/kernels/chunk-scan.wasm', '--converge', '-O3', '--noAssert'];
  const memory = ['--runtime', 'stub', '--importMemory', '--enable', 'simd'];
  run('assemblyscript/bin/asc.js', [scan, ...output, ...memory]);
}
run('typescript/bin/tsc', ['-b', 'tsconfig.json']);
