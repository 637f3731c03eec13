// Comfort for those whose browser runs it; every page works without.
const page = document.documentElement;
page.classList.add("scripted");
const say = (text) => { document.getElementById("live").textContent = text; };

// Times are of the registry, in UTC; their title has the reader's own as well.
const locally = (root) => {
  for (const time of root.querySelectorAll("time[title]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.valueOf())) time.title = `${moment.toLocaleString()} (${time.title})`;
  }
};
locally(document);

// navigator.clipboard is there for https and this machine alone.
const copied = async (text) => {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "hidden";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
};
const copy = async (button) => {
  await copied(button.dataset.copy);
  const name = button.querySelector("span");
  const before = name.textContent;
  name.textContent = "Copied";
  button.classList.add("done");
  say(`Copied: ${button.dataset.copy}`);
  setTimeout(() => { name.textContent = before; button.classList.remove("done"); }, 1500);
};
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

// A list follows what is typed into its filter: the same address, of which the list is taken.
let typed;
const follow = async (form) => {
  const address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  const main = document.querySelector("main");
  if (!found || !form.isConnected) return;
  while (form.nextSibling) form.nextSibling.remove();
  const place = found.querySelector("form[data-live]");
  while (place.nextSibling) main.append(document.adoptNode(place.nextSibling));
  history.replaceState(null, "", address);
  locally(main);
  say(`${main.querySelectorAll("tbody tr[data-row]").length} on this page`);
};
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-live]");
  if (!form || !form.checkValidity()) return;
  clearTimeout(typed);
  typed = setTimeout(() => follow(form).catch(() => form.submit()), 250);
});

// Keys, unless somebody writes or has switched them off.
const places = { r: "repositories", u: "usage", l: "lifecycle", a: "access", e: "events", t: "trail", o: "operations", s: "" };
const areOff = () => localStorage.getItem("keys") === "off";
let row = -1;
let isGoing = false;
const move = (step) => {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (!rows.length) return;
  rows[row]?.classList.remove("here");
  row = Math.max(0, Math.min(rows.length - 1, row + step));
  rows[row].classList.add("here");
  rows[row].querySelector("a").focus();
};
const help = () => {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", "Keys");
  const list = document.createElement("dl");
  for (const [keys, what] of [["/", "find"], ["j k", "next and previous row"], ["Enter", "open it"], ["c", "copy the pull command"],
    ["g then s r u l a e t o", "start, repositories, usage, lifecycle, access, events, audit trail, operations"], ["?", "this list"]]) {
    const term = document.createElement("dt");
    term.append(Object.assign(document.createElement("kbd"), { textContent: keys }));
    list.append(term, Object.assign(document.createElement("dd"), { textContent: what }));
  }
  const off = Object.assign(document.createElement("button"), { textContent: areOff() ? "Switch the keys on" : "Switch the keys off" });
  off.addEventListener("click", () => { localStorage.setItem("keys", areOff() ? "on" : "off"); dialog.close(); });
  const end = Object.assign(document.createElement("button"), { textContent: "Close" });
  end.addEventListener("click", () => dialog.close());
  dialog.append(list, end, " ", off);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  if (event.key === "?") return help();
  if (areOff()) return;
  if (isGoing) {
    isGoing = false;
    if (event.key in places) location.assign(`/console/${places[event.key]}`);
    return;
  }
  if (event.key === "/") { event.preventDefault(); document.querySelector("[data-key='/']")?.focus(); }
  if (event.key === "j") move(1);
  if (event.key === "k") move(-1);
  if (event.key === "g") { isGoing = true; setTimeout(() => { isGoing = false; }, 1500); }
  if (event.key === "c") {
    const here = document.activeElement.closest("[data-row]") ?? document;
    const button = here.querySelector("[data-copy]");
    if (button) copy(button);
  }
});
