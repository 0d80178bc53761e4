/** Light, dark, or as the system has it; chosen once, kept for the next visit. Runs before the first paint. */

import { keep, kept } from "./storage.js";

const KEY = "smolfusion-theme";
const NAMES = { auto: "◐ Auto", light: "○ Light", dark: "● Dark" };
const ORDER = Object.keys(NAMES);

let theme = ORDER.includes(kept("local", KEY)) ? kept("local", KEY) : "auto";
document.documentElement.dataset.theme = theme;

/** Makes a button go through the themes. */
export function themeSwitch(button) {
  const label = () => {
    button.textContent = NAMES[theme];
    button.setAttribute("aria-label", `Theme: ${theme}`);
  };
  label();
  button.addEventListener("click", () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    document.documentElement.dataset.theme = theme;
    keep("local", KEY, theme === "auto" ? "" : theme);
    label();
  });
}
