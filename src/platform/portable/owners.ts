import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What is looked up, and where: passwd and group have the name first and the id third. */
type Database = 'passwd' | 'group';

const nameField = 0;
const idField = 2;
const commandMs = 5000;

/** Name of an id in /etc/passwd or /etc/group, else as the system's lookup command tells. */
export function ownerNamePortable(database: Database, id: number): string | undefined {
  return find(database, String(id), { by: idField, wanted: nameField });
}

/**
 * Id of a name, looked up as by `ownerNamePortable`; undefined for one that is not there, or could be taken for an
 * option or a field.
 */
export function ownerIdPortable(database: Database, name: string): number | undefined {
  if (name === '' || /[:\s\0]|^-/.test(name)) return undefined;
  const id = find(database, name, { by: nameField, wanted: idField });
  return id === undefined || !/^\d+$/.test(id) ? undefined : Number(id);
}

function find(
  database: Database,
  key: string,
  { by, wanted }: { by: number; wanted: number },
): string | undefined {
  return (
    fieldOf(readDatabase(database), key, { by, wanted }) ??
    fieldOf(askCommand(database, key), key, { by, wanted })
  );
}

function fieldOf(
  text: string,
  key: string,
  { by, wanted }: { by: number; wanted: number },
): string | undefined {
  for (const line of text.split('\n')) {
    const fields = line.split(':');
    if (fields[by] === key) return fields[wanted];
  }
  return undefined;
}

function readDatabase(database: Database): string {
  try {
    return readFileSync(`/etc/${database}`, 'utf8');
  } catch {
    return '';
  }
}

/** Directory services, where there is a command that answers in the same form. */
function askCommand(database: Database, key: string): string {
  if (process.platform === 'win32') return '';
  const result = spawnSync('getent', [database, key], { timeout: commandMs, encoding: 'utf8' });
  return result.status === 0 ? result.stdout : '';
}
