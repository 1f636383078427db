/** Sends one plain mail over SMTP. The door to nodemailer, which is loaded with the first mail. @module */
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
  /** The first mail of the same conversation. */
  readonly threadId: string;
}

/**
 * Sends a mail; null if the server took it, else what was wrong, without anything that the server said: it may repeat a login.
 *
 * @param signal Ends it early; the server may have taken the mail then, and a repeat has the same `Message-ID`.
 */
export async function sendMail(server: MailServer, mail: Mail, signal: AbortSignal): Promise<string | null> {
  // biome-ignore lint/style/noRestrictedImports: lib/platform/mail.ts is the one door to nodemailer.
  const { createTransport } = await import("nodemailer");
  const transport = createTransport({
    host: server.host,
    port: server.port,
    secure: server.security === "tls",
    requireTLS: server.security === "starttls",
    ignoreTLS: server.security === "none",
    ...(server.login === null ? {} : { auth: { user: server.login.user, pass: server.login.password } }),
    connectionTimeout: server.timeoutMs,
    greetingTimeout: server.timeoutMs,
    socketTimeout: server.timeoutMs,
    dnsTimeout: server.timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const { from, to, subject, text, messageId, threadId } = mail;
  const thread = messageId === threadId ? {} : { inReplyTo: `<${threadId}>`, references: `<${threadId}>` };
  const sending = transport
    .sendMail({
      from,
      to: [...to],
      subject,
      text,
      messageId: `<${messageId}>`,
      ...thread,
      headers: { "Auto-Submitted": "auto-generated" },
    })
    .then(() => null, problemOf);
  try {
    return await within(server.timeoutMs, sending, signal);
  } finally {
    transport.close();
  }
}

/** The whole dialogue has one limit: a server that speaks a word now and then would pass each of the others. */
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
