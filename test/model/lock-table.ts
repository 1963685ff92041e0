import { type LockLook, standsAgainst } from '../../src/repository/lock-list.ts';
import { type LockKind, noIdentity, type StoredLock } from '../../src/repository/locks.ts';
import { type Client, type HeldKind, lockKinds } from './state.ts';

const noTime = { seconds: 0, nanoseconds: 0, offsetMinutes: 0 };

/** A lock file of another, as the program sees it. */
function lockOf(kind: HeldKind | 'commit'): StoredLock {
  const isForeign = kind.startsWith('restic');
  const owner = { id: 'other', hostname: '', username: '', pid: 1, time: noTime };
  if (isForeign) return { ...owner, exclusive: kind === 'restic-exclusive' };
  const own = { ...noIdentity, instance: 'other', operation: '', began: noTime };
  const exclusive = kind === 'commit' || kind === 'exclusive';
  return { ...owner, exclusive, own: { ...own, kind: kind as LockKind } };
}

const probe = {
  hostname: '',
  identity: noIdentity,
  processStart: () => undefined,
  machineUpSeconds: () => 0,
};

/** Asks the program itself, once for each case: the model has no table of its own. */
const table = new Map<string, boolean>();
for (const kind of ['shared', 'publish', 'prune', 'commit', 'exclusive'] as const) {
  for (const look of ['first', 'second', 'return'] as const) {
    const wanted = { kind, own: new Set<string>(), beside: [], probe, look };
    for (const other of [...lockKinds, 'commit'] as const) {
      const stands = other !== 'none' && standsAgainst(lockOf(other), wanted);
      table.set(`${kind} ${look} ${other}`, stands);
    }
  }
}

/** Whether what another client holds stands against a lock that is wanted. */
export function stands(other: Client, kind: LockKind, look: LockLook): boolean {
  const isCommit = other.commit && table.get(`${kind} ${look} commit`) === true;
  return isCommit || table.get(`${kind} ${look} ${other.lock}`) === true;
}

/** The same for restic, which knows two kinds. */
export function standsAgainstRestic(other: Client, isExclusive: boolean): boolean {
  if (isExclusive) return other.lock !== 'none';
  return other.commit || other.lock === 'exclusive' || other.lock === 'restic-exclusive';
}
