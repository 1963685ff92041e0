import { isHoldfastError } from '../base/errors.ts';
import { silentMonitor } from '../base/monitor.ts';
import { createRepository } from '../repository/repository.ts';
import { thisOwner } from '../session/this-process.ts';
import type { AgentHost } from './host.ts';
import { openEntryStorage } from './open-repository.ts';
import type { AttachReport, AttachTask } from './run-messages.ts';
import { passwordOf } from './secrets.ts';
import { withEntry } from './with-entry.ts';

/**
 * Opens a repository to prove that its place and its password are right.
 *
 * @throws REPOSITORY_NOT_FOUND if there is none and none may be made, PASSWORD_WRONG, and what storage throws
 */
export async function attachRepository(host: AgentHost, task: AttachTask): Promise<AttachReport> {
  try {
    return { repositoryId: await idOf(host, task), isNew: false };
  } catch (error) {
    if (!task.mayCreate || !isHoldfastError(error, 'REPOSITORY_NOT_FOUND')) throw error;
  }
  const { name, entry } = task;
  const { environment, signal } = host;
  const storage = await openEntryStorage({ name, entry, host, monitor: silentMonitor, signal });
  try {
    const { config } = await createRepository(storage, {
      environment,
      signal,
      ...thisOwner(),
      version: 2,
      password: () => passwordOf(name, entry, host),
    });
    return { repositoryId: config.id, isNew: true };
  } finally {
    await storage.close();
  }
}

function idOf(host: AgentHost, { name, entry }: AttachTask): Promise<string> {
  const use = { name, entry, operation: 'attach', lock: 'none', monitor: silentMonitor } as const;
  return withEntry(host, use, (session) => Promise.resolve(session.repository.config.id));
}
