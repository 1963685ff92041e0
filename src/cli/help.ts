import type { Command, CommandGroup, ExitCode, Flag, FlagTable } from './command.ts';
import { globalFlags } from './global-flags.ts';
import { flagLabel } from './parse.ts';

const exitCodeTexts: Readonly<Record<ExitCode, string>> = {
  0: 'the command succeeded',
  1: 'it failed, or errors were found',
  3: 'the snapshot is stored, but some source data could not be read, or the repository is damaged',
  10: 'there is no repository at the location',
  11: 'the repository is locked by somebody else',
  12: 'the password is wrong',
  130: 'it was interrupted; locks are released and nothing is half done',
};

/** Exit codes of a command that opens a repository. */
export const repositoryExitCodes: readonly ExitCode[] = [0, 1, 10, 11, 12, 130];

/** Width of help texts. */
const columns = 100;

/** Words of `text` in lines of at most `width`. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}

/** Paragraphs, wrapped; lines that begin with a space or a star stay as they are. */
function paragraphs(text: string): string[] {
  return text
    .trim()
    .split('\n\n')
    .flatMap((paragraph, i) => {
      const lines = paragraph.split('\n');
      const isList = lines.some((line) => /^[ *]/.test(line));
      return [...(i > 0 ? [''] : []), ...(isList ? lines : wrap(paragraph, columns))];
    });
}

/** Pairs in two columns, the right one wrapped. */
function twoColumns(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.max(...rows.map(([label]) => label.length));
  return rows.flatMap(([label, text]) =>
    wrap(text, columns - left - 4).map(
      (line, i) => `  ${(i === 0 ? label : '').padEnd(left)}  ${line}`,
    ),
  );
}

function flagRow(flag: Flag): readonly [string, string] {
  const label = flag.short ? flagLabel(flag) : `    ${flagLabel(flag)}`;
  const placeholder = 'placeholder' in flag ? ` ${flag.placeholder}` : '';
  const defaults: string[] = [];
  if (flag.variable) defaults.push(`$RESTIC_${flag.variable}`);
  if (flag.defaultText) defaults.push(flag.defaultText);
  const suffix = defaults.length > 0 ? ` (default: ${defaults.join(' or ')})` : '';
  return [label + placeholder, flag.description + suffix];
}

function flagRows(table: FlagTable): string[] {
  const flags = Object.values(table).sort((a, b) => (a.name < b.name ? -1 : 1));
  return twoColumns(flags.map(flagRow));
}

/** The help of one command. */
export function commandHelp(command: Command): string {
  const usage = ['holdfast', command.name, '[flags]', command.arguments.usage];
  const lines = [
    ...paragraphs(command.description),
    '',
    'Usage:',
    `  ${usage.filter(Boolean).join(' ')}`,
    '',
    'Examples:',
    ...examples(command.examples),
  ];
  if (Object.keys(command.flags).length > 0) lines.push('', 'Flags:', ...flagRows(command.flags));
  lines.push('', 'Exit codes:');
  const texts = { ...exitCodeTexts, 3: command.partialText ?? exitCodeTexts[3] };
  lines.push(...twoColumns(command.exitCodes.map((code) => [`${code}`, texts[code]])));
  lines.push('', 'Global flags:', ...flagRows(globalFlags));
  return lines.join('\n');
}

function examples(list: Command['examples']): string[] {
  return list.flatMap(({ text, command }, i) => [
    ...(i > 0 ? [''] : []),
    `  # ${text}`,
    `  ${command}`,
  ]);
}

/** The help of a command that only has commands below it. */
export function groupHelp(group: CommandGroup): string {
  const rows = group.commands.map((command) => [command.name, command.summary] as const);
  return [
    ...paragraphs(group.description),
    '',
    'Usage:',
    `  holdfast ${group.name} [command] [flags]`,
    '',
    'Commands:',
    ...twoColumns(rows),
    '',
    'Examples:',
    ...examples(group.examples),
    '',
    `"holdfast help ${group.name} COMMAND" explains one of them.`,
  ].join('\n');
}

/** What `holdfast help` prints: all commands. */
export function programHelp(commands: readonly { name: string; summary: string }[]): string {
  return [
    ...paragraphs(
      'Holdfast backs up files to storage that you own and proves that they restore. Its repositories are restic ' +
        'repositories, and its commands and flags are those of restic.',
    ),
    '',
    'Usage:',
    '  holdfast [command] [flags]',
    '',
    'Commands:',
    ...twoColumns(commands.map(({ name, summary }) => [name, summary])),
    '',
    'Examples:',
    ...examples([
      { text: 'create a repository', command: 'holdfast -r /mnt/backup init' },
      { text: 'back up a folder', command: 'holdfast -r /mnt/backup backup ~/documents' },
      {
        text: 'bring it back',
        command: 'holdfast -r /mnt/backup restore latest --target /tmp/out',
      },
    ]),
    '',
    'Global flags:',
    ...flagRows(globalFlags),
    '',
    'Every variable of the form RESTIC_NAME can also be given as HOLDFAST_NAME, which wins.',
    '"holdfast help COMMAND" explains one command.',
  ].join('\n');
}
