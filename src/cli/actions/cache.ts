import { formatBytes } from '../../base/bytes.ts';
import type { CacheSummary } from '../../storage/local/cache-folder.ts';
import { removeOldCaches } from '../../session/session-cache.ts';
import { cacheBase } from '../cache.ts';
import type { Invocation } from '../command.ts';
import type { CacheFlags } from '../commands/cache.ts';
import { usage } from '../parse.ts';
import { listCacheFolders } from '../../storage/local/cache-folder.ts';
import { type Column, formatTable } from '../table.ts';

const dayMs = 24 * 3600 * 1000;
const maxAgeDaysDefault = 30;

interface Row extends CacheSummary {
  readonly ageDays: number;
  readonly isOld: boolean;
}

/** `holdfast cache`. */
export async function cache(invocation: Invocation<CacheFlags>): Promise<number> {
  const { flags, output, environment } = invocation;
  if (invocation.globals.noCache) throw usage('--no-cache makes no sense with the cache command');
  const base = cacheBase(invocation);
  const maxAgeMs = (flags.maxAgeDays ?? maxAgeDaysDefault) * dayMs;
  if (flags.cleanup || invocation.globals.cleanupCache) {
    const count = await removeOldCaches(invocation, base, maxAgeMs);
    output.info(count === 0 ? 'no old cache dirs found' : `removed ${count} old cache dirs`);
    return 0;
  }
  const nowMs = environment.clock.wallMs();
  const folders = await listCacheFolders(base);
  if (folders.length === 0) {
    output.line(`no cache dirs found, basedir is ${base}`);
    return 0;
  }
  const rows = folders
    .map((folder) => ({
      ...folder,
      ageDays: Math.floor((nowMs - folder.usedMs) / dayMs),
      isOld: nowMs - folder.usedMs > maxAgeMs,
    }))
    .sort((a, b) => a.usedMs - b.usedMs);
  for (const line of formatTable(columnsFor(!flags.noSize), rows)) output.line(line);
  output.line(`${rows.length} cache dirs in ${base}`);
  return 0;
}

function columnsFor(withSize: boolean): Column<Row>[] {
  const columns: Column<Row>[] = [
    { title: 'Repo ID', cell: ({ name }) => name.slice(0, 10) },
    { title: 'Last Used', cell: ({ ageDays }) => `${ageDays} days ago` },
    { title: 'Old', cell: ({ isOld }) => (isOld ? 'yes' : '') },
  ];
  if (withSize) {
    const cell = ({ sizeBytes }: Row): string => formatBytes(sizeBytes).padStart(11);
    columns.push({ title: 'Size', cell });
  }
  return columns;
}
