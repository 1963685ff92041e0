import { toHex } from '../base/bytes.ts';
import type { FoundObject } from '../engine/find-objects.ts';
import type { WalkedNode } from '../engine/trees/walk-paths.ts';
import { shortId } from '../repository/id.ts';
import { JsonWriter } from '../repository/json.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import { formatTime, localZone } from '../repository/time-format.ts';
import { formatLocalTime } from './format.ts';
import { formatLongHead } from './node-format.ts';
import { writeFoundNode } from './node-json.ts';
import type { BulkWriter, Output } from './output.ts';
import { pathLine, safeText } from './safe-text.ts';

/** Prints the paths that `find` finds, snapshot by snapshot. */
export class FoundPathPrinter {
  readonly #output: Output;
  readonly #options: { readonly long: boolean; readonly humanReadable: boolean };
  readonly #lines: BulkWriter;
  readonly #writer = new JsonWriter();
  #snapshot: StoredSnapshot | undefined;
  #hits = 0;
  #isFirst = true;

  constructor(
    output: Output,
    options: { readonly long: boolean; readonly humanReadable: boolean },
  ) {
    this.#output = output;
    this.#options = options;
    this.#lines = output.bulk();
    if (output.isJson) this.#lines.write('[');
  }

  begin(snapshot: StoredSnapshot): void {
    this.#snapshot = snapshot;
    this.#hits = 0;
  }

  match(item: WalkedNode): void {
    if (this.#hits === 0) this.#head();
    if (this.#output.isJson) this.#json(item);
    else {
      const { isTerminal } = this.#output.stdout;
      const head = this.#options.long ? { head: formatLongHead(item.node, this.#options) } : {};
      this.#lines.write(pathLine(item, { isTerminal, ...head }));
    }
    this.#hits++;
  }

  endSnapshot(): void {
    if (this.#hits === 0 || !this.#snapshot) return;
    if (this.#output.isJson) {
      this.#lines.write(`],"hits":${this.#hits},"snapshot":"${this.#snapshot.id}"}`);
    } else this.#lines.end();
  }

  end(): void {
    if (this.#output.isJson) this.#lines.write(']\n');
    this.#lines.end();
  }

  #head(): void {
    const separator = this.#isFirst ? '' : this.#output.isJson ? ',' : '\n';
    this.#isFirst = false;
    const { id = '', time } = this.#snapshot ?? {};
    if (this.#output.isJson) this.#lines.write(`${separator}{"matches":[`);
    else if (time && this.#output.verbosity >= 1) {
      const when = formatLocalTime(time);
      this.#lines.line(
        `${separator}Found matching entries in snapshot ${shortId(id)} from ${when}`,
      );
    }
  }

  #json({ path, node }: WalkedNode): void {
    const writer = this.#writer;
    writer.length = 0;
    if (this.#hits > 0) writer.ascii(',');
    writeFoundNode(writer, path, node);
    this.#lines.write(writer.bytes.slice(0, writer.length));
  }
}

/** Prints the uses of blobs and trees that `find` finds. */
export class FoundObjectPrinter {
  readonly #output: Output;
  readonly #lines: BulkWriter;
  #count = 0;

  constructor(output: Output) {
    this.#output = output;
    this.#lines = output.bulk();
    if (output.isJson) this.#lines.write('[');
  }

  found(found: FoundObject, snapshot: StoredSnapshot): void {
    if (this.#output.isJson) this.#json(found, snapshot);
    else this.#text(found, snapshot);
    this.#count++;
  }

  end(): void {
    if (this.#output.isJson) this.#lines.write(']\n');
    this.#lines.end();
  }

  #text({ type, id, path, parentTree }: FoundObject, snapshot: StoredSnapshot): void {
    this.#lines.line(`Found ${type} ${id}`);
    const label = type === 'blob' ? 'in file' : 'path';
    this.#lines.write(` ... ${label} `);
    this.#lines.write(this.#output.stdout.isTerminal ? safeText(path) : path);
    this.#lines.write('\n');
    if (parentTree) this.#lines.line(`     (tree ${toHex(parentTree)})`);
    const when = formatLocalTime(snapshot.time);
    this.#lines.line(` ... in snapshot ${shortId(snapshot.id)} (${when})`);
  }

  #json({ type, id, path, parentTree }: FoundObject, snapshot: StoredSnapshot): void {
    const writer = new JsonWriter(256);
    writer.ascii(`${this.#count > 0 ? ',' : ''}{"object_type":"${type}","id":"${id}","path":`);
    writer.string(path);
    if (parentTree) writer.ascii(`,"parent_tree":"${toHex(parentTree)}"`);
    const time = formatTime(snapshot.time, localZone);
    writer.ascii(`,"snapshot":"${snapshot.id}","time":"${time}"}`);
    this.#lines.write(writer.bytes.slice(0, writer.length));
  }
}
