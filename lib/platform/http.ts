/** Posts to web addresses, with a limit on time, following no redirect. The answer's body is not read. @module */
import { systemCode } from "../errors.js";

export interface PostOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Ends it early. */
  readonly signal: AbortSignal;
}

export type PostOutcome =
  | { readonly kind: "answered"; readonly status: number; readonly retryAfter: string | null }
  /** `problem` names neither address nor headers: those may be secrets. */
  | { readonly kind: "failed"; readonly problem: string };

/** Posts JSON. Nothing is thrown: how it went is in the outcome. */
export async function postJson(address: string, body: unknown, options: PostOptions): Promise<PostOutcome> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  try {
    const answer = await fetch(address, {
      method: "POST",
      headers: { "content-type": "application/json; charset=utf-8", "user-agent": "heald", ...options.headers },
      body: JSON.stringify(body),
      // A redirect would carry the message, and a secret in a header, to an address that nobody wrote down.
      redirect: "manual",
      signal: AbortSignal.any([timeout, options.signal]),
    });
    await answer.body?.cancel();
    return { kind: "answered", status: answer.status, retryAfter: answer.headers.get("retry-after") };
  } catch (error) {
    if (timeout.aborted) return { kind: "failed", problem: `no answer within ${options.timeoutMs / 1000} s` };
    if (options.signal.aborted) return { kind: "failed", problem: "it was broken off" };
    const cause = error instanceof Error ? error.cause : undefined;
    const code = systemCode(cause) ?? systemCode(error);
    return {
      kind: "failed",
      problem: code === null ? "the request could not be made" : `the connection failed (${code})`,
    };
  }
}
