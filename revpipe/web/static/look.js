// Light or dark, before anything is painted. Without this the system's wish counts.
"use strict";
(() => {
  const LOOKS = { system: "as the system", light: "light", dark: "dark" };
  const root = document.documentElement;
  const kept = () => {
    try {
      return localStorage.getItem("look") || "system";
    } catch {
      return "system";
    }
  };
  const wear = (look) => {
    if (look in LOOKS && look !== "system") root.dataset.look = look;
    else delete root.dataset.look;
  };
  wear(kept());
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("look");
    if (!button) return;
    let look = kept();
    const name = () => {
      button.textContent = `Look: ${LOOKS[look] || LOOKS.system}`;
    };
    button.hidden = false;
    name();
    button.addEventListener("click", () => {
      const all = Object.keys(LOOKS);
      look = all[(all.indexOf(look) + 1) % all.length];
      try {
        localStorage.setItem("look", look);
      } catch {
        // Where nothing may be kept, the look lasts as long as the page.
      }
      wear(look);
      name();
    });
  });
})();
