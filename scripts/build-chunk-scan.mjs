// Compiles src/kernels/assembly/chunk-scan.ts to WebAssembly and writes it, as text in a TypeScript module, to the file
// named by the argument. It is 1 kB: so it needs no file access at run time, and works from src/ and dist/ alike.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const target = resolve(process.argv[2] ?? join(root, 'src/kernels/chunk-scan-wasm.ts'));

/** Bytes of the compiled module. */
function compile() {
  const folder = mkdtempSync(join(tmpdir(), 'chunk-scan-'));
  try {
    const binary = join(folder, 'chunk-scan.wasm');
    const code = ['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--use', 'abort='];
    const memory = ['--importMemory', '--noExportMemory'];
    const args = ['src/kernels/assembly/chunk-scan.ts', '-o', binary, ...code, ...memory];
    const compiler = join(root, 'node_modules/assemblyscript/bin/asc.js');
    const result = spawnSync(process.execPath, [compiler, ...args], {
      cwd: root,
      stdio: 'inherit',
    });
    if (result.status !== 0) process.exit(result.status ?? 1);
    return readFileSync(binary);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const lines = compile()
  .toString('base64')
  .match(/.{1,92}/g);
const text = [
  '// Written by scripts/build-chunk-scan.mjs from assembly/chunk-scan.ts. Do not edit.',
  '',
  '/** The chunk scanner as a WebAssembly binary in base64. */',
  'export const chunkScanWasm: string =',
  `${lines.map((line) => `  '${line}'`).join(' +\n')};`,
  '',
].join('\n');
// An equal file keeps its time, so that an incremental build has nothing to do.
if (!existsSync(target) || readFileSync(target, 'utf8') !== text) writeFileSync(target, text);
