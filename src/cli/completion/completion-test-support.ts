import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { completionScript, type Shell } from './script.ts';

/** For tests: what real shells offer for the last word of a command line. */

/** Longest time for all questions to one shell. */
const answerMsMax = 60_000;

/** Asks bash by calling the function that it would call. */
const bashAsks = `
  source "$1"; shift
  COMP_WORDS=(holdfast "$@"); COMP_CWORD=$#
  _holdfast 2>/dev/null
  printf '%s\\n' "\${COMPREPLY[@]}"`;

const fishAsks = String.raw`source $argv[1]; complete -C $argv[2] | string split -f 1 \t`;

/** Prepares the interactive zsh below: ^T writes all matches of the line to the pipe, and empties the line. */
const zshPrepared = `
PS1= PS2= RPS1=
autoload -Uz compinit && compinit -u -D
source $SCRIPT
typeset -ga hits
compadd() {
  local -a some
  # Who collects matches himself adds none.
  [[ " \${(j: :)@[1,(i)--]} " == *\\ -[OAD]\\ * ]] || { builtin compadd -O some "$@"; hits+=($some) }
  builtin compadd "$@"
}
collect() { _main_complete; compstate[insert]= compstate[list]= }
zle -C collect complete-word collect
tell() { hits=(); zle collect; print -rl -- $hits END >$PIPE; BUFFER= }
zle -N tell
bindkey '^T' tell
print ready >$PIPE
`;

/** Types lines at a zsh that believes to have a terminal. */
const zshAsks = `
zmodload zsh/zpty
mkfifo $PIPE
zpty shell zsh -f -i
zpty -w shell "source $PREPARED"
read -r line <$PIPE
for line in "$@"; do
  zpty -w -n shell "$line"$'\\x14'
  cat $PIPE
done
zpty -d shell`;

/** Shells with their completion scripts, in a folder that is there for them. */
export class Shells {
  readonly #folder: string;

  /** @param folder empty; also the home of the shells */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Stores the script of a shell. @returns its path */
  async prepare(shell: Shell): Promise<string> {
    const script = this.#scriptOf(shell);
    writeFileSync(script, await completionScript(shell));
    return script;
  }

  /**
   * What a shell offers for the last word of each list, sorted. Without what shells add behind a word: `=` or a slash.
   * @param cwd where it stands
   */
  offered(shell: Shell, lists: readonly (readonly string[])[], cwd: string): string[][] {
    const answers = this.#ask(shell, lists, cwd);
    return answers.map((answer) => {
      const lines = answer.split('\n').filter((line) => line !== '');
      return [...new Set(lines.map((line) => line.replace(/[=/]$/, '')))].toSorted();
    });
  }

  #ask(shell: Shell, lists: readonly (readonly string[])[], cwd: string): string[] {
    const script = this.#scriptOf(shell);
    const env = { PATH: process.env['PATH'], HOME: this.#folder, TERM: 'dumb', LANG: 'C.UTF-8' };
    const options = { cwd, env, encoding: 'utf8', timeout: answerMsMax } as const;
    const lines = lists.map((words) => ['holdfast', ...words].join(' '));
    if (shell === 'bash') {
      return lists.map(
        (words) => spawnSync('bash', ['-c', bashAsks, 'bash', script, ...words], options).stdout,
      );
    }
    if (shell === 'fish') {
      return lines.map(
        (line) => spawnSync('fish', ['--no-config', '-c', fishAsks, script, line], options).stdout,
      );
    }
    const prepared = join(this.#folder, 'prepared.zsh');
    writeFileSync(prepared, zshPrepared);
    const names = { SCRIPT: script, PREPARED: prepared, PIPE: join(this.#folder, 'pipe') };
    const { stdout } = spawnSync('zsh', ['-f', '-c', zshAsks, 'zsh', ...lines], {
      ...options,
      env: { ...env, ...names },
    });
    return stdout.split('END\n').slice(0, -1);
  }

  #scriptOf(shell: Shell): string {
    return join(this.#folder, `holdfast.${shell}`);
  }
}
