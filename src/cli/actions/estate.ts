import { type Estate, estateJsonSchema } from '../../contracts/estate.ts';
import { formatEstate } from '../../contracts/estate-file.ts';
import { type Duty, dutiesOf } from '../../policy/duties.ts';
import { type PresetName, presetPolicy } from '../../policy/presets.ts';
import { plannedStarts } from '../../policy/schedule.ts';
import { policySentences } from '../../policy/sentences.ts';
import { machineZone, momentText } from '../../policy/zone.ts';
import type { Invocation } from '../command.ts';
import type { EstateExampleFlags } from '../commands/estate.ts';
import type { EstateFileFlags } from '../estate-flags.ts';
import { estateOf } from '../read-estate.ts';

/** Runs of each source that are shown. */
const startsShown = 5;

/** `holdfast estate check`. */
export async function estateCheck(invocation: Invocation<EstateFileFlags>): Promise<number> {
  const { output, environment } = invocation;
  const { estate } = estateOf(invocation);
  const nowMs = environment.clock.wallMs();
  const duties = dutiesOf(estate, nowMs);
  if (output.isJson) {
    for (const [name, policy] of Object.entries(estate.policies)) {
      output.json({ message_type: 'policy', name, sentences: policySentences(policy) });
    }
    for (const duty of duties) {
      const starts = plannedStarts(duty.schedule, nowMs, startsShown);
      output.json({
        message_type: 'duty',
        duty: duty.id,
        kind: duty.kind,
        policy: duty.policyName,
        next: starts.map((ms) => new Date(ms).toISOString()),
      });
    }
    return 0;
  }
  for (const [name, policy] of Object.entries(estate.policies)) {
    output.line(`Policy ${name}${policy.description ? `: ${policy.description}` : ''}`);
    for (const sentence of policySentences(policy)) output.line(`  ${sentence}`);
    const ofPolicy = duties.filter(({ policyName }) => policyName === name);
    if (ofPolicy.length === 0) output.line('  No source has it.');
    for (const duty of ofPolicy) printStarts(invocation, duty, nowMs);
    output.line('');
  }
  tellUnused(invocation, estate);
  return 0;
}

function printStarts({ output }: Invocation<EstateFileFlags>, duty: Duty, nowMs: number): void {
  // What follows another duty at once has the same times.
  if (duty.kind === 'retention') return;
  const { zone } = duty.schedule;
  const starts = plannedStarts(duty.schedule, nowMs, startsShown);
  const times = starts.map((ms) => momentText(ms, zone));
  output.line(`  Next "${duty.id}": ${times.length === 0 ? 'never' : times.join(', ')}`);
}

function tellUnused({ output }: Invocation<EstateFileFlags>, estate: Estate): void {
  const { repositories, policies, sources } = estate;
  const used = new Set(
    Object.values(policies).flatMap(({ repository, copies = [] }) => [
      repository,
      ...copies.map((copy) => copy.repository),
    ]),
  );
  for (const name of Object.keys(repositories)) {
    if (!used.has(name)) output.line(`No policy uses the repository ${name}.`);
  }
  const count = Object.keys(sources).length;
  output.line(`${count} ${count === 1 ? 'source' : 'sources'}: the file is right.`);
}

/** `holdfast estate schema`. */
export async function estateSchema({ output }: Invocation): Promise<number> {
  output.line(JSON.stringify(estateJsonSchema(), null, 2));
  return 0;
}

/** `holdfast estate example`. */
export async function estateExample({
  flags,
  output,
}: Invocation<EstateExampleFlags>): Promise<number> {
  output.line(exampleText(flags.preset).trimEnd());
  return 0;
}

/** An estate file to begin with. */
export function exampleText(preset: PresetName = 'silver'): string {
  const policy = presetPolicy(preset, { repository: 'disk', copyTo: 'away' });
  const away = {
    description: 'a machine elsewhere',
    location: 'sftp:backup@backup.example:/srv/holdfast',
    'password-file': '/etc/holdfast/away.password',
  };
  const estate: Estate = {
    version: 1,
    repositories: {
      disk: {
        description: 'a disk in this house',
        location: '/srv/backup/holdfast',
        'password-file': '/etc/holdfast/disk.password',
      },
      ...(preset === 'gold' ? { away } : {}),
    },
    policies: { [preset]: { 'time-zone': machineZone(), ...policy } },
    sources: {
      documents: {
        kind: 'files',
        policy: preset,
        paths: ['/home/anna/documents', '/etc'],
        exclude: ['*.tmp'],
        'exclude-caches': true,
      },
    },
  };
  const head = [
    '# An estate: what is protected, where to, and what must be true of it. See docs/ESTATE.md.',
    '# "holdfast estate check -f FILE" says what it means, "holdfast run -f FILE" does what is due.',
  ];
  return `${head.join('\n')}\n${formatEstate(estate)}`;
}
