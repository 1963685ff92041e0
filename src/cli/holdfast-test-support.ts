import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hurried } from '../../test/tools/engine.ts';
import { runCommand } from '../../test/tools/in-process.ts';
import { program } from '../../test/tools/program.ts';
import { compiledOnce } from '../../test/tools/run-program.ts';
import { slowMachine } from '../../test/tools/slow-machine.ts';
import { systemEnvironment } from '../base/environment.ts';
import { openRepository, createRepository, type Repository } from '../repository/repository.ts';
import { LocalBackend } from '../storage/local/local-backend.ts';

/** For tests: runs the real program, on repositories whose keys cost little. */

const environment = systemEnvironment;
const scrypt = { N: 1024, r: 8, p: 1 };

export const password = 'correct horse';

export interface HoldfastRun {
  readonly exitCode: number | null;
  readonly output: string;
  readonly errors: string;
}

export interface HoldfastSettings {
  readonly variables?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
}

/** A folder for one test file, with a repository in it. */
export class TestPlace {
  readonly folder: string;
  readonly repository: string;
  readonly #started: Set<string> | undefined;
  readonly #folderBefore: string = process.cwd();

  private constructor(folder: string, started: Set<string> | undefined) {
    this.folder = folder;
    this.repository = path.join(folder, 'repository');
    this.#started = started;
  }

  /**
   * Makes a folder; `remove` it at the end.
   * @param started for tests of what commands do: those that ran as a process. Each does once; then it runs in this
   *   process, which takes a tenth of the time, and works in the folder meanwhile
   */
  static create(started?: Set<string>): TestPlace {
    const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
    const folder = realpathSync(mkdtempSync(path.join(parent, 'holdfast-cli-')));
    const place = new TestPlace(folder, started);
    if (started) process.chdir(folder);
    return place;
  }

  at(...names: string[]): string {
    return path.join(this.folder, ...names);
  }

  /** Creates a repository; the default one unless another folder is named. */
  async createRepository(folder: string = this.repository): Promise<Repository> {
    const backend = await LocalBackend.open(folder, { environment });
    const who = { hostname: 'host', username: 'user', scrypt };
    return createRepository(backend, { environment, ...who, password: Buffer.from(password) });
  }

  /** Opens it in this process. */
  async openRepository(folder: string = this.repository): Promise<Repository> {
    const backend = await LocalBackend.open(folder, { environment });
    return openRepository(backend, { environment, password: Buffer.from(password) });
  }

  /** Starts the program with its repository and password in the environment. Keys that it makes cost little. */
  start(args: readonly string[], settings: HoldfastSettings = {}): ChildProcess {
    return spawn(process.execPath, [program, ...args], {
      cwd: settings.cwd ?? this.folder,
      env: {
        // Types are stripped once, not for every run.
        ...compiledOnce,
        ...(['init', 'key'].some((name) => args.includes(name)) ? slowMachine : {}),
        ...this.#variables(settings),
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  #variables(settings: HoldfastSettings): Record<string, string> {
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: this.folder,
      TZ: process.env['TZ'] ?? 'UTC',
      RESTIC_REPOSITORY: this.repository,
      RESTIC_PASSWORD: password,
      RESTIC_CACHE_DIR: this.at('cache'),
      ...settings.variables,
    };
  }

  /** Runs the program to its end. */
  run(args: readonly string[], settings: HoldfastSettings = {}): Promise<HoldfastRun> {
    const [command = ''] = args;
    if (this.#started?.has(command) && !settings.cwd && settings.input === undefined) {
      const variables = this.#variables(settings);
      return runCommand(args, { variables, environment: hurried, outputSizeBytesMax: 1 << 26 });
    }
    this.#started?.add(command);
    const child = this.start(args, settings);
    // A program that ends without reading its input is no failure of ours.
    child.stdin?.on('error', () => {});
    child.stdin?.end(settings.input ?? '');
    return finished(child);
  }

  /** Runs the program, which must succeed. @returns what it printed */
  async must(args: readonly string[], settings: HoldfastSettings = {}): Promise<string> {
    const { exitCode, output, errors } = await this.run(args, settings);
    if (exitCode === 0) return output;
    throw new Error(`holdfast ${args.join(' ')}: exit code ${exitCode}\n${output}${errors}`);
  }

  /** Runs the program with --json; the documents it printed, one a line. */
  async json(args: readonly string[], settings: HoldfastSettings = {}): Promise<unknown[]> {
    return jsonLines(await this.must([...args, '--json'], settings));
  }

  remove(): void {
    if (this.#started) process.chdir(this.#folderBefore);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What a program that was started has printed when it ends. */
export async function finished(child: ChildProcess): Promise<HoldfastRun> {
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout?.on('data', (part: Buffer) => output.push(part));
  child.stderr?.on('data', (part: Buffer) => errors.push(part));
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return {
    exitCode,
    output: Buffer.concat(output).toString('utf8'),
    errors: Buffer.concat(errors).toString('utf8'),
  };
}

/** Documents of output that holds one a line. */
export function jsonLines(output: string): unknown[] {
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));
}
