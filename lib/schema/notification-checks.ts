/** Checks a notification policy's values against each other. No sentence here repeats a value that may be a secret. @module */
import type { ExplicitChannel, ExplicitNotificationPolicy } from "./notification-policy.js";
import { nearestName, type Problem, show } from "./problems.js";

type Field = Exclude<keyof ExplicitChannel, "kind">;

/** What each kind needs, and what else it takes. */
const FIELDS: Readonly<
  Record<ExplicitChannel["kind"], { readonly needs: readonly Field[]; readonly takes: readonly Field[] }>
> = {
  console: { needs: [], takes: [] },
  log: { needs: [], takes: [] },
  webhook: { needs: ["url"], takes: ["headers", "timeout_seconds"] },
  chat: { needs: ["url"], takes: ["timeout_seconds"] },
  mail: { needs: ["host", "from", "to"], takes: ["port", "security", "user", "password", "timeout_seconds"] },
  command: { needs: ["command"], takes: ["args", "timeout_seconds"] },
};

/** `env:NAME` or `file:/PATH`, in a header behind a word such as Bearer. */
export const SECRET_REFERENCE = /^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+)$/;
const HEADER_REFERENCE = /^(?:[A-Za-z]+ )?(?:env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+)$/;
const SECRET_HEADER = /auth|cookie|token|key|secret|signature|password|session/i;

const LOOPBACK = new Set(["localhost", "127.0.0.1", "::1"]);
const WANTED = "must be env:NAME or file:/PATH: a secret does not stand in a policy";

export function checkNotificationPolicy(explicit: ExplicitNotificationPolicy): Problem[] {
  const channels = Object.entries(explicit.channels ?? {});
  const known = ["console", "log", ...channels.map(([key]) => key)];
  return [
    ...channels.flatMap(([key, own]) => checkChannel(`channels.${key}`, own)),
    ...checkNames(explicit, known),
    ...checkSteps(explicit),
    ...checkQuietHours(explicit),
    ...checkOrder(explicit),
  ];
}

function checkChannel(field: string, own: ExplicitChannel): Problem[] {
  const { needs, takes } = FIELDS[own.kind];
  const given = (Object.keys(own) as (keyof ExplicitChannel)[]).filter(
    (key) => key !== "kind" && own[key] !== undefined,
  );
  const missing = needs.filter((key) => own[key] === undefined);
  const strange = given.filter((key) => !needs.includes(key as Field) && !takes.includes(key as Field));
  return [
    ...missing.map((key) => ({ field: `${field}.${key}`, message: `must be given: a ${own.kind} channel needs it` })),
    ...strange.map((key) => ({ field: `${field}.${key}`, message: `has no meaning for a ${own.kind} channel` })),
    ...checkSecrets(field, own),
    ...(own.command === undefined || own.command.startsWith("/")
      ? []
      : [{ field: `${field}.command`, message: `must be an absolute path, got ${show(own.command)}` }]),
  ];
}

function checkSecrets(field: string, own: ExplicitChannel): Problem[] {
  const problems: Problem[] = [];
  if (own.password !== undefined && !SECRET_REFERENCE.test(own.password))
    problems.push({ field: `${field}.password`, message: WANTED });
  if (own.password !== undefined && own.user === undefined)
    problems.push({ field: `${field}.user`, message: "must be given with a password" });
  if (own.user !== undefined && own.password === undefined)
    problems.push({ field: `${field}.password`, message: "must be given with a user" });
  if (own.password !== undefined && own.security === "none" && !LOOPBACK.has(own.host ?? ""))
    problems.push({
      field: `${field}.security`,
      message: "must be starttls or tls: a password does not travel in the clear",
    });
  for (const [header, value] of Object.entries(own.headers ?? {})) {
    if (SECRET_HEADER.test(header) && !HEADER_REFERENCE.test(value))
      problems.push({
        field: `${field}.headers.${header}`,
        message: `${WANTED}; a word such as Bearer may stand before it`,
      });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they would end the header
    else if (/[\u0000-\u001f\u007f]/.test(value))
      problems.push({ field: `${field}.headers.${header}`, message: "must have no control characters" });
  }
  if (own.url !== undefined && !SECRET_REFERENCE.test(own.url)) problems.push(...checkUrl(`${field}.url`, own));
  return problems;
}

/** The address of a chat's webhook is a secret by itself; any other is one if it carries a login or a query. */
function checkUrl(field: string, own: ExplicitChannel): Problem[] {
  if (own.kind === "chat") return [{ field, message: WANTED }];
  let url: URL;
  try {
    url = new URL(own.url ?? "");
  } catch {
    return [{ field, message: "must be an address such as https://host/path, or env:NAME, or file:/PATH" }];
  }
  if (!["http:", "https:"].includes(url.protocol)) return [{ field, message: "must begin with http:// or https://" }];
  if (url.username !== "" || url.password !== "" || url.search !== "")
    return [{ field, message: `${WANTED}; this address carries a login or a query` }];
  return [];
}

function checkNames(explicit: ExplicitNotificationPolicy, known: readonly string[]): Problem[] {
  const used = [
    ...(explicit.routes ?? []).map((route, nth) => [`routes.${nth}.channels`, route.channels] as const),
    ...(explicit.escalation?.steps ?? []).map(
      (step, nth) => [`escalation.steps.${nth}.channels`, step.channels] as const,
    ),
    ["digest.channels", explicit.digest?.channels ?? []] as const,
  ];
  return used.flatMap(([field, names]) =>
    names
      .filter((name) => !known.includes(name))
      .map((name) => {
        const nearest = nearestName(name, known);
        return {
          field,
          message: `names no channel: ${show(name)}${nearest === null ? "" : `; did you mean ${nearest}`}`,
        };
      }),
  );
}

function checkSteps(explicit: ExplicitNotificationPolicy): Problem[] {
  const steps = explicit.escalation?.steps ?? [];
  return steps.flatMap((step, nth) => {
    const before = steps[nth - 1]?.after_seconds ?? 0;
    if (step.after_seconds >= before) return [];
    const message = `must be >= that of the step before (${before}), got ${step.after_seconds}`;
    return [{ field: `escalation.steps.${nth}.after_seconds`, message }];
  });
}

function checkQuietHours(explicit: ExplicitNotificationPolicy): Problem[] {
  const zone = explicit.quiet_hours?.timezone;
  if (zone === undefined || isTimeZone(zone)) return [];
  return [{ field: "quiet_hours.timezone", message: `must be a time zone such as Europe/Berlin, got ${show(zone)}` }];
}

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

function checkOrder(explicit: ExplicitNotificationPolicy): Problem[] {
  const { first_retry_seconds: first, max_retry_seconds: max } = explicit.delivery ?? {};
  if (first === undefined || max === undefined || max >= first) return [];
  return [{ field: "delivery.max_retry_seconds", message: `must be >= first_retry_seconds (${first}), got ${max}` }];
}
