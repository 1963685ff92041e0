import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FileHandle } from '../storage/backend.ts';
import { digestOf } from '../storage/content-names.ts';
import { type ServedRoot, ServedRepository } from '../storage/local/served-repository.ts';
import { parseRange } from './byte-range.ts';
import { receivePace, sendPace } from './limits.ts';
import { type Format, listPieces, listTypes } from './list-body.ts';
import type { Deed, Metrics } from './metrics.ts';
import type { Pace, PaceWatch } from './pace.ts';
import type { Quota } from './quota.ts';
import { receiveFile } from './receive.ts';
import { Refusal } from './refusal.ts';
import { parseRequestPath, type Subject, typeName } from './request-path.ts';
import { sendRange, writePiece } from './send.ts';

/** What the server serves, and what it lets clients do. */
export interface Service {
  readonly root: ServedRoot;
  readonly quota: Quota;
  readonly metrics: Metrics;
  readonly paces: PaceWatch;
  /** Nothing but locks is ever removed. */
  readonly isAppendOnly: boolean;
  /** Each user has the repositories below a folder of his name, and no other. */
  readonly isPrivate: boolean;
}

/** One request whose user is known. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Undefined where everybody is served. */
  readonly user: string | undefined;
  /** Asks for the content, if the client waits to be asked. */
  readonly proceed: () => void;
}

type FileSubject = Extract<Subject, { kind: 'file' }>;
type ListSubject = Extract<Subject, { kind: 'list' }>;

/** Answers a request of the REST protocol. @throws Refusal, and errors of the storage; then nothing has been answered yet, or a part */
export async function answerRequest(service: Service, exchange: Exchange): Promise<void> {
  const { request, user } = exchange;
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const subject = parseRequestPath(path);
  if (!subject) throw new Refusal(404, 'no repository has such a path');
  if (service.isPrivate && (user === undefined || subject.folders[0] !== user)) {
    throw new Refusal(403, 'this repository belongs to somebody else');
  }
  const repository = new ServedRepository(service.root, subject.folders);
  if (subject.kind === 'repository') await answerRepository(exchange, repository, query);
  else if (subject.kind === 'list') await answerList(service, exchange, { subject, repository });
  else await answerFile(service, exchange, { subject, repository });
}

async function answerRepository(
  { request, response }: Exchange,
  repository: ServedRepository,
  query: string,
): Promise<void> {
  allow(request, ['POST']);
  if (!new URLSearchParams(query).has('create', 'true')) {
    throw new Refusal(400, 'a repository takes only POST with ?create=true');
  }
  await repository.create();
  response.end();
}

async function answerList(
  service: Service,
  { request, response }: Exchange,
  { subject, repository }: { subject: ListSubject; repository: ServedRepository },
): Promise<void> {
  allow(request, ['GET']);
  const format: Format = request.headers.accept === listTypes.v2 ? 'v2' : 'v1';
  const pieces = listPieces(repository.list(subject.type), format);
  const pace = service.paces.start(sendPace, () => response.destroy());
  try {
    // The first before the status: a repository that is not there has another.
    let piece = await pace.ours(() => pieces.next());
    response.setHeader('Content-Type', listTypes[format]);
    while (!piece.done) {
      await writePiece(response, piece.value, pace);
      piece = await pace.ours(() => pieces.next());
    }
    response.end();
  } finally {
    await pieces.return();
    pace.end();
  }
}

/** A file that a request is about, and how its doings are counted. */
interface FileWork {
  readonly exchange: Exchange;
  readonly repository: ServedRepository;
  readonly handle: FileHandle;
  readonly count: (deed: Deed, sizeBytes: number) => void;
}

async function answerFile(
  service: Service,
  exchange: Exchange,
  { subject, repository }: { subject: FileSubject; repository: ServedRepository },
): Promise<void> {
  const { type, name, folders } = subject;
  const labels = { user: exchange.user ?? '', repo: folders.join('/'), type: typeName(type) };
  const work: FileWork = {
    exchange,
    repository,
    handle: { type, name },
    count: (deed, sizeBytes) => service.metrics.file(deed, labels, sizeBytes),
  };
  switch (allow(exchange.request, ['HEAD', 'GET', 'POST', 'DELETE'])) {
    case 'HEAD':
      return headFile(work);
    case 'GET':
      return getFile(service, work);
    case 'POST':
      return postFile(service, work);
    case 'DELETE':
      return deleteFile(service, work);
  }
}

async function headFile({ exchange: { response }, repository, handle }: FileWork): Promise<void> {
  const sizeBytes = await repository.stat(handle);
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader('Content-Length', sizeBytes);
  response.end();
}

async function getFile(service: Service, work: FileWork): Promise<void> {
  const { request, response } = work.exchange;
  const file = await work.repository.open(work.handle);
  let pace: Pace | undefined;
  try {
    const { sizeBytes } = file;
    const asked = parseRange(request.headers.range, sizeBytes);
    if (asked === 'none') {
      const headers = { 'Content-Range': `bytes */${sizeBytes}` };
      throw new Refusal(416, 'the file has no byte of this range', { headers });
    }
    const range = asked === 'whole' ? { start: 0, end: sizeBytes } : asked;
    response.setHeader('Content-Type', 'application/octet-stream');
    response.setHeader('Accept-Ranges', 'bytes');
    response.setHeader('Content-Length', range.end - range.start);
    if (asked !== 'whole') {
      response.statusCode = 206;
      const text = `bytes ${range.start}-${range.end - 1}/${sizeBytes}`;
      response.setHeader('Content-Range', text);
    }
    pace = service.paces.start(sendPace, () => response.destroy());
    await sendRange(response, file, { range, pace });
    response.end();
    work.count('read', range.end - range.start);
  } finally {
    pace?.end();
    await file.close();
  }
}

async function postFile(service: Service, work: FileWork): Promise<void> {
  const { request, response, proceed } = work.exchange;
  const { repository, handle } = work;
  const pace = service.paces.start(receivePace, () => request.destroy());
  try {
    const { quota } = service;
    const received = await receiveFile(request, { repository, handle, quota, pace, proceed });
    const digest = digestOf(handle);
    if (digest !== undefined) response.setHeader('Repr-Digest', digest);
    response.end();
    if (received.isNew) work.count('write', received.sizeBytes);
  } finally {
    pace.end();
  }
}

async function deleteFile(service: Service, work: FileWork): Promise<void> {
  const { repository, handle, count } = work;
  if (service.isAppendOnly && handle.type !== 'lock') {
    throw new Refusal(403, 'this server is append-only: nothing but locks is removed');
  }
  const sizeBytes = await repository.remove(handle);
  if (sizeBytes !== undefined) {
    service.quota.give(sizeBytes);
    count('delete', sizeBytes);
  }
  work.exchange.response.end();
}

/** The method of a request. @throws Refusal 405 */
function allow<M extends string>(request: IncomingMessage, methods: readonly M[]): M {
  const method = methods.find((known) => known === request.method);
  if (method) return method;
  throw new Refusal(405, 'this cannot be done here', {
    headers: { Allow: methods.join(', ') },
  });
}
