// A small internet on this machine: names in a DNS server, certificates of an authority that only those trust who are told to,
// web servers, nodes and the command-line tool as operating-system processes. Nodes run as in production, on port 443 of
// loopback addresses of their own, where the system lets this process listen there; elsewhere on free ports in development
// mode, which says of each name on which port its document lies.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import https from "node:https";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import tls from "node:tls";
import { freePort } from "../../src/cli/demo/node-process.ts";
import { type NodeEnvironment, nodeEnvironment } from "../../src/cli/environment.ts";
import type { RawOptions } from "../../src/config.ts";
import { DISCOVERY_PATH } from "../../src/protocol/discovery-document.ts";
import { type CertificateAuthority, type Credentials, createCertificateAuthority } from "./certificates.ts";
import { type DnsServer, startDnsServer } from "./dns-server.ts";

/** Where a name lies. */
export interface Place {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

/** A node, a process of its own. */
export interface WorldNode {
  readonly place: Place;
  readonly apiUrl: string;
  /** Everything that it logged, over all its lives. */
  log(): readonly Readonly<Record<string, unknown>>[];
  start(): Promise<void>;
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>;
  /** What its operator does: `keypears node …` with `--json`, and what that printed. */
  operate<T = Record<string, unknown>>(words: readonly string[]): Promise<T>;
}

/** A web server that has nothing but discovery documents. */
export interface Site {
  /** By domain, the text of its keypears.json; may be changed at any time. */
  readonly documents: Map<string, string>;
  /** How often a domain's document was fetched. */
  fetches(domain: string): number;
}

/** How a run of the tool ended. */
export interface ToolEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The tool, at home in a folder of its own. */
export interface WorldTool {
  readonly home: string;
  /** Runs it; `password` is given on standard input. */
  run(args: readonly string[], password?: string): Promise<ToolEnd>;
  /** Runs it with `--json`, and gives what it printed. @throws Error with the tool's own words where it fails. */
  json<T = Record<string, unknown>>(args: readonly string[], password?: string): Promise<T>;
}

/** The whole of it. */
export interface World {
  readonly authority: CertificateAuthority;
  readonly dns: DnsServer;
  /** Whether nodes run as in production. */
  readonly production: boolean;
  /** Puts a name on an address of its own, or where another one lies. Before any node starts. */
  place(name: string, at?: Place): Promise<Place>;
  /** The URL of a path at a name. */
  url(place: Place, path: string): string;
  /** A certificate for names. */
  certify(...names: readonly string[]): Credentials;
  /** A node for `place`, which is not started yet. */
  node(place: Place, options?: NodeInWorld): Promise<WorldNode>;
  /** A web server for a place. */
  site(place: Place): Promise<Site>;
  /** Makes the tool of somebody. */
  tool(who: string): Promise<WorldTool>;
  /** For the client library in this process. */
  environment(): NodeEnvironment;
  /** Has something else end with the world, before what was there first. */
  atEnd(end: () => Promise<unknown>): void;
  /** Ends every process and server, and removes every file. */
  close(): Promise<void>;
}

/** What a node is told beside its place. */
export interface NodeInWorld {
  /** Primary domain; the place's own name unless given. */
  readonly domain?: string;
  /** Names beside its own that its certificate is good for. */
  readonly names?: readonly string[];
  /** Further options of its configuration. */
  readonly options?: RawOptions;
}

const COMMAND = join(import.meta.dirname, "../../bin/keypears.js");
const START_TIMEOUT_MS = 60_000;
/** How long a run of the tool may take. */
const RUN_TIMEOUT_MS = 120_000;
const HTTPS_PORT = 443;

/** Makes a world without names. `production: false` runs everything in development mode wherever it is. */
export async function createWorld(options: { readonly production?: boolean } = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "keypears-world-"));
  const authority = createCertificateAuthority();
  const authorityFile = join(folder, "authority.pem");
  await writeFile(authorityFile, authority.certificate);
  // The client library in this process trusts whom the processes trust.
  const trustedBefore = tls.getCACertificates("default");
  tls.setDefaultCACertificates([...trustedBefore, authority.certificate]);
  const dns = await startDnsServer();
  const network = randomNetwork();
  const production = (options.production ?? true) && (await canListen(`${network}.1`, HTTPS_PORT));
  const places = new Map<string, Place>();
  const endings: (() => Promise<unknown>)[] = [() => dns.close()];
  let lastAddress = 0;

  const resolveTexts = () =>
    Array.from(places.values(), ({ name, address, port }) => `${name}=https://${address}:${port}`);
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: authorityFile };

  const url: World["url"] = ({ name, port }, path) =>
    `https://${name}${port === HTTPS_PORT ? "" : `:${port}`}${path}`;
  const certify = (...names: readonly string[]) => authority.issue({ names });

  const world: World = {
    authority,
    dns,
    production,
    url,
    certify,
    async place(name, at) {
      const { address, port } = at ?? {
        address: production ? `${network}.${++lastAddress}` : "127.0.0.1",
        port: production ? HTTPS_PORT : await freePort(),
      };
      const place = { name, address, port };
      places.set(name, place);
      dns.zone.set(name, { a: [address] });
      return place;
    },
    async node(place, given = {}) {
      const own = join(folder, `node-${place.name}`);
      await mkdir(own, { mode: 0o700 });
      const { cert, key } = certify(place.name, ...(given.names ?? []));
      const files = [join(own, "cert.pem"), join(own, "key.pem")] as const;
      await writeFile(files[0], cert);
      await writeFile(files[1], key, { mode: 0o600 });
      const apiUrl = url(place, "/api");
      const config: RawOptions = {
        domain: given.domain ?? place.name,
        "api-url": apiUrl,
        listen: `${place.address}:${place.port}`,
        "tls-cert": files[0],
        "tls-key": files[1],
        "data-dir": own,
        "dns-server": [dns.address],
        "allow-network": ["127.0.0.0/8"],
        registration: "open",
        "creation-difficulty": 1,
        "first-contact-difficulty": 1,
        "log-format": "json",
        "log-level": "debug",
        ...(production ? {} : { dev: true, resolve: resolveTexts() }),
        ...given.options,
      };
      const file = join(own, "node.json");
      await writeFile(file, JSON.stringify(config), { mode: 0o600 });
      const operator = makeTool(own, () => env);
      const args = ["serve", "--config", file];
      const running = nodeProcess(place, apiUrl, args, env, authority.certificate);
      const node: WorldNode = {
        ...running,
        operate: (words) => operator.json(["node", ...words, "--config", file]),
      };
      endings.push(node.stop);
      return node;
    },
    async site(place) {
      const documents = new Map<string, string>();
      const fetched = new Map<string, number>();
      const server = https.createServer(certify(place.name), (request, response) => {
        const domain = (request.headers.host ?? "").replace(/:\d+$/, "");
        const document = request.url === DISCOVERY_PATH ? documents.get(domain) : undefined;
        fetched.set(domain, (fetched.get(domain) ?? 0) + 1);
        if (document === undefined) response.writeHead(404).end();
        else response.writeHead(200, { "content-type": "application/json" }).end(document);
      });
      server.listen(place.port, place.address);
      await once(server, "listening");
      endings.push(async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      });
      return { documents, fetches: (domain) => fetched.get(domain) ?? 0 };
    },
    async tool(who) {
      const home = join(folder, `home-${who}`);
      await mkdir(home, { mode: 0o700 });
      return makeTool(home, () => ({
        ...env,
        HOME: home,
        XDG_CONFIG_HOME: join(home, "config"),
        XDG_STATE_HOME: join(home, "state"),
        XDG_RUNTIME_DIR: home,
        TZ: "UTC",
        KEYPEARS_DNS_SERVER: dns.address,
        KEYPEARS_RESOLVE: resolveTexts().join(" "),
      }));
    },
    environment() {
      const resolve = new Map(
        Array.from(places.values(), ({ name, address, port }) => [
          name,
          new URL(`https://${address}:${port}`),
        ]),
      );
      const environment = nodeEnvironment({ resolve, dnsServers: [dns.address] });
      endings.push(async () => environment.close());
      return environment;
    },
    atEnd: (end) => void endings.push(end),
    async close() {
      for (const end of endings.toReversed()) await end();
      tls.setDefaultCACertificates(trustedBefore);
      await rm(folder, { recursive: true, force: true });
    },
  };
  return world;
}

/** A part of 127.0.0.0/8 that nobody else is likely to be in, so that several worlds fit on one machine. */
function randomNetwork(): string {
  const octet = () => 1 + Math.floor(Math.random() * 254);
  return `127.${octet()}.${octet()}`;
}

async function canListen(address: string, port: number): Promise<boolean> {
  const server = net.createServer();
  const listening = await new Promise<boolean>((resolve) => {
    server.on("error", () => resolve(false)).listen(port, address, () => resolve(true));
  });
  if (listening) await new Promise((resolve) => server.close(resolve));
  return listening;
}

function nodeProcess(
  place: Place,
  apiUrl: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  ca: string,
): Omit<WorldNode, "operate"> {
  let child: ChildProcess | undefined;
  let words = "";

  const stop = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  };
  return {
    place,
    apiUrl,
    stop,
    log: () =>
      words
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line)),
    async start() {
      const started = spawn(process.execPath, [COMMAND, ...args], {
        env,
        stdio: ["ignore", "ignore", "pipe"],
      });
      child = started;
      // It must not outlive this process, however that ends.
      const kill = () => started.kill("SIGKILL");
      process.once("exit", kill);
      started.once("exit", () => process.off("exit", kill));
      started.stderr.setEncoding("utf8").on("data", (chunk: string) => {
        words += chunk;
      });
      const until = Date.now() + START_TIMEOUT_MS;
      while (Date.now() < until && started.exitCode === null) {
        if (await isHealthy(place, ca)) return;
        await delay(30);
      }
      await stop();
      throw new Error(`the node of ${place.name} did not start: ${words.trim().split("\n").at(-1) ?? ""}`);
    },
  };
}

function isHealthy({ name, address, port }: Place, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    https
      .get(
        {
          host: address,
          port,
          servername: name,
          ca,
          path: "/healthz",
          headers: { host: name },
          agent: false,
        },
        (response) => resolve(response.resume().statusCode === 200),
      )
      .on("error", () => resolve(false));
  });
}

function makeTool(home: string, env: () => NodeJS.ProcessEnv): WorldTool {
  const run: WorldTool["run"] = async (args, password) => {
    const flags = password === undefined ? [] : ["--password-stdin"];
    const child = spawn(process.execPath, [COMMAND, ...args, ...flags], {
      cwd: home,
      env: env(),
      timeout: RUN_TIMEOUT_MS,
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.stdin.on("error", () => undefined); // a run that reads no input may end before it has taken it
    child.stdin.end(password === undefined ? "" : `${password}\n`);
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (chunk: string) => {
        output[name] += chunk;
      });
    }
    const [code] = await once(child, "close");
    return { code, ...output };
  };
  return {
    home,
    run,
    async json(args, password) {
      const { code, stdout, stderr } = await run([...args, "--json"], password);
      if (code !== 0) throw new Error(`keypears ${args.slice(0, 2).join(" ")} ended with ${code}: ${stderr}`);
      return JSON.parse(stdout);
    },
  };
}
