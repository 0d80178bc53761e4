/** The page's way to the DOM: templates that escape what they show, painted at most once a frame. */

import { html, nothing, render, svg } from "./vendor/lit-html/lit-html.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";

export { html, nothing, render, repeat, svg };

/** The element of an id that index.html has. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * A function that paints a part of the page anew with the next frame; calls until then are one.
 *
 * @param {HTMLElement} root
 * @param {() => unknown} template
 * @param {() => void} [after] called when it was painted
 */
export function painter(root, template, after = () => {}) {
  let waiting = false;
  const paint = () => {
    waiting = false;
    render(template(), root);
    after();
  };
  return () => {
    if (!waiting) {
      waiting = true;
      requestAnimationFrame(paint);
    }
  };
}

/** Let a screen reader say something when it has finished what it is saying. */
export function announce(text) {
  const line = document.createElement("p");
  line.textContent = text;
  const announcer = byId("announcer");
  announcer.append(line);
  while (announcer.childElementCount > 3) announcer.firstElementChild.remove();
}

/** Resolves after a time, or as soon as the signal is aborted. */
export function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

/** Calls back once a second, for ages that are shown. */
export function everySecond(tick) {
  setInterval(tick, 1000);
}
