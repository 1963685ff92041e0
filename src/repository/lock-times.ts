/** How often a holder writes its lock anew. restic does the same. */
export const lockRefreshMs: number = 5 * 60_000;
/** Age from which a lock no longer has a living holder, says restic: it would have been renewed several times. */
export const lockStaleMs: number = 30 * 60_000;
/** Time without a renewal after which nothing may be written: others may take the lock for stale soon. */
export const lockExpiryMs: number = lockStaleMs - 1.5 * lockRefreshMs;
/** Age up to which a lock is young: nobody can have taken it for left, however wrong his clock, while it is asked for at the end. */
export const lockYoungMs = 60_000;
/** Age from which a lock of an earlier start of this machine is no copy's of it: that would have renewed it twice. */
export const lockLeftMs: number = 2 * lockRefreshMs;
/** A lock that seems left is one if it is not renewed while somebody watches it for so long. */
export const lockWatchMs: number = lockRefreshMs + 90_000;
/** Wait before the second look where listings may be behind: as long as they usually are, and as restic waits. */
export const lockSettleMs = 200;
/** How long new work waits for a commit of a prune without being asked to. */
export const commitPatienceMs: number = 2 * 60_000;
/** Pauses while waiting for other locks: the first, which doubles, and the longest. */
export const retryPauseMs = 5_000;
/** The longest pause between two looks at locks that stand in the way, in milliseconds. */
export const retryPauseMsMax = 60_000;
/** Pause while waiting for a commit, which is short. */
export const commitPauseMs = 1_000;
/** Two that saw each other at the second look wait for up to so long, by chance, so that one is first. */
export const collisionPauseMsMax = 1_000;
/** How often two may see each other so, before it is given up without --retry-lock. */
export const collisionCountMax = 3;
