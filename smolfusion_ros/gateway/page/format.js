/** Values as people read them. Pure. */

/** Seconds as "0.4 s", "12 s", "3 min", "2 h". */
export function duration(seconds) {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  if (seconds < 5940) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** Milliseconds as "4.2 ms", "240 ms", "1.3 s". */
export function milliseconds(ms) {
  if (ms >= 995) return `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;
  return `${ms < 9.95 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** Bytes as "54 MiB" or "1.2 GiB". */
export function bytes(count) {
  const mebibytes = count / 2 ** 20;
  return mebibytes < 1000 ? `${Math.round(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}

/** A share of one as "3.4 %". */
export function percent(share) {
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

/** A stamp (seconds since 1970) as the time of day here. */
export function timeOfDay(stamp) {
  return new Date(1000 * stamp).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** A name of a program for people: "pick_up" becomes "Pick up". */
export function words(name) {
  const spaced = name.replaceAll("_", " ").trim();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

const UNITS = { deg: "°", m: " m", s: " s", rad: " rad" };

/** A command's argument as a name and a value, with the unit that its name ends in. */
export function argument(name, value) {
  const [, stem, unit] = /^(.+)_(deg|m|s|rad)$/.exec(name) ?? [null, name, ""];
  if (typeof value === "number") return [words(stem), `${Number(value.toFixed(3))}${UNITS[unit] ?? ""}`];
  return [words(name), typeof value === "string" ? value : JSON.stringify(value)];
}
