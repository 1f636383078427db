/**
 * `notification-policy.json`: through which channels people are told, who is told what and when, and who is next if nobody
 * answers.
 *
 * Secrets never stand in it: a field that may be one names an environment variable (`env:NAME`) or a file (`file:/PATH`),
 * which is read when a message is sent. A value that was written there all the same is not repeated in any message.
 *
 * @module
 */
import { z } from "zod";
import { checkNotificationPolicy } from "./notification-checks.js";
import { EDGE_KINDS, type EdgeKind, type NotificationSeverity, SEVERITIES } from "./notification-records.js";
import { type PolicyDefinition, readPolicy } from "./policy.js";
import { count, positiveSeconds, seconds } from "./primitives.js";

export const CHANNEL_KINDS = ["console", "log", "webhook", "chat", "mail", "command"] as const;
export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, { error: "must be a name such as oncall-mail" });
const names = z.array(name).max(20);
const severities = z.array(z.enum(SEVERITIES));
const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, { error: "must be a time of day such as 22:30" });
const text = z.string().min(1).max(1000);

const channel = z.strictObject({
  kind: z.enum(CHANNEL_KINDS),
  url: text.optional(),
  headers: z.record(z.string().regex(/^[A-Za-z0-9-]{1,64}$/), text).optional(),
  host: text.optional(),
  port: z.number().int().min(1).max(65_535).optional(),
  security: z.enum(["starttls", "tls", "none"]).optional(),
  user: text.optional(),
  password: text.optional(),
  from: text.optional(),
  to: z.array(text).min(1).max(50).optional(),
  command: text.optional(),
  args: z.array(z.string().max(1000)).max(50).optional(),
  timeout_seconds: z.number().gt(0).max(300).optional(),
});

const route = z.strictObject({
  channels: names,
  severities: severities.optional(),
  components: z.array(text).optional(),
  kinds: z.array(z.enum(EDGE_KINDS)).optional(),
  in_quiet_hours: z.boolean().optional(),
});

const quietWindow = z.strictObject({ from: clock, to: clock, days: z.array(z.enum(DAYS)).min(1).optional() });

const shape = z.strictObject({
  enabled: z.boolean().optional().describe("false: nobody is told anything; what waits stays in the queue."),
  channels: z
    .record(name, channel)
    .optional()
    .describe("Ways to reach people, under names of your own. console and log exist without being named."),
  routes: z
    .array(route)
    .max(100)
    .optional()
    .describe("Who is told what. All that match count; what none matches goes to the digest."),
  escalation: z
    .strictObject({
      steps: z
        .array(z.strictObject({ after_seconds: seconds, channels: names.min(1) }))
        .max(20)
        .optional(),
    })
    .optional()
    .describe("Who else is told of an escalation while nobody acknowledges it."),
  quiet_hours: z
    .strictObject({
      timezone: text.optional(),
      windows: z.array(quietWindow).max(20).optional(),
      let_through: severities.optional(),
    })
    .optional()
    .describe("When people are left alone. What they would have been told comes as one digest at the end."),
  repeat: z
    .strictObject({ interval_seconds: positiveSeconds.optional(), times_max: count.optional() })
    .optional()
    .describe("How often an escalation that nobody acknowledged is told again."),
  digest: z
    .strictObject({
      channels: names.optional(),
      interval_seconds: positiveSeconds.optional(),
      lines_max: z.number().int().min(1).max(500).optional(),
    })
    .optional()
    .describe("Where everything else is told, collected. Without channels it is told nowhere."),
  storm: z
    .strictObject({
      messages_max: z.number().int().min(1).max(10_000).optional(),
      window_seconds: positiveSeconds.optional(),
    })
    .optional()
    .describe(
      "When too much is told at once: the rest of the window comes as one digest. Logs and the console get everything.",
    ),
  delivery: z
    .strictObject({
      first_retry_seconds: positiveSeconds.optional(),
      max_retry_seconds: positiveSeconds.optional(),
      give_up_after_seconds: positiveSeconds.optional(),
    })
    .optional()
    .describe("How a message is retried when its channel is down."),
});

export type ExplicitNotificationPolicy = z.infer<typeof shape>;
export type ExplicitChannel = z.infer<typeof channel>;

interface Timed {
  readonly timeout_seconds: number;
}
export type Channel =
  | { readonly kind: "console" | "log" }
  | (Timed & { readonly kind: "webhook"; readonly url: string; readonly headers: Readonly<Record<string, string>> })
  | (Timed & { readonly kind: "chat"; readonly url: string })
  | (Timed & {
      readonly kind: "mail";
      readonly host: string;
      readonly port: number;
      readonly security: "starttls" | "tls" | "none";
      readonly user: string | null;
      readonly password: string | null;
      readonly from: string;
      readonly to: readonly string[];
    })
  | (Timed & { readonly kind: "command"; readonly command: string; readonly args: readonly string[] });

export interface Route {
  readonly channels: readonly string[];
  /** Null matches all, as with the two below. */
  readonly severities: readonly NotificationSeverity[] | null;
  readonly components: readonly string[] | null;
  readonly kinds: readonly EdgeKind[] | null;
  readonly in_quiet_hours: boolean;
}

export interface QuietWindow {
  readonly from: string;
  readonly to: string;
  /** The days on which it begins; null is every day. */
  readonly days: readonly (typeof DAYS)[number][] | null;
}

/** The settings in force. */
export interface NotificationSettings {
  readonly enabled: boolean;
  readonly channels: Readonly<Record<string, Channel>>;
  readonly routes: readonly Route[];
  readonly escalation: {
    readonly steps: readonly { readonly after_seconds: number; readonly channels: readonly string[] }[];
  };
  readonly quiet_hours: {
    readonly timezone: string;
    readonly windows: readonly QuietWindow[];
    readonly let_through: readonly NotificationSeverity[];
  };
  readonly repeat: { readonly interval_seconds: number; readonly times_max: number };
  readonly digest: {
    readonly channels: readonly string[];
    readonly interval_seconds: number;
    readonly lines_max: number;
  };
  readonly storm: { readonly messages_max: number; readonly window_seconds: number };
  readonly delivery: {
    readonly first_retry_seconds: number;
    readonly max_retry_seconds: number;
    readonly give_up_after_seconds: number;
  };
}

/** Who is told where a policy names no routes. */
export const DEFAULT_ROUTES: NonNullable<ExplicitNotificationPolicy["routes"]> = [
  { channels: ["log"], kinds: ["opened", "escalated", "resolved"] },
  { channels: ["console"], kinds: ["escalated", "resolved"] },
];

/** Fills in what was not given. */
export function completeNotifications(explicit: ExplicitNotificationPolicy): NotificationSettings {
  const { quiet_hours, repeat, digest, storm, delivery } = explicit;
  return {
    enabled: explicit.enabled ?? true,
    channels: {
      console: { kind: "console" },
      log: { kind: "log" },
      ...Object.fromEntries(Object.entries(explicit.channels ?? {}).map(([key, own]) => [key, channelOf(own)])),
    },
    routes: (explicit.routes ?? DEFAULT_ROUTES).map((own) => ({
      channels: own.channels,
      severities: own.severities ?? null,
      components: own.components ?? null,
      kinds: own.kinds ?? null,
      in_quiet_hours: own.in_quiet_hours ?? false,
    })),
    escalation: { steps: explicit.escalation?.steps ?? [] },
    quiet_hours: {
      timezone: quiet_hours?.timezone ?? "UTC",
      windows: (quiet_hours?.windows ?? []).map((own) => ({ from: own.from, to: own.to, days: own.days ?? null })),
      let_through: quiet_hours?.let_through ?? ["critical"],
    },
    repeat: { interval_seconds: repeat?.interval_seconds ?? 14_400, times_max: repeat?.times_max ?? 12 },
    digest: {
      channels: digest?.channels ?? ["log"],
      interval_seconds: digest?.interval_seconds ?? 3600,
      lines_max: digest?.lines_max ?? 100,
    },
    storm: { messages_max: storm?.messages_max ?? 100, window_seconds: storm?.window_seconds ?? 60 },
    delivery: {
      first_retry_seconds: delivery?.first_retry_seconds ?? 5,
      max_retry_seconds: delivery?.max_retry_seconds ?? 900,
      give_up_after_seconds: delivery?.give_up_after_seconds ?? 259_200,
    },
  };
}

const TIMEOUT_SECONDS = 10;
const COMMAND_TIMEOUT_SECONDS = 30;
const PORTS = { starttls: 587, tls: 465, none: 25 } as const;

/** A channel that was checked: what its kind needs is there. */
function channelOf(own: ExplicitChannel): Channel {
  const timeout_seconds = own.timeout_seconds ?? (own.kind === "command" ? COMMAND_TIMEOUT_SECONDS : TIMEOUT_SECONDS);
  switch (own.kind) {
    case "console":
    case "log":
      return { kind: own.kind };
    case "webhook":
      return { kind: own.kind, url: own.url ?? "", headers: own.headers ?? {}, timeout_seconds };
    case "chat":
      return { kind: own.kind, url: own.url ?? "", timeout_seconds };
    case "mail": {
      const security = own.security ?? "starttls";
      return {
        kind: own.kind,
        host: own.host ?? "",
        port: own.port ?? PORTS[security],
        security,
        user: own.user ?? null,
        password: own.password ?? null,
        from: own.from ?? "",
        to: own.to ?? [],
        timeout_seconds,
      };
    }
    case "command":
      return { kind: own.kind, command: own.command ?? "", args: own.args ?? [], timeout_seconds };
  }
}

export const notificationPolicy: PolicyDefinition<NotificationSettings, ExplicitNotificationPolicy> = {
  name: "notification-policy",
  shape,
  complete: completeNotifications,
  check: checkNotificationPolicy,
  hides: (field) => /(^|\.)channels\.[^.]+\.(url|headers|user|password)(\.|$)/.test(field),
};

/** Reads the policy's parsed JSON; `undefined` means that there is no file. */
export const readNotificationPolicy = (raw: unknown) => readPolicy(notificationPolicy, raw);
