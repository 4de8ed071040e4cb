// When something changed, the page is fetched anew and what differs is put in its place.
"use strict";
(() => {
  const live = document.getElementById("live");
  let fetching = false;
  let again = false;

  const opened = () =>
    new Set([...document.querySelectorAll("main details[open][data-key]")].map((one) => one.dataset.key));

  const place = (element) =>
    element && element !== document.body
      ? element.id ? `#${CSS.escape(element.id)}`
      : element.getAttribute("href") ? `a[href="${CSS.escape(element.getAttribute("href"))}"]` : null
      : null;

  // Nobody's half-typed word is taken away, and no choice that is not sent yet.
  const typing = () =>
    [...document.querySelectorAll("main input, main select")].some(
      (one) =>
        one === document.activeElement ||
        (one.matches("select")
          ? [...one.options].some((option) => option.selected !== option.defaultSelected)
            && one.selectedIndex > 0
          : one.value !== one.defaultValue),
    );

  const show = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const before = document.querySelector("main");
    const after = fresh.querySelector("main");
    if (!after || before.innerHTML === after.innerHTML || typing()) return;
    const wasOpen = opened();
    const focus = before.contains(document.activeElement) ? place(document.activeElement) : null;
    const scrolled = [...before.querySelectorAll(".scroll")].map((one) => [one.scrollLeft, one.scrollTop]);
    before.replaceChildren(...after.childNodes);
    document.title = fresh.title;
    for (const one of before.querySelectorAll("details[data-key]")) one.open ||= wasOpen.has(one.dataset.key);
    before.querySelectorAll(".scroll").forEach((one, number) => {
      if (scrolled[number]) [one.scrollLeft, one.scrollTop] = scrolled[number];
    });
    if (focus) before.querySelector(focus)?.focus({ preventScroll: true });
  };

  const refresh = async () => {
    if (typing()) return;
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (answer.ok) show(await answer.text());
      live.textContent = answer.ok ? "● live" : "the store does not answer";
    } catch {
      live.textContent = "not connected";
    } finally {
      fetching = false;
      if (again) { again = false; refresh(); }
    }
  };

  let events = null;
  const listen = () => {
    events = new EventSource("/live");
    events.addEventListener("open", () => { live.textContent = "● live"; });
    events.addEventListener("error", () => { live.textContent = "not connected"; });
    events.addEventListener("changed", refresh);
  };
  listen();

  // A browser keeps six connections to a server: tabs that nobody sees must not hold them.
  document.addEventListener("visibilitychange", () => {
    events.close();
    if (document.hidden) return;
    listen();
    refresh();
  });

  // The keys + and - look closer and from farther.
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const way = { "+": "in", "-": "out" }[event.key];
    if (way) document.querySelector(`[data-zoom="${way}"]`)?.click();
  });
})();
