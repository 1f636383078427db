/** Guarantee: bad weather for one thing is said once, keeps nothing else from being done, and hides no broken invariant. */
import { expect, test } from "vitest";
import { BadWeather } from "../../../daemons/auto-fix/bad-weather.js";

const failing = (code: string) => () => {
  throw Object.assign(new Error(code), { code });
};

test("each code of each thing is said once, until it is over", () => {
  const said: string[] = [];
  const weather = new BadWeather({ warn: (facts, what) => said.push(`${what} ${(facts as { code: string }).code}`) });
  const done = ["EMFILE", "EMFILE", "EACCES"].map((code) => weather.sheltered("a", failing(code)));
  expect(done).toEqual([false, false, false]);
  expect(weather.sheltered("b", () => undefined)).toBe(true);
  expect(weather.sheltered("c", failing("EACCES"))).toBe(false);
  expect(said).toEqual(["a EMFILE", "a EACCES", "c EACCES"]);
  weather.forget();
  weather.sheltered("a", failing("EACCES"));
  expect(said.at(-1)).toBe("a EACCES");
});

test("what is no weather is thrown on", () => {
  const weather = new BadWeather({ warn: () => undefined });
  expect(() => weather.sheltered("a", failing("ERR_INVALID_ARG_TYPE"))).toThrow("ERR_INVALID_ARG_TYPE");
});
