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
  const below = model.commands.filter(
    ({ path }) => path.length === 2 && command.path.length === 1 && path[0] === command.path[0],
  );
  const isHelp = command.path[0] === 'help';
  const notHelp = isHelp ? [] : [`not ${seenOf('help')}`];
  const seen = [...notHelp, ...command.path.map((word) => seenOf(word))].join('; and ');
  // The words after "help" are all commands, and come below.
  if (below.length > 0 && !isHelp) {
    const condition = `-n '${seen}; and not ${seenOf(...below.map(lastWord))}'`;
    return below.map(
      (one) => `complete -c holdfast ${condition} -a ${lastWord(one)} -d ${quote(one.summary)}`,
    );
  }
  const condition = ` -n '${seen}'`;
  const lines = command.flags.map((flag) => flagLine(flag, condition));
  const values = valueOption(command.arguments).replace(' -x', '');
  if (values === '') return lines;
  // Of the words after "help" each is given once.
  const { arguments: given } = command;
  const others = given.kind === 'words' ? given.words.filter((word) => word !== 'help') : [];
  const once = isHelp ? `; and not ${seenOf(...others)}` : '';
  return [...lines, `complete -c holdfast -n '${seen}${once}'${values}`];
}

function seenOf(...words: readonly string[]): string {
  return `__fish_seen_subcommand_from ${words.join(' ')}`;
}

function lastWord({ path }: CompletedCommand): string {
  return path.at(-1) ?? '';
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
