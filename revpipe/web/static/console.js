// What makes the console livelier: it looks again every second, counts down, and listens to keys.
// Without it every page still works, by links and forms.
"use strict";
(() => {
  const LOOK_EVERY = 1000;
  const NEAR = [300, 60];
  const byId = (id) => document.getElementById(id);

  // ---- looking again ----------------------------------------------------------------------------
  const look = () => {
    if (document.visibilityState === "visible") document.body.dispatchEvent(new Event("look"));
  };
  setInterval(look, LOOK_EVERY);
  document.addEventListener("visibilitychange", look);

  const offline = (is) => {
    byId("offline").hidden = !is;
  };
  document.body.addEventListener("htmx:sendError", () => offline(true));
  document.body.addEventListener("htmx:timeout", () => offline(true));
  document.body.addEventListener("htmx:afterRequest", (event) => {
    const status = event.detail.xhr.status;
    if (status) offline(status >= 500);
  });
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target } = event.detail;
    const at = xhr.responseURL && new URL(xhr.responseURL).pathname;
    const polled = target && (target.id === "queue" || target.id === "standing");
    if (xhr.status === 401 || (at && at.startsWith("/console/sign-in"))) {
      event.detail.shouldSwap = false;
      location.reload();
    } else if (polled && xhr.status !== 200) {
      event.detail.shouldSwap = false;
    } else if (target && target.id === "standing" && same(target, xhr.responseText)) {
      event.detail.shouldSwap = false; // or it would be read aloud again every second
    }
  });

  // A page that is no page of the inbox, as one that refuses, is shown as a whole.
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target } = event.detail;
    if (!event.detail.shouldSwap || target?.id !== "work" || /\bid="work"/.test(xhr.responseText)) return;
    event.detail.shouldSwap = false;
    const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
    document.title = page.title;
    byId("main").replaceChildren(...(page.getElementById("main")?.childNodes ?? []));
    byId("main").focus();
  });

  // An answer that comes late may tell of a request that is no longer before anybody's eyes.
  document.body.addEventListener("htmx:oobBeforeSwap", (event) => {
    const about = event.detail.fragment.querySelector("[data-about]")?.dataset.about;
    const chosen = document.querySelector(".request")?.dataset.action;
    if (about && about !== chosen) event.detail.shouldSwap = false;
  });

  const same = (target, html) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    return page.body.textContent.trim() === target.textContent.trim();
  };

  // ---- counting down ----------------------------------------------------------------------------
  const words = (seconds) => {
    if (seconds <= 0) return "no time";
    if (seconds < 60) return `${seconds} s`;
    const [size, name, part, small] =
      [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]].find(([of]) => seconds >= of);
    const rest = Math.floor((seconds % size) / part);
    return `${Math.floor(seconds / size)} ${name}${rest ? ` ${rest} ${small}` : ""}`;
  };
  // This machine's clock may be off; the server's counts.
  const ahead = Number(document.body.dataset.now) - Date.now() / 1000 || 0;
  const told = new Set();
  const count = () => {
    const now = Date.now() / 1000 + ahead;
    for (const one of document.querySelectorAll("[data-until]")) {
      const left = Math.floor(one.dataset.until - now);
      const text = words(left);
      if (one.textContent !== text) one.textContent = text;
      one.classList.toggle("near", left <= 900);
      if (one.closest(".request")) tell(one, left);
    }
  };
  // Said once at each mark, for the request that is being looked at only.
  const tell = (one, left) => {
    const mark = NEAR.filter((at) => left <= at).pop();
    const key = `${location.pathname} ${mark}`;
    if (mark === undefined || left <= 0 || told.has(key)) return;
    told.add(key);
    byId("near").textContent = `${words(left)} left to decide: ${one.dataset.of}`;
  };
  setInterval(count, 1000);
  count();

  // ---- keeping the focus ------------------------------------------------------------------------
  document.body.addEventListener("htmx:afterSettle", (event) => {
    count();
    if (event.detail.target?.id !== "work" && event.target.id !== "work") return;
    // Never left on a button: what was pressed for one request would be pressed for the next.
    const to = byId("fault") || byId("subject") || byId("inbox");
    if (to) {
      to.tabIndex = -1;
      to.focus({ preventScroll: true });
    }
    byId("work").querySelector(".rows [aria-current]")?.scrollIntoView({ block: "nearest" });
    if (!byId("queue")) scrollTo(0, 0);
  });

  // ---- keys -------------------------------------------------------------------------------------
  const kept = (value) => {
    try {
      if (value !== undefined) localStorage.setItem("keys", value);
      return localStorage.getItem("keys") !== "off";
    } catch {
      return true;
    }
  };
  const typing = (element) => element.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
  const step = (by) => {
    const rows = [...document.querySelectorAll(".rows a")];
    const at = rows.findIndex((row) => row.hasAttribute("aria-current"));
    const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
    if (next && (at === -1 || rows[at] !== next || !document.querySelector(".work.chosen"))) next.click();
  };
  const shown = (element) => (element && element.offsetParent ? element : null);
  const KEYS = {
    j: () => step(1),
    k: () => step(-1),
    a: () => {
      const button = shown(byId("approve"));
      if (button && document.activeElement === button) button.click();
      else button?.focus();
    },
    e: () => shown(byId("edit"))?.click(),
    r: () => {
      const part = shown(byId("reject"));
      if (part) {
        part.open = true;
        byId("reason").focus();
      }
    },
  };
  const leave = (element) => {
    if (typing(element)) {
      const part = element.closest("details");
      element.blur();
      if (part) {
        part.open = false;
        part.querySelector("summary").focus();
      }
    } else byId("leave")?.click();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") return leave(event.target);
    if (!kept() || typing(event.target) || !(event.key in KEYS)) return;
    event.preventDefault();
    if (!event.repeat || event.key === "j" || event.key === "k") KEYS[event.key]();
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "keys") kept(event.target.checked ? "on" : "off");
  });
  const show = () => {
    if (byId("keys")) byId("keys").checked = kept();
  };
  document.body.addEventListener("htmx:afterSettle", show);
  show();
})();
