import type { Polynomial } from '../../kernels/polynomial.ts';
import { createRepository } from '../../repository/repository.ts';
import { lockingStore } from '../../engine/immutability.ts';
import { assertNothingStored } from '../../repository/repository-vacancy.ts';
import type { Backend, RetentionPeriod } from '../../storage/backend.ts';
import { thisOwner } from '../../session/this-process.ts';
import { cliMonitor } from '../cli-monitor.ts';
import type { Invocation } from '../command.ts';
import type { InitFlags } from '../commands/init.ts';
import { fromRepository } from '../from-repository.ts';
import { lockPeriodOf } from '../lock-flags.ts';
import type { Output } from '../output.ts';
import { usage } from '../parse.ts';
import { passwordToCreate, repositoryPassword } from '../password.ts';
import { repositoryLocation } from '../repository-location.ts';
import { formatOptions, openStorage, openWithTries } from '../session.ts';

const versions = { '1': 1, '2': 2, latest: 2, stable: 2 } as const;

/** `holdfast init`. */
export async function init(invocation: Invocation<InitFlags>): Promise<number> {
  const { flags, output } = invocation;
  const location = repositoryLocation(invocation);
  const polynomial = await polynomialToCopy(invocation);
  const period = lockPeriodOf(flags);
  const backend = await openStorage(invocation, location, cliMonitor(output));
  try {
    if (period) await lockFromStart(backend, period, invocation.signal);
    const repository = await createRepository(backend, {
      ...formatOptions(invocation),
      ...thisOwner(),
      version: versions[flags.repositoryVersion ?? 'stable'],
      ...(polynomial === undefined ? {} : { polynomial }),
      password: () =>
        passwordToCreate(invocation, repositoryPassword(invocation), {
          first: 'enter password for new repository: ',
          second: 'enter password again: ',
        }),
    });
    const { id } = repository.config;
    if (output.isJson) {
      const lock = period && { lock_mode: period.mode, lock_days: period.days };
      output.json({ message_type: 'initialized', id, repository: backend.location, ...lock });
    } else {
      output.info(`created restic repository ${id.slice(0, 10)} at ${backend.location}`);
      output.info('');
      output.info('Please note that knowledge of your password is required to access');
      output.info('the repository. Losing your password means that your data is');
      output.info('irrecoverably lost.');
      if (period) tellLock(output, period);
    }
    return 0;
  } finally {
    await backend.close();
  }
}

/** @throws UNSUPPORTED before anything is stored, saying what to turn on */
async function lockFromStart(
  backend: Backend,
  period: RetentionPeriod,
  signal: AbortSignal,
): Promise<void> {
  await assertNothingStored(backend, { signal });
  const { retention } = lockingStore(backend);
  await retention.prepare({ signal });
  retention.promise(period);
}

function tellLock(output: Output, { mode, days }: RetentionPeriod): void {
  output.info('');
  output.info(`Every file is locked for ${days} days when it is stored (${mode}).`);
  output.info('Run "holdfast immutability --extend" every day: it keeps the locks of what is');
  output.info('still needed, and tells when they do not hold.');
}

/** The chunker polynomial of `--from-repo`; undefined unless --copy-chunker-params asks for it. */
async function polynomialToCopy(
  invocation: Invocation<InitFlags>,
): Promise<Polynomial | undefined> {
  const { flags, output } = invocation;
  const choice = fromRepository(flags);
  if (!flags.copyChunkerParameters) {
    if (flags.fromRepository === undefined || invocation.variables.get('FROM_REPOSITORY')) {
      return undefined;
    }
    throw usage('--from-repo is only of use with --copy-chunker-params');
  }
  if (choice === undefined) {
    throw usage(
      '--copy-chunker-params needs a repository to copy from',
      'Name it with --from-repo, --from-repository-file or RESTIC_FROM_REPOSITORY.',
    );
  }
  const backend = await openStorage(invocation, choice.location, cliMonitor(output));
  try {
    const repository = await openWithTries(invocation, backend, choice);
    return repository.config.polynomial;
  } finally {
    await backend.close();
  }
}
