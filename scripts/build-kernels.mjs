// Compiles the kernels in src/kernels/assembly/ to WebAssembly and writes each, as text in a TypeScript module, to the
// folder named by the argument. They are a few kB: so they need no file access at run time, and work from src/ and dist/
// alike.
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// Not by its name: its types are of another language, and declare arrays anew for all that is checked beside this.
const { default: asc } = await import(join(root, 'node_modules/assemblyscript/dist/asc.js'));
const target = resolve(process.argv[2] ?? join(root, 'src/kernels'));

const kernels = [
  { name: 'chunk-scan', constant: 'chunkScanWasm', what: 'The chunk scanner', options: [] },
  {
    name: 'scrypt-mix',
    constant: 'scryptMixWasm',
    what: 'The mixing of scrypt',
    options: ['--enable', 'simd'],
  },
  {
    name: 'tree-match',
    constant: 'treeMatchWasm',
    what: 'The comparison of trees',
    options: [],
  },
];

/** Bytes of the compiled module. The compiler is started once for all: that takes as long as a kernel. */
async function compile({ name, options }) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-kernel-'));
  try {
    const binary = join(folder, `${name}.wasm`);
    const code = ['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--use', 'abort='];
    const memory = ['--importMemory', '--noExportMemory'];
    const source = `src/kernels/assembly/${name}.ts`;
    const args = [source, '-o', binary, ...code, ...memory, ...options];
    const { error } = await asc.main(args, { stdout: process.stdout, stderr: process.stderr });
    if (error) process.exit(1);
    return readFileSync(binary);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function write(kernel) {
  const { name, constant, what } = kernel;
  const lines = (await compile(kernel)).toString('base64').match(/.{1,92}/g);
  const text = [
    `// Written by scripts/build-kernels.mjs from assembly/${name}.ts. Do not edit.`,
    '',
    `/** ${what} as a WebAssembly binary in base64. */`,
    `export const ${constant}: string =`,
    `${lines.map((line) => `  '${line}'`).join(' +\n')};`,
    '',
  ].join('\n');
  const path = join(target, `${name}-wasm.ts`);
  // An equal file keeps its time, so that an incremental build has nothing to do.
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  // Others may read it meanwhile: they find the old one or the new one.
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

// The compiler looks for sources from the working directory on.
process.chdir(root);
for (const kernel of kernels) await write(kernel);
