import path from 'node:path';
import { moveServer, type ServerPlace } from '../../server/move-server.ts';
import type { Invocation } from '../command.ts';
import type { MoveStateFlags } from '../commands/move-state.ts';
import { usage } from '../parse.ts';

/** `holdfast move-state`. */
export async function moveStateTo(invocation: Invocation<MoveStateFlags>): Promise<number> {
  const { flags, output, environment } = invocation;
  const tables = await moveServer(
    placeOf('from', flags.from),
    placeOf('to', flags.to),
    environment,
  );
  const rowCount = tables.reduce((sum, table) => sum + table.rowCount, 0);
  if (output.isJson) {
    const counts = Object.fromEntries(tables.map((table) => [table.name, table.rowCount]));
    output.json({ message_type: 'moved', rows: rowCount, tables: counts });
  } else {
    output.line(`copied ${rowCount} rows of ${tables.length} tables, and compared them`);
    output.info('Start the server on the new place only: what it does on the old is not there.');
  }
  return 0;
}

/** @throws USAGE */
function placeOf(name: keyof MoveStateFlags, text: string | undefined): ServerPlace {
  if (text === undefined || text === '') {
    throw usage(`--${name} is needed`, 'Name a folder, or postgres://USER@HOST/NAME.');
  }
  // What only looks like a URL is no folder.
  if (!text.includes('://')) return { kind: 'folder', path: path.resolve(text) };
  if (/^postgres(ql)?:\/\//.test(text)) return { kind: 'postgres', url: text };
  throw usage(`--${name} takes a folder, or postgres://USER@HOST/NAME`);
}
