/** A real HTTP service with a limit for each client: a bucket of tokens; whoever finds it empty is answered 429. @module */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

const BUCKET = 8;

interface Client {
  tokens: number;
  atMs: number;
}

export class Service {
  readonly #server: Server;
  readonly #clients = new Map<string, Client>();
  readonly #perMs: number;
  answered = 0;
  refused = 0;

  constructor(requestsPerMinute: number) {
    this.#perMs = requestsPerMinute / 60_000;
    this.#server = createServer((request, response) => {
      const isAllowed = this.#take(String(request.headers["x-client"]));
      if (isAllowed) this.answered += 1;
      else this.refused += 1;
      response.writeHead(isAllowed ? 200 : 429, { "content-type": "text/plain" });
      response.end(isAllowed ? "ok\n" : "too many requests\n");
    });
  }

  /** Listens on a free port of this host alone; answers its address. */
  async open(): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #take(name: string): boolean {
    const nowMs = performance.now();
    const client = this.#clients.get(name) ?? { tokens: BUCKET, atMs: nowMs };
    client.tokens = Math.min(BUCKET, client.tokens + (nowMs - client.atMs) * this.#perMs);
    client.atMs = nowMs;
    this.#clients.set(name, client);
    if (client.tokens < 1) return false;
    client.tokens -= 1;
    return true;
  }
}
