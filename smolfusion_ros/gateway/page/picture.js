/**
 * The camera's pictures on a canvas: motion JPEG while it comes; single pictures where it does not, as behind a proxy
 * that waits for an answer's end.
 */

import { call } from "./api.js";
import { sleep } from "./dom.js";
import { multipart } from "./streams.js";

const POLL_MS = 1000;
const POLLED_FOR_MS = 60_000;
// A picture that was told of has come within this time, or motion JPEG does not come through.
const LATE_AFTER_MS = 5000;

export class Picture {
  #canvas;
  #onShown;
  #running = null;
  #broken = null;
  #late = 0;
  #etag = "";
  /** Stamp of the picture that is shown, seconds; 0: none. */
  stamp = 0;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onShown called after each picture
   */
  constructor(canvas, onShown) {
    this.#canvas = canvas;
    this.#onShown = onShown;
  }

  get width() {
    return this.#canvas.width;
  }

  get height() {
    return this.#canvas.height;
  }

  /** Show pictures from now on. */
  start() {
    if (this.#running !== null) return;
    this.#running = new AbortController();
    this.#show(this.#running.signal);
  }

  /** Leave the newest one standing. */
  stop() {
    this.#running?.abort();
    this.#running = null;
    clearTimeout(this.#late);
    this.#late = 0;
  }

  /** The robot has told of a picture; a stream that does not bring it is given up. */
  expect(stamp) {
    if (this.#running === null || this.#late) return;
    this.#late = setTimeout(() => {
      this.#late = 0;
      if (this.stamp < stamp) this.#broken?.abort();
    }, LATE_AFTER_MS);
  }

  async #show(ended) {
    while (!ended.aborted) {
      await this.#stream(ended);
      const pollUntil = performance.now() + POLLED_FOR_MS;
      while (!ended.aborted && performance.now() < pollUntil) {
        await this.#poll(ended).catch(() => {});
        await sleep(POLL_MS, ended);
      }
    }
  }

  async #stream(ended) {
    const broken = (this.#broken = new AbortController());
    const end = () => broken.abort();
    ended.addEventListener("abort", end, { once: true });
    try {
      const response = await call("camera.mjpg", { signal: broken.signal });
      for await (const { blob, stamp } of multipart(response.body)) await this.#draw(blob, stamp);
    } catch {
      // Single pictures take over, and motion JPEG is tried again after a while.
    } finally {
      ended.removeEventListener("abort", end);
    }
  }

  async #poll(ended) {
    const headers = this.#etag ? { "If-None-Match": this.#etag } : {};
    const response = await call("camera.jpg", { headers, signal: ended });
    if (response.status === 304) return;
    this.#etag = response.headers.get("ETag") ?? "";
    await this.#draw(await response.blob(), Number(response.headers.get("X-Timestamp")));
  }

  async #draw(blob, stamp) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(blob);
    } catch {
      return; // a damaged picture; the next one comes
    }
    const canvas = this.#canvas;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    }
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    this.stamp = stamp;
    canvas.dataset.stamp = stamp;
    this.#onShown();
  }
}
