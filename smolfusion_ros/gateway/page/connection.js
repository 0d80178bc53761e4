/** Says that the robot is not reached, and when it is tried again. */

import { everySecond, html, nothing } from "./dom.js";

/**
 * @param {import("./events.js").Feed} feed
 * @param {(banner: unknown) => void} show
 */
export function connectionBanner(feed, show) {
  let lost = null;
  const paint = () => show(lost ? bannerTemplate(lost, () => feed.retryNow()) : nothing);
  feed.on("connection", ({ state, reason, waitMs }) => {
    lost = state === "lost" ? { reason, untilMs: performance.now() + waitMs } : null;
    document.body.dataset.connection = state;
    paint();
  });
  everySecond(() => lost && paint());
}

function bannerTemplate({ reason, untilMs }, onRetry) {
  const waitS = Math.ceil((untilMs - performance.now()) / 1000);
  return html`<div class="banner warning" id="connection-banner">
    <p><strong>Connection lost</strong>: ${reason}. What is shown is old.</p>
    <!-- Counted silently: only the loss itself is worth hearing. -->
    <p aria-live="off">${waitS > 0 ? `Next try in ${waitS} s.` : "Trying …"}</p>
    <button type="button" @click=${onRetry}>Try now</button>
  </div>`;
}
