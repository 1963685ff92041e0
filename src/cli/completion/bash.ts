import type { CompletedFlag, CompletionModel, ValueKind } from './model.ts';

/** The completion script for bash. It needs no other package. */
export function bashCompletion(model: CompletionModel): string {
  const groups = model.commands.filter(({ path, arguments: { kind } }) => {
    return kind === 'words' && model.commands.some((other) => isBelow(other.path, path));
  });
  const top = model.commands.filter(({ path }) => path.length === 1).map(({ path }) => path[0]);
  return `# bash completion for holdfast

_holdfast() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command="" i word
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
      -*) _holdfast_takes_value "$word" && ((i++)) ;;
      *)
        if [[ -z $command ]]; then command=$word
        elif [[ " ${groups.map(({ path }) => path[0]).join(' ')} " == *" $command "* ]]; then command+=" $word"
        fi ;;
    esac
  done
  if [[ $previous == = ]]; then previous=\${COMP_WORDS[COMP_CWORD-2]}; fi
  if [[ $current == = ]]; then current=""; previous=\${COMP_WORDS[COMP_CWORD-1]}; fi
  case $previous in
${valueCases(model)}
  esac
  if _holdfast_takes_value "$previous"; then return; fi
  local flags="${flagWords(model.globalFlags)}" words="" files=""
  case $command in
    "") words="${top.join(' ')}" ;;
${commandCases(model)}
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  elif [[ -n $files ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}

_holdfast_takes_value() {
  case $1 in
    ${allFlags(model)
      .filter(({ value }) => value.kind !== 'none')
      .flatMap(flagNames)
      .join('|')}) return 0 ;;
  esac
  return 1
}

complete -F _holdfast holdfast
`;
}

function isBelow(path: readonly string[], above: readonly string[]): boolean {
  return path.length > above.length && above.every((word, i) => path[i] === word);
}

/** Every flag once by its names; the same flag means the same in all commands, or takes the same kind of value. */
function allFlags(model: CompletionModel): CompletedFlag[] {
  const all = [...model.globalFlags, ...model.commands.flatMap(({ flags }) => flags)];
  const seen = new Map<string, CompletedFlag>();
  for (const flag of all) if (!seen.has(flag.name)) seen.set(flag.name, flag);
  return [...seen.values()];
}

function flagNames(flag: CompletedFlag): string[] {
  return flag.short ? [`--${flag.name}`, `-${flag.short}`] : [`--${flag.name}`];
}

function flagWords(flags: readonly CompletedFlag[]): string {
  return flags.flatMap(flagNames).join(' ');
}

function reply(value: ValueKind): string | undefined {
  switch (value.kind) {
    case 'file':
      return 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current"))';
    case 'directory':
      return 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$current"))';
    case 'words':
      return `COMPREPLY=($(compgen -W "${value.words.join(' ')}" -- "$current"))`;
    case 'none':
    case 'any':
      return undefined;
  }
}

function valueCases(model: CompletionModel): string {
  return allFlags(model)
    .flatMap((flag) => {
      const answer = reply(flag.value);
      return answer ? [`    ${flagNames(flag).join('|')}) ${answer}; return ;;`] : [];
    })
    .join('\n');
}

function commandCases(model: CompletionModel): string {
  return model.commands
    .map(({ path, flags, arguments: values }) => {
      const parts = [`flags+=" ${flagWords(flags)}"`];
      if (values.kind === 'file') parts.push('files=1');
      if (values.kind === 'words') parts.push(`words="${values.words.join(' ')}"`);
      return `    "${path.join(' ')}") ${parts.join('; ')} ;;`;
    })
    .join('\n');
}
