import { JsonWriter } from '../repository/json.ts';
import { type TreeNode, unixMode } from '../repository/tree.ts';
import type { BulkWriter } from './output.ts';

const blockSizeBytes = 512;

/**
 * Writes the export format of ncdu, version 1.2.
 * @see https://dev.yorhel.nl/ncdu/jsonfmt
 */
export class NcduWriter {
  readonly #lines: BulkWriter;
  readonly #writer = new JsonWriter();
  #depth = 0;

  constructor(lines: BulkWriter) {
    this.#lines = lines;
  }

  /** @param metadata JSON to stand in the head */
  begin(metadata: string): void {
    this.#lines.write(`[1, 2, ${metadata}, [{"name":"/"}`);
    this.#depth = 1;
  }

  /** Writes one entry; one that is entered must be left again. */
  node(node: TreeNode, isEntered: boolean): void {
    const writer = this.#writer;
    writer.length = 0;
    writer.ascii(`,\n${'  '.repeat(this.#depth)}`);
    if (isEntered) {
      this.#depth++;
      writer.ascii(`[\n${'  '.repeat(this.#depth)}`);
    }
    writeEntry(writer, node);
    this.#lines.write(writer.bytes.slice(0, writer.length));
  }

  leave(): void {
    this.#depth--;
    this.#lines.write(`\n${'  '.repeat(this.#depth)}]`);
  }

  end(): void {
    this.#lines.write('\n]\n]\n');
  }
}

function writeEntry(writer: JsonWriter, node: TreeNode): void {
  const sizeOnDisk = Math.ceil(node.sizeBytes / blockSizeBytes) * blockSizeBytes;
  writer.ascii('{"name":');
  writer.string(node.name);
  writer.ascii(`,"asize":${node.sizeBytes},"dsize":${sizeOnDisk},"dev":${node.deviceId}`);
  const isSpecial = node.type !== 'file' && node.type !== 'dir';
  writer.ascii(`,"ino":${node.inode},"nlink":${node.links},"notreg":${isSpecial}`);
  writer.ascii(`,"uid":${node.uid},"gid":${node.gid},"mode":${unixMode(node.mode)}`);
  writer.ascii(`,"mtime":${node.mtime.seconds}}`);
}
