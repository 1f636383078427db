/** Sends one message through one channel, and says how it went in words that hold no secret. @module */
import { type Beside, startBeside } from "../platform/beside.js";
import { safetyOf } from "../platform/files.js";
import { postJson } from "../platform/http.js";
import { sendMail } from "../platform/mail.js";
import type { Channel } from "../schema/notification-policy.js";
import type { Delivery } from "../schema/notification-records.js";
import type { Layout } from "../store/layout.js";
import { EventLogWriter } from "../store/logs.js";
import { chatOf, jsonOf, subjectOf, textOf } from "./messages.js";
import { resolveSecret } from "./secrets.js";

export type SendOutcome =
  | { readonly kind: "sent" }
  /**
   * `channel`: nothing goes through it just now. `message`: it did not take this one, another it may.
   * `notBeforeMs`: how long it asked us to wait.
   */
  | {
      readonly kind: "failed";
      readonly fault: "channel" | "message";
      readonly problem: string;
      readonly notBeforeMs?: number;
    };

export interface SendContext {
  readonly layout: Layout;
  readonly hostName: string;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
  /** Where the console channel writes. */
  readonly print: (text: string) => void;
}

const LOG_BYTES_MAX = 16 * 1024 * 1024;

export async function send(channel: Channel, delivery: Delivery, context: SendContext): Promise<SendOutcome> {
  switch (channel.kind) {
    case "console":
      context.print(textOf(delivery.message));
      return { kind: "sent" };
    case "log":
      return toLog(delivery, context);
    case "webhook":
      return post(
        channel.url,
        channel.headers,
        jsonOf(delivery.message, delivery.delivery_id),
        channel,
        delivery,
        context,
      );
    case "chat":
      return post(channel.url, {}, chatOf(delivery.message), channel, delivery, context);
    case "mail":
      return mail(channel, delivery, context);
    case "command":
      return command(channel, delivery, context);
  }
}

function failed(fault: "channel" | "message", problem: string, notBeforeMs?: number): SendOutcome {
  return { kind: "failed", fault, problem, ...(notBeforeMs === undefined ? {} : { notBeforeMs }) };
}

/** One line in a log of its own; after a crash only if it is not there yet. */
function toLog(delivery: Delivery, { layout, nowMs }: SendContext): SendOutcome {
  const writer = new EventLogWriter(layout.notificationsLog, {
    maxBytes: LOG_BYTES_MAX,
    archiveDir: layout.archiveDir,
    owner: true,
  });
  try {
    writer.rotateIfLarge(nowMs(), "auto-fix");
    const line = jsonOf(delivery.message, delivery.delivery_id);
    if (delivery.tries > 1) writer.appendOnce(line, "delivery_id");
    else writer.append(line);
    return { kind: "sent" };
  } finally {
    writer.close();
  }
}

async function post(
  address: string,
  wantedHeaders: Readonly<Record<string, string>>,
  body: unknown,
  channel: { readonly timeout_seconds: number },
  delivery: Delivery,
  context: SendContext,
): Promise<SendOutcome> {
  const url = resolveSecret(address);
  if (!url.ok) return failed("channel", url.problem);
  if (!URL.canParse(url.value)) return failed("channel", "the address is not one");
  const headers: Record<string, string> = {};
  for (const [name, text] of Object.entries(wantedHeaders)) {
    const header = resolveSecret(text);
    if (!header.ok) return failed("channel", header.problem);
    headers[name] = header.value;
  }
  headers["idempotency-key"] = delivery.delivery_id;
  const timeoutMs = channel.timeout_seconds * 1000;
  const outcome = await postJson(url.value, body, { headers, timeoutMs, signal: context.signal });
  if (outcome.kind === "failed") return failed("channel", outcome.problem);
  return judge(outcome.status, outcome.retryAfter, context.nowMs());
}

const RETRY_AFTER_MS_MAX = 86_400_000;

/** Whom an answer blames: 408, 425, 429 and 5xx the service, any other the message or how it is addressed. */
export function judge(status: number, retryAfter: string | null, nowMs: number): SendOutcome {
  if (status >= 200 && status < 300) return { kind: "sent" };
  const problem = `it was answered with ${status}`;
  const isService = status >= 500 || [401, 403, 404, 408, 425, 429].includes(status);
  if (!isService) return failed("message", problem);
  const waitMs = retryAfter === null ? null : readRetryAfter(retryAfter, nowMs);
  return failed("channel", problem, waitMs === null ? undefined : nowMs + waitMs);
}

/** Seconds, or a date; at most a day. */
function readRetryAfter(text: string, nowMs: number): number | null {
  const waitMs = /^\s*\d+\s*$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(waitMs) ? null : Math.min(Math.max(0, waitMs), RETRY_AFTER_MS_MAX);
}

async function mail(
  channel: Extract<Channel, { kind: "mail" }>,
  delivery: Delivery,
  context: SendContext,
): Promise<SendOutcome> {
  const user = channel.user === null ? null : resolveSecret(channel.user);
  const password = channel.password === null ? null : resolveSecret(channel.password);
  if (user?.ok === false) return failed("channel", user.problem);
  if (password?.ok === false) return failed("channel", password.problem);
  const { host, port, security } = channel;
  const login = user && password ? { user: user.value, password: password.value } : null;
  const { message } = delivery;
  const messageId = `${delivery.delivery_id}@${context.hostName}`;
  const isThread = message.kind !== "digest";
  const threadId = isThread
    ? `${message.incident_id.replace(/[^A-Za-z0-9._-]/g, "_")}.incident@${context.hostName}`
    : messageId;
  const problem = await sendMail(
    { host, port, security, login, timeoutMs: channel.timeout_seconds * 1000 },
    { from: channel.from, to: channel.to, subject: subjectOf(message), text: textOf(message), messageId, threadId },
    context.signal,
  );
  return problem === null ? { kind: "sent" } : failed("channel", problem);
}

/** The message is on its standard input; what it prints is not kept, as it may print what it must not. */
async function command(
  channel: Extract<Channel, { kind: "command" }>,
  delivery: Delivery,
  context: SendContext,
): Promise<SendOutcome> {
  const unsafe = whyUnsafe(channel.command);
  if (unsafe !== null) return failed("channel", `${channel.command} is refused: ${unsafe}`);
  const { message, delivery_id } = delivery;
  const { home, coordination } = { home: context.layout.home.home, coordination: context.layout.coordination };
  const env = {
    HEALD_HOME: home,
    HEALD_COORDINATION_DIR: coordination,
    HEALD_DELIVERY_ID: delivery_id,
    HEALD_INCIDENT_ID: message.incident_id,
    HEALD_SUBJECT: subjectOf(message),
  };
  const timeoutMs = channel.timeout_seconds * 1000;
  const input = `${JSON.stringify({ ...jsonOf(message, delivery_id), text: textOf(message) })}\n`;
  const program = startBeside(channel.command, channel.args, input, { cwd: home, env, timeoutMs, keepLastLine: false });
  const end = await Promise.race([program.ended, aborted(context.signal, program)]);
  if (end === null) return failed("channel", "it was broken off");
  if (end.failedToStart !== undefined) return failed("channel", `it could not be started (${end.failedToStart})`);
  if (end.timedOut) return failed("channel", `it took longer than ${channel.timeout_seconds} s`);
  if (end.signal !== null) return failed("channel", `it was ended by ${end.signal}`);
  return end.exitCode === 0 ? { kind: "sent" } : failed("channel", `it ended with ${end.exitCode}`);
}

function aborted(signal: AbortSignal, program: Beside): Promise<null> {
  return new Promise((resolve) => {
    const leave = (): void => {
      program.letGo();
      resolve(null);
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  });
}

function whyUnsafe(path: string): string | null {
  try {
    return safetyOf(path);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    return `it cannot be looked at (${typeof code === "string" ? code : "unknown"})`;
  }
}
