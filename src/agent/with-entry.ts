import type { Monitor } from '../base/monitor.ts';
import type { RepositoryEntry } from '../contracts/repository-entry.ts';
import type { Session, SessionUse } from '../session/session.ts';
import type { AgentHost } from './host.ts';
import { withRepository } from './open-repository.ts';

/** A repository that is used for something that no policy asks for. */
export interface EntrySession {
  /** Its name in the estate. */
  readonly name: string;
  readonly entry: RepositoryEntry;
  /** What locks call the work. */
  readonly operation: string;
  readonly lock: SessionUse['lock'];
  readonly monitor: Monitor;
}

/** As `withRepository`, for one entry alone. @throws as it */
export function withEntry<T>(
  host: AgentHost,
  { name, entry, ...use }: EntrySession,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const policy = { repository: name, backup: { every: '1d' } };
  const estate = {
    version: 1,
    repositories: { [name]: entry },
    policies: {},
    sources: {},
  } as const;
  const memory = { load: () => undefined, save: () => {} };
  return withRepository({ host, estate, memory }, { ...use, repository: name, policy }, work);
}
