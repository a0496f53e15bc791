/**
 * Where the bytes of a stream come from: pieces that are given, or a reader that fills what it is handed, as a file does,
 * which spares a copy.
 */

/** Fills a buffer from its start, in part at least. Returns how many bytes it put there; 0 is the end. */
export interface ByteReader {
  readInto(buffer: Uint8Array): Promise<number>;
}

/** Bytes that come in pieces of any size, or a reader of them. */
export type ByteSource = AsyncIterable<Uint8Array> | ReadableStream<Uint8Array> | ByteReader;

/** The pieces of a source, one after the other. */
export interface Pieces {
  /** The next piece, or null at the end. It is good until the one after it is asked for. */
  next(): Promise<Uint8Array | null>;
  /** Ends the reading; a source that has not come to its end is told so. */
  close(): Promise<void>;
}

/** A reader that is to be closed. */
export interface SourceReader extends ByteReader {
  /** Ends the reading; a source that has not come to its end is told so. */
  close(): Promise<void>;
}

/** The pieces of any source; those of a reader have `length` bytes at most. */
export function piecesOf(source: ByteSource, length: number): Pieces {
  if ("readInto" in source) return piecesOfReader(source, length);
  return "getReader" in source ? piecesOfWebStream(source) : piecesOfIterable(source);
}

/** The reader of any source. */
export function readerOf(source: ByteSource): SourceReader {
  if ("readInto" in source) return { readInto: (buffer) => source.readInto(buffer), close: async () => {} };
  const pieces = piecesOf(source, 0);
  let piece = new Uint8Array(0);
  return {
    close: () => pieces.close(),
    async readInto(buffer) {
      while (piece.length === 0) {
        const next = await pieces.next();
        if (next === null) return 0;
        piece = next as Uint8Array<ArrayBuffer>;
      }
      const part = piece.subarray(0, buffer.length);
      buffer.set(part);
      piece = piece.subarray(part.length);
      return part.length;
    },
  };
}

function piecesOfReader(reader: ByteReader, length: number): Pieces {
  const buffer = new Uint8Array(length);
  return {
    async next() {
      const read = await reader.readInto(buffer);
      return read === 0 ? null : buffer.subarray(0, read);
    },
    close: async () => {},
  };
}

function piecesOfIterable(source: AsyncIterable<Uint8Array>): Pieces {
  const iterator = source[Symbol.asyncIterator]();
  let ended = false;
  return {
    async next() {
      const { done, value } = await iterator.next();
      ended = done === true;
      return done ? null : value;
    },
    async close() {
      if (!ended) await iterator.return?.();
    },
  };
}

/** Not every browser can iterate a web stream. */
function piecesOfWebStream(stream: ReadableStream<Uint8Array>): Pieces {
  const reader = stream.getReader();
  let ended = false;
  return {
    async next() {
      const { done, value } = await reader.read();
      ended = done;
      return done ? null : value;
    },
    async close() {
      if (!ended) await reader.cancel();
      reader.releaseLock();
    },
  };
}
