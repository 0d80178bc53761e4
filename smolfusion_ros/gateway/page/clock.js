/**
 * The robot's clock, learned from stamps: the newest one heard was made just before it came. Works when this machine's
 * clock is wrong, and with simulated time. What was heard longer ago than 10 to 20 s is forgotten, as a bag that is
 * played again sets the clock back.
 */

const WINDOW_MS = 10_000;

export class RobotClock {
  #now;
  #offsets = [-Infinity, -Infinity];
  #turned;

  /** @param {() => number} now a steady clock, milliseconds */
  constructor(now = () => performance.now()) {
    this.#now = now;
    this.#turned = now();
  }

  /** A stamp (seconds) has come. */
  hear(stamp) {
    if (!(stamp > 0)) return;
    const now = this.#now();
    const offset = stamp - now / 1000;
    if (now - this.#turned > WINDOW_MS) {
      this.#turned = now;
      this.#offsets = [offset, this.#offsets[0]];
    } else {
      this.#offsets[0] = Math.max(this.#offsets[0], offset);
    }
  }

  /** The robot's time, seconds; NaN before anything was heard. */
  get time() {
    const offset = Math.max(...this.#offsets);
    return Number.isFinite(offset) ? offset + this.#now() / 1000 : NaN;
  }

  /** How long ago a stamp was, seconds; never negative, NaN before anything was heard. */
  age(stamp) {
    return Math.max(0, this.time - stamp);
  }
}
