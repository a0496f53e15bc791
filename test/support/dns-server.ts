/**
 * An authoritative DNS server on loopback (RFC 1035), over UDP and TCP on one port, with the records that a test gives it. An
 * answer that does not fit into a datagram is cut off there, and comes whole over TCP (RFC 7766).
 */

import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";

/** What a name has. One without an entry does not exist. */
export interface DnsRecords {
  readonly a?: readonly string[];
  /** Each with its chunks; a string is cut into chunks by itself. */
  readonly txt?: readonly (string | readonly string[])[];
}

/** How a name answers in place of its records: an error, or not at all. */
export type DnsTrouble = "servfail" | "refused" | "silence" | "garbage";

/** A running server. */
export interface DnsServer {
  /** For `--dns-server`: address and port. */
  readonly address: string;
  /** By name; may be changed at any time. */
  readonly zone: Map<string, DnsRecords | DnsTrouble>;
  /** The questions so far, such as "TXT _keypears.acme.test"; those over TCP end with " tcp". */
  readonly questions: readonly string[];
  close(): Promise<void>;
}

const TYPES: ReadonlyMap<number, string> = new Map([
  [1, "A"],
  [16, "TXT"],
  [28, "AAAA"],
]);
const CODE = { ok: 0, servfail: 2, nxdomain: 3, refused: 5 } as const;
const MAX_DATAGRAM = 512;
const HEADER_LENGTH = 12;
const TRUNCATED = 0x0200;

/** Starts a server with records by name. */
export async function startDnsServer(
  records: Readonly<Record<string, DnsRecords | DnsTrouble>> = {},
): Promise<DnsServer> {
  const zone = new Map(Object.entries(records));
  const questions: string[] = [];

  const respond = (message: Buffer, transport: "udp" | "tcp"): Buffer | undefined => {
    const question = readQuestion(message);
    if (question === undefined) return undefined;
    const { name, type, end } = question;
    questions.push(`${TYPES.get(type) ?? type} ${name}${transport === "tcp" ? " tcp" : ""}`);
    const entry = zone.get(name);
    if (entry === "silence") return undefined;
    if (entry === "garbage") return Buffer.concat([message.subarray(0, 2), Buffer.from("no DNS at all")]);
    const answers = typeof entry === "object" ? answersOf(entry, type) : [];
    const code = entry === undefined ? CODE.nxdomain : typeof entry === "string" ? CODE[entry] : CODE.ok;
    const whole = response(message.subarray(0, end), code, answers, 0);
    return transport === "tcp" || whole.length <= MAX_DATAGRAM
      ? whole
      : response(message.subarray(0, end), code, [], TRUNCATED);
  };

  const tcp = net.createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const length = received.readUInt16BE(0);
        const answer = respond(received.subarray(2, 2 + length), "tcp");
        received = received.subarray(2 + length);
        if (answer !== undefined) socket.write(Buffer.concat([u16(answer.length), answer]));
      }
    });
  });
  const udp = dgram.createSocket("udp4");
  const port = await listenOnBoth(udp, tcp);
  udp.on("message", (message, from) => {
    const answer = respond(message, "udp");
    if (answer !== undefined) udp.send(answer, from.port, from.address);
  });

  return {
    address: `127.0.0.1:${port}`,
    zone,
    questions,
    async close() {
      const closed = [once(udp, "close"), once(tcp, "close")];
      udp.close();
      tcp.close();
      await Promise.all(closed);
    },
  };
}

/** The same port for both, of which the system picks one and the other may be taken. */
async function listenOnBoth(udp: dgram.Socket, tcp: net.Server): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    tcp.listen(0, "127.0.0.1");
    await once(tcp, "listening");
    const { port } = tcp.address() as net.AddressInfo;
    try {
      udp.bind(port, "127.0.0.1");
      await once(udp, "listening");
      return port;
    } catch (error) {
      if (attempt === 10) throw error;
      tcp.close();
      await once(tcp, "close");
    }
  }
}

interface Question {
  readonly name: string;
  readonly type: number;
  /** Where the question ends in the message. */
  readonly end: number;
}

function readQuestion(message: Buffer): Question | undefined {
  const labels: string[] = [];
  let at = HEADER_LENGTH;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return undefined;
    at += 1;
    if (length === 0) break;
    labels.push(message.toString("latin1", at, at + length));
    at += length;
  }
  if (message.length < at + 4) return undefined;
  return { name: labels.join(".").toLowerCase(), type: message.readUInt16BE(at), end: at + 4 };
}

interface Answer {
  readonly type: number;
  readonly data: Buffer;
}

function answersOf({ a = [], txt = [] }: DnsRecords, type: number): readonly Answer[] {
  if (type === 1) return a.map((address) => ({ type, data: Buffer.from(address.split(".").map(Number)) }));
  if (type !== 16) return [];
  return txt.map((record) => ({ type, data: Buffer.concat(chunksOf(record).map(characterString)) }));
}

function chunksOf(record: string | readonly string[]): readonly string[] {
  return typeof record === "string" ? (record.match(/.{1,255}/gs) ?? [""]) : record;
}

function characterString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

/** A response that repeats the question, and whose answers point back at its name. */
function response(query: Buffer, code: number, answers: readonly Answer[], flags: number): Buffer {
  // QR, AA, the caller's RD, RA.
  const bits = 0x8480 | (query.readUInt16BE(2) & 0x0100) | flags | code;
  const header = Buffer.concat([
    query.subarray(0, 2),
    u16(bits),
    u16(1),
    u16(answers.length),
    u16(0),
    u16(0),
  ]);
  const records = answers.map(({ type, data }) =>
    // A pointer to the question's name, class IN, a TTL of 0.
    Buffer.concat([u16(0xc000 | HEADER_LENGTH), u16(type), u16(1), u16(0), u16(0), u16(data.length), data]),
  );
  return Buffer.concat([header, query.subarray(HEADER_LENGTH), ...records]);
}

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
