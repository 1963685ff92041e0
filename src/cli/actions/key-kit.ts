import path from 'node:path';
import { HoldfastError } from '../../base/errors.ts';
import { randomBytes } from '../../base/random.ts';
import {
  createRecoveryKit,
  discardKit,
  isTypedBack,
  type NewRecoveryKit,
  passwordGroupCount,
  recoveryKitHtml,
  recoveryKitText,
} from '../../engine/recovery-kit.ts';
import { exists, makeDirectories, removeTree, writeFileAtomic } from '../../platform/files.ts';
import { hostName } from '../../platform/machine.ts';
import { shortId } from '../../repository/id.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Invocation } from '../command.ts';
import type { KitFlags } from '../commands/key.ts';
import { readSmallFile } from '../../session/small-file.ts';
import { usage } from '../parse.ts';
import { assertDecoded } from '../raw-arguments.ts';
import { withSession } from '../session.ts';

type KitInvocation = Invocation<KitFlags>;

const fileMode = 0o600;
/** How often a person may type the part wrong. */
const tryCount = 3;
const askedGroupCount = 2;

/** `holdfast key kit`. */
export async function keyKit(invocation: KitInvocation): Promise<number> {
  const { output, flags, environment, input } = invocation;
  const file = path.resolve(invocation.arguments[0] ?? '');
  assertDecoded(file, 'file name');
  const render = rendererOf(invocation, file);
  if (!flags.unproven && !input.isTerminal) {
    throw usage(
      'nobody is there to type back a part of the recovery password',
      'Run it on a terminal; or add --unproven, and see to it that the page is printed and kept.',
    );
  }
  if (exists(Buffer.from(file))) {
    throw usage(`${file} exists already`, 'Name another file: a kit is never written over.');
  }
  const options = { lock: 'shared', writes: true } as const;
  return withSession(invocation, options, async ({ repository, lock, signal }) => {
    await lock?.settled;
    refuseInside(repository, file);
    const words = { hostname: hostName(), program: 'holdfast' };
    const kit = await createRecoveryKit(repository, words, { environment, signal });
    try {
      writeKit(file, render(kit), kit.password);
      output.info(`wrote ${file}`);
      if (!flags.unproven) await proveKept(invocation, kit, signal);
    } catch (error) {
      removeTree(Buffer.from(file));
      await discardKit(repository, kit);
      throw error;
    }
    report(invocation, kit, file);
    return 0;
  });
}

/** What writes the page. @throws USAGE if neither flag nor ending says how */
function rendererOf(
  { flags }: KitInvocation,
  file: string,
): typeof recoveryKitHtml | typeof recoveryKitText {
  const ending = path.extname(file).toLowerCase();
  const byEnding = { '.html': 'html', '.htm': 'html', '.txt': 'text', '.md': 'text' } as const;
  const isKnown = (text: string): text is keyof typeof byEnding => Object.hasOwn(byEnding, text);
  const format = flags.format ?? (isKnown(ending) ? byEnding[ending] : undefined);
  if (format === undefined) {
    throw usage(
      `the ending of ${path.basename(file)} does not say what to write`,
      'Name a file that ends in .html or .txt, or add --format html or --format text.',
    );
  }
  return format === 'html' ? recoveryKitHtml : recoveryKitText;
}

/** @throws USAGE for a page that would lie in the repository that it opens */
function refuseInside({ backend }: Repository, file: string): void {
  const { localPath } = backend;
  if (localPath === undefined) return;
  const fromRoot = path.relative(path.resolve(localPath), file);
  if (fromRoot.startsWith('..') || path.isAbsolute(fromRoot)) return;
  throw usage(
    'the recovery kit would lie in the repository that it opens',
    'Whoever gets the repository would have its password. Name another place.',
  );
}

/** Writes the page and reads it back: a page without the password is worse than none. */
function writeKit(file: string, page: string, password: string): void {
  makeDirectories(Buffer.from(path.dirname(file)));
  writeFileAtomic(Buffer.from(file), Buffer.from(page), fileMode);
  const written = Buffer.from(readSmallFile(file, 'recovery kit')).toString('utf8');
  if (written === page && written.includes(password)) return;
  throw new HoldfastError('TARGET_FAILED', {
    message: 'the recovery kit was not stored as it was written',
    details: { file },
  });
}

/** Has two groups of the password typed back, which are on the page alone. @throws USAGE, CANCELLED */
async function proveKept(
  { input, output, environment }: KitInvocation,
  { password }: NewRecoveryKit,
  signal: AbortSignal,
): Promise<void> {
  const groups = someGroups((sizeBytes) => randomBytes(environment.random, sizeBytes));
  const question = `Print the page, then type groups ${groups.join(' and ')} of the password as they stand on it: `;
  for (let attempt = 1; attempt <= tryCount; attempt++) {
    output.stderr.write(question);
    const line = await input.readLine(signal);
    if (line === undefined) break;
    if (isTypedBack(password, groups, Buffer.from(line).toString('utf8'))) return;
    output.errorLine('that is not what the page says');
  }
  throw usage(
    'the recovery kit was not proven: its key and its page were removed again',
    'Throw a print of it away, and make another one.',
  );
}

/** Different groups, in order. */
function someGroups(random: (sizeBytes: number) => Uint8Array): number[] {
  const groups = new Set<number>();
  while (groups.size < askedGroupCount) groups.add(((random(1)[0] ?? 0) % passwordGroupCount) + 1);
  return [...groups].toSorted((a, b) => a - b);
}

function report({ output, flags }: KitInvocation, { key }: NewRecoveryKit, file: string): void {
  if (output.isJson) return output.json({ message_type: 'recovery_kit', key_id: key.id, file });
  output.info(`saved new key with ID ${key.id}`);
  if (flags.unproven) output.info('nobody has shown that the page was printed or kept');
  output.info(
    `Keep the page away from this machine, then delete the file. "holdfast key remove ${shortId(key.id)}" makes it void.`,
  );
}
