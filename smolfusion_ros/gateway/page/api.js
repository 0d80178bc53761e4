/** Requests to the gateway: with the token where it wants one, problem documents (RFC 9457) as errors. */

import { askForToken } from "./token.js";
import { keep, kept } from "./storage.js";

const KEY = "smolfusion-token";
let token = kept("session", KEY);
let asking = null;

/** What the gateway refused. `status` 0: it was not reached. `retryAfterS`: when to come again, 0 where not said. */
export class Refusal extends Error {
  constructor(message, status, retryAfterS = 0) {
    super(message);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/**
 * A request, and again with a token once somebody has given it.
 *
 * @param {string} path relative to the page, so that a proxy may put it all under a prefix
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} with a status of success, or 304
 * @throws {Refusal}
 * @throws {DOMException} AbortError, where the signal was aborted
 */
export async function call(path, options = {}) {
  for (;;) {
    const used = token;
    const response = await send(path, options, used);
    if (response.ok || response.status === 304) return response;
    if (response.status !== 401) throw await refusal(response);
    if (used === token) await renewToken(used !== "");
  }
}

/** The JSON of an answer. */
export async function json(path, options) {
  return (await call(path, options)).json();
}

/** POST of a JSON value. */
export function posted(value, options = {}) {
  const headers = { "Content-Type": "application/json", ...options.headers };
  return { ...options, method: "POST", body: JSON.stringify(value), headers };
}

async function send(path, options, bearer) {
  const headers = { ...options.headers, ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}) };
  try {
    return await fetch(new URL(path, document.baseURI), { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("the robot cannot be reached", 0);
  }
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  const retryAfterS = Number(response.headers.get("Retry-After")) || 0;
  return new Refusal(problem.detail || `the robot answered ${response.status}`, response.status, retryAfterS);
}

/** Everybody who is refused meanwhile waits for the same answer. */
async function renewToken(wasWrong) {
  asking ??= askForToken(wasWrong).finally(() => (asking = null));
  token = await asking;
  keep("session", KEY, token);
}
