import { expect, test } from 'vitest';
import fc from 'fast-check';

import { Frames, frameSizeBytesMax } from './frames.ts';
import { PacketReader, PacketWriter, replies, WireError } from './wire.ts';

/** What a handler heard, packet by packet. */
function listen(): { frames: Frames; heard: string[]; targets: Map<number, Uint8Array> } {
  const heard: string[] = [];
  const targets = new Map<number, Uint8Array>();
  const frames = new Frames({
    target: (id, sizeBytes) => {
      const target = targets.get(id);
      if (!target || sizeBytes > target.byteLength) throw new WireError('not asked for');
      return target.subarray(0, sizeBytes);
    },
    data: (id, sizeBytes) => heard.push(`data ${id} ${sizeBytes}`),
    packet: (type, id, body) => heard.push(`${type} ${id} ${body.toString('hex')}`),
  });
  return { frames, heard, targets };
}

function dataPacket(id: number, content: Uint8Array): Buffer {
  return new PacketWriter(replies.data).number(id).string(content).finish();
}

test('understands packets however the stream is cut', () => {
  const contents = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 });
  fc.assert(
    fc.property(contents, fc.array(fc.integer({ min: 1, max: 40 })), (parts, cuts) => {
      const { frames, heard, targets } = listen();
      const packets = parts.map((part, id) => {
        targets.set(id, new Uint8Array(60));
        if (id % 2 === 0) return dataPacket(id, part);
        return new PacketWriter(replies.handle).number(id).string(part).finish();
      });
      const stream = Buffer.concat(packets);
      let offset = 0;
      for (const cut of cuts) offset += pushPart(frames, stream, { offset, sizeBytes: cut });
      pushPart(frames, stream, { offset, sizeBytes: stream.length });
      const expected = parts.map((part, id) => {
        if (id % 2 === 0) return `data ${id} ${part.length}`;
        const body = new PacketWriter(0).string(part).finish().subarray(5);
        return `${replies.handle} ${id} ${body.toString('hex')}`;
      });
      expect(heard).toEqual(expected);
      for (const [id, part] of parts.entries()) {
        if (id % 2 === 0) expect(targets.get(id)?.slice(0, part.length)).toEqual(part);
      }
    }),
    { seed: 1, numRuns: 200 },
  );
});

function pushPart(
  frames: Frames,
  stream: Buffer,
  { offset, sizeBytes }: { offset: number; sizeBytes: number },
): number {
  const part = stream.subarray(offset, offset + sizeBytes);
  if (part.length > 0) frames.push(part);
  return part.length;
}

test.each([0, 4, frameSizeBytesMax + 1, 0xffffffff])('refuses a packet of %d bytes', (length) => {
  const head = Buffer.alloc(9);
  head.writeUInt32BE(length);
  expect(() => listen().frames.push(head)).toThrow(WireError);
});

test('refuses data that nobody asked for, more than was asked for, and a length that is not its own', () => {
  const { frames, targets } = listen();
  expect(() => frames.push(dataPacket(7, new Uint8Array(3)))).toThrow(WireError);
  targets.set(8, new Uint8Array(2));
  expect(() => listen().frames.push(dataPacket(8, new Uint8Array(3)))).toThrow(WireError);
  const lying = dataPacket(8, new Uint8Array(2));
  lying.writeUInt32BE(1, 9);
  expect(() => listen().frames.push(lying)).toThrow(WireError);
});

test('reads attributes with all that may stand in them', () => {
  const bytes = new PacketWriter(0)
    .number(0x8000000f)
    .long(2 ** 40)
    .number(1)
    .number(2)
    .number(0o100640)
    .number(11)
    .number(12)
    .number(1)
    .string('name')
    .string('value')
    .finish();
  const reader = new PacketReader(bytes, 5);
  const expected = { sizeBytes: 2 ** 40, mode: 0o640, kind: 'file', modifiedSeconds: 12 };
  expect(reader.attributes()).toEqual(expected);
  expect(reader.isAtEnd).toBe(true);
  expect(() => reader.number()).toThrow(WireError);
});
