"use strict";
// The page is whole without this. With it, what is on it is fetched anew when
// the log has another tick, and times count on.
(() => {
  const least = 1000;      // between two fetches, ms
  const most = 15000;      // without a tick: a poller that is late is news, too
  const patience = 20000;  // that a fetch may take

  const live = document.getElementById("live");
  let ahead = 0;     // of this clock: the server's
  let fetched = 0;   // when that was done last
  let waiting = null;
  let under = false; // way

  const lasted = (ms) => {
    const s = Math.floor(Math.abs(ms) / 1000);
    const days = Math.floor(s / 86400), hours = Math.floor(s / 3600) % 24;
    const minutes = Math.floor(s / 60) % 60, seconds = s % 60;
    if (days > 0) return `${days} d ${hours} h`;
    if (hours > 0) return `${hours} h ${minutes} min`;
    if (minutes >= 5) return `${minutes} min`;
    if (minutes > 0) return `${minutes} min ${seconds} s`;
    return `${seconds} s`;
  };

  const count = () => {
    const now = Date.now() + ahead;
    for (const t of document.querySelectorAll("time[data-live]")) {
      const left = Date.parse(t.dateTime) - now;
      const text = left > 0 && t.dataset.live === "until" ? `in ${lasted(left)}` : `${lasted(Math.min(left, 0))} ago`;
      if (t.textContent !== text) t.textContent = text;
    }
    for (const bar of document.querySelectorAll("progress[data-end]")) {
      bar.value = Math.max(0, (Date.parse(bar.dataset.end) - now) / 1000);
    }
  };

  // shape is a part without what counts on by itself.
  const shape = (part) => {
    const copy = part.cloneNode(true);
    for (const t of copy.querySelectorAll("time[data-live]")) t.textContent = "";
    for (const bar of copy.querySelectorAll("progress[data-end]")) bar.removeAttribute("value");
    return copy.innerHTML;
  };

  const replace = (part, by) => {
    if (shape(part) === shape(by)) return;
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.hidden = by.hidden;
    part.replaceChildren(...by.childNodes);
    if (focused !== null) {
      const same = [...part.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused);
      if (same) same.focus({ preventScroll: true });
    }
  };

  const show = (page) => {
    ahead = Date.parse(page.getElementById("now").dateTime) - Date.now();
    for (const by of page.querySelectorAll("[data-part]")) replace(document.getElementById(by.id), by);
    const verdict = document.getElementById("verdict"), newest = page.getElementById("verdict");
    if (verdict.textContent !== newest.textContent) { // it is read aloud
      verdict.className = newest.className;
      verdict.replaceChildren(...newest.childNodes);
      document.title = page.title;
      document.querySelector("link[rel=icon]").href = page.querySelector("link[rel=icon]").href;
    }
    document.getElementById("now").replaceWith(page.getElementById("now"));
    count();
  };

  const refresh = async () => {
    waiting = null;
    under = true;
    fetched = Date.now();
    try {
      const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(patience) });
      if (!answer.ok) throw new Error(answer.statusText);
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      live.textContent = "· live";
      live.className = "";
    } catch {
      live.textContent = "· the reducer does not answer: this is old";
      live.className = "old";
    }
    under = false;
    if (waiting === null) later(most);
  };

  const later = (delay) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => (under ? later(least) : refresh()), delay);
  };
  const soon = () => later(Math.max(0, least - (Date.now() - fetched)));

  let events = null; // none while nobody looks: the reducer has places for a few only
  const listen = () => {
    events?.close();
    events = null;
    if (document.hidden) return;
    const opened = events = new EventSource("/v1/events");
    opened.addEventListener("TickCompleted", soon);
    opened.addEventListener("error", () => {
      if (opened === events && opened.readyState === EventSource.CLOSED) setTimeout(listen, most);
    });
  };
  document.addEventListener("visibilitychange", () => {
    listen();
    if (!document.hidden) soon();
  });

  ahead = Date.parse(document.getElementById("now").dateTime) - Date.now();
  live.textContent = "· live";
  count();
  setInterval(count, 1000);
  later(most);
  listen();
})();
