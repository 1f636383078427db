/** Sends one plain mail over SMTP. The door to nodemailer, which is loaded with the first mail. @module */
import { connect, type Socket } from "node:net";
import { systemCode } from "../errors.js";

export interface MailServer {
  readonly host: string;
  readonly port: number;
  /** `none` is for a relay on this host. */
  readonly security: "starttls" | "tls" | "none";
  readonly login: { readonly user: string; readonly password: string } | null;
  readonly timeoutMs: number;
}

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  /** Without angle brackets. */
  readonly messageId: string;
  /** Names the conversation that the mail belongs to; its own id where there is none. */
  readonly threadId: string;
}

/**
 * Sends a mail; null if the server took it, else what was wrong, without anything that the server said: it may repeat a login.
 *
 * The connection is ours, so that it can be cut: the whole dialogue has one limit, which a server that speaks a word now
 * and then would escape, and nothing of it outlives the call.
 *
 * @param signal Ends it early; the server may have taken the mail then, and a repeat has the same `Message-ID`.
 */
export async function sendMail(server: MailServer, mail: Mail, signal: AbortSignal): Promise<string | null> {
  const connection = connect({ host: server.host, port: server.port });
  // Whoever waits for it is told; without a listener here, one that comes late would end the process.
  connection.on("error", () => {});
  const sending = converse(connection, server, mail).then(() => null, problemOf);
  try {
    return await within(server.timeoutMs, sending, signal);
  } finally {
    connection.destroy();
  }
}

async function converse(connection: Socket, server: MailServer, mail: Mail): Promise<void> {
  const { createTransport } = await import("nodemailer");
  if (connection.connecting) await connected(connection);
  const transport = createTransport({
    connection,
    host: server.host,
    port: server.port,
    secure: server.security === "tls",
    requireTLS: server.security === "starttls",
    ignoreTLS: server.security === "none",
    ...(server.login === null ? {} : { auth: { user: server.login.user, pass: server.login.password } }),
    greetingTimeout: server.timeoutMs,
    socketTimeout: server.timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const { from, to, subject, text, messageId, threadId } = mail;
  const thread = messageId === threadId ? {} : { inReplyTo: `<${threadId}>`, references: `<${threadId}>` };
  const headers = { "Auto-Submitted": "auto-generated" };
  await transport.sendMail({ from, to: [...to], subject, text, messageId: `<${messageId}>`, ...thread, headers });
}

function connected(connection: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.once("connect", resolve);
    connection.once("error", reject);
    connection.once("close", () => reject(Object.assign(new Error("closed"), { code: "ECONNRESET" })));
  });
}

async function within(limitMs: number, sending: Promise<string | null>, signal: AbortSignal): Promise<string | null> {
  let end: (problem: string) => void = () => {};
  const early = new Promise<string>((resolve) => {
    end = resolve;
  });
  const timer = setTimeout(() => end(`the server did not take it within ${limitMs / 1000} s`), limitMs);
  const abort = (): void => end("it was broken off");
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    return await Promise.race([sending, early]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

function problemOf(error: unknown): string {
  const status = (error as { responseCode?: unknown }).responseCode;
  if (typeof status === "number") return `the server answered ${status}`;
  return `the connection failed (${systemCode(error) ?? "unknown"})`;
}
