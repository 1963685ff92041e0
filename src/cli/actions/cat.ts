import { fromHex } from '../../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { findTree } from '../../engine/trees/snapshot-path.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { formatPolynomial } from '../../kernels/polynomial.ts';
import { toHex } from '../../base/bytes.ts';
import { type Id, isId } from '../../repository/id.ts';
import { findByPrefix } from '../../repository/repository-find.ts';
import type { FileType } from '../../storage/backend.ts';
import type { Invocation } from '../command.ts';
import { catTypes } from '../commands/cat.ts';
import { goJson, indentJson } from '../go-json.ts';
import { usage } from '../parse.ts';
import { selectSnapshot } from '../select-snapshots.ts';
import { type Session, withSession } from '../session.ts';
import { nearest } from '../../base/suggest.ts';

type CatType = (typeof catTypes)[number];

interface CatRequest {
  readonly type: CatType;
  readonly name: string;
}

/** `holdfast cat`. */
export function cat(invocation: Invocation): Promise<number> {
  const request = parseRequest(invocation.arguments);
  return withSession(invocation, { lock: 'shared' }, (session) =>
    printers[request.type](session, request.name, invocation),
  );
}

function parseRequest([type, name, extra]: readonly string[]): CatRequest {
  if (type === undefined) throw usage('type not specified', `Known are ${catTypes.join(', ')}.`);
  const known = catTypes.find((candidate) => candidate === type);
  if (!known) {
    const meant = nearest(type, catTypes);
    const hint = meant ? `Did you mean "${meant}"?` : undefined;
    throw usage(
      `invalid type ${JSON.stringify(type)}, must be one of [${catTypes.join('|')}]`,
      hint,
    );
  }
  if (known === 'config' || known === 'masterkey') return { type: known, name: '' };
  if (name === undefined) throw usage('ID not specified');
  if (extra !== undefined) throw usage(`unexpected argument ${JSON.stringify(extra)}`);
  return { type: known, name };
}

type Printer = (session: Session, name: string, invocation: Invocation) => Promise<number>;

const printers: Readonly<Record<CatType, Printer>> = {
  async config({ repository: { config } }, _, { output }) {
    const { version, id, polynomial } = config;
    const chunkerPolynomial = formatPolynomial(polynomial);
    output.line(indentJson(goJson({ version, id, chunker_polynomial: chunkerPolynomial })));
    return 0;
  },
  async masterkey({ repository: { masterKey } }, _, { output }) {
    const { macK, macR, encrypt } = masterKey;
    const mac = { k: base64(macK), r: base64(macR) };
    output.line(indentJson(goJson({ mac, encrypt: base64(encrypt) })));
    return 0;
  },
  async snapshot(session, name, { output }) {
    const { snapshot } = await selectSnapshot(session, name);
    const { repository, signal } = session;
    const json = await repository.loadUnpacked('snapshot', snapshot.id, { signal });
    output.line(indentJson(textOf(json)));
    return 0;
  },
  async lock(session, name, { output }) {
    const id = await fileNamed(session, 'lock', name);
    const json = await session.repository.loadUnpacked('lock', id, { signal: session.signal });
    output.line(indentJson(textOf(json)));
    return 0;
  },
  async key(session, name, { output }) {
    const id = await fileNamed(session, 'key', name);
    const { backend } = session.repository;
    const json = await backend.get({ type: 'key', name: id }, undefined, {
      signal: session.signal,
    });
    output.line(indentJson(textOf(json)));
    return 0;
  },
  async index(session, name, { output }) {
    const id = await fileNamed(session, 'index', name);
    const json = await session.repository.loadUnpacked('index', id, { signal: session.signal });
    output.stdout.write(json);
    if (json.at(-1) !== 0x0a) output.stdout.write('\n');
    return 0;
  },
  async pack(session, name, { output }) {
    const id = await fileNamed(session, 'pack', name);
    const { backend } = session.repository;
    const bytes = await backend.get({ type: 'pack', name: id }, undefined, {
      signal: session.signal,
    });
    output.stdout.write(bytes);
    if (toHex(sha256(bytes)) === id) return 0;
    output.errorLine(`Warning: the content of pack ${id} does not fit its name: it is damaged`);
    return 1;
  },
  async blob(session, name, { output }) {
    output.stdout.write(await loadAnyBlob(session, name));
    return 0;
  },
  async tree(session, name, { output }) {
    const { snapshot, subfolder } = await selectSnapshot(session, name);
    const indexed = await session.loadIndex();
    const tree = await findTree(indexed, { snapshot, subfolder }, { signal: session.signal });
    output.stdout.write(await indexed.loadBlob('tree', tree, { signal: session.signal }));
    return 0;
  },
};

async function loadAnyBlob(session: Session, name: string): Promise<Uint8Array> {
  if (!isId(name)) throw usage(`${JSON.stringify(name)} is not the id of a blob: 64 hex digits`);
  const id = fromHex(name) ?? new Uint8Array();
  const indexed = await session.loadIndex();
  for (const type of ['data', 'tree'] as const) {
    try {
      return await indexed.loadBlob(type, id, { signal: session.signal });
    } catch (error) {
      if (!isHoldfastError(error, 'BLOB_NOT_FOUND')) throw error;
    }
  }
  throw new HoldfastError('BLOB_NOT_FOUND', { message: 'blob not found', details: { id: name } });
}

async function fileNamed(session: Session, type: FileType, prefix: string): Promise<Id> {
  const { backend } = session.repository;
  const id = await findByPrefix(backend, { type, prefix }, { signal: session.signal });
  if (id !== undefined) return id;
  throw new HoldfastError('FILE_NOT_FOUND', {
    message: `no ${type} has an id that begins with ${JSON.stringify(prefix)}`,
  });
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
