/**
 * Gives the memory of a buffer back at once. Left to the collector, large buffers pile up in threads
 * that allocate little else. Nothing may use the buffer or a view of it afterwards.
 */
export function releaseBuffer(buffer: ArrayBuffer): void {
  if (!buffer.detached) buffer.transfer(0);
}
