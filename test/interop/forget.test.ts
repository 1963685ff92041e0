import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex, utf8 } from '../../src/base/bytes.ts';
import { systemEnvironment as environment } from '../../src/base/environment.ts';
import { silentMonitor } from '../../src/base/monitor.ts';
import { BlobWriter } from '../../src/engine/packs/blob-writer.ts';
import { saveSnapshot } from '../../src/repository/index-test-support.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { periods } from '../../src/engine/retention/buckets.ts';
import { formatSpan } from '../../src/engine/retention/calendar-span.ts';
import type { RetentionPolicy } from '../../src/engine/retention/policy.ts';
import {
  anyPolicy,
  soundSnapshots,
  unsoundSnapshots,
} from '../../src/engine/retention/retention-test-support.ts';
import { isIncomplete } from '../../src/repository/completeness.ts';
import { type StoredSnapshot } from '../../src/repository/snapshots.ts';
import { initRepository, listSnapshots, password, withIndex } from '../tools/engine.ts';
import { describeWith } from '../tools/peers.ts';
import { program } from '../tools/program.ts';
import { mustRestic } from '../tools/restic.ts';
import { type ProgramRun, runProgram } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { holdsFor, seedsOf } from '../tools/seeds.ts';

const scratch = scratchFolder('interop-forget');

/** Groups of one repository: each is a generated case of its own. */
const groupCount = 15;
const policyCount = 2;

/** A group of the JSON output of both programs. */
interface Group {
  readonly host: string;
  readonly keep: readonly { readonly id: string }[] | null;
}

function flagsOf(policy: RetentionPolicy): string[] {
  const flags: string[] = [];
  const count = (name: string, value: number): void => {
    if (value > 0) flags.push(`--keep-${name}`, Number.isFinite(value) ? `${value}` : 'unlimited');
  };
  count('last', policy.last);
  for (const period of periods) count(period, policy.counts[period]);
  const within = formatSpan(policy.within);
  if (within !== '') flags.push('--keep-within', within);
  for (const period of periods) {
    const span = formatSpan(policy.withinPeriods[period]);
    if (span !== '') flags.push(`--keep-within-${period}`, span);
  }
  for (const tags of policy.tags) flags.push('--keep-tag', tags.join(','));
  return flags;
}

function listsOf<T>(of: fc.Arbitrary<T>, count: number): fc.Arbitrary<T[]> {
  return fc.array(of, { minLength: count, maxLength: count });
}

function hostName(number: number): string {
  return `host${number}`;
}

/** Writes each list of snapshots as the group of a host. */
async function store(lists: readonly (readonly StoredSnapshot[])[]): Promise<string> {
  const folder = scratch.fresh('repository');
  await initRepository(folder);
  await withIndex(folder, {}, async (indexed) => {
    const { repository } = indexed;
    const writer = new BlobWriter(indexed, { environment, monitor: silentMonitor });
    const tree = toHex(await writer.add('tree', utf8('{"nodes":[]}\n')));
    await writer.finish();
    for (const [i, list] of lists.entries()) {
      for (const { id: _, ...snapshot } of list) {
        await saveSnapshot(repository, { ...snapshot, tree, hostname: hostName(i) });
      }
    }
  });
  return folder;
}

/** What our program prints, in a process that has the zone from its start. */
async function mustHoldfast(
  folder: string,
  args: readonly string[],
  zone = 'UTC',
): Promise<string> {
  const { exitCode, output, errors } = await holdfast(folder, args, zone);
  expect(exitCode, output + errors).toBe(0);
  return output;
}

function holdfast(folder: string, args: readonly string[], zone = 'UTC'): Promise<ProgramRun> {
  const variables = { RESTIC_REPOSITORY: folder, RESTIC_PASSWORD: password, TZ: zone };
  return runProgram(process.execPath, [program, '--no-cache', ...args], { variables });
}

function idsKept({ keep }: Group): string[] {
  return (keep ?? []).map(({ id }) => id);
}

function groupsOf(output: string): Group[] {
  const groups = output.trim() === '' ? [] : (JSON.parse(output) as Group[]);
  return groups.toSorted((a, b) => (a.host < b.host ? -1 : 1));
}

describeWith(['restic'], 'forget', () => {
  test.each(seedsOf('forget as restic'))(
    'keeps what restic keeps for the same reasons, and more only where snapshots are not sound, seed %i',
    async (seed) => {
      const mixed = fc.tuple(soundSnapshots, unsoundSnapshots).map((both) => both.flat());
      const property = fc.asyncProperty(
        listsOf(soundSnapshots, groupCount),
        listsOf(mixed, groupCount),
        listsOf(anyPolicy, policyCount),
        fc.constantFrom('UTC', 'Europe/Berlin', 'America/St_Johns'),
        async (sound, others, policies, zone) => {
          const folder = await store([...sound, ...others]);
          const soundHosts = new Set(sound.map((_, i) => hostName(i)));
          for (const policy of policies) {
            const args = ['forget', '--dry-run', '--no-lock', '--json', ...flagsOf(policy)];
            const theirs = groupsOf(await mustRestic(folder, args, { zone }));
            const ours = groupsOf(await mustHoldfast(folder, args, zone));
            const asText = (groups: readonly Group[]): string[] =>
              groups.filter(({ host }) => soundHosts.has(host)).map((one) => JSON.stringify(one));
            expect(asText(ours)).toEqual(asText(theirs));
            const kept = new Set(ours.flatMap(idsKept));
            expect(theirs.flatMap(idsKept).filter((id) => !kept.has(id))).toEqual([]);
          }
          scratch.remove(folder);
        },
      );
      await holdsFor(property, { seed, numRuns: 2 });
    },
    120_000,
  );

  test('an incomplete snapshot is told, stays so when restic changes it, and pushes none out', async () => {
    const folder = scratch.fresh('repository');
    const source = scratch.fresh('source');
    mkdirSync(source);
    writeFileSync(`${source}/a`, 'a');
    await initRepository(folder);
    await mustHoldfast(folder, ['backup', source]);
    const partial = await holdfast(folder, ['backup', source, `${source}-missing`]);
    expect(partial.exitCode).toBe(3);
    await mustRestic(folder, ['tag', '--add', 'x', 'latest']);
    await mustRestic(folder, ['rewrite', '--forget', '--new-host', 'other', 'latest']);
    const isMarked = (await listSnapshots(folder)).map(isIncomplete);
    expect(isMarked).toEqual([false, true]);
    const policy = ['forget', '--group-by', '', '--keep-last', '1'];
    await mustHoldfast(folder, policy);
    expect(await listSnapshots(folder)).toHaveLength(2);
    await mustHoldfast(folder, ['backup', source]);
    expect(await mustHoldfast(folder, policy)).toMatch(/removed 2 snapshots/);
    expect((await listSnapshots(folder)).map(isIncomplete)).toEqual([false]);
    await mustRestic(folder, ['check']);
  });

  test('a damaged snapshot is told, and pushes out none that restic would have removed', async () => {
    const folder = scratch.fresh('repository');
    const source = scratch.fresh('source');
    mkdirSync(source);
    await initRepository(folder);
    const packs = (): string[] =>
      readdirSync(join(folder, 'data'), { recursive: true, encoding: 'utf8' }).filter(
        (name) => name.length > 2,
      );
    const before: Set<string>[] = [];
    for (const text of ['a', 'b', 'c']) {
      before.push(new Set(packs()));
      writeFileSync(`${source}/file`, text);
      await mustHoldfast(folder, ['backup', source]);
    }
    const [, second, third] = (await listSnapshots(folder)).map(({ id }) => id);
    // All that the newest one brought along.
    for (const pack of packs()) if (!before[2]?.has(pack)) rmSync(join(folder, 'data', pack));
    const output = await mustHoldfast(folder, ['forget', '--keep-last', '1']);
    expect(output).toContain(`take no place from others: ${third?.slice(0, 8)} is damaged\n`);
    expect(output).toMatch(/last snapshot \(of the sound ones\)/);
    expect((await listSnapshots(folder)).map(({ id }) => id)).toEqual([second, third]);
    const restored = scratch.fresh('restored');
    await mustRestic(folder, ['restore', second ?? '', '--target', restored]);
  });
});
