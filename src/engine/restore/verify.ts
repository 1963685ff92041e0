import { throwIfAborted } from '../../base/abort.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { ContentWriter } from './content.ts';
import type { RestoreParts } from './parts.ts';
import type { ComparedFile } from './messages.ts';

/** Files compared at once. They may lie in a directory each, and those are open meanwhile. */
const filesPerStep = 400;

/** Reads what was restored back and reports the files that do not hold what the snapshot says. */
export async function verifyFiles(
  writer: ContentWriter,
  { tally, context }: RestoreParts,
): Promise<void> {
  const files = writer.toVerify;
  for (let start = 0; start < files.length; start += filesPerStep) {
    throwIfAborted(context.signal);
    const step = files.slice(start, start + filesPerStep);
    const compared = await writer.compare(step);
    step.forEach((file, i) => {
      const error = whyNotRight(compared[i]);
      if (error) tally.problem(file.directory.pathOf(file.name), error);
      else tally.filesVerified++;
    });
    tally.progress();
  }
}

function whyNotRight(compared: ComparedFile | undefined): HoldfastError | undefined {
  if (compared?.isWhole) return undefined;
  const message = compared?.canBeRead
    ? 'its content differs from the snapshot after the restore'
    : 'it cannot be read back after the restore';
  return new HoldfastError('VERIFY_FAILED', { message, hint: 'Check the disk of the target.' });
}
