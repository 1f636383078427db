/** Says through which channels an edge is told. Pure. @module */
import type { NotificationSettings, Route } from "../schema/notification-policy.js";
import type { NotificationEdge } from "../schema/notification-records.js";

export interface Wanted {
  readonly channel: string;
  readonly inQuietHours: boolean;
}

type Routable = Pick<NotificationEdge, "kind" | "severity" | "component">;

/**
 * The channels of all routes that match, each once. Who was told of the trouble is told of its end, whatever the routes
 * say: nobody is left with an open alarm.
 *
 * @param told The channels that know of the incident.
 */
export function routedTo(settings: NotificationSettings, edge: Routable, told: readonly string[]): Wanted[] {
  const matching = settings.routes.filter((route) => matches(route, edge));
  const names = [...matching.flatMap((route) => route.channels), ...(edge.kind === "resolved" ? told : [])];
  return [...new Set(names)].map((channel) => ({
    channel,
    inQuietHours: matching.some((route) => route.in_quiet_hours && route.channels.includes(channel)),
  }));
}

function matches(route: Route, edge: Routable): boolean {
  return (
    (route.severities?.includes(edge.severity) ?? true) &&
    // News outside of an incident is routed only where it is asked for.
    (route.kinds?.includes(edge.kind) ?? edge.kind !== "info") &&
    (route.components?.some((pattern) => isNamed(pattern, edge.component)) ?? true)
  );
}

/** A name, or its beginning and a star. */
function isNamed(pattern: string, component: string): boolean {
  return pattern.endsWith("*") ? component.startsWith(pattern.slice(0, -1)) : component === pattern;
}
