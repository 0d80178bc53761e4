/**
 * The conversations as they are shown: one entry a turn, whichever source tells of it first. Pure.
 *
 * What is typed here is answered in its own stream, which does not say which turn it is before the end; the robot's
 * events tell of all turns, also of this one. The record of a turn is the whole truth and replaces what was there.
 */

const MOST = 200;
// An utterance that the dialogue did not take never becomes a turn.
const FORGOTTEN_AFTER_MS = 60_000;

/**
 * @typedef {object} Entry
 * @property {string} id of the turn; empty: not known yet
 * @property {string} session empty: the robot's default one, whose name is not known yet
 * @property {number} stamp seconds
 * @property {"waiting" | "answering" | "done" | "failed"} state
 * @property {boolean} isOwn typed here
 */

export class Turns {
  #entries = [];
  #local = 0;
  #now;

  /** @param {() => number} now a steady clock, milliseconds */
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** Entries of a session (null: of all), oldest first. */
  of(session) {
    const forgottenMs = this.#now() - FORGOTTEN_AFTER_MS;
    this.#entries = this.#entries.filter((each) => each.isOwn || each.state !== "waiting" || each.atMs > forgottenMs);
    return this.#entries
      .filter((each) => session === null || each.session === session || (each.session === "" && each.isOwn))
      .sort((first, second) => first.stamp - second.stamp);
  }

  /** A whole turn; true where it was not known as such. */
  onTurn(turn) {
    const entry = this.#byId(turn.id) ?? this.#unbound(turn.session_id, turn.heard) ?? this.#add({});
    const isNew = entry.state !== "done" || entry.id !== turn.id;
    Object.assign(entry, turn, { session: turn.session_id, state: "done" });
    return isNew;
  }

  /** A piece of an answer. */
  onReply(reply) {
    const known = this.#byId(reply.turn_id);
    if (!known && this.#entries.some((each) => each.isOwn && isOpen(each) && isOf(each, reply.session_id))) return;
    const entry = known ?? this.#unbound(reply.session_id) ?? this.#add({ session: reply.session_id });
    if (entry.isOwn || !isOpen(entry) || reply.sequence <= entry.sequence) return;
    Object.assign(entry, { id: reply.turn_id, state: "answering", sequence: reply.sequence });
    entry.said += reply.delta;
    entry.interrupted = reply.interrupted;
  }

  /** Something was heard, by a microphone say. */
  onUtterance(utterance) {
    this.#add({ session: utterance.session_id, heard: utterance.text, stamp: utterance.stamp });
  }

  /** Something is typed here; the entry is given to the other methods. */
  say(text, session, stamp) {
    return this.#add({ session, heard: text, stamp, isOwn: true });
  }

  onDelta(entry, text) {
    if (isOpen(entry)) Object.assign(entry, { said: entry.said + text, state: "answering" });
  }

  onAnswer(entry, answer) {
    // Events may have told of the turn as another's.
    this.#entries = this.#entries.filter((each) => each === entry || each.id !== answer.turn_id);
    const { reply, turn_id: id, session_id: session, ...rest } = answer;
    Object.assign(entry, rest, { id, session, said: reply, state: "done" });
  }

  onFailure(entry, reason) {
    if (isOpen(entry)) Object.assign(entry, { error: reason, state: "failed" });
  }

  #byId(id) {
    return this.#entries.find((each) => each.id === id && id !== "");
  }

  /** One that waits for its turn's name: typed here where the text is given, else heard. */
  #unbound(session, text = null) {
    const isIt = (each) => (text === null ? !each.isOwn : squeezed(each.heard) === squeezed(text));
    const found = this.#entries.filter((each) => each.id === "" && isOf(each, session) && isIt(each));
    return found.find(isOpen) ?? found.at(-1);
  }

  #add(given) {
    const entry = {
      key: `entry-${++this.#local}`,
      id: "",
      session: "",
      stamp: 0,
      heard: "",
      said: "",
      state: "waiting",
      source: "",
      error: "",
      interrupted: false,
      isOwn: false,
      commands: [],
      rejected: [],
      stages_s: {},
      sequence: -1,
      atMs: this.#now(),
      ...given,
    };
    entry.stamp ||= Number.MAX_SAFE_INTEGER;
    this.#entries.push(entry);
    if (this.#entries.length > MOST) this.#entries.shift();
    return entry;
  }
}

function isOpen(entry) {
  return entry.state === "waiting" || entry.state === "answering";
}

function isOf(entry, session) {
  return entry.session === session || entry.session === "";
}

function squeezed(text) {
  return text.split(/\s+/).join(" ").trim();
}
