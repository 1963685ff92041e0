import { throwIfAborted } from '../../base/abort.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { ContentParts, ContentWriter } from './content.ts';
import type { PlannedFile } from './plan.ts';

/** Files compared with one message: they lie in few directories, which are open meanwhile. */
const filesPerStep = 2_000;

/** Reads restored files back and reports those that do not hold what the snapshot says. */
export async function verifyFiles(
  files: readonly PlannedFile[],
  { tally, context }: ContentParts,
  writer: ContentWriter,
): Promise<void> {
  // What could not be restored has been reported already.
  const restored = files.filter((file) => writer.finished.has(file));
  for (let start = 0; start < restored.length; start += filesPerStep) {
    throwIfAborted(context.signal);
    const step = restored.slice(start, start + filesPerStep);
    const right = await writer.compare(step);
    step.forEach((file, i) => {
      if (right[i]) {
        tally.filesVerified++;
        return;
      }
      const message = 'its content differs from the snapshot after the restore';
      const error = new HoldfastError('VERIFY_FAILED', { message });
      tally.problem(file.directory.pathOf(file.node.name), error);
    });
    tally.progress();
  }
}
