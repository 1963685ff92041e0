// Completes package-lock.json after npm wrote it: npm run lock.
// Packages with binaries name one package for each platform. npm leaves out of the lock those that the registry at hand does not
// have, and then `npm ci` refuses the lock. This adds them with what their name says; npm installs them nowhere else
// than on their platform.
import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('../package-lock.json', import.meta.url);
const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const processors = ['arm64', 'arm', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64'];

/** Where a package runs, by the words of its name, as in `@scope/binding-linux-arm64-musl`. */
function platformOf(name) {
  const words = name.split('/').at(-1).split('-');
  const os = systems.find((system) => words.includes(system));
  const cpu = processors.find((processor) => words.includes(processor));
  if (os === undefined || cpu === undefined) throw new Error(`no platform in the name ${name}`);
  const libc = words.some((word) => word.startsWith('musl')) ? 'musl' : 'glibc';
  return { cpu: [cpu], ...(os === 'linux' ? { libc: [libc] } : {}), os: [os] };
}

/** Entries that are missing: of each optional dependency that no entry stands for. */
function missingEntries(packages) {
  const missing = new Map();
  for (const [parent, { optionalDependencies = {}, dev }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const places = [`node_modules/${name}`, `${parent}/node_modules/${name}`];
      if (places.some((place) => packages[place])) continue;
      const { cpu, libc, os } = platformOf(name);
      const entry = {
        version,
        cpu,
        ...(dev && { dev }),
        ...(libc && { libc }),
        optional: true,
        os,
      };
      missing.set(places[0], entry);
    }
  }
  return missing;
}

const lock = JSON.parse(readFileSync(path, 'utf8'));
const entries = [...Object.entries(lock.packages), ...missingEntries(lock.packages)];
lock.packages = Object.fromEntries(entries.toSorted(([a], [b]) => a.localeCompare(b, 'en')));
writeFileSync(path, `${JSON.stringify(lock, undefined, 2)}\n`);
