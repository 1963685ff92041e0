import { toHex } from '../../base/bytes.ts';
import type { FileType } from '../../storage/backend.ts';
import type { Invocation } from '../command.ts';
import { listTypes } from '../commands/list.ts';
import { usage } from '../parse.ts';
import { nearest } from '../../base/suggest.ts';
import { type Session, withSession } from '../session.ts';

const fileTypes: Readonly<Record<string, FileType>> = {
  packs: 'pack',
  index: 'index',
  snapshots: 'snapshot',
  keys: 'key',
  locks: 'lock',
};

/** `holdfast list`. */
export function list(invocation: Invocation): Promise<number> {
  const type = invocation.arguments[0] ?? '';
  if (!listTypes.some((known) => known === type)) {
    const meant = nearest(type, listTypes);
    const hint = meant ? `Did you mean "${meant}"?` : `Known are ${listTypes.join(', ')}.`;
    throw usage(`there is no object type ${JSON.stringify(type)}`, hint);
  }
  const lock = type === 'locks' ? 'none' : 'shared';
  return withSession(invocation, { lock }, async (session) => {
    const fileType = fileTypes[type];
    if (fileType) await listFiles(session, fileType, invocation);
    else await listBlobs(session, invocation);
    return session.exitCode();
  });
}

async function listFiles(
  { repository, signal }: Session,
  type: FileType,
  { output }: Invocation,
): Promise<void> {
  const lines = output.bulk();
  for await (const { name } of repository.backend.list(type, { signal })) lines.line(name);
  lines.end();
}

async function listBlobs(session: Session, { output }: Invocation): Promise<void> {
  const { index } = await session.loadIndex();
  const lines = output.bulk();
  for (let entry = 0; entry < index.blobCount; entry++) {
    lines.line(`${index.typeOf(entry)} ${toHex(index.idOf(entry))}`);
  }
  lines.end();
}
