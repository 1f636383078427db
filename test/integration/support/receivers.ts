/** Real servers on loopback that take messages, or misbehave on demand. @module */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { SMTPServer } from "smtp-server";
import { onTestFinished } from "vitest";

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
  readonly atMs: number;
}

export type Behaviour = (answer: ServerResponse, received: Received) => void;

export const ok: Behaviour = (answer) => answer.end("ok");
export const status =
  (code: number, headers: Record<string, string> = {}): Behaviour =>
  (answer) =>
    answer.writeHead(code, headers).end();
export const hang: Behaviour = () => {};
export const reset: Behaviour = (answer) => answer.socket?.resetAndDestroy();

/** Behaves as told, one request after the other, and well from then on. */
export class HttpReceiver {
  readonly received: Received[] = [];
  readonly behaviours: Behaviour[] = [];
  url = "";

  async listen(): Promise<this> {
    const server = createServer((request, answer) => {
      const chunks: Buffer[] = [];
      request.on("error", () => {});
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
        const received = { path: request.url ?? "", headers: request.headers, body, atMs: Date.now() };
        this.received.push(received);
        (this.behaviours.shift() ?? ok)(answer, received);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    onTestFinished(
      () =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    );
    return this;
  }
}

export interface Mailed {
  readonly from: string;
  readonly to: readonly string[];
  readonly user: string | undefined;
  readonly text: string;
}

/** A real SMTP server; `refuse` answers the next mails with these codes. */
export class MailReceiver {
  readonly mails: Mailed[] = [];
  readonly refuse: number[] = [];
  /** Never finishes taking a mail. */
  hangs = false;
  /** Mails whose text has arrived, taken or not. */
  took = 0;
  port = 0;
  #server: SMTPServer | null = null;

  get connections(): number {
    return this.#server?.connections.size ?? 0;
  }

  /**
   * @param login What it demands; none is demanded without.
   * @param secure Speaks TLS from the start, with a certificate that nobody vouches for.
   */
  async listen(login?: { readonly user: string; readonly password: string }, secure = false): Promise<this> {
    const server = new SMTPServer({
      secure,
      authOptional: login === undefined,
      allowInsecureAuth: true,
      disabledCommands: login === undefined ? ["STARTTLS", "AUTH"] : ["STARTTLS"],
      closeTimeout: 100,
      onAuth: (given, _session, answer) => {
        if (given.username === login?.user && given.password === login?.password)
          return answer(null, { user: given.username ?? "" });
        // As careless servers do: it repeats what it was given.
        answer(new Error(`no such login: ${given.username} ${given.password}`));
      },
      onData: (stream, session, answer) => {
        let text = "";
        stream.on("data", (chunk) => {
          text += String(chunk);
        });
        stream.on("end", () => {
          this.took += 1;
          if (this.hangs) return;
          const code = this.refuse.shift();
          if (code !== undefined) return answer(Object.assign(new Error("not now"), { responseCode: code }));
          const { mailFrom, rcptTo } = session.envelope;
          const from = mailFrom === false ? "" : mailFrom.address;
          this.mails.push({
            from,
            to: rcptTo.map((each) => each.address),
            user: session.user as string | undefined,
            text,
          });
          answer();
        });
      },
    });
    server.on("error", () => {});
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    this.port = (server.server.address() as AddressInfo).port;
    onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
    return this;
  }
}
