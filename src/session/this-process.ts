import { toHex, utf8 } from '../base/bytes.ts';
import { sha256 } from '../kernels/sha256.ts';
import { currentIds, currentUserName, hostName, processId } from '../platform/machine.ts';
import { machineUpSeconds, processStart, thisProcess } from '../platform/process-identity.ts';
import type { LockOwner } from '../repository/lock-codec.ts';
import type { ProcessProbe } from '../repository/locks.ts';

/** Who holds locks and makes keys: this process. */
export function thisOwner(): LockOwner {
  return {
    hostname: hostName(),
    username: currentUserName(),
    pid: processId,
    ...currentIds(),
  };
}

/** What this machine can tell of the processes behind locks. */
export function thisProbe(): ProcessProbe {
  const { machine, ...identity } = thisProcess();
  // Programs should not show the machine's id itself to others, says machine-id(5).
  const mark = machine && toHex(sha256(utf8(`holdfast lock ${machine}`))).slice(0, 32);
  return {
    hostname: hostName(),
    identity: { ...identity, machine: mark },
    processStart,
    machineUpSeconds,
  };
}
