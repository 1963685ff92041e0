// Bundles the program and its threads into dist/: what starts is read from few files, and compiled once.
//
// All code goes to dist/chunks/. Each file that a process or a thread starts from keeps its place below dist/ as a few
// lines that turn on Node's compile cache, in dist/compile-cache/, and load the code.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, 'src');
const target = join(root, 'dist');
const program = 'cli/main.ts';
/** Packages of others are installed beside the program, not copied into it. */
const packages = Object.keys(
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).dependencies,
);
/** How a module names a file that a thread or process of its own starts from. */
const startPattern = /workerModule\('\.\/([\w-]+)\.ts', import\.meta\.url\)/g;

/** Files that something starts from, relative to src/. */
function findStarts() {
  const starts = new Set([program]);
  for (const path of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.ts') || path.endsWith('.test.ts')) continue;
    const code = readFileSync(join(source, path), 'utf8');
    const names = [...code.matchAll(startPattern)].map(([, name]) => name);
    for (const name of names) starts.add(join(dirname(path), `${name}.ts`));
    // One that is missed here would be missed by whoever starts it, in the field.
    if (names.length === 0 && /(new URL|workerModule)\([^)]*import\.meta\.url/s.test(code)) {
      throw new Error(
        `${path} names a file by its address in a way that the bundler does not know`,
      );
    }
  }
  return [...starts];
}

function chunkName(start) {
  return start.replace(/\.ts$/, '').replaceAll(/[\\/]/g, '-');
}

/** Modules keep the address that they would have without bundling: threads are found relative to it. */
const keepAddresses = {
  name: 'keep-addresses',
  transform(code, id) {
    if (!id.startsWith(source) || !code.includes('import.meta.url')) return undefined;
    const path = relative(source, id).replaceAll('\\', '/').replace(/\.ts$/, '.js');
    const address = `new URL(${JSON.stringify(`../${path}`)}, import.meta.url).href`;
    return { code: code.replaceAll('import.meta.url', address) };
  },
};

function writeStart(start) {
  const path = join(target, start.replace(/\.ts$/, '.js'));
  const up = relative(dirname(path), target).replaceAll('\\', '/');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(
    path,
    [
      "import { enableCompileCache } from 'node:module';",
      "import { fileURLToPath } from 'node:url';",
      '',
      `enableCompileCache(fileURLToPath(new URL('${up}/compile-cache', import.meta.url)));`,
      `await import('${up}/chunks/${chunkName(start)}.js');`,
      '',
    ].join('\n'),
  );
}

const starts = findStarts();
rmSync(target, { recursive: true, force: true });
const bundle = await rolldown({
  input: Object.fromEntries(starts.map((start) => [chunkName(start), join(source, start)])),
  platform: 'node',
  external: packages.map((name) => new RegExp(`^${name}(?:/|$)`)),
  plugins: [keepAddresses],
});
await bundle.write({
  dir: join(target, 'chunks'),
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
});
await bundle.close();
for (const start of starts) writeStart(start);
