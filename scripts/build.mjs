// Builds dist/: the WebAssembly kernels first, as modules that the TypeScript imports, then the program, then the client
// of the server's API, which programs of others import with its types.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
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

run('scripts/build-kernels.mjs', ['src/kernels']);
run('scripts/bundle.mjs', []);
run('node_modules/typescript/bin/tsc', ['-p', 'tsconfig.client.json']);

/** Has the parts that every day's work uses compiled and kept, which needs a dist/ that can be written. */
function warmUp() {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-build-'));
  const repository = ['--repo', join(folder, 'repository'), '--no-cache', '--quiet'];
  // Nothing of the caller's settings, which may name a repository.
  const env = { PATH: process.env.PATH, HOME: folder, RESTIC_PASSWORD: 'build' };
  const commands = [
    ['init'],
    ['backup', join(root, 'scripts')],
    ['snapshots'],
    ['check', '--read-data'],
    ['restore', 'latest', '--target', join(folder, 'restored')],
    ['forget', '--keep-last', '1'],
  ];
  // Loads all that a bucket needs, and ends before anything is sent.
  const bucket = ['snapshots', '--repo', 's3:localhost/bucket', '--cacert', join(folder, 'none')];
  try {
    const local = commands.map((command) => [...command, ...repository]);
    for (const command of [...local, bucket]) {
      const args = [join(root, 'dist/cli/main.js'), ...command];
      // What goes wrong here costs speed alone; the tests say what is wrong.
      spawnSync(process.execPath, args, { env, stdio: 'ignore' });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

warmUp();
