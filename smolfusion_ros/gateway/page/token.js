/** Asks for the gateway's token, once for all who need it. */

import { byId, html, render } from "./dom.js";

/**
 * @param {boolean} wasWrong the one before was refused
 * @returns {Promise<string>} what was typed
 */
export function askForToken(wasWrong) {
  const dialog = byId("ask-token");
  return new Promise((resolve) => {
    const take = (event) => {
      event.preventDefault();
      const typed = dialog.querySelector("input").value.trim();
      // A header takes no other characters; the gateway would refuse it as well.
      if (!/^[\x21-\x7e]+$/.test(typed)) return;
      dialog.close();
      resolve(typed);
    };
    const stay = (event) => event.preventDefault();
    render(
      html`<form @submit=${take}>
        <h2 id="token-title">This robot asks for a token</h2>
        <p>Whoever set up the robot knows it. It is kept until this tab is closed.</p>
        <label for="token">Token</label>
        <input id="token" type="password" autocomplete="off" spellcheck="false" required aria-describedby="token-note" />
        <p id="token-note" class="note" role="status">${wasWrong ? "That token was refused." : ""}</p>
        <button type="submit">Go on</button>
      </form>`,
      dialog,
    );
    dialog.addEventListener("cancel", stay);
    dialog.addEventListener("close", () => dialog.removeEventListener("cancel", stay), { once: true });
    dialog.querySelector("input").value = "";
    if (!dialog.open) dialog.showModal();
  });
}
