/** What the browser keeps for this page. One that forbids it keeps nothing, and the page works all the same. */

/**
 * @param {"session" | "local"} kind for this tab only, or for the next visit too
 * @param {string} key
 * @returns {string} empty where nothing is kept
 */
export function kept(kind, key) {
  try {
    return storageOf(kind).getItem(key) ?? "";
  } catch {
    return "";
  }
}

/**
 * @param {"session" | "local"} kind
 * @param {string} key
 * @param {string} value empty: forget it
 */
export function keep(kind, key, value) {
  try {
    if (value) storageOf(kind).setItem(key, value);
    else storageOf(kind).removeItem(key);
  } catch {
    // Kept for as long as the page is open, by whoever asked.
  }
}

function storageOf(kind) {
  return kind === "session" ? window.sessionStorage : window.localStorage;
}
