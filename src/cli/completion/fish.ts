import type { CompletedCommand, CompletedFlag, CompletionModel, ValueKind } from './model.ts';

/** The completion script for fish. */
export function fishCompletion(model: CompletionModel): string {
  const top = model.commands.filter(({ path }) => path.length === 1);
  const names = top.map(({ path }) => path[0]).join(' ');
  const lines = [
    '# fish completion for holdfast',
    '',
    'complete -c holdfast -f',
    ...model.globalFlags.map((flag) => flagLine(flag, '')),
    ...top.map(
      ({ path, summary }) =>
        `complete -c holdfast -n 'not __fish_seen_subcommand_from ${names}' -a ${path[0]} -d ${quote(summary)}`,
    ),
    ...model.commands.flatMap((command) => commandLines(command, model)),
  ];
  return `${lines.join('\n')}\n`;
}

function commandLines(command: CompletedCommand, model: CompletionModel): string[] {
  const seen = command.path.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
  const below = model.commands.filter(
    ({ path }) => path.length === 2 && command.path.length === 1 && path[0] === command.path[0],
  );
  // The words after "help" are all commands, and come below.
  if (below.length > 0 && command.path[0] !== 'help') {
    const names = below.map(({ path }) => path[1]).join(' ');
    const condition = `-n '${seen}; and not __fish_seen_subcommand_from ${names}'`;
    return below.map(
      ({ path, summary }) => `complete -c holdfast ${condition} -a ${path[1]} -d ${quote(summary)}`,
    );
  }
  const condition = ` -n '${seen}'`;
  const lines = command.flags.map((flag) => flagLine(flag, condition));
  const values = valueOption(command.arguments).replace(' -x', '');
  if (values !== '') lines.push(`complete -c holdfast${condition}${values}`);
  return lines;
}

function flagLine(flag: CompletedFlag, condition: string): string {
  const short = flag.short ? ` -s ${flag.short}` : '';
  const value = flag.value.kind === 'any' ? ' -x' : valueOption(flag.value);
  return `complete -c holdfast${condition}${short} -l ${flag.name}${value} -d ${quote(flag.description)}`;
}

function valueOption(value: ValueKind): string {
  switch (value.kind) {
    case 'file':
      return ' -r -F';
    case 'directory':
      return " -x -a '(__fish_complete_directories)'";
    case 'words':
      return ` -x -a ${quote(value.words.join(' '))}`;
    case 'none':
    case 'any':
      return '';
  }
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, String.raw`\$&`)}'`;
}
