import { on } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { BlobIndex } from './blob-index.ts';
import { SharedMutex } from './blob-mutex.ts';
import { idOf } from './index-test-support.ts';

const failed = expect.objectContaining({ code: 'WORKER_FAILED' });

/** A thread that takes the lock and never lets go: what it posts is `held`, or what taking it threw. */
function taker(words: Int32Array<SharedArrayBuffer>): Worker {
  const code = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.module).then(({ SharedMutex }) => {
      const mutex = new SharedMutex(workerData.words, 0);
      parentPort.postMessage('asking');
      try {
        mutex.lock();
        parentPort.postMessage('held');
      } catch (error) {
        parentPort.postMessage(error.code);
      }
    });`;
  const module = new URL('./blob-mutex.ts', import.meta.url).href;
  return new Worker(code, { eval: true, workerData: { words, module } });
}

/** What a thread says, in order: asked once for each, since two messages that come at once are two all the same. */
function wordsOf(worker: Worker): () => Promise<unknown> {
  const messages = on(worker, 'message');
  return async () => {
    const { value = [] } = await messages.next();
    return value[0] as unknown;
  };
}

describe('a lock between threads', () => {
  it('whose holder was stopped by force is refused at once, when that is known', async () => {
    const words = new Int32Array(new SharedArrayBuffer(4));
    const worker = taker(words);
    const said = wordsOf(worker);
    expect(await said()).toBe('asking');
    expect(await said()).toBe('held');
    await worker.terminate();
    const mutex = new SharedMutex(words, 0);
    mutex.abandon();
    expect(() => mutex.lock()).toThrow(failed);
    expect(() => mutex.lock()).toThrow(failed);
  });

  it('wakes who waits for it when its holder is gone', async () => {
    const words = new Int32Array(new SharedArrayBuffer(4));
    const mutex = new SharedMutex(words, 0);
    mutex.lock();
    const worker = taker(words);
    const said = wordsOf(worker);
    expect(await said()).toBe('asking');
    const answer = said();
    mutex.abandon();
    expect(await answer).toBe('WORKER_FAILED');
    await worker.terminate();
  });

  it('that nobody holds goes on being one', () => {
    const mutex = new SharedMutex(new Int32Array(new SharedArrayBuffer(4)), 0);
    mutex.abandon();
    mutex.lock();
    mutex.unlock();
    mutex.lock();
    mutex.abandon();
    expect(() => mutex.lock()).toThrow(failed);
  });
});

describe('an index that a thread was changing when it was stopped', () => {
  it('refuses changes at once, and can be searched', () => {
    const index = BlobIndex.create();
    const pack = index.addPack(idOf('pack'));
    const { control } = index.share();
    new SharedMutex(new Int32Array(control), 0).lock();
    index.abandonThreads();
    expect(() => index.addPack(idOf('other'))).toThrow(failed);
    expect(() => index.claim('data', idOf(1))).toThrow(failed);
    expect(index.findPack(idOf('pack'))).toBe(pack);
  });
});
