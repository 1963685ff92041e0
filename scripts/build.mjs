// Builds dist/: the WebAssembly kernel first, as a module that the TypeScript imports, then TypeScript.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
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

/** The kernel is 1 kB: as text in a module it needs no file access at run time, and works from src/ and dist/ alike. */
function buildChunkScan() {
  const binary = 'dist/kernels/chunk-scan.wasm';
  const options = ['-o', binary, '-O3', '--converge', '--noAssert', '--runtime', 'stub'];
  const memory = ['--importMemory', '--noExportMemory', '--use', 'abort='];
  run('assemblyscript/bin/asc.js', ['src/kernels/assembly/chunk-scan.ts', ...options, ...memory]);
  const base64 = readFileSync(join(root, binary)).toString('base64');
  const lines = base64.match(/.{1,92}/g).map((line) => `  '${line}'`);
  const text = [
    '// Written by scripts/build.mjs from assembly/chunk-scan.ts. Do not edit.',
    '',
    '/** The chunk scanner as a WebAssembly binary in base64. */',
    'export const chunkScanWasm: string =',
    `${lines.join(' +\n')};`,
    '',
  ].join('\n');
  const target = join(root, 'src/kernels/chunk-scan-wasm.ts');
  if (text !== readIfThere(target)) writeFileSync(target, text);
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

mkdirSync(join(root, 'dist/kernels'), { recursive: true });
buildChunkScan();
run('typescript/bin/tsc', ['-b', 'tsconfig.json']);
