/**
 * Load over HTTP/2 (RFC 9113) with frames written ahead: a call is a copy of bytes in which only the stream's number changes.
 * Answers are compared byte for byte as they come. The header table of the peer is set to size 0 (RFC 7541 §4.2), so that no
 * header block hangs on one before it and the status can be read without a decoder.
 */

import { once } from "node:events";
import { connect } from "node:net";
import { concat, u8, u32, utf8 } from "../../src/crypto/bytes.ts";
import type { LoadJob } from "./load.ts";
import type { LoadConnection, LoadEvents } from "./load-process.ts";
import { REQUEST_HEADERS } from "./question.ts";

const PREFACE = utf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const FRAME_HEADER_BYTES = 9;
// RFC 9113 §6.
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const ACK = 1;
const END_STREAM = 1;
const END_HEADERS = 4;
const PADDED = 8;
// RFC 9113 §6.5.2.
const HEADER_TABLE_SIZE = 1;
const ENABLE_PUSH = 2;
const INITIAL_WINDOW_SIZE = 4;
const MAX_WINDOW = 2 ** 31 - 1;
const DEFAULT_WINDOW = 65_535;
/** So much is taken before the connection's window is opened again. */
const REOPEN_WINDOW = 2 ** 30;
/** `:status: 200` of the static table (RFC 7541, appendix A). */
const STATUS_200 = 0x88;

/** A call that is under way. */
interface Pending {
  readonly began: number;
  /** Bytes of the answer that have come. */
  at: number;
  /** Whether the header said 200. */
  ok: boolean;
}

/** Opens a connection. */
export async function startHttp2(job: LoadJob, events: LoadEvents): Promise<LoadConnection> {
  const { answer, request } = job.question;
  const expected = Buffer.from(answer);
  const call = callFrames(job);
  const idAt = [5, call.length - request.length - FRAME_HEADER_BYTES + 5];
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let calls = 0;
  let taken = 0;
  let sendWindow = DEFAULT_WINDOW;
  let due = 0;
  let rest: Buffer = Buffer.alloc(0);

  const socket = connect(job.port, "127.0.0.1");
  await once(socket, "connect");
  socket.setNoDelay(true);
  socket.on("error", (error) => events.failed(error.message));
  socket.on("data", (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const answered = takeFrames();
    if (answered > 0 && pending.size === 0 && !events.goOn()) events.idle();
    else if (events.goOn()) due += answered;
    ask();
  });
  socket.write(
    concat(
      PREFACE,
      frame(
        SETTINGS,
        0,
        0,
        concat(
          setting(HEADER_TABLE_SIZE, 0),
          setting(ENABLE_PUSH, 0),
          setting(INITIAL_WINDOW_SIZE, MAX_WINDOW),
        ),
      ),
      frame(WINDOW_UPDATE, 0, 0, u32(MAX_WINDOW - DEFAULT_WINDOW)),
    ),
  );

  /** Writes the calls that are due, as many as the peer has room for. */
  function ask(): void {
    const count = Math.min(due, Math.floor(sendWindow / request.length));
    if (count === 0) return;
    due -= count;
    sendWindow -= count * request.length;
    const began = performance.now();
    const out = Buffer.allocUnsafe(count * call.length);
    for (let i = 0; i < count; i++) {
      out.set(call, i * call.length);
      for (const at of idAt) out.writeUInt32BE(nextId, i * call.length + at);
      pending.set(nextId, { began, at: 0, ok: false });
      nextId += 2;
    }
    socket.write(out);
  }

  /** Takes all frames that are complete; answers with how many calls ended. */
  function takeFrames(): number {
    const now = performance.now();
    let at = 0;
    let ended = 0;
    while (rest.length - at >= FRAME_HEADER_BYTES) {
      const length = rest.readUIntBE(at, 3);
      const payload = at + FRAME_HEADER_BYTES;
      if (rest.length < payload + length) break;
      const type = rest.readUInt8(at + 3);
      const flags = rest.readUInt8(at + 4);
      const id = rest.readUInt32BE(at + 5);
      at = payload + length;
      if (id === 0) {
        takeOfConnection(type, flags, rest.subarray(payload, at));
        continue;
      }
      const one = pending.get(id);
      if (one === undefined) {
        // WINDOW_UPDATE for a stream that has ended is allowed (RFC 9113 §6.9).
        if (type !== WINDOW_UPDATE) events.failed("a frame of a stream that is not open");
        continue;
      }
      if (type === DATA) takeData(one, flags, payload, length);
      else if (type === HEADERS) takeHeaders(one, flags, payload);
      else if (type === RST_STREAM) events.failed("a call was reset");
      if ((type === DATA || type === HEADERS) && flags & END_STREAM) {
        pending.delete(id);
        ended += 1;
        if (one.ok && one.at === expected.length) {
          calls += 1;
          events.answered(now - one.began);
        } else events.failed("a wrong answer");
      }
    }
    rest = rest.subarray(at);
    if (taken >= REOPEN_WINDOW) {
      socket.write(frame(WINDOW_UPDATE, 0, 0, u32(taken)));
      taken = 0;
    }
    return ended;
  }

  function takeData(one: Pending, flags: number, payload: number, length: number): void {
    taken += length;
    const same = expected.compare(rest, payload, payload + length, one.at, one.at + length) === 0;
    if (!same || flags & PADDED) one.ok = false;
    one.at += length;
  }

  /** The first block says the status, perhaps after the new size of the header table; a second one holds trailers. */
  function takeHeaders(one: Pending, flags: number, payload: number): void {
    if (one.at > 0 || !(flags & END_HEADERS)) return;
    const first = rest.readUInt8(payload);
    one.ok = (first === 0x20 ? rest.readUInt8(payload + 1) : first) === STATUS_200;
  }

  function takeOfConnection(type: number, flags: number, payload: Buffer): void {
    if (type === SETTINGS && !(flags & ACK)) socket.write(frame(SETTINGS, ACK, 0, new Uint8Array(0)));
    else if (type === PING && !(flags & ACK)) socket.write(frame(PING, ACK, 0, payload));
    else if (type === WINDOW_UPDATE) sendWindow += payload.readUInt32BE(0) & MAX_WINDOW;
    else if (type === GOAWAY) events.failed("the server ended the connection");
  }

  return {
    localPort: socket.localPort ?? 0,
    get calls() {
      return calls;
    },
    start() {
      due = job.streams;
      ask();
    },
    close: () => socket.destroy(),
  };
}

/** HEADERS and DATA of one call; the number of the stream is put in later. */
function callFrames({ port, question }: LoadJob): Uint8Array {
  const fields = {
    ":method": "POST",
    ":scheme": "http",
    ":path": question.path,
    ":authority": `127.0.0.1:${port}`,
    ...REQUEST_HEADERS[question.carrier],
  };
  const block = concat(...Object.entries(fields).map(([name, value]) => literal(name, value)));
  return concat(frame(HEADERS, END_HEADERS, 0, block), frame(DATA, END_STREAM, 0, question.request));
}

/** A header field without indexing, its name and value as they stand (RFC 7541 §6.2.2); both shorter than 127 bytes. */
function literal(name: string, value: string): Uint8Array {
  return concat(u8(0), u8(name.length), utf8(name), u8(value.length), utf8(value));
}

function frame(type: number, flags: number, id: number, payload: Uint8Array): Uint8Array {
  return concat(u32(payload.length).subarray(1), u8(type), u8(flags), u32(id), payload);
}

function setting(name: number, value: number): Uint8Array {
  return concat(u8(0), u8(name), u32(value));
}
