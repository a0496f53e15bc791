/**
 * BLAKE3 of an open file, on several threads, each of which reads its own subtrees from the file straight into the memory
 * that it hashes. For Node only, where threads share the files of their process.
 */

import { CryptoError } from "./errors.ts";
import { createHashCrew, SUBTREE_LENGTH, type Subtree } from "./hash-crew.ts";
import { checkHashOptions, type HashOptions } from "./hash-options.ts";
import { hashStream } from "./hash-stream.ts";
import { chosenKernel } from "./select.ts";

/**
 * The hash of a regular file as long as it is now; what is appended meanwhile is left out. The file must stay open until
 * the promise settles.
 *
 * @param fd its descriptor, open for reading. Its position does not matter and is not moved.
 * @throws CryptoError `out-of-range` for a length or number of threads beyond the limits, `unavailable` where there are no
 * files, or when the file becomes shorter; the system's error when it cannot be read; the signal's reason.
 */
export async function hashFile(fd: number, options: HashOptions = {}): Promise<Uint8Array> {
  const { threads, length } = checkHashOptions(options);
  const { signal, onProgress } = options;
  const files = globalThis.process?.getBuiltinModule?.("node:fs");
  if (files === undefined) throw new CryptoError("unavailable", "there are no files here");
  const { size } = files.fstatSync(fd);
  const readAt = (buffer: Uint8Array, position: number) => {
    const read = files.readSync(fd, buffer, 0, buffer.length, position);
    if (read === 0) throw new CryptoError("unavailable", "the file became shorter while it was hashed");
    return read;
  };

  const kernel = chosenKernel();
  if (kernel === null || size <= SUBTREE_LENGTH) {
    return hashStream(readerOf(size, readAt), { ...options, threads: 1 });
  }
  signal?.throwIfAborted();
  const crew = createHashCrew(kernel, threads);
  let bytes = 0;
  const done = (read: number) => {
    bytes += read;
    onProgress?.(bytes);
  };
  try {
    for (let position = 0; position < size; position += SUBTREE_LENGTH) {
      signal?.throwIfAborted();
      await crew.hash(subtreeAt(position, Math.min(SUBTREE_LENGTH, size - position)));
    }
    return await crew.digest(length);
  } finally {
    await crew.close();
  }

  function subtreeAt(position: number, length: number): Subtree {
    return {
      async onThread(thread, base) {
        const chainingValue = await thread.subtreeOfFile(fd, position, length, base);
        done(length);
        return chainingValue;
      },
      here(join, base) {
        const chainingValue = join.subtreeFrom(
          (input, offset) => readAt(input, position + offset),
          length,
          base,
        );
        done(length);
        return chainingValue;
      },
    };
  }
}

/** The first `size` bytes of a file as a reader. */
function readerOf(size: number, readAt: (buffer: Uint8Array, position: number) => number) {
  let position = 0;
  return {
    async readInto(buffer: Uint8Array) {
      const wanted = Math.min(buffer.length, size - position);
      if (wanted === 0) return 0;
      const read = readAt(buffer.subarray(0, wanted), position);
      position += read;
      return read;
    },
  };
}
