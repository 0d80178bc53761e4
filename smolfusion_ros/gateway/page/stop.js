/** The emergency stop: one press engages it, a question stands before its release. */

import { json } from "./api.js";
import { byId, html, nothing, render, sleep } from "./dom.js";

// Pressed once, tried until the robot has confirmed it.
const TRIES = 8;
const FIRST_WAIT_MS = 200;
const TRY_MS = 3000;

/**
 * @param {import("./events.js").Feed} feed
 * @param {(banner: unknown) => void} show puts a banner on the page; nothing: takes it away
 */
export function emergencyStop(feed, show) {
  const button = byId("stop");
  let engaged = null;
  let phase = "";
  let problem = "";

  const paint = () => {
    button.dataset.engaged = String(engaged === true);
    button.textContent = phase === "stopping" ? "Stopping …" : engaged ? "Stopped" : "Emergency stop";
    show(bannerTemplate(engaged, phase, problem, askForRelease));
  };
  const set = (now) => {
    engaged = now;
    if (now && phase === "failed") [phase, problem] = ["", ""];
    paint();
  };

  async function press() {
    if (phase === "stopping") return;
    [phase, problem] = ["stopping", ""];
    paint();
    for (let attempt = 0, waitMs = FIRST_WAIT_MS; attempt < TRIES; attempt++, waitMs *= 2) {
      try {
        const signal = AbortSignal.timeout(TRY_MS);
        engaged = (await json("emergency_stop", { method: "POST", signal })).engaged;
        phase = "";
        paint();
        return;
      } catch (error) {
        problem = error.name === "TimeoutError" ? "the robot does not answer" : error.message;
        await sleep(Math.min(waitMs, TRY_MS));
      }
    }
    phase = "failed";
    paint();
  }

  async function release() {
    try {
      engaged = (await json("emergency_stop/reset", { method: "POST" })).engaged;
      [phase, problem] = ["", ""];
    } catch (error) {
      [phase, problem] = ["kept", error.message];
    }
    paint();
  }

  const askForRelease = () => ask(byId("ask-release"), release);

  // Down already, since a finger that slides away is no click; a click is what a keyboard gives. Twice does no harm.
  button.addEventListener("pointerdown", press);
  button.addEventListener("click", press);
  feed.on("emergency_stop", (told) => set(told ? told.engaged : null));
  paint();
}

function bannerTemplate(engaged, phase, problem, onRelease) {
  if (phase === "failed") {
    return html`<div class="banner error" id="stop-banner">
      <p><strong>The emergency stop was not confirmed</strong>: ${problem}. Use the robot's own stop button.</p>
    </div>`;
  }
  if (!engaged) return nothing;
  return html`<div class="banner error" id="stop-banner">
    <p>
      <strong>Emergency stop.</strong> The robot is told to do nothing until it is
      released.${phase === "kept" ? ` It was not released: ${problem}.` : ""}
    </p>
    <button type="button" id="release" @click=${onRelease}>Release …</button>
  </div>`;
}

function ask(dialog, release) {
  const close = () => dialog.close();
  const confirm = () => (dialog.close(), release());
  render(
    html`<h2 id="release-title">Let the robot move again?</h2>
      <p>Look at the robot first: nobody should be in its way.</p>
      <p class="row">
        <button type="button" class="quiet" @click=${close} autofocus>Keep it stopped</button>
        <button type="button" id="confirm-release" @click=${confirm}>Release the stop</button>
      </p>`,
    dialog,
  );
  dialog.showModal();
}
