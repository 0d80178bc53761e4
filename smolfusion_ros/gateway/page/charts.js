/** Small plots as SVG. Pure; sizes come from the style sheet. */

import { html, nothing, svg } from "./dom.js";

const WIDTH = 300;
const HEIGHT = 40;
// The axis of latencies: decades from 1 ms to 10 s.
const SHORTEST_MS = 1;
const LONGEST_MS = 10_000;

/**
 * Values over the last minute or so, with a mark below where something was so.
 *
 * @param {{atMs: number, value: number, marked: boolean}[]} points oldest first
 * @param {number} spanMs
 * @param {number} nowMs the right edge
 * @param {string} label
 */
export function trace(points, spanMs, nowMs, label) {
  const highest = Math.max(0.02, ...points.map(({ value }) => value));
  const x = (atMs) => (WIDTH * (1 - (nowMs - atMs) / spanMs)).toFixed(1);
  const y = (value) => ((HEIGHT - 6) * (1 - value / highest) + 1).toFixed(1);
  const marks = points.filter(({ marked }) => marked).map(({ atMs }) => `M${x(atMs)} ${HEIGHT - 2}h-2`);
  return html`<svg class="trace" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${label}>
    <path class="mark" d=${marks.join("")}></path>
    <polyline points=${points.map(({ atMs, value }) => `${x(atMs)},${y(value)}`).join(" ")}></polyline>
  </svg>`;
}

/** The last values of something, the newest at the right. */
export function history(values, longest, label) {
  const highest = Math.max(...values, 1e-9);
  const points = values.map((value, index) => {
    const x = (100 * (longest - values.length + index)) / (longest - 1);
    return `${x.toFixed(1)},${(19 - 18 * (value / highest)).toFixed(1)}`;
  });
  return html`<svg class="history" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label=${label}>
    ${values.length > 1 ? svg`<polyline points=${points.join(" ")}></polyline>` : nothing}
  </svg>`;
}

/** Median and 95th percentile on a logarithmic axis, 1 ms to 10 s, with a line at each decade. */
export function latencyBar(p50Ms, p95Ms) {
  const middle = onAxis(p50Ms).toFixed(1);
  const end = onAxis(p95Ms).toFixed(1);
  return html`<svg class="latency" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
    ${[25, 50, 75].map((at) => svg`<path class="decade" d="M${at} 0v10"></path>`)}
    <rect class="p95" x="0" y="2" width=${end} height="6"></rect>
    <rect class="p50" x="0" y="2" width=${middle} height="6"></rect>
  </svg>`;
}

/** A share of one as a bar. */
export function shareBar(share) {
  const width = (100 * Math.min(1, Math.max(0, share))).toFixed(1);
  return html`<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
    <rect class="p50" x="0" y="2" width=${width} height="6"></rect>
  </svg>`;
}

/** Where on the axis of latencies a duration lies, 0 to 100. */
export function onAxis(ms) {
  const bounded = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, ms));
  return (100 * Math.log10(bounded / SHORTEST_MS)) / Math.log10(LONGEST_MS / SHORTEST_MS);
}
