import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemEnvironment } from '../base/environment.ts';
import { program } from '../../test/tools/program.ts';
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

  private constructor(folder: string) {
    this.folder = folder;
    this.repository = path.join(folder, 'repository');
  }

  /** Makes a folder; `remove` it at the end. */
  static create(): TestPlace {
    return new TestPlace(realpathSync(mkdtempSync(path.join(tmpdir(), 'holdfast-cli-'))));
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

  /** Starts the program with its repository and password in the environment. */
  start(args: readonly string[], settings: HoldfastSettings = {}): ChildProcess {
    const variables = {
      PATH: process.env['PATH'],
      HOME: this.folder,
      TZ: process.env['TZ'] ?? 'UTC',
      RESTIC_REPOSITORY: this.repository,
      RESTIC_PASSWORD: password,
      RESTIC_CACHE_DIR: this.at('cache'),
      // Types are stripped once, not for every run.
      NODE_COMPILE_CACHE: path.join(tmpdir(), 'holdfast-compile-cache'),
      ...settings.variables,
    };
    return spawn(process.execPath, [program, ...args], {
      cwd: settings.cwd ?? this.folder,
      env: variables,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  /** Runs the program to its end. */
  run(args: readonly string[], settings: HoldfastSettings = {}): Promise<HoldfastRun> {
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
