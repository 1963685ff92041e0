import type { CompletedCommand, CompletedFlag, CompletionModel, ValueKind } from './model.ts';

/** The completion script for zsh: source it, or store it as `_holdfast` in a folder of `$fpath`. */
export function zshCompletion(model: CompletionModel): string {
  const top = model.commands.filter(({ path }) => path.length === 1);
  return `#compdef holdfast
# zsh completion for holdfast

_holdfast() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  local -a global_flags
  global_flags=(
${model.globalFlags.flatMap(flagSpecs).map(indent(4)).join('\n')}
  )
  _arguments -C -S $global_flags '1: :->command' '*:: :->rest'
  case $state in
    command)
      local -a commands
      commands=(
${top.map(({ path, summary }) => indent(8)(quote(`${path[0]}:${summary}`))).join('\n')}
      )
      _describe 'command' commands ;;
    rest)
      case $line[1] in
${top.map((command) => commandCase(command, model)).join('\n')}
      esac ;;
  esac
}

if [ "$funcstack[1]" = _holdfast ]; then
  _holdfast "$@"
else
  compdef _holdfast holdfast
fi
`;
}

function indent(width: number): (line: string) => string {
  return (line) => ' '.repeat(width) + line;
}

function commandCase(command: CompletedCommand, model: CompletionModel): string {
  const below = model.commands.filter(
    ({ path }) => path.length === 2 && path[0] === command.path[0],
  );
  const [name] = command.path;
  if (below.length === 0) return `        ${name})\n${argumentsCall(ownSpecs(command), 10)} ;;`;
  const first = [quote(`1: :${action(command.arguments)}`), quote(`*:: :->${name}`)];
  const cases = below.map(
    (one) => `            ${one.path[1]})\n${argumentsCall(ownSpecs(one), 14)} ;;`,
  );
  return `        ${name})
${argumentsCall(first, 10, '-C ')}
          [[ $state == ${name} ]] && case $line[1] in
${cases.join('\n')}
          esac ;;`;
}

function ownSpecs(command: CompletedCommand): string[] {
  return [...command.flags.flatMap(flagSpecs), ...argumentSpecs(command.arguments)];
}

/** A call of `_arguments` over several lines. */
function argumentsCall(specs: readonly string[], width: number, options = ''): string {
  return [`_arguments ${options}-S $global_flags`, ...specs]
    .map((line, i) => indent(i === 0 ? width : width + 2)(line))
    .join(' \\\n');
}

function argumentSpecs(value: ValueKind): string[] {
  if (value.kind === 'none') return [];
  return [quote(`*: :${action(value)}`)];
}

function flagSpecs(flag: CompletedFlag): string[] {
  const text = flag.description.replace(/[[\]:\\]/g, String.raw`\$&`);
  const value = flag.value.kind === 'none' ? '' : `:${flag.name}:${action(flag.value)}`;
  const names = flag.short ? [`-${flag.short}`, `--${flag.name}`] : [`--${flag.name}`];
  return names.map((name) => {
    const others = flag.isRepeatable ? '*' : `(${names.join(' ')})`;
    const join = flag.value.kind === 'none' ? '' : name.startsWith('--') ? '=' : '+';
    return quote(`${others}${name}${join}[${text}]${value}`);
  });
}

function action(value: ValueKind): string {
  switch (value.kind) {
    case 'file':
      return '_files';
    case 'directory':
      return '_files -/';
    case 'words':
      return `(${value.words.join(' ')})`;
    case 'none':
    case 'any':
      return ' ';
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
